//! Learning: from recorded homes (and residents' answers) to an artifact with the gate's report.
//!
//! No product of a home links this crate. A run is a pure function of its corpus, feedback, champion and
//! configuration: the same inputs give the same artifact bytes on the same machine. Homes are split by a hash of their
//! name; test homes are measured in weeks after those that were trained on.
//!
//! **Order:** a module uses only those before it: `error`, `progress`, `config`, `corpus`, `fold`, `feedback`, `defence`, `sampler`,
//! `loss`, `checkpoint`, `fit`, `prepare`, `blending`, `class_gating`, `retrain`, `release`, `fold_homes`, `fold_trainer`, `round`,
//! `server_loss`, `round_model`, `federated`, `federated_trainer`.

mod blending;
mod checkpoint;
mod class_gating;
mod config;
mod corpus;
mod defence;
mod error;
mod federated;
mod federated_trainer;
mod feedback;
mod fit;
mod fold;
mod fold_homes;
mod fold_trainer;
mod loss;
mod prepare;
mod progress;
mod release;
mod retrain;
mod round;
mod round_model;
mod sampler;
mod server_loss;

#[cfg(test)]
mod fixtures;

pub use checkpoint::{Checkpoints, NoCheckpoints};
pub use config::{BaselineThresholds, Days, Faults, Fit, Homes, Mix, RetrainConfig};
pub use corpus::Corpus;
pub use defence::{DefencePolicy, Defended, HomeAnswer, WithoutHome, defend};
pub use error::TrainError;
pub use federated::{FederatedRounds, RoundRecipes};
pub use federated_trainer::{FederatedArm, FederatedTrainer};
pub use feedback::FeedbackExample;
pub use fit::optimizer;
pub use fold::{cross_fit, leave_set_out};
pub use fold_homes::FoldHomes;
pub use fold_trainer::FoldTrainer;
pub use loss::{EpochRecord, loss};
pub use prepare::{Prepared, prepare, prepare_test};
pub use progress::{Progress, never_stops};
pub use release::{Release, release};
pub use retrain::{Candidate, RetrainRequest};
pub use round::{RoundRecipe, held_out_loss, home_seed, round_seed, train_head, train_round, train_round_altered};
pub use sampler::{Batch, HomeOutline, HomeVerdict, SourceOutline};
pub use server_loss::ServerLoss;
