//! The agent in a home: learns the home's routine beside Home Assistant, raises few alarms, gives their reasons, takes answers.

pub mod audit;
pub mod config;
pub mod diskless;
pub mod doctor;
pub mod enrol;
pub mod health;
pub mod log;
pub mod manual;
pub mod output;
pub mod run;
pub mod setup;
pub mod state_directory;
pub mod supervisor;
