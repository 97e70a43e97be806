//! What the owner of a home lets the fleet do to it.

use hearthwatch_protocol::ModelVersion;

/// When a release that is trusted gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Install {
    /// As soon as it is trusted.
    #[default]
    Auto,
    /// Once a resident has asked for it (the update entity's *Install*).
    Ask,
    /// Not at all: what runs here stays, and what is staged waits.
    Paused,
}

/// What the owner allows, from `[cloud.updates]` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Orders of the director to go back are followed in any case.
    pub install: Install,
    /// Only this version, as long as it is offered.
    pub pin: Option<ModelVersion>,
}
