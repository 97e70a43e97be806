//! `hearthwatch-edge replay`: recorded history given to the detector as if it were happening.
//!
//! Rows come from a CSV file of one of several layouts (`layout`), a JSON history or a Home Assistant recorder database
//! ([`source`]), are walked in the order of time
//! over the 10-minute grid ([`playback`]) and leave as `scores.csv` and `alarms.csv`. The walk is causal: a step is
//! written when a row *after* its end proves it complete, and only from what came before, so an input that is cut short
//! gives a byte-identical prefix of `scores.csv`.

pub mod alarms_csv;
pub mod attributes;
pub mod backup;
pub mod command;
mod drawn;
pub mod entities;
pub mod error;
pub mod events_csv;
#[cfg(test)]
mod fixtures;
mod fold;
mod foreign;
pub mod guess;
pub mod guess_words;
mod header_words;
mod hole;
pub mod json_history;
mod layout;
pub mod lenient_json;
pub mod lines;
pub mod moment;
mod number;
pub mod odd;
pub mod playback;
pub mod recall;
pub mod recorder_db;
mod remote_db;
pub mod salvage;
pub mod scores_csv;
pub mod sorted;
pub mod source;
pub mod span;
mod spelled_id;
pub mod sql_dump;
mod sql_load;
mod sql_words;
pub mod stamp;
pub mod statistics;
pub mod summary;
mod thermometers;
mod torn;
pub mod verdicts;
pub mod watch;

pub use command::{ReplayArgs, main, run};
pub use error::ReplayError;
pub use summary::Summary;

#[cfg(test)]
mod tests;
