//! What a run learns from: an immutable, hashed list of labelled windows, and the story of how it came about.

mod format;
#[cfg(test)]
mod intake_tests;
pub mod quality;
mod recall;
mod snapshot;

pub use format::{SnapshotError, read, read_file, to_bytes};
pub use snapshot::{Chosen, Consumed, Example, Snapshot, WriteError, choose, write};

/// Most examples in a snapshot: 50,000 windows of 7,680 bytes are 384 MB in a file, and of memory while a run trains
/// (taking the snapshot holds none of them). Beyond it the answers given last are kept.
pub const EXAMPLES_MAX: usize = 50_000;

/// Answers read from the store at a time: 1,000 × 8 KiB = 8 MB.
pub const PAGE_ROWS: usize = 1_000;

/// Most weight that a drawn question's answer gets, whatever its propensity: ten ordinary answers. It bounds what one
/// home can do to the model, at the price of a little bias. Weights are relative to the drawn questions' mean, so that
/// all of them together weigh as much as as many answered alarms.
pub const WEIGHT_MAX: f32 = 10.0;

#[cfg(test)]
pub(crate) use whole::take;

#[cfg(test)]
pub(crate) mod whole {
    //! A snapshot with its examples in memory: small ones, in tests.

    use hearthwatch_store::Store;
    use hearthwatch_store::story::Lineage;

    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct Whole {
        pub id: String,
        pub examples: Vec<Example>,
        pub lineage: Lineage,
    }

    pub(crate) fn take(store: &dyn Store, corpus: &str, consumed: &Consumed) -> Result<Whole, WriteError> {
        let mut bytes = Vec::new();
        let snapshot = write(store, choose(store, corpus, consumed)?, None, &mut bytes)?.expect("nobody else writes");
        let (_, examples) = read(&bytes, &snapshot.id).expect("what was just written");
        Ok(Whole { id: snapshot.id, examples, lineage: snapshot.lineage })
    }
}
