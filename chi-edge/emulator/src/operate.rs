//! `operate`: a fleet of recorded homes as live traffic for weeks, with the programs that ship, residents who answer, and incidents.
//!
//! Broker, signer, aggregator and one agent for each home are processes. Home Assistant is [emulated](crate::home_assistant). Everything is
//! written to a journal; a run that was stopped goes on where it was.

mod answers;
mod bad_model;
mod clock;
mod fleet;
mod home;
mod homes;
mod incidents;
mod journal;
mod observe;
mod operation;
mod operator;
mod programs;
mod report;
mod residents;
mod samples;
mod settings;
mod strike;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Args;

pub use settings::{BEGIN, Kept};

use self::operation::Operation;
use self::programs::Programs;

/// Files of incidents that the program has itself.
const BUILT_IN: [(&str, &str); 2] =
    [("sixty-days", include_str!("operate/sixty-days.toml")), ("two-days", include_str!("operate/two-days.toml"))];

/// Largest file of incidents that is read, bytes.
const INCIDENTS_BYTES_MAX: u64 = 1024 * 1024;

/// A fleet of recorded homes in operation.
///
/// Needs mosquitto, and libfaketime where time goes faster than real time (`apt-get install mosquitto faketime`). Started again in the
/// same folder, it goes on where it was stopped.
#[derive(Debug, Args)]
pub struct OperateArguments {
    /// How many homes.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=200))]
    homes: u16,
    /// How long, in days of the operation's calendar.
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=365))]
    days: u32,
    /// Seconds of the operation's calendar in a real one; 1 is real time.
    #[arg(long, default_value_t = 600.0, value_parser = speed)]
    speed: f64,
    /// Decides faults, households and which homes incidents strike.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Faults put into each entity of the recordings, a week.
    #[arg(long, default_value_t = 0.2, value_parser = faults)]
    faults: f64,
    /// What goes wrong: a file, or `sixty-days` or `two-days` of the program itself; nothing without it.
    #[arg(long, value_name = "FILE")]
    incidents: Option<String>,
    /// Where everything is written: keys, stores, logs, journal, metrics, report.
    #[arg(long, value_name = "DIR", default_value = "hearthwatch-operation")]
    out: PathBuf,
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data, else the bundled sets.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of the programs that ship; else that of this program.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Only make the report anew from the journal of a run.
    #[arg(long)]
    report: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (1.0..=3_600.0).contains(&speed) { Ok(speed) } else { Err("1 to 3600".to_owned()) }
}

fn faults(text: &str) -> Result<f64, String> {
    let faults: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=10.0).contains(&faults) { Ok(faults) } else { Err("0 to 10".to_owned()) }
}

/// Runs it, or goes on with it.
///
/// # Errors
/// Whatever stopped it, with what to do next in its words.
pub fn operate(arguments: &OperateArguments) -> anyhow::Result<()> {
    if arguments.report {
        let path = report::write(&arguments.out)?;
        println!("{}", path.display());
        return Ok(());
    }
    let programs = Programs::find(arguments.programs.as_deref())?;
    let (text, name) = incidents_text(arguments.incidents.as_deref())?;
    let incidents = incidents::parse(&text, usize::from(arguments.homes), arguments.days).with_context(|| name)?;
    make_folder(&arguments.out)?;
    let kept = Kept::open(&arguments.out, arguments, &text)?;
    if arguments.speed > 1.0 && clock::of_this_process().is_none() {
        return clock::start_again_under(&kept.clock);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    runtime.block_on(async {
        let operation = Operation::start(arguments, kept, incidents, &programs).await?;
        operation.run().await
    })?;
    let path = report::write(&arguments.out)?;
    println!("report: {}", path.display());
    Ok(())
}

fn make_folder(out: &Path) -> anyhow::Result<()> {
    hearthwatch_provision::files::make_dir(out).with_context(|| format!("making {}", out.display()))
}

fn incidents_text(asked: Option<&str>) -> anyhow::Result<(String, String)> {
    let Some(asked) = asked else { return Ok((String::new(), "no incidents".to_owned())) };
    if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == asked) {
        return Ok(((*text).to_owned(), (*name).to_owned()));
    }
    let names = BUILT_IN.map(|(name, _)| name).join(", ");
    let metadata = std::fs::metadata(asked);
    let metadata = metadata
        .with_context(|| format!("incidents {asked}: no such file, and none of the program's own ({names})"))?;
    ensure!(metadata.len() <= INCIDENTS_BYTES_MAX, "incidents {asked}: larger than {INCIDENTS_BYTES_MAX} bytes");
    Ok((std::fs::read_to_string(asked).with_context(|| asked.to_owned())?, asked.to_owned()))
}
