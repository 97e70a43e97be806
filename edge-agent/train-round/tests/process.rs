//! The program as the agent starts it: a job on standard input, a report on standard output.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_edge_core::round_job::{BODY_FILE, JobReport, RoundJob};
use hearthwatch_federation::{HomeCounts, Quantised};
use hearthwatch_protocol::round::{DeclineReason, EvaluateWork, RoundFile, RoundWork};
use hearthwatch_train_round::fixtures::{made_history, made_job};
use tempfile::TempDir;

/// A history that all tests read.
struct Made {
    folder: TempDir,
    entities: Vec<EntityInfo>,
    now: i64,
}

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (entities, now) = made_history(&folder.path().join("history.db"), 3, 21).unwrap();
        Made { folder, entities, now }
    })
}

fn model() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../model/shipped/network.safetensors"))
}

/// A job with the shipped model.
fn job(out: &Path) -> RoundJob {
    let mut job = made_job(&made().folder.path().join("history.db"), made().entities.clone(), made().now, out);
    job.models = vec![model()];
    set_base(&mut job, RoundFile::of(&std::fs::read(model()).unwrap()));
    job
}

fn set_base(job: &mut RoundJob, base: RoundFile) {
    if let RoundWork::Train(work) = &mut job.work {
        work.base = base;
    }
}

fn run(input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hearthwatch-train-round"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn report_of(output: &Output) -> JobReport {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn report(job: &RoundJob) -> JobReport {
    report_of(&run(&serde_json::to_vec(job).unwrap()))
}

fn declined(job: &RoundJob) -> DeclineReason {
    let report = report(job);
    assert!(!job.out.join(BODY_FILE).exists(), "{report:?}");
    match report {
        JobReport::Declined { reason, .. } => reason,
        JobReport::Done(figures) => panic!("done: {figures:?}"),
    }
}

#[test]
fn a_home_trains_and_leaves_one_file_with_nothing_of_its_history() {
    let out = tempfile::tempdir().unwrap();
    let job = job(out.path());
    let output = run(&serde_json::to_vec(&job).unwrap());
    let JobReport::Done(figures) = report_of(&output) else { panic!("{output:?}") };
    let body = std::fs::read(out.path().join(BODY_FILE)).unwrap();
    let restored = Quantised::from_bytes(&body).unwrap().restore().unwrap();
    assert!(restored.norm() <= 1.0 && figures.sent_norm > 0.0 && figures.peak_kib > 0, "{figures:?}");
    assert_eq!((figures.entities, figures.days), (3, 7));
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 1);
    assert!(output.stderr.is_empty(), "{output:?}");
    let written = String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap();
    let (_, readings) = hearthwatch_detector::fixtures::made_home(1, 21);
    for info in &made().entities {
        assert!(
            !written.contains(&info.entity_id)
                && !body.windows(info.entity_id.len()).any(|part| part == info.entity_id.as_bytes())
        );
    }
    for reading in readings.iter().step_by(7) {
        let hearthwatch_detector::reading::Value::Number(value) = reading.value else { continue };
        let coded = [value.to_le_bytes().to_vec(), value.to_be_bytes().to_vec()];
        assert!(coded.iter().all(|bytes| !body.windows(8).any(|part| part == bytes)), "a reading is in the body");
        assert!(!written.contains(&value.to_string()), "a reading is in the report");
    }
}

#[test]
fn a_home_evaluates_and_counts_as_many_days_as_there_are() {
    let out = tempfile::tempdir().unwrap();
    let mut job = job(out.path());
    let file = RoundFile::of(&std::fs::read(model()).unwrap());
    job.work = RoundWork::Evaluate(EvaluateWork { models: vec![file, file], seed: 1, noise: 0.0 });
    job.models = vec![model(), model()];
    assert!(matches!(report(&job), JobReport::Done(figures) if figures.days == 7));
    let counts = HomeCounts::from_bytes(&std::fs::read(out.path().join(BODY_FILE)).unwrap(), 2).unwrap();
    assert_eq!(counts.models[1].values().map(|counts| counts.days.total()).sum::<i64>(), 21);
}

#[test]
fn what_a_home_cannot_do_is_declined_with_its_reason() {
    let out = tempfile::tempdir().unwrap();
    let good = || job(out.path());
    let early = RoundJob { now: made().now - 86_400, ..good() };
    assert_eq!(declined(&early), DeclineReason::HistoryTooShort);
    assert_eq!(declined(&RoundJob { entities: Vec::new(), ..good() }), DeclineReason::HistoryTooShort);
    assert_eq!(declined(&RoundJob { models: Vec::new(), ..good() }), DeclineReason::ModelUnavailable);
    let mut other = good();
    set_base(&mut other, RoundFile::of(b"another model"));
    assert_eq!(declined(&other), DeclineReason::ModelUnavailable);
    assert_eq!(declined(&RoundJob { out: out.path().join("missing"), ..good() }), DeclineReason::Disk);
    assert_eq!(declined(&RoundJob { history: out.path().join("missing.db"), ..good() }), DeclineReason::Disk);
    let mut slow = good();
    slow.limits.seconds = 0;
    assert_eq!(declined(&slow), DeclineReason::TooSlow);
    let mut large = good();
    large.limits.memory_mib = 1;
    assert_eq!(declined(&large), DeclineReason::OutOfMemory);
}

#[test]
fn a_model_with_a_weight_that_is_no_number_is_declined_though_its_hash_is_the_plans() {
    let out = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(model()).unwrap();
    // Tensors are the file's last bytes.
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    let path = made().folder.path().join("nan.safetensors");
    std::fs::write(&path, &bytes).unwrap();
    let mut job = RoundJob { models: vec![path], ..job(out.path()) };
    set_base(&mut job, RoundFile::of(&bytes));
    assert_eq!(declined(&job), DeclineReason::ModelUnavailable);
}

#[test]
fn an_input_that_is_no_job_is_declined_without_its_words() {
    let output = run(br#"{"history": "sensor.secret", "entities": 7}"#);
    let JobReport::Declined { reason, detail } = report_of(&output) else { panic!("{output:?}") };
    assert_eq!(reason, DeclineReason::Other);
    assert!(!detail.contains("secret"), "{detail}");
}

#[test]
#[cfg(target_os = "linux")]
fn before_it_reads_anything_it_may_leave_no_core_file() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hearthwatch-train-round"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let limits = format!("/proc/{}/limits", child.id());
    let has_none = |limits: &str| {
        let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap_or_default();
        core.split_whitespace().take(2).eq(["0", "0"])
    };
    // It waits for its job, so that this ends or the program never sets its limit.
    while !has_none(&std::fs::read_to_string(&limits).unwrap()) {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it had a job");
        std::thread::yield_now();
    }
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert!(matches!(report_of(&output), JobReport::Declined { reason: DeclineReason::Other, .. }));
}
