//! The guest in the house: learns a home's routine beside Home Assistant, speaks up rarely, says why, takes the answer.

pub mod audit;
pub mod config;
pub mod diskless;
pub mod enrol;
pub mod log;
pub mod manual;
pub mod output;
pub mod run;
pub mod setup;
pub mod state_directory;
pub mod supervisor;
