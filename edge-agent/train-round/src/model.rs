//! The models of a plan, from the files that the agent fetched.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use hearthwatch_detector::network::Artifact;
use hearthwatch_edge_core::round_job::RoundJob;
use hearthwatch_protocol::limits::ARTIFACT_BYTES_MAX;
use hearthwatch_protocol::round::RoundFile;

use crate::error::RoundError;

/// Reads and checks the model at `place` of the plan, from 0.
///
/// # Errors
/// [`RoundError::Model`] where it cannot be used.
pub fn load(job: &RoundJob, place: usize, wanted: &RoundFile) -> Result<Artifact, RoundError> {
    let refused = |cause: String| RoundError::Model { place: place + 1, cause };
    let path = job.models.get(place).ok_or_else(|| refused("has no file".to_owned()))?;
    let bytes = bytes(path).map_err(|error| refused(format!("cannot be read ({})", error.kind())))?;
    if RoundFile::of(&bytes) != *wanted {
        return Err(refused("is other bytes than the plan's".to_owned()));
    }
    Artifact::parse(&bytes).map_err(|error| refused(format!("cannot be used: {error}")))
}

/// Reads one byte more than a model may have, and no further: a longer file is other bytes than the plan's.
fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(ARTIFACT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
