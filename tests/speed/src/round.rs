//! How long a home's part in a federated round takes, and how much memory: the program as the agent starts it, on a made history.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Args;
use hearthwatch_detector::detector::Model;
use hearthwatch_edge_core::round_job::{BODY_FILE, JobFigures, JobReport, RoundJob};
use hearthwatch_protocol::round::{EvaluateWork, RoundFile, RoundWork, TrainRecipe, TrainWork};
use hearthwatch_train_round::fixtures::{made_history, made_job};

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
}

/// What is asked of the program: at most so many seconds and so many KiB.
const SECONDS_MAX: f64 = 60.0;
const PEAK_KIB_MAX: u64 = 60 * 1024;

/// Prints seconds and memory of training and of evaluating three models.
///
/// # Errors
/// When the program declines, or needs more than is asked.
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
        let mut worst = JobFigures::default();
        for _ in 0..arguments.runs.max(1) {
            let figures = one(&arguments.program, &job)?;
            worst = JobFigures {
                seconds: worst.seconds.max(figures.seconds),
                peak_kib: worst.peak_kib.max(figures.peak_kib),
                ..figures
            };
        }
        let bytes = std::fs::metadata(folder.path().join(BODY_FILE))?.len();
        println!(
            "{name}: {} sensors, {} days used, {:.2} s, {} KiB at the most, {bytes} bytes to send",
            worst.entities, worst.days, worst.seconds, worst.peak_kib
        );
        ensure!(worst.seconds <= SECONDS_MAX, "more than {SECONDS_MAX} s");
        ensure!(worst.peak_kib <= PEAK_KIB_MAX, "more than {PEAK_KIB_MAX} KiB");
    }
    Ok(())
}

/// One run of the program.
fn one(program: &Path, job: &RoundJob) -> anyhow::Result<JobFigures> {
    let mut child = Command::new(program)
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
        JobReport::Done(figures) => Ok(figures),
        JobReport::Declined { detail, .. } => bail!(detail),
    }
}
