//! The home's side of federated rounds: whether and when this home trains, what it sends, and the ledger that residents read.
//!
//! `machine` decides, `conditions` says whether this is a good moment, `state` remembers across restarts, `process` runs the program
//! that trains, `masks` hides what a single home sends where a plan asks for it, `fetch` gets the models it trains on, `service` does it all in order. Only a home whose residents chose the level
//! *learning* takes part ([`hearthwatch_edge_store::outbox::SharingLevel`]). Detection waits for none of it.
//!
//! **Architecture invariant:** this crate trains nothing and reads no history: that is another process, which has no network.

pub mod conditions;
pub mod config;
pub mod fetch;
mod ledger;
pub mod machine;
mod masks;
pub mod picture;
pub mod process;
mod promise;
mod schema;
#[cfg(test)]
mod scripts;
pub mod service;
pub mod state;
mod view;

pub use ledger::{Outcome, RoundEntry};
pub use promise::promised;
pub use view::{Doing, RoundsView};
