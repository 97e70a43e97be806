//! Home Assistant as the source of readings: a WebSocket, its events, its memory, and the session that ties them.
//!
//! `entities` is pure; `socket` does the IO; `session` decides what to ask and when what arrives may be judged.

pub mod entities;
pub mod history;
pub mod registry;
pub mod session;
pub mod socket;
pub mod units;

pub use session::run;
