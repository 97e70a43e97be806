//! The weights that ship: trained from scratch on the sets that may ship, by a command that can be run again.

use std::ops::ControlFlow;

use hearthwatch_detector::network::Artifact;
use hearthwatch_evaluation::dataset::{RecordedHome, registry};
use hearthwatch_evaluation::evaluate::GateReport;
use serde::Serialize;

use super::config::RetrainConfig;
use super::corpus::Corpus;
use super::error::TrainError;
use super::loss::EpochRecord;
use super::progress::Progress;
use super::retrain::RetrainRequest;

/// What a release run gives: the artifact to be committed, and the record to be kept beside it.
#[derive(Debug, Clone, Serialize)]
pub struct Release {
    /// To be written to a file of its own: the record leaves it out.
    #[serde(skip)]
    pub artifact: Vec<u8>,
    /// Its canonical weights id.
    pub weights_id: String,
    /// SHA-256 in hex of the bytes.
    pub sha256: String,
    /// With it and the same homes the run gives the same bytes.
    pub config: RetrainConfig,
    /// One record an epoch; the weights are those of the lowest validation loss.
    pub history: Vec<EpochRecord>,
    /// The gate's report on held-out homes.
    pub report: GateReport,
    /// Sets whose homes were passed over because weights trained on them must not ship.
    pub left_out: Vec<String>,
}

/// Trains the weights that ship from those of `homes` whose sets may ship; the others are left out and named.
///
/// # Errors
/// As [`RetrainRequest::run`]; there is no champion, feedback or checkpoint.
pub fn release(
    homes: Vec<RecordedHome>,
    config: &RetrainConfig,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Release, TrainError> {
    let may_ship = |home: &RecordedHome| registry::find(&home.set).is_ok_and(|set| set.usage.may_ship());
    let (homes, others): (Vec<_>, Vec<_>) = homes.into_iter().partition(may_ship);
    let mut left_out: Vec<String> = others.into_iter().map(|home| home.set).collect();
    left_out.sort();
    left_out.dedup();
    let candidate = RetrainRequest::new(&Corpus::split(homes), config).run(progress)?;
    let artifact = Artifact::parse(&candidate.artifact)?;
    Ok(Release {
        weights_id: artifact.weights_id(),
        sha256: {
            use sha2::Digest as _;
            hex::encode(sha2::Sha256::digest(&candidate.artifact))
        },
        artifact: candidate.artifact,
        config: candidate.config,
        history: candidate.history,
        report: candidate.report,
        left_out,
    })
}
