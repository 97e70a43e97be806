//! The director's word to one home: which release it is to run. Signed, and worth nothing before it is verified.
//!
//! After Uptane (uptane.org, Standard 2.1): the image repository says which models exist, the director says which home gets
//! which; a home installs only what both name. A stolen director key can choose among released models; it cannot make
//! one.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::id::{HomeId, ModelVersion};
use crate::limits::{ARTIFACT_BYTES_MAX, TEXT_BYTES_MAX};
use crate::seal::PublicKey;
use crate::statement::{Signed, Statement, StatementRefusal};

/// Longest life of an assignment, in seconds: a home that has been away for a month asks anew.
pub const ASSIGNMENT_SECONDS_MAX: i64 = 31 * 86_400;

/// What a home is asked to do with the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Run this release, which is not below the one in charge.
    Install,
    /// Run this release although it is below the one in charge: the only way down.
    RollBack,
}

/// What one home is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Whose it is; nobody else may follow it.
    pub home: HomeId,
    /// Counts up for each home. A lower one than the last is a replay.
    pub generation: u64,
    /// Up, or down by order.
    pub order: Order,
    /// Version of the release that the home shall run.
    pub model_version: ModelVersion,
    /// Its flat target name in the image repository.
    pub target: String,
    /// SHA-256 of the artifact.
    #[serde(with = "crate::bytes::fixed_bytes")]
    pub sha256: [u8; 32],
    /// Length of the artifact in bytes.
    pub length: u64,
    /// Not to be followed before this time, Unix seconds: the home's turn in the wave.
    pub not_before: i64,
    /// Not to be followed from this time on, Unix seconds.
    pub expires_at: i64,
    /// Comes back in the home's manifest, which so cannot be an old one.
    #[serde(with = "crate::bytes::fixed_bytes")]
    pub nonce: [u8; 16],
}

/// An assignment as it travels.
pub type SignedAssignment = Signed<Assignment>;

/// What a home remembers of the assignment that it followed last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Generation of the newest assignment that was accepted; 0 before the first.
    pub generation: u64,
    /// SHA-256 of its bytes: a generation is used once.
    #[serde(with = "crate::bytes::fixed_bytes")]
    pub digest: [u8; 32],
}

/// An assignment that holds for this home now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What it says.
    pub assignment: Assignment,
    /// What is to be remembered, before anything is done about it.
    pub seen: Seen,
    /// Whether it is the very one that was seen last: brokers hand a retained message out again.
    pub again: bool,
}

/// Why an assignment is not followed. The order of the variants is the order of the checks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentRefusal {
    /// Not signed by a director that is trusted here, out of limits, or another home's.
    #[error(transparent)]
    Statement(#[from] StatementRefusal),
    /// A replay.
    #[error("generation {found} comes after {seen}, which was seen before")]
    OlderGeneration {
        /// The generation that was offered.
        found: u64,
        /// The generation that was seen before.
        seen: u64,
    },
    /// Two assignments with one number: the director's key is in two hands, or its memory was lost.
    #[error("generation {0} was seen with other content")]
    GenerationReused(u64),
    /// Too late.
    #[error("the assignment expired at {0}")]
    Expired(i64),
    /// Too early: to be looked at again at that time.
    #[error("the assignment holds from {0} on")]
    NotYet(i64),
}

impl Statement for Assignment {
    const CONTEXT: &'static [u8] = b"hearthwatch assignment 1";
    const NOUN: &'static str = "assignment";

    fn home(&self) -> &HomeId {
        &self.home
    }

    fn field_outside_limits(&self) -> Option<&'static str> {
        let flat = !self.target.is_empty()
            && self.target.len() <= TEXT_BYTES_MAX
            && self.target.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
            && !self.target.starts_with('.');
        let life = self.expires_at.checked_sub(self.not_before);
        let wrong = [
            ("generation", self.generation == 0),
            ("target", !flat),
            ("length", self.length == 0 || self.length > ARTIFACT_BYTES_MAX),
            ("life", !life.is_some_and(|life| (1..=ASSIGNMENT_SECONDS_MAX).contains(&life))),
        ];
        wrong.into_iter().find(|(_, wrong)| *wrong).map(|(field, _)| field)
    }
}

impl SignedAssignment {
    /// Whether `home`, which saw `last` before, is to follow it at `now`.
    ///
    /// # Errors
    /// The first [`AssignmentRefusal`] that applies. [`AssignmentRefusal::NotYet`] comes last: what is only early is
    /// otherwise sound.
    pub fn accept(
        &self,
        directors: &[PublicKey],
        home: &HomeId,
        last: Option<&Seen>,
        now: i64,
    ) -> Result<Accepted, AssignmentRefusal> {
        let assignment = self.read_of(home, directors)?;
        let seen = Seen { generation: assignment.generation, digest: Sha256::digest(self.as_bytes()).into() };
        let again = match last {
            Some(last) if seen.generation < last.generation => {
                return Err(AssignmentRefusal::OlderGeneration { found: seen.generation, seen: last.generation });
            }
            Some(last) if seen.generation == last.generation && seen.digest != last.digest => {
                return Err(AssignmentRefusal::GenerationReused(seen.generation));
            }
            Some(last) => seen == *last,
            None => false,
        };
        if now >= assignment.expires_at {
            return Err(AssignmentRefusal::Expired(assignment.expires_at));
        }
        if now < assignment.not_before {
            return Err(AssignmentRefusal::NotYet(assignment.not_before));
        }
        Ok(Accepted { assignment, seen, again })
    }
}

#[cfg(test)]
mod tests;
