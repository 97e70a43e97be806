//! The way to the fleet: feedback, status and outcomes go up, receipts and release notices come down.
//!
//! `session` decides what to send next and when to send it again; `client` holds the connection; `start` begins each life of it. The broker may be absent for
//! days: records wait in the [`hearthwatch_edge_store::outbox`], and nothing else of the agent notices.

mod client;
mod rounds;
mod session;
mod start;
#[cfg(test)]
mod tests;

pub use client::{Clock, SharedOutbox, UplinkError, UplinkHandle, UplinkState, share};
pub use rounds::{RoundChannels, RoundDelivery};
pub use session::{Next, RESEND, Sent, Session, WINDOW_RECORDS_MAX};
pub use start::{Uplink, UplinkConfig, prepare, start};
