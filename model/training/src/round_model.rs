//! What the server does around federated rounds: replay on recordings, thresholds for new weights, and the gate on recordings held out.

use hearthwatch_detector::network::{Artifact, ArtifactParts, DeviceKind, Lineage, Scorer, Weights};
use hearthwatch_evaluation::evaluate::{Evaluation, GateReport, judge};
use hearthwatch_federation::Rise;

use super::config::RetrainConfig;
use super::error::TrainError;
use super::prepare::Prepared;
use super::retrain::{measured, set_up};
use super::round::{RoundRecipe, train_round};
use super::server_loss::ServerLoss;

impl Prepared {
    /// Trains from `start` on the training recordings, with fresh moments.
    ///
    /// # Errors
    /// [`TrainError::Device`]; those of [`train_round`].
    pub fn replay(
        &self,
        start: &Weights,
        recipe: &RoundRecipe,
        seed: u64,
        config: &RetrainConfig,
    ) -> Result<Weights, TrainError> {
        let device = DeviceKind::parse(&config.device)?.open()?;
        train_round(start, &self.train, &[], recipe, seed, &device)
    }

    /// By how much a delta raises the loss of `start` on the training recordings, on windows drawn by `seed`.
    ///
    /// # Errors
    /// Those of [`ServerLoss::new`].
    pub fn rise(&self, start: &Weights, seed: u64, config: &RetrainConfig) -> Result<Rise, TrainError> {
        Ok(ServerLoss::new(&self.train, config, seed)?.rise(start))
    }

    /// An artifact around weights that came out of rounds: thresholds from the calibration recordings, classes earned anew, the blend of
    /// `champion`, the artifact that the first round began with. `training` goes into its manifest.
    ///
    /// # Errors
    /// [`TrainError::Device`]; [`TrainError::Artifact`] where the network's outputs are not finite.
    pub fn artifact(
        &self,
        weights: Weights,
        champion: &Artifact,
        training: serde_json::Value,
        config: &RetrainConfig,
    ) -> Result<Artifact, TrainError> {
        let scorer = Scorer::new(&weights)?;
        let (calibration, blend) = set_up(self, &scorer, champion.blend().clone(), config);
        let lineage = Lineage {
            homes: self.homes.clone(),
            feedback: None,
            feedback_examples: 0,
            champion: Some(champion.weights_id()),
        };
        let baseline = self.baseline.clone();
        Ok(Artifact::new(ArtifactParts { weights, calibration, blend, baseline, training, lineage })?)
    }

    /// Holds a round's candidate on the test recordings against the baseline detector, the model in use and replay alone.
    pub fn judge(
        &self,
        candidate: &Artifact,
        control: &Artifact,
        champion: &Artifact,
        config: &RetrainConfig,
    ) -> GateReport {
        let measure = |artifact: &Artifact| -> Evaluation {
            let own = (artifact.calibration(), artifact.blend());
            measured(self, &artifact.scorer(), own, artifact.baseline_calibration(), config)
        };
        let (candidate, control, champion) = (measure(candidate), measure(control), measure(champion));
        judge(&candidate, &self.baseline_evaluation, Some(&champion), Some(&control), &config.gate)
    }
}
