//! Values and decisions of the agent, without files or sockets: alarms and answers, preferences, texts and pictures.
//! `fixtures` is for tests.
//!
//! **Architecture invariant:** this crate opens no file and no socket, and knows no clock: `now` comes in as an argument.

pub mod alarm;
pub mod backtest;
pub mod explain;
pub mod fixtures;
pub mod mode;
pub mod preferences;
pub mod round_job;
pub mod state;
pub mod trial;
pub mod unit_doubt;
