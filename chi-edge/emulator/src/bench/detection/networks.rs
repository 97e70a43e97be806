//! The networks of the detection bench: the one that ships, others from files, and those that are trained in each fold.

use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use hearthwatch_detector::detector::Model;
use hearthwatch_detector::network::{ARCHITECTURE_NAME, Artifact};
use hearthwatch_evaluation::evaluate::{Blended, Detector, Method, NotReady, TrainingSplit};
use hearthwatch_training::{FoldTrainer, RetrainConfig};

/// Networks beside the one that ships.
#[derive(Debug, Args)]
pub struct NetworkMethods {
    /// Also measures artifacts: a name for the table, then one file for each training seed. May be given again.
    #[arg(long, value_name = "NAME=FILE,FILE")]
    weights: Vec<String>,
    /// Also trains networks on each fold's training homes, with so many seeds: once with every family, once without those
    /// that the fold leaves out. They never ship.
    #[arg(long, value_name = "SEEDS", default_value_t = 0)]
    trained: u64,
}

impl NetworkMethods {
    /// The methods asked for.
    pub fn methods(&self, threads: usize) -> anyhow::Result<Vec<Box<dyn Method>>> {
        let mut methods: Vec<Box<dyn Method>> = Vec::new();
        for asked in &self.weights {
            let (name, files) = asked.split_once('=').context("--weights wants NAME=FILE,FILE")?;
            let artifacts = files.split(',').map(|file| artifact(Path::new(file))).collect::<anyhow::Result<_>>()?;
            methods.push(Box::new(Saved { name: format!("network, {name}"), artifacts }));
        }
        if self.trained == 0 {
            return Ok(methods);
        }
        let config = RetrainConfig { threads, ..RetrainConfig::longer(1) };
        let trainer = |note: &str| {
            let name = format!("{ARCHITECTURE_NAME} trained here{note}");
            FoldTrainer::new(name, config.clone(), self.trained)
        };
        methods.push(Box::new(trainer("").with_every_family()));
        methods.push(Box::new(trainer(", left out")));
        Ok(methods)
    }
}

/// Artifacts of one recipe, a training seed each.
struct Saved {
    name: String,
    artifacts: Vec<Artifact>,
}

impl Method for Saved {
    fn name(&self) -> &str {
        &self.name
    }

    fn seeds(&self) -> Vec<u64> {
        (1..=self.artifacts.len() as u64).collect()
    }

    fn prepare<'a>(&'a self, split: &TrainingSplit<'_>) -> Result<Box<dyn Detector + 'a>, NotReady> {
        let artifact = self.artifacts.get(split.seed as usize - 1);
        let artifact = artifact.ok_or_else(|| NotReady(format!("{}: no file for seed {}", self.name, split.seed)))?;
        Ok(Box::new(blended(artifact)))
    }
}

/// The network that ships, as homes run it.
pub fn shipped() -> anyhow::Result<Blended> {
    match Model::shipped()? {
        Model::Network { scorer, blend, .. } => Ok(Blended { scorer: *scorer, blend }),
        Model::Baseline { .. } => anyhow::bail!("the model that ships is no network"),
    }
}

fn artifact(file: &Path) -> anyhow::Result<Artifact> {
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    Artifact::parse(&bytes).with_context(|| file.display().to_string())
}

fn blended(artifact: &Artifact) -> Blended {
    Blended { scorer: artifact.scorer(), blend: artifact.blend().clone() }
}
