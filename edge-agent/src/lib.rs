//! The guest in the house: learns a home's routine beside Home Assistant, speaks up rarely, says why, takes the answer.

pub mod brain;
pub mod config;
pub mod discovery;
pub mod enrol;
pub mod explain;
pub mod history;
pub mod home_assistant;
pub mod log;
pub mod measure;
pub mod mode;
pub mod outbox;
pub mod pinned;
pub mod replay;
pub mod run;
pub mod state;
pub mod update;
pub mod uplink;
