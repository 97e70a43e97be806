//! `bench gate`: what the gate promised of the models it let through, beside what the homes of the demonstration then had.
//!
//! For each seed a whole demonstration. The gate's figures are those of the last candidate that it let through, on recordings of the homes
//! held out; the demonstration's are of the same homes' last weeks, which no gate saw. Both are the model less the baseline detector, on the
//! same homes and days, so that what makes a home or a week hard cancels out.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use hearthwatch_evaluation::evaluate::{GateVerdict, Interval, bootstrap};

use crate::demo::{Part, Report, Row, Settings, world};
use crate::screen::Screen;

const COVERAGE: f64 = 0.9;
const RESAMPLES: usize = 2000;
const BOOTSTRAP_SEED: u64 = 1;
const GATE: &str = "gate: recall, false alarms a week";
const THEN: &str = "last weeks: recall, false alarms a week";

/// How many worlds.
#[derive(Debug, Args)]
pub struct GateArguments {
    /// Seeds; one demonstration each, a minute or two.
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data, else the bundled sets.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// What a model adds to the baseline detector.
#[derive(Debug, Clone, Copy)]
struct Gain {
    recall: Interval,
    false_alarms: Interval,
}

/// Measures and prints.
///
/// # Errors
/// Whatever part of a world failed.
pub fn run(arguments: &GateArguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut rows: Vec<Row> = Vec::new();
    let mut promised: Vec<Gain> = Vec::new();
    println!("a model less the baseline detector; homes held out; intervals 90 %, over homes");
    println!("{:>5}  {GATE:<44} {THEN:<44} verdict", "seed");
    for seed in arguments.first..arguments.first + arguments.seeds {
        let report = runtime.block_on(one(arguments, seed))?;
        let released = report.rounds.iter().rev().find(|round| matches!(round.gate.verdict, GateVerdict::Promote));
        let Some(round) = released else {
            let why = report.rounds.last().map_or("no round", |round| &round.verdict);
            println!("{seed:>5}  {:<44} {:<44} {why}", "-", "-");
            continue;
        };
        let baseline = round.gate.comparisons.iter().find(|one| one.against == "routine detector");
        let baseline = baseline.context("the gate compares with the baseline detector")?;
        let gate = Gain {
            recall: baseline.recall,
            false_alarms: baseline.false_alarms.context("the gate compares false alarms")?,
        };
        let held_out: Vec<Row> = report.rows.into_iter().filter(|row| row.part == Part::HeldOut).collect();
        println!("{seed:>5}  {:<44} {:<44} {}", gate.to_string(), gain(&held_out).to_string(), round.verdict);
        promised.push(gate);
        rows.extend(held_out);
    }
    if promised.is_empty() {
        println!("no candidate passed the gate: it promised nothing");
        return Ok(());
    }
    let mean = |of: &dyn Fn(&Gain) -> f64| promised.iter().map(of).sum::<f64>() / promised.len() as f64;
    let then = gain(&rows);
    println!(
        "together: the gate promised {:+.3} recall and {:+.2} false alarms a week; the last weeks gave {then}",
        mean(&|gain| gain.recall.point),
        mean(&|gain| gain.false_alarms.point)
    );
    let intervals = [
        ("recall", then.recall, mean(&|gain| gain.recall.low), mean(&|gain| gain.recall.high)),
        ("false alarms", then.false_alarms, mean(&|gain| gain.false_alarms.low), mean(&|gain| gain.false_alarms.high)),
    ];
    for (what, given, low, high) in intervals {
        let holds = if (low..=high).contains(&given.point) { "holds" } else { "does not hold" };
        println!("the gate's interval of {what}, on the mean {low:+.3} to {high:+.3}, {holds} what was given");
    }
    println!(
        "false alarms {} of what was there before",
        if then.false_alarms.low > 0.0 { "rose beyond the chance" } else { "did not rise beyond the chance" }
    );
    Ok(())
}

async fn one(arguments: &GateArguments, seed: u64) -> anyhow::Result<Report> {
    let folder = tempfile::tempdir()?;
    let settings = Settings { data: arguments.data.clone(), ..Settings::new(folder.path().to_owned(), seed) };
    let (report, stage) = world(&settings, &Screen::new()).await?;
    stage.strike().await;
    Ok(report)
}

/// What the last weeks of these homes show.
fn gain(rows: &[Row]) -> Gain {
    let figure = |of: &dyn Fn(&[&Row]) -> f64| bootstrap(rows, COVERAGE, RESAMPLES, BOOTSTRAP_SEED, of);
    let sum = |rows: &[&Row], of: &dyn Fn(&Row) -> f64| rows.iter().map(|row| of(row)).sum::<f64>();
    let share =
        |rows: &[&Row], of: &dyn Fn(&Row) -> f64, all: &dyn Fn(&Row) -> f64| sum(rows, of) / sum(rows, all).max(1.0);
    Gain {
        recall: figure(&|rows| {
            let gained = |row: &Row| f64::from(row.after.injected.found) - f64::from(row.before.injected.found);
            share(rows, &gained, &|row| f64::from(row.before.injected.found + row.before.injected.missed))
        }),
        false_alarms: figure(&|rows| {
            let more = |row: &Row| f64::from(row.after.false_alarms) - f64::from(row.before.false_alarms);
            share(rows, &more, &|row| row.before.weeks)
        }),
    }
}

impl std::fmt::Display for Gain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { recall, false_alarms } = self;
        let text = format!(
            "{:+.3} ({:+.2} to {:+.2}), {:+.2} ({:+.2} to {:+.2})",
            recall.point, recall.low, recall.high, false_alarms.point, false_alarms.low, false_alarms.high
        );
        f.pad(&text)
    }
}
