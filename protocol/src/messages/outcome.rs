//! How an update ended on one home, and at which stage.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::id::ModelVersion;

/// Reported once for each release that an agent tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateOutcome {
    /// The release in question.
    pub model_version: ModelVersion,
    /// Where the update stood when it ended. Absent in the words of an agent from before stages were named: the key itself is not
    /// written then, so the bytes of such a message stay what they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<UpdateStage>,
    /// What came of it.
    pub result: UpdateResult,
    /// Unix seconds.
    pub at: i64,
}

/// What an outcome speaks about: the way to the release, or the release itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum UpdateStage {
    /// Metadata or bytes did not come whole from where they are kept.
    Fetch,
    /// Signatures, freshness, versions, hashes: what came is not what may be trusted now.
    Verify,
    /// The release's own bytes, trusted: loaded, tried on the home's windows, watched beside the model in charge.
    Install,
    /// In charge.
    Run,
    /// A word of a newer agent that this program does not know. It is written as `other`.
    #[serde(other)]
    Other,
}

/// The three ends of an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum UpdateResult {
    /// In charge, and proven on the home's recent windows.
    Installed,
    /// Never put in charge.
    Refused {
        /// The exact cause, one line.
        reason: String,
    },
    /// Was in charge, failed its probation; the one before is back.
    RolledBack {
        /// The exact cause, one line.
        reason: String,
        /// What is in charge again.
        to: ModelVersion,
    },
}

/// The words before the colon with which agents that name no stage begin the refusal of metadata, of bytes or of an assignment. The
/// list is closed: agents of today name the stage.
const NOT_OF_THE_RELEASE: [&str; 20] = [
    "expired",
    "rolled_back",
    "bad_signature",
    "tampered",
    "too_large",
    "mixed",
    "malformed",
    "too_many_roots",
    "pinned_root",
    "disagree",
    "not_listed",
    "other",
    "below_floor",
    "assignment_signature",
    "assignment_field",
    "assignment_other_home",
    "assignment_replayed",
    "assignment_reused",
    "assignment_expired",
    "assignment_early",
];

/// How the same agents say that the home's own disk lost a model which had been in charge.
const OF_THE_DISK: [&str; 2] = ["start: its file is damaged", "start: its file cannot be read"];

impl UpdateOutcome {
    /// The release is in charge for good.
    #[must_use]
    pub fn installed(model_version: ModelVersion, at: i64) -> Self {
        Self { model_version, stage: Some(UpdateStage::Run), result: UpdateResult::Installed, at }
    }

    /// The release never took charge; `reason` is one line of at most [`TEXT_BYTES_MAX`](crate::limits::TEXT_BYTES_MAX) bytes.
    #[must_use]
    pub fn refused(model_version: ModelVersion, stage: UpdateStage, reason: String, at: i64) -> Self {
        Self { model_version, stage: Some(stage), result: UpdateResult::Refused { reason }, at }
    }

    /// The release was in charge and gave way to `to`; `reason` as in [`UpdateOutcome::refused`].
    #[must_use]
    pub fn rolled_back(model_version: ModelVersion, reason: String, to: ModelVersion, at: i64) -> Self {
        Self { model_version, stage: Some(UpdateStage::Run), result: UpdateResult::RolledBack { reason, to }, at }
    }

    /// Whether this says how good the release is. An end at [`UpdateStage::Fetch`] or [`UpdateStage::Verify`] does not: it speaks about
    /// a mirror, a line, a clock, an order or the home's disk. Where the stage is absent or unknown the reason's first words decide,
    /// and words that are unknown too do weigh: an old agent's failed installation must not be overlooked.
    #[must_use]
    pub fn weighs_on_release(&self) -> bool {
        let (UpdateResult::Refused { reason } | UpdateResult::RolledBack { reason, .. }) = &self.result else {
            return true;
        };
        match self.stage {
            Some(UpdateStage::Fetch | UpdateStage::Verify) => false,
            Some(UpdateStage::Install | UpdateStage::Run) => true,
            None | Some(UpdateStage::Other) => {
                let word = reason.split_once(':').map_or(reason.as_str(), |(word, _)| word);
                !NOT_OF_THE_RELEASE.contains(&word) && !OF_THE_DISK.iter().any(|words| reason.starts_with(words))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: ModelVersion = ModelVersion(3);

    fn refused(stage: Option<UpdateStage>, reason: &str) -> UpdateOutcome {
        UpdateOutcome {
            model_version: RELEASE,
            stage,
            result: UpdateResult::Refused { reason: reason.to_owned() },
            at: 1,
        }
    }

    #[test]
    fn only_what_the_release_itself_did_weighs_on_it() {
        let weighs = |stage| refused(Some(stage), "expired: timestamp metadata is expired").weighs_on_release();
        assert_eq!([UpdateStage::Fetch, UpdateStage::Verify].map(weighs), [false; 2]);
        assert_eq!([UpdateStage::Install, UpdateStage::Run].map(weighs), [true; 2]);
        assert!(UpdateOutcome::installed(RELEASE, 1).weighs_on_release());
        assert!(
            UpdateOutcome::rolled_back(RELEASE, "probation: deaf".to_owned(), ModelVersion(2), 1).weighs_on_release()
        );
    }

    #[test]
    fn of_an_agent_that_names_no_stage_the_words_decide() {
        for stage in [None, Some(UpdateStage::Other)] {
            let weighs = |reason| refused(stage, reason).weighs_on_release();
            for mirror in [
                "expired: timestamp metadata is expired",
                "rolled_back: snapshot metadata was rolled back from version 9 to 8",
                "tampered: the bytes of model-3.safetensors differ from the signed hash",
                "assignment_expired: the assignment is not followed: it expired at 5",
            ] {
                assert!(!weighs(mirror), "{mirror}");
            }
            for release in
                ["not_proven: golden vectors differ", "shadow: deaf", "start: not proven in 3 starts", "gossip"]
            {
                assert!(weighs(release), "{release}");
            }
        }
    }

    #[test]
    fn of_an_agent_that_names_no_stage_a_damaged_disk_is_not_held_against_the_release() {
        let back = |reason: &str| {
            let outcome = UpdateOutcome::rolled_back(RELEASE, reason.to_owned(), ModelVersion(2), 1);
            UpdateOutcome { stage: None, ..outcome }.weighs_on_release()
        };
        assert!(!back("start: its file is damaged"));
        assert!(!back("start: its file cannot be read: permission denied"));
        assert!(back("start: not proven in 3 starts"));
    }
}
