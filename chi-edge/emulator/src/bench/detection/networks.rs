//! The networks of the detection bench: the one that ships, others from files, and those that are trained in each fold.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use hearthwatch_detector::alarm::Blend;
use hearthwatch_detector::detector::Model;
use hearthwatch_detector::network::{ARCHITECTURE_NAME, Artifact};
use hearthwatch_evaluation::evaluate::{Blended, Detector, Fixed, Method, NotReady, TrainingSplit};
use hearthwatch_federation::{Mean, MultiKrum, Strategy};
use hearthwatch_training::{FederatedArm, FederatedTrainer, FoldTrainer, Prepared, RetrainConfig};

use crate::bench::SHIPPED;

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
    /// Also trains the network that ships in federated rounds on each fold's training homes, with so many seeds, beside as much replay
    /// without them. They never ship.
    #[arg(long, value_name = "SEEDS", default_value_t = 0)]
    federated: u64,
    /// Federated rounds.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
}

impl NetworkMethods {
    /// The methods asked for; `replay` prepares the recordings that the server replays between federated rounds.
    pub fn methods(
        &self,
        threads: usize,
        replay: impl FnOnce(&RetrainConfig) -> anyhow::Result<Prepared>,
    ) -> anyhow::Result<Vec<Box<dyn Method>>> {
        let mut methods: Vec<Box<dyn Method>> = Vec::new();
        for asked in &self.weights {
            let (name, files) = asked.split_once('=').context("--weights wants NAME=FILE,FILE")?;
            let artifacts = files.split(',').map(|file| artifact(Path::new(file))).collect::<anyhow::Result<_>>()?;
            methods.push(Box::new(Saved { name: format!("network, {name}"), artifacts }));
        }
        let config = RetrainConfig { threads, ..RetrainConfig::longer(1) };
        if self.federated > 0 {
            let prepared = Arc::new(replay(&config)?);
            methods.extend(self.federated_methods(&config, &prepared)?);
        }
        if self.trained == 0 {
            return Ok(methods);
        }
        let trainer = |note: &str| {
            let name = format!("{ARCHITECTURE_NAME} trained here{note}");
            FoldTrainer::new(name, config.clone(), self.trained)
        };
        methods.push(Box::new(trainer("").with_every_family()));
        methods.push(Box::new(trainer(", left out")));
        Ok(methods)
    }

    /// The same network in every arm and class, so that the arms differ by what they learnt from alone.
    fn federated_methods(
        &self,
        config: &RetrainConfig,
        replay: &Arc<Prepared>,
    ) -> anyhow::Result<Vec<Box<dyn Method>>> {
        let shipped = Artifact::parse(SHIPPED)?;
        let blend = Blend { in_charge: None, ..shipped.blend().clone() };
        let mean = || -> Box<dyn Strategy> { Box::<Mean>::default() };
        let krum = || -> Box<dyn Strategy> { Box::new(MultiKrum::new(0.3)) };
        let arms = [
            FederatedArm { name: "as much replay alone", strategy: None, replay: true },
            FederatedArm { name: "federated, mean", strategy: Some(mean), replay: false },
            FederatedArm { name: "federated, mean, replay", strategy: Some(mean), replay: true },
            FederatedArm { name: "federated, multi-krum, replay", strategy: Some(krum), replay: true },
        ];
        let every_class =
            Fixed::new("network, every class", Blended { scorer: shipped.scorer(), blend: blend.clone() });
        let mut methods: Vec<Box<dyn Method>> = vec![Box::new(every_class)];
        let start = (shipped.weights().clone(), blend);
        let trainers = FederatedTrainer::each(&arms, self.rounds, &start, replay, config, self.federated);
        methods.extend(trainers.map(|trainer| -> Box<dyn Method> { Box::new(trainer) }));
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
