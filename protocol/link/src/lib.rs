//! A thin MQTT 5 link: one connection, kept up, that reports the result of each publication.
//!
//! Built over `rumqttc`, which stays hidden, so that it can be replaced. What this crate adds to it:
//!
//! - a publication resolves when the broker has acknowledged it, and fails when the broker refuses it or the connection
//!   is lost before. Nothing is replayed behind the caller's back: whoever needs delivery keeps an outbox
//!   and waits for an answer from the other end (a broker's acknowledgement is not durable);
//! - subscriptions are made anew on every connection, before [`LinkEvent::Connected`] is sent; a refused one is an error;
//! - a message is acknowledged when it is taken out of [`LinkEvents`], so a slow reader slows the broker down instead
//!   of filling memory, and a reader that awaits a publication between two messages cannot block itself;
//! - jittered back-off, a watchdog for silent connections, and certificates read again on each attempt, so that
//!   a renewed one needs no restart.
//!
//! **Architecture invariant:** this crate knows no topic and no message of ours; bytes go in and come out.

mod backoff;
mod config;
mod connection;
mod error;
mod handle;
mod reach;
mod session;
mod tls;

pub use backoff::Backoff;
pub use config::{LinkConfig, Publication, TlsFiles};
pub use error::LinkError;
pub use handle::{CREDENTIALS_REFUSED, LinkEvent, LinkEvents, LinkHandle, open, open_after};
pub use reach::reach;
pub use tls::client_config as tls_client_config;

/// Largest MQTT packet in either direction. The largest honest one is a home's discovery document:
/// 300 entities × about 1 KiB = 300 KiB; 1 MiB leaves room to triple.
pub const PACKET_BYTES_MAX: u32 = 1024 * 1024;

/// Messages that the broker may send ahead of our reading: 256 × 64 KiB = 16 MiB at the very worst.
pub const UNREAD_MESSAGES_MAX: u16 = 256;
