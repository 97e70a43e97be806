//! Webhooks: lines of the audit log, sent to receivers as they are written, each once at least and in order.
//!
//! A line is sent again until its receiver takes it (any status of 200 to 299), with growing pauses, for three days; then it is passed over
//! with a line in the log. How far a receiver was told outlives the program. Signed as Standard Webhooks 1.0 says, so that receivers
//! find libraries for it.

mod address;
mod message;
mod sender;

pub(crate) use sender::Sender;
