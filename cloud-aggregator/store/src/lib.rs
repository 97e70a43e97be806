//! What the aggregator remembers: a database behind one trait, files named for their hashes, tokens, and the clock that dates it all.
//!
//! One trait ([`Store`]), one conformance suite, any number of engines. Calls block; async code goes through [`blocking`]. No
//! household event, token or key is ever logged.

mod actor;
pub mod artifact_store;
mod change;
pub mod clock;
pub mod erasure;
pub mod evaluation;
pub mod files;
#[doc(hidden)]
pub mod fixtures;
pub mod idempotency;
pub mod lineage;
pub mod lists;
pub mod people;
pub mod release;
pub mod rollouts;
pub mod rounds;
mod rows;
pub mod run_requests;
pub mod sqlite;
pub mod standings;
mod store;
pub mod story;
#[cfg(test)]
mod tests;
pub mod token;

pub use actor::Actor;
pub use change::{Change, Note};
pub use erasure::ErasureStore;
pub use evaluation::EvaluationStore;
pub use idempotency::IdempotencyStore;
pub use lists::ListStore;
pub use people::PeopleStore;
pub use rollouts::RolloutStore;
pub use rounds::RoundStore;
pub use rows::*;
pub use run_requests::{RequestState, RunRequestStore};
pub use sqlite::SqliteStore;
pub use standings::StandingStore;
pub use store::*;
