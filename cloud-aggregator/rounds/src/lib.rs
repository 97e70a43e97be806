//! Federated rounds: homes train on their own history and send a small delta; other homes evaluate what came of all deltas.
//!
//! A round is a row in the store, and every step of it can be done again: after a kill the next look goes on where the row says. Pure
//! decisions ([`cohort`], [`machine`], [`judge`]) stand beside the IO that uses them.
//!
//! **Order:** a module uses only those before it: `config`, `strategies`, `settings`, `privacy`, `trainer`, `model_trainer`, `event`,
//! `keys`, `body`, `groups`, `intake`, `cohort`, `late`, `machine`, `judge`, `files`, `reputation`, `aggregate`, `sums`, `plans`, `receipts`,
//! `director`.

mod aggregate;
#[cfg(test)]
mod bench;
mod body;
pub mod cohort;
mod config;
mod director;
pub mod event;
mod files;
#[doc(hidden)]
pub mod fixtures;
mod groups;
mod intake;
pub mod judge;
mod keys;
mod late;
pub mod machine;
mod model_trainer;
mod plans;
pub mod privacy;
mod receipts;
pub mod reputation;
mod settings;
mod strategies;
mod sums;
mod trainer;

pub use config::{BufferSettings, GROUP_MAX, MaskSettings, RoundsConfig};
pub use director::{Parts, RoundDirector, RoundError};
pub use files::RoundFiles;
pub use groups::EXCHANGE_MINUTES_MAX;
pub use intake::AnswerIntake;
pub use keys::CertifiedKeys;
pub use model_trainer::ModelTrainer;
pub use plans::MINUTES_MAX;
pub use settings::RoundSettings;
pub use strategies::{Own, StrategyName};
pub use trainer::{ReplayStep, RoundTrainer, TrainerError};
