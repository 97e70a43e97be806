//! The guest in the house: learns a home's routine beside Home Assistant, speaks up rarely, says why, takes the answer.

pub mod brain;
pub mod by_hand;
pub mod config;
pub mod discovery;
pub mod enrol;
pub mod explain;
pub mod history;
pub mod home_assistant;
pub mod house;
pub mod identity;
pub mod log;
pub mod measure;
pub mod miss;
pub mod mode;
pub mod outbox;
pub mod page;
pub mod pinned;
pub mod rehearse;
pub mod replay;
pub mod run;
pub mod setup;
pub mod state;
pub mod state_directory;
pub mod supervisor;
pub mod update;
pub mod uplink;
