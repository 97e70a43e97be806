//! A stand-in for the learner: a fleet whose training is no matter of the test.

use std::ops::ControlFlow;

use hearthwatch_detector::network::Artifact;
use hearthwatch_learning::dataset::Example;
use hearthwatch_learning::training::{Challenger, LearnError, Learner, Step};
use hearthwatch_training::Checkpoints;

/// The network that ships, as it lies in the tree.
///
/// # Panics
/// When that file is damaged.
#[must_use]
pub fn shipped() -> Artifact {
    Artifact::parse(include_bytes!("../../model/shipped/network.safetensors")).expect("what ships can be read")
}

/// Learns nothing: each run's challenger is this network, and the gate lets it through; without one no run succeeds.
pub struct Given(pub Option<Artifact>);

impl Learner for Given {
    fn corpus(&self) -> Result<String, String> {
        Ok("none".to_owned())
    }

    fn config(&self) -> String {
        "{}".to_owned()
    }

    fn learn(
        &self,
        _examples: Vec<Example>,
        _champion: Option<&[u8]>,
        _checkpoints: &mut dyn Checkpoints,
        _progress: &mut dyn FnMut(Step) -> ControlFlow<()>,
    ) -> Result<Challenger, LearnError> {
        let given = self.0.as_ref().ok_or_else(|| LearnError::Failed("nothing is trained here".to_owned()))?;
        let (artifact, weights_id) = (given.to_bytes(), given.weights_id());
        let report = "{\"promote\":true}".to_owned();
        Ok(Challenger { artifact, weights_id, promote: true, report, ..Challenger::default() })
    }
}
