//! How long a home's part in a federated round takes, and how much memory: the program as the agent starts it, on a made history.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Args;
use hearthwatch_detector::detector::Model;
use hearthwatch_edge_core::round_job::{BODY_FILE, ENTITIES_MAX, JobFigures, JobLimits, JobReport, RoundJob};
use hearthwatch_protocol::round::{EvaluateWork, RoundFile, RoundWork, TrainRecipe, TrainWork};
use hearthwatch_train_round::fixtures::{made_history, made_job};

use crate::bodies::apart;

/// How much is measured.
#[derive(Debug, Args)]
pub struct MeasureRoundArguments {
    /// The program, `hearthwatch-train-round`.
    #[arg(long)]
    program: PathBuf,
    /// Sensors of the home.
    #[arg(long, default_value_t = 24)]
    sensors: usize,
    /// Days of history that are written; a history keeps the last 35 of them.
    #[arg(long, default_value_t = 42)]
    days: i64,
    /// Runs of each kind; the longest time and the most memory of them count.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// After `--`: another build of the program, with what runs it, that does each job once; what both would send is compared.
    #[arg(last = true)]
    beside: Vec<OsString>,
}

/// What is asked of the program: at most so many seconds and so many KiB.
const SECONDS_MAX: f64 = 60.0;
const PEAK_KIB_MAX: u64 = 60 * 1024;

/// For the build beside it: an emulator takes its time, and its memory counts as the program's.
const BESIDE: JobLimits = JobLimits { seconds: 3600, memory_mib: 4096, entities: ENTITIES_MAX as u32 };

/// Prints seconds and memory of training and of evaluating three models.
///
/// # Errors
/// When the program declines, or needs more than is asked, or the build beside it would send something else.
pub fn run(arguments: &MeasureRoundArguments) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let history = folder.path().join("history.db");
    let (entities, now) = made_history(&history, arguments.sensors, arguments.days)?;
    let model = folder.path().join("model");
    let bytes = Model::shipped_artifact();
    std::fs::write(&model, bytes)?;
    let file = RoundFile::of(bytes);
    // The defaults of the aggregator's `[rounds]`.
    let recipe = TrainRecipe { steps: 20, batch: 128, learning_rate: 1e-3, rise_steps: 5, seed: 1 };
    let train = RoundWork::Train(TrainWork { base: file, recipe, clip: 1.0, noise: 0.0, server_noise: 0.0 });
    let evaluate = RoundWork::Evaluate(EvaluateWork { models: vec![file; 3], seed: 1, noise: 0.0 });
    println!("a home's part in a round: {} sensors, {} days of history", arguments.sensors, arguments.days);
    for (name, work, models) in [("trains", train, 1), ("evaluates three models", evaluate, 3)] {
        let job = made_job(&history, entities.clone(), now, folder.path());
        let job = RoundJob { work, models: vec![model.clone(); models], ..job };
        let runs = (0..arguments.runs.max(1)).map(|_| one(&[arguments.program.clone().into()], &job));
        let ours = runs.reduce(|worst, next| Ok(worst?.or_worse(next?))).context("no run")??;
        println!("{name}: {ours}");
        if arguments.beside.is_empty() {
            ensure!(ours.figures.seconds <= SECONDS_MAX, "more than {SECONDS_MAX} s");
            ensure!(ours.figures.peak_kib <= PEAK_KIB_MAX, "more than {PEAK_KIB_MAX} KiB");
        } else {
            let other = one(&arguments.beside, &RoundJob { limits: BESIDE, ..job.clone() })?;
            println!("{name}, the other build: {other}");
            let used = |run: &Run| (run.figures.entities, run.figures.days);
            ensure!(used(&ours) == used(&other), "the other build used another part of the history");
            let apart = apart(&job.work, &ours.body, &other.body)?;
            println!("  {apart}");
            ensure!(apart.by_last_digits(), "further apart than the last digits of a calculation explain");
        }
    }
    Ok(())
}

/// One run of a program, or the worst of several.
struct Run {
    figures: JobFigures,
    /// Of the processor, in steps of a hundredth; none where the system does not report it.
    cpu_seconds: Option<f64>,
    body: Vec<u8>,
}

impl Run {
    /// With the longest time and the most memory of both.
    fn or_worse(self, next: Self) -> Self {
        let figures = JobFigures {
            seconds: self.figures.seconds.max(next.figures.seconds),
            peak_kib: self.figures.peak_kib.max(next.figures.peak_kib),
            ..next.figures
        };
        let cpu_seconds = self.cpu_seconds.zip(next.cpu_seconds).map(|(one, other)| one.max(other));
        Self { figures, cpu_seconds, ..next }
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let JobFigures { entities, days, seconds, peak_kib, .. } = self.figures;
        write!(to, "{entities} sensors, {days} days used, {seconds:.2} s")?;
        if let Some(cpu) = self.cpu_seconds {
            write!(to, " ({cpu:.2} of the processor)")?;
        }
        write!(to, ", {peak_kib} KiB at the most, {} bytes to send", self.body.len())
    }
}

/// Processor seconds of the programs that this one started and that have ended.
fn children_cpu_seconds() -> Option<f64> {
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |place: usize| fields.get(place)?.parse::<f64>().ok();
    Some((ticks(13)? + ticks(14)?) / TICKS)
}

/// One run of a program, which follows its own name in `command` with what it is given.
fn one(command: &[OsString], job: &RoundJob) -> anyhow::Result<Run> {
    let cpu_before = children_cpu_seconds();
    let (program, given) = command.split_first().context("no program")?;
    let mut child = Command::new(program)
        .args(given)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| program.display().to_string())?;
    let mut input = child.stdin.take().context("no standard input")?;
    input.write_all(&serde_json::to_vec(job)?)?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{} ended with {}", program.display(), output.status);
    match serde_json::from_slice(&output.stdout)? {
        JobReport::Done(figures) => {
            let cpu_seconds = children_cpu_seconds().zip(cpu_before).map(|(after, before)| after - before);
            Ok(Run { figures, cpu_seconds, body: std::fs::read(job.out.join(BODY_FILE))? })
        }
        JobReport::Declined { detail, .. } => bail!(detail),
    }
}
