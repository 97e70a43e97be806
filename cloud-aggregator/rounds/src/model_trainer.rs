//! The trainer that really trains: the model crate's, on recorded sets.

use std::sync::{Arc, Mutex, PoisonError};

use hearthwatch_detector::network::{Artifact, Weights};
use hearthwatch_evaluation::evaluate::GateReport;
use hearthwatch_federation::Rise;
use hearthwatch_learning::training::Corpora;
use hearthwatch_training::{Prepared, RetrainConfig, RoundRecipe, TrainError, never_stops, prepare};

use super::trainer::{ReplayStep, RoundTrainer, TrainerError};

/// Trains and judges on the recorded sets of `[training]`.
pub struct ModelTrainer {
    corpora: Corpora,
    config: RetrainConfig,
    /// Traces of the recordings, some hundred megabytes, kept from one step of a round to the next.
    prepared: Mutex<Option<Arc<Prepared>>>,
    /// Whether they stay also between rounds.
    keeps: bool,
}

impl ModelTrainer {
    /// A trainer on these sets; `config` chooses homes, faults, device and what the gate asks for.
    #[must_use]
    pub fn new(corpora: Corpora, config: RetrainConfig) -> Self {
        Self { corpora, config, prepared: Mutex::new(None), keeps: false }
    }

    /// Keeps its traces also between rounds: for rounds that follow one another at once, on the same sets.
    #[must_use]
    pub fn kept(self) -> Self {
        Self { keeps: true, ..self }
    }

    fn prepared(&self) -> Result<Arc<Prepared>, TrainerError> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = prepared.as_ref() {
            return Ok(Arc::clone(prepared));
        }
        let corpus = self.corpora.load().map_err(|error| TrainerError::Unready(error.to_string()))?;
        let new = Arc::new(prepare(&corpus, None, &self.config, &mut never_stops(|_| {})).map_err(trainer_error)?);
        *prepared = Some(Arc::clone(&new));
        Ok(new)
    }
}

fn trainer_error(error: TrainError) -> TrainerError {
    match error {
        error @ (TrainError::Device(_) | TrainError::NoHomes { .. }) => TrainerError::Unready(error.to_string()),
        error => TrainerError::Failed(error.to_string()),
    }
}

impl RoundTrainer for ModelTrainer {
    fn replay(&self, start: &Weights, step: &ReplayStep) -> Result<Weights, TrainerError> {
        let recipe = RoundRecipe {
            steps: step.steps as usize,
            batch: step.batch as usize,
            learning_rate: step.learning_rate,
            ..RoundRecipe::replay(self.config.anomaly_weight)
        };
        self.prepared()?.replay(start, &recipe, step.seed, &self.config).map_err(trainer_error)
    }

    fn rise(&self, start: &Weights, seed: u64) -> Result<Rise, TrainerError> {
        self.prepared()?.rise(start, seed, &self.config).map_err(trainer_error)
    }

    fn artifact(
        &self,
        weights: Weights,
        champion: &Artifact,
        training: serde_json::Value,
    ) -> Result<Artifact, TrainerError> {
        self.prepared()?.artifact(weights, champion, training, &self.config).map_err(trainer_error)
    }

    fn judge(&self, candidate: &Artifact, control: &Artifact, champion: &Artifact) -> Result<GateReport, TrainerError> {
        Ok(self.prepared()?.judge(candidate, control, champion, &self.config))
    }

    fn rest(&self) {
        if self.keeps {
            return;
        }
        *self.prepared.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_evaluation::fixtures::home::made_home;
    use hearthwatch_training::Corpus;

    use super::*;
    use crate::fixtures::shipped;

    const STEP: ReplayStep = ReplayStep { steps: 3, batch: 32, learning_rate: 1e-3, seed: 5 };

    #[test]
    fn replay_gives_the_same_artifact_each_time_and_the_gate_holds_it_against_both_others() {
        let homes = |range: std::ops::Range<u64>| range.map(|variant| made_home(variant, 26)).collect();
        let corpus = Corpus { train: homes(0..2), calibrate: homes(2..4), test: homes(4..6) };
        let trainer = ModelTrainer::new(Corpora::Given(Arc::new(corpus)), RetrainConfig::default());
        let champion = shipped();
        let made = || {
            let weights = trainer.replay(champion.weights(), &STEP).unwrap();
            trainer.artifact(weights, &champion, serde_json::json!({ "round": 1 })).unwrap()
        };
        let artifact = made();
        let rise = trainer.rise(champion.weights(), 1).unwrap();
        assert_eq!(rise(&hearthwatch_federation::Delta::zero()), 0.0);
        assert_ne!(artifact.weights_id(), champion.weights_id());
        trainer.rest();
        assert_eq!(made().to_bytes(), artifact.to_bytes(), "read anew");
        let report = trainer.judge(&artifact, &champion, &champion).unwrap();
        let against: Vec<&str> = report.comparisons.iter().map(|comparison| comparison.against.as_str()).collect();
        assert_eq!(against, ["routine detector", "champion", "replay without feedback"]);
        assert_eq!(report.champion, report.control, "the same artifact in both places");
    }

    #[test]
    fn without_recordings_it_is_not_ready() {
        let trainer = ModelTrainer::new(Corpora::Directory(None), RetrainConfig::default());
        let unready = trainer.replay(shipped().weights(), &STEP).unwrap_err();
        assert!(matches!(unready, TrainerError::Unready(_)), "{unready}");
    }
}
