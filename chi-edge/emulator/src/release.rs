//! `train-release`: the shipped model, made by a command that anybody can run again.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use hearthwatch_detector::network::Artifact;
use hearthwatch_evaluation::dataset::DATA_SETS;
use hearthwatch_learning::training::card;
use hearthwatch_training::{Progress, RetrainConfig, release};

use crate::data;
use crate::demo::Screen;

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
    /// Most epochs; else the recipe's.
    #[arg(long)]
    epochs: Option<usize>,
    /// By which recipe. Only `shipped` makes what is in the tree; the others are for measuring: give them another `--out`.
    #[arg(long, value_enum, default_value_t = Recipe::Shipped)]
    recipe: Recipe,
}

/// The recipes of docs/measurements/2026-11-30-training-tries.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Recipe {
    /// What ships: the longer one, taught every family.
    Shipped,
    /// More faulty copies, more epochs, hard windows, the routine score beside the logit.
    Longer,
    /// What shipped before: one faulty copy, twelve epochs, the logit alone.
    Earlier,
}

/// Where what ships lies in the tree.
const SHIPPED_FOLDER: &str = "model/shipped";

impl Recipe {
    fn config(self, seed: u64) -> RetrainConfig {
        match self {
            Self::Shipped => RetrainConfig::release(seed),
            Self::Longer => RetrainConfig::longer(seed),
            Self::Earlier => RetrainConfig::earlier(seed),
        }
    }
}

/// Trains and writes.
///
/// # Errors
/// What could not be read, trained or written.
pub fn train(arguments: &TrainReleaseArguments) -> anyhow::Result<()> {
    anyhow::ensure!(
        arguments.recipe == Recipe::Shipped || arguments.out != Path::new(SHIPPED_FOLDER),
        "{SHIPPED_FOLDER} holds what ships: give the recipe {:?} another --out",
        arguments.recipe
    );
    let screen = Screen::new();
    let all: Vec<&str> = DATA_SETS.iter().map(|set| set.name).collect();
    let shippable: Vec<&str> = DATA_SETS.iter().filter(|set| set.usage.may_ship()).map(|set| set.name).collect();
    let source = data::find(arguments.data.as_deref(), &all)?;
    let homes = data::homes(&source, &shippable)?;
    screen.say(format!("{} homes of sets that may train shipped weights", homes.len()));
    let recipe = arguments.recipe.config(arguments.seed);
    let config =
        RetrainConfig { train_homes_max: arguments.homes, epochs: arguments.epochs.unwrap_or(recipe.epochs), ..recipe };
    let bar = screen.bar("learn", 1);
    let released = release(homes, &config, &mut |progress| match progress {
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
    })?;
    bar.finish(format!("{:?}", released.report.verdict));
    println!("network           {}", released.report.candidate);
    println!("routine detector  {}", released.report.routine);
    println!("weights {}, file {}", released.weights_id, released.sha256);
    let artifact = Artifact::parse(&released.artifact)?;
    write(&arguments.out, "network.safetensors", &released.artifact)?;
    write(&arguments.out, "routine-calibration.json", &serde_json::to_vec_pretty(artifact.routine_calibration())?)?;
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
