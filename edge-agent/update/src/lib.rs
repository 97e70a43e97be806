//! How a new model gets in: offered, verified, fetched, proven, watched beside the old one, swapped, on probation, kept or thrown out.
//!
//! [`machine`] decides, [`Updater`] acts. What is trusted is in [`trust`] (a TUF client with a pinned root), how bytes come in
//! [`fetch`], where they lie in [`slots`] (two slots, one pointer, power may fail at any time), and whether a model behaves in this very home in
//! [`probation`]. A release notice over MQTT only wakes the updater; nothing in it is believed.

pub mod director;
pub mod disk;
pub mod event;
pub mod fetch;
pub mod machine;
pub mod policy;
pub mod probation;
pub mod prove;
pub mod requests;
pub mod slots;
pub mod trust;
mod updater;
mod view;
pub mod watch;

#[cfg(test)]
mod fetch_tests;
#[cfg(test)]
pub(crate) mod tests;

pub use director::DirectorConfig;
pub use machine::{MirrorFault, Watching};
pub use policy::{Install, Policy};
pub use prove::{ModelProof, Prove};
pub use requests::{AnsweredRequest, PendingRequest, RequestOutcome, UpdateRequest, UpdateRequests};
pub use updater::{MANUAL, RollBackError, Step, Trigger, Updater, UpdaterConfig, UpdaterError, WATCHING};
pub use view::{EndedUpdates, UpdateView};
