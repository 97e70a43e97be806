//! The networks of the detection bench: the one that ships, others from files, and those that are trained in each fold.

use std::path::{Path, PathBuf};

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
    /// The networks that are trained go on from the weights that ship instead of fresh ones.
    #[arg(long)]
    from_shipped: bool,
    /// A JSON file with those settings of the networks that are trained which differ from the longer recipe.
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
}

impl NetworkMethods {
    /// The entrants asked for.
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
        let config = RetrainConfig { threads, ..self.recipe()? };
        let trainer = |note: &str| -> anyhow::Result<FoldTrainer> {
            let name = format!("{ARCHITECTURE_NAME} trained here{note}");
            let trainer = FoldTrainer::new(name, config.clone(), self.trained);
            Ok(if self.from_shipped { trainer.starting_from(shipped_artifact()?.weights().clone()) } else { trainer })
        };
        methods.push(Box::new(trainer("")?.with_every_family()));
        methods.push(Box::new(trainer(", left out")?));
        Ok(methods)
    }

    fn recipe(&self) -> anyhow::Result<RetrainConfig> {
        let longer = RetrainConfig::longer(1);
        let Some(file) = &self.recipe else { return Ok(longer) };
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let mut whole = serde_json::to_value(longer)?;
        let changes: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text).with_context(|| file.display().to_string())?;
        whole.as_object_mut().context("a configuration is an object")?.extend(changes);
        serde_json::from_value(whole).with_context(|| file.display().to_string())
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

fn shipped_artifact() -> anyhow::Result<Artifact> {
    artifact(Path::new("model/shipped/network.safetensors"))
}

fn artifact(file: &Path) -> anyhow::Result<Artifact> {
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    Artifact::parse(&bytes).with_context(|| file.display().to_string())
}

fn blended(artifact: &Artifact) -> Blended {
    Blended { scorer: artifact.scorer(), blend: artifact.blend().clone() }
}
