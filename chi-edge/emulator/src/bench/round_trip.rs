//! `bench loop`: from the last stored verdict to the new model in charge of every home.

use clap::Args;

use crate::demo::{Settings, Timeline, world};
use crate::screen::Screen;

/// How large a world.
#[derive(Debug, Args)]
pub struct LoopArguments {
    /// Homes.
    #[arg(long, default_value_t = 20)]
    homes: usize,
    /// Seeds; one world each.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
}

/// Measures and prints.
///
/// # Errors
/// Whatever part of the world failed.
pub fn run(arguments: &LoopArguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for seed in 1..=arguments.seeds {
        let folder = tempfile::tempdir()?;
        let timeline = Timeline { phases: 2, ..Timeline::default() };
        let settings = Settings { homes: arguments.homes, timeline, ..Settings::new(folder.path().to_owned(), seed) };
        runtime.block_on(async {
            let (report, stage) = world(&settings, &Screen::new()).await?;
            stage.strike().await;
            for round in &report.rounds {
                println!("seed {seed}: {}", round.verdict);
                println!(
                    "  {} homes: train and judge {:.1} s, sign and publish included; verify, swap and prove on every home {:.1} s; together {:.1} s",
                    report.rows.len(),
                    round.learning_s,
                    round.updating_s,
                    round.learning_s + round.updating_s
                );
            }
            anyhow::Ok(())
        })?;
    }
    Ok(())
}
