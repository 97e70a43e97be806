//! What scores a home: the baseline detector alone, or with the shared network.

use crate::alarm::{Blend, Calibration};
use crate::class::DeviceClass;
use crate::network::{Artifact, ArtifactError, Scorer};

/// Rate → threshold of the baseline score; measured on calibration homes by `cargo xtask train-release`.
const BASELINE_CALIBRATION: &str = include_str!("../../../shipped/baseline-calibration.json");
/// The same for on/off entities, from the recordings that may ship; written by `cargo xtask bench binary --write`.
const BINARY_CALIBRATION: &str = include_str!("../../../shipped/binary-calibration.json");
/// The network that ships, written by the same command; empty in a tree in which none was trained yet.
const NETWORK: &[u8] = include_bytes!("../../../shipped/network.safetensors");
/// Version of the network that ships. Released ones count from 1.
pub const SHIPPED_VERSION: u64 = 0;

/// What judges a home: thresholds always, a network where there is one.
#[derive(Debug)]
pub enum Model {
    /// The baseline detector alone.
    Baseline {
        /// Rate → threshold of the baseline score.
        calibration: Calibration,
    },
    /// The shared network for numbers of the classes it earned; the baseline detector for all others, for those not ready,
    /// and for its rules.
    Network {
        /// Proven by its golden outputs when it was read.
        scorer: Box<Scorer>,
        /// Rate → threshold of the network's score.
        calibration: Calibration,
        /// How the baseline score joins the logit.
        blend: Blend,
        /// Rate → threshold of the baseline score.
        baseline: Calibration,
        /// The release that it came with.
        version: u64,
    },
}

impl Model {
    /// The baseline detector with the calibration that ships.
    #[must_use]
    pub fn baseline() -> Self {
        let calibration = serde_json::from_str(BASELINE_CALIBRATION)
            .expect("the shipped calibration is checked by a test of this crate");
        Self::Baseline { calibration: with_binary(calibration) }
    }

    /// The artifact of the network that ships, byte for byte; empty in a tree that holds none.
    #[must_use]
    pub fn shipped_artifact() -> &'static [u8] {
        NETWORK
    }

    /// The network that ships.
    ///
    /// # Errors
    /// [`ArtifactError`] when the tree holds none, or one of another format.
    pub fn shipped() -> Result<Self, ArtifactError> {
        Self::from_artifact(NETWORK, SHIPPED_VERSION)
    }

    /// A network from an artifact's bytes, every check of [`Artifact::parse`] passed.
    ///
    /// # Errors
    /// [`ArtifactError`]: why it was refused.
    pub fn from_artifact(bytes: &[u8], version: u64) -> Result<Self, ArtifactError> {
        let artifact = Artifact::parse(bytes)?;
        Ok(Self::Network {
            scorer: Box::new(artifact.scorer()),
            calibration: artifact.calibration().clone(),
            blend: artifact.blend().clone(),
            baseline: with_binary(artifact.baseline_calibration().clone()),
            version,
        })
    }

    /// The release of the network; none for the baseline detector.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        match self {
            Self::Baseline { .. } => None,
            Self::Network { version, .. } => Some(*version),
        }
    }

    /// Whether a network judges numbers of a class, once an entity is ready; the baseline detector does otherwise.
    #[must_use]
    pub fn judges(&self, class: DeviceClass) -> bool {
        match self {
            Self::Baseline { .. } => false,
            Self::Network { blend, .. } => !class.is_binary() && blend.judges(class),
        }
    }

    /// The calibration of the baseline score.
    #[must_use]
    pub fn baseline_calibration(&self) -> &Calibration {
        match self {
            Self::Baseline { calibration } => calibration,
            Self::Network { baseline, .. } => baseline,
        }
    }
}

/// Adds the shipped thresholds of on/off entities to a calibration that has none of its own for them.
fn with_binary(calibration: Calibration) -> Calibration {
    let binary: Calibration =
        serde_json::from_str(BINARY_CALIBRATION).expect("the shipped calibration is checked by a test of this crate");
    calibration.with_binary(&binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_calibration_reads_and_asks_more_for_fewer_alarms() {
        let model = Model::baseline();
        for class in DeviceClass::ALL {
            let at = |rate| model.baseline_calibration().threshold(*class, rate);
            assert!(at(0.01) > at(0.1) && at(0.1) > at(1.0), "{class}");
        }
    }
}
