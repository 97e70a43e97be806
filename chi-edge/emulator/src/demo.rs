//! The newcomer's demo: the whole loop on real recorded homes, on one machine, in minutes.

mod agent;
mod cast;
mod home;
mod pace;
mod resident;
mod run;
mod stage;
mod table;
mod tally;
mod timeline;

pub use cast::HOMES_MAX;
pub use resident::Habits;
pub use run::{Settings, run, world};
pub use stage::{SignerArguments, Stage, signer};
pub use table::{Part, Report, Round, Row};
pub use tally::{Found, Tally};
pub use timeline::Timeline;
