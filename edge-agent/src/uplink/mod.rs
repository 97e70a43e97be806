//! The way to the fleet: feedback, status and outcomes go up, receipts and release notices come down.
//!
//! `session` decides what to send next and when to send it again; `client` holds the connection. The broker may be absent for
//! days: records wait in the [`crate::outbox`], and nothing else of the agent notices.

mod client;
mod session;
#[cfg(test)]
mod tests;

pub use client::{
    Clock, SharedOutbox, UplinkConfig, UplinkError, UplinkHandle, UplinkState, share, start, start_after,
};
pub use session::{Next, RESEND, Sent, Session, WINDOW_RECORDS_MAX};
