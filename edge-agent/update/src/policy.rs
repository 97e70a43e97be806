//! What the owner of a home lets the fleet do to it.

use hearthwatch_protocol::ModelVersion;

/// When a release that is trusted gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Install {
    /// As soon as it is offered.
    #[default]
    Auto,
    /// Once a resident has asked for it (the update entity's *Install*).
    Ask,
    /// Not at all: what runs here stays, and what is staged waits.
    Paused,
}

/// The owner's wishes, from `[cloud.updates]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// When a release gets in.
    pub install: Install,
    /// Only this version, as long as it is offered.
    pub pin: Option<ModelVersion>,
}
