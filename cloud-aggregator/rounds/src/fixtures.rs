//! What tests of this crate and of those above it build on: a trainer that takes no time, rows, homes with keys. No program uses it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::signature::Ed25519KeyPair;
use hearthwatch_detector::detector::Model;
use hearthwatch_detector::network::{Artifact, ArtifactParts, Lineage, Weights};
use hearthwatch_evaluation::evaluate::{GatePolicy, GateReport, GateVerdict, Share, Summary};
use hearthwatch_federation::{Delta, Rise};
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::round::TrainRecipe;
use hearthwatch_protocol::seal::SigningKey;
use hearthwatch_store::fixtures::home;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::settings::RoundSettings;
use crate::strategies::StrategyName;
use crate::trainer::{ReplayStep, RoundTrainer, TrainerError};

/// Replays by adding the same small change each time, and finds nothing to say on recordings.
#[derive(Debug, Default)]
pub struct StubTrainer {
    /// How often it replayed.
    pub replays: AtomicUsize,
    /// What it answers instead of training.
    pub fault: Option<TrainerError>,
}

impl RoundTrainer for StubTrainer {
    fn replay(&self, start: &Weights, step: &ReplayStep) -> Result<Weights, TrainerError> {
        self.replays.fetch_add(1, Ordering::SeqCst);
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        replayed(step.seed).applied_to(start).map_err(|error| TrainerError::Failed(error.to_string()))
    }

    fn rise(&self, _: &Weights, _: u64) -> Result<Rise, TrainerError> {
        Ok(Box::new(|_: &Delta| 0.0))
    }

    fn artifact(
        &self,
        weights: Weights,
        champion: &Artifact,
        training: serde_json::Value,
    ) -> Result<Artifact, TrainerError> {
        let parts = ArtifactParts {
            weights,
            calibration: champion.calibration().clone(),
            blend: champion.blend().clone(),
            baseline: champion.baseline_calibration().clone(),
            training,
            lineage: Lineage {
                homes: Vec::new(),
                feedback: None,
                feedback_examples: 0,
                champion: Some(champion.weights_id()),
            },
        };
        Artifact::new(parts).map_err(|error| TrainerError::Failed(error.to_string()))
    }

    fn judge(&self, _: &Artifact, _: &Artifact, _: &Artifact) -> Result<GateReport, TrainerError> {
        let summary = Summary {
            homes: 4,
            recall: Share { found: 30, all: 40 },
            false_alarms_per_week: 1.0,
            ..Summary::default()
        };
        Ok(GateReport {
            verdict: GateVerdict::Promote,
            candidate: summary.clone(),
            baseline: summary.clone(),
            champion: Some(summary.clone()),
            control: Some(summary),
            comparisons: Vec::new(),
            influences: Vec::new(),
            policy: GatePolicy::default(),
        })
    }
}

/// What [`StubTrainer`] changes with this seed.
#[must_use]
pub fn replayed(seed: u64) -> Delta {
    Delta::zero().noised(1e-4, &mut ChaCha8Rng::seed_from_u64(seed))
}

/// The shipped artifact, read.
#[must_use]
pub fn shipped() -> Artifact {
    Artifact::parse(Model::shipped_artifact()).unwrap()
}

/// A key that is the same for the same seed.
#[must_use]
pub fn key(seed: u8) -> SigningKey {
    SigningKey::Ed25519(Box::new(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()))
}

/// Homes of these names with a key each, counted from 1.
#[must_use]
pub fn keys(names: &[&str]) -> BTreeMap<HomeId, (u8, SigningKey)> {
    (1..).zip(names).map(|(seed, name)| (home(name), (seed, key(seed)))).collect()
}

/// What decides a round in which two homes are asked.
#[must_use]
pub fn settings() -> RoundSettings {
    RoundSettings {
        recipe: TrainRecipe { steps: 20, batch: 128, learning_rate: 1e-3, rise_steps: 5, seed: 1 },
        clip: 1.0,
        noise: 0.0,
        server_noise: 0.0,
        count_noise: 0.0,
        masks: None,
        buffer: None,
        strategy: StrategyName::Mean,
        server_step: 1.0,
        attacker_share: 0.0,
        replay: ReplayStep { steps: 30, batch: 256, learning_rate: 1e-3, seed: 1 },
        cohort: 2,
        least: 2,
        least_evaluators: 2,
        evaluate_minutes: 60,
        champion: "ab".repeat(32),
    }
}
