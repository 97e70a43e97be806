//! The models of a plan, from the files that the agent fetched.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use hearthwatch_detector::network::Artifact;
use hearthwatch_edge_core::round_job::RoundJob;
use hearthwatch_protocol::limits::ARTIFACT_BYTES_MAX;
use hearthwatch_protocol::round::RoundFile;

use crate::error::RoundError;

/// Reads and checks all of them, in the plan's order.
///
/// # Errors
/// [`RoundError::Model`] for the first that cannot be used.
pub fn load(job: &RoundJob, wanted: &[RoundFile]) -> Result<Vec<Artifact>, RoundError> {
    let one = |(place, wanted): (usize, &RoundFile)| {
        let refused = |cause: String| RoundError::Model { place: place + 1, cause };
        let path = job.models.get(place).ok_or_else(|| refused("has no file".to_owned()))?;
        let bytes = bytes(path).map_err(|error| refused(format!("cannot be read ({})", error.kind())))?;
        if RoundFile::of(&bytes) != *wanted {
            return Err(refused("is other bytes than the plan's".to_owned()));
        }
        Artifact::parse(&bytes).map_err(|error| refused(format!("cannot be used: {error}")))
    };
    wanted.iter().enumerate().map(one).collect()
}

/// One byte more than is allowed at the most, so that a longer file is other bytes.
fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(ARTIFACT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
