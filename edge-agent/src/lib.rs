//! The guest in the house: learns a home's routine beside Home Assistant, speaks up rarely, says why, takes the answer.

pub mod config;
pub mod enrol;
pub mod explain;
pub mod outbox;
pub mod pinned;
pub mod replay;
pub mod state;
pub mod update;
pub mod uplink;
