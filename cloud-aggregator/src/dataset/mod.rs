//! What a run learns from: an immutable, hashed list of labelled windows, and the story of how it came about.

mod format;
mod influence;
pub mod quality;
mod recall;
mod snapshot;

pub use format::{SnapshotError, read, to_bytes};
pub use recall::RecallEstimate;
pub use snapshot::{Consumed, Example, HomeLineage, Lineage, Snapshot, take};

/// Most examples in a snapshot: 50,000 windows of 7,680 bytes are 384 MB of memory while a run lasts. Beyond it the
/// answers given last are kept.
pub const EXAMPLES_MAX: usize = 50_000;

/// Answers read from the store at a time: 1,000 × 8 KiB = 8 MB.
pub const PAGE_ROWS: usize = 1_000;

/// Most weight that a drawn question's answer gets, whatever its propensity: ten ordinary answers. It bounds what one
/// home can do to the model, at the price of a little bias. Weights are relative to the drawn questions' mean, so that
/// all of them together weigh as much as as many answered alarms.
pub const WEIGHT_MAX: f32 = 10.0;
