//! The newcomer's demo: the whole loop on real recorded homes, on one machine, in minutes.

mod agent;
mod cast;
mod federated;
mod home;
mod learn;
mod memory;
mod pace;
mod participant;
mod replay;
mod resident;
mod round_report;
mod run;
mod stage;
mod table;
mod tally;
mod teach;
mod timeline;

pub use cast::HOMES_MAX;
pub use learn::{Learn, ROUNDS_MAX};
pub use resident::{Habits, answer};
pub use round_report::{FederatedRound, Figures};
pub use run::{Settings, run, world};
pub use stage::{Rounds, SignerArguments, Stage, signer};
pub use table::{Part, Report, Round, Row};
pub use tally::{Found, Tally};
pub use timeline::Timeline;
