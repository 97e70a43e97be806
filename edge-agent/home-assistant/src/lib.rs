//! Home Assistant on both sides: where readings come from, and where alarms are shown and answered.

pub mod config;
pub mod discovery;
pub mod home_assistant;
