//! `train-release`: the shipped model, made by a command that anybody can run again.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use hearthwatch_detector::network::Artifact;
use hearthwatch_evaluation::dataset::DATA_SETS;
use hearthwatch_learning::training::card;
use hearthwatch_training::{Fit, Homes, Progress, RetrainConfig, never_stops, release};

use crate::data;
use crate::screen::Screen;

/// How the shipped model is trained.
#[derive(Debug, Args)]
pub struct TrainReleaseArguments {
    /// Decides everything that is left to chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data, else the bundled sets.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the artifact, the calibration of the baseline detector and the record of the run are written.
    #[arg(long, value_name = "DIR", default_value = SHIPPED_FOLDER)]
    out: PathBuf,
    /// Most training homes.
    #[arg(long, default_value_t = 40)]
    homes: usize,
    /// Most epochs; else those of what ships.
    #[arg(long)]
    epochs: Option<usize>,
}

/// Where what ships lies in the tree.
const SHIPPED_FOLDER: &str = "model/shipped";

/// Trains and writes.
///
/// # Errors
/// What could not be read, trained or written.
pub fn train(arguments: &TrainReleaseArguments) -> anyhow::Result<()> {
    let screen = Screen::new();
    let all: Vec<&str> = DATA_SETS.iter().map(|set| set.name).collect();
    let shippable: Vec<&str> = DATA_SETS.iter().filter(|set| set.usage.may_ship()).map(|set| set.name).collect();
    let source = data::find(arguments.data.as_deref(), &all)?;
    let homes = data::homes(&source, &shippable)?;
    screen.say(format!("{} homes of sets that may train shipped weights", homes.len()));
    let recipe = RetrainConfig::release(arguments.seed);
    let config = RetrainConfig {
        homes: Homes { train_homes_max: arguments.homes, ..recipe.homes },
        fit: Fit { epochs: arguments.epochs.unwrap_or(recipe.fit.epochs), ..recipe.fit },
        ..recipe
    };
    let bar = screen.bar("learn", 1);
    let released = release(
        homes,
        &config,
        &mut never_stops(|progress| match progress {
            Progress::Preparing { done, total } => {
                bar.message("extracting features".to_owned());
                bar.reach(done as u64, total as u64);
            }
            Progress::Training { epoch, epochs, step, steps, loss } => {
                bar.message(format!("epoch {epoch} of {epochs}, loss {loss:.4}"));
                bar.reach(((epoch - 1) * steps + step) as u64, (epochs * steps) as u64);
            }
            Progress::Evaluating { done, total } => {
                bar.message("measuring on held-out homes".to_owned());
                bar.reach(done as u64, total as u64);
            }
        }),
    )?;
    bar.finish(format!("{:?}", released.report.verdict));
    println!("network           {}", released.report.candidate);
    println!("routine detector  {}", released.report.baseline);
    println!("weights {}, file {}", released.weights_id, released.sha256);
    let artifact = Artifact::parse(&released.artifact)?;
    write(&arguments.out, "network.safetensors", &released.artifact)?;
    write(&arguments.out, "baseline-calibration.json", &serde_json::to_vec_pretty(artifact.baseline_calibration())?)?;
    write(&arguments.out, "run.json", &serde_json::to_vec_pretty(&released)?)?;
    let card = card(artifact.manifest(), &released.weights_id, &released.report);
    write(&arguments.out, "model-card.md", card.as_bytes())?;
    println!("written to {}", arguments.out.display());
    Ok(())
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let path = folder.join(name);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, bytes))
        .with_context(|| path.display().to_string())
}
