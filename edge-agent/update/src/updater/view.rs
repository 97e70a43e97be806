//! What the updater shows of itself.

use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::assignment::Assignment;

use super::Updater;
use crate::director::Director;
use crate::event::UpdateCounts;
use crate::machine::{MirrorFault, Phase};
use crate::policy::Policy;
use crate::prove::Prove;
use crate::watch::Watch;

impl<P: Prove> Updater<P> {
    /// The assignment that is followed, if there is a director.
    #[must_use]
    pub fn assignment(&self) -> Option<&Assignment> {
        self.director.as_ref().and_then(Director::current)
    }

    /// The hash of what is in charge, and since when it is; none for the program's own model.
    #[must_use]
    pub fn in_charge(&self) -> Option<([u8; 32], i64)> {
        self.slots.installed_sha256().map(|sha256| (sha256, self.slots.since()))
    }

    /// See [`crate::machine::Machine::phase`].
    #[must_use]
    pub fn phase(&self) -> &Phase {
        self.machine.phase()
    }

    /// What a resident's consent would be about.
    #[must_use]
    pub fn offered(&self) -> Option<ModelVersion> {
        self.machine.offered()
    }

    /// The version that waits for a resident's request, and for nothing else.
    #[must_use]
    pub fn waiting(&self) -> Option<ModelVersion> {
        match self.machine.phase() {
            Phase::Waiting(version) => Some(*version),
            _ => None,
        }
    }

    /// Whether the last look at the repository failed, and is to be tried again.
    #[must_use]
    pub fn is_hindered(&self) -> bool {
        self.machine.is_hindered()
    }

    /// From `[cloud.updates]` of the configuration.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Whether a version failed here before, and is not tried again.
    #[must_use]
    pub fn has_failed(&self, version: ModelVersion) -> bool {
        self.slots.has_failed(version)
    }

    /// Why the repository's metadata is not trusted, while it is not.
    #[must_use]
    pub fn mirror_fault(&self) -> Option<&MirrorFault> {
        self.machine.mirror_fault()
    }

    /// The version in use.
    #[must_use]
    pub fn installed(&self) -> ModelVersion {
        self.slots.installed()
    }

    /// What the watch that is under way, or the last one, has seen.
    #[must_use]
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// What was refused, hindered and done since the start.
    #[must_use]
    pub fn counts(&self) -> &UpdateCounts {
        &self.counts
    }
}
