//! A program that trains in name only: a shell script of the test.

use std::time::{Duration, Instant};

use hearthwatch_edge_core::round_job::{JobFigures, JobLimits};
use hearthwatch_protocol::round::{DeclineReason, EvaluateWork, RoundWork};

use super::*;
use crate::scripts;

/// Far beyond what anything here takes; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

fn job(out: &Path) -> RoundJob {
    RoundJob {
        history: out.join("history.sqlite"),
        entities: Vec::new(),
        work: RoundWork::Evaluate(EvaluateWork { models: Vec::new(), seed: 7, noise: 0.0 }),
        models: Vec::new(),
        out: out.to_owned(),
        now: 1_790_000_000,
        timezone: "UTC".to_owned(),
        seed: 9,
        limits: JobLimits::default(),
    }
}

/// Writes the program, and gives its path.
fn script(folder: &Path, body: &str) -> PathBuf {
    let path = folder.join("train");
    scripts::write(&path, body);
    path
}

fn ended(body: &str) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::begin(&script(folder.path(), body), &job(folder.path())).unwrap();
    let begin = Instant::now();
    loop {
        if let Some(ended) = running.poll() {
            return ended;
        }
        assert!(begin.elapsed() < PATIENCE, "it never ends");
        std::thread::yield_now();
    }
}

#[test]
fn a_report_is_one_line_of_json_and_the_job_comes_by_the_input() {
    let done = r#"cat > /dev/null; echo '{"done":{"entities":2,"days":28,"norm":0.5,"sent_norm":0.5,"noise":0.0,"seconds":1.5,"peak_kib":9}}'"#;
    let figures =
        JobFigures { entities: 2, days: 28, norm: 0.5, sent_norm: 0.5, noise: 0.0, seconds: 1.5, peak_kib: 9 };
    assert_eq!(ended(done), Ended::Report(JobReport::Done(figures)));
    let declined =
        r#"grep -q '"seed":9' && echo '{"declined":{"reason":"diverged","detail":"the loss was no number"}}'"#;
    let report = JobReport::Declined { reason: DeclineReason::Diverged, detail: "the loss was no number".to_owned() };
    assert_eq!(ended(declined), Ended::Report(report));
}

#[test]
fn a_program_that_is_killed_or_says_something_else_gives_no_report() {
    let silent = |body: &str| match ended(body) {
        Ended::Silent(why) => why,
        report => panic!("{report:?}"),
    };
    assert_eq!(silent("kill -9 $$"), "no report, signal: 9 (SIGKILL)");
    assert_eq!(silent("exit 3"), "no report, exit status: 3");
    assert_eq!(silent("echo sensor.kitchen is 20.5"), "no report that can be read, exit status: 0");
    assert_eq!(silent("head -c 100000 /dev/zero"), "its report is longer than 4096 bytes");
}

#[test]
fn it_inherits_no_secret_and_what_it_cries_goes_nowhere() {
    let clean = r#"test -z "$CARGO_MANIFEST_DIR" && echo no >&2 && echo '{"declined":{"reason":"disk","detail":""}}'"#;
    let report = JobReport::Declined { reason: DeclineReason::Disk, detail: String::new() };
    assert!(std::env::var("CARGO_MANIFEST_DIR").is_ok());
    assert_eq!(ended(clean), Ended::Report(report));
}

#[test]
fn a_run_that_is_dropped_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::begin(&script(folder.path(), "exec sleep 600"), &job(folder.path())).unwrap();
    let process = PathBuf::from(format!("/proc/{}", running.child.id()));
    assert!(process.exists());
    drop(running);
    assert!(!process.exists());
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    assert_eq!(find(Some(&missing)), None);
    let error = Running::begin(&missing, &job(folder.path())).unwrap_err();
    assert_eq!(error.to_string(), format!("{}: No such file or directory (os error 2)", missing.display()));
}
