//! A home's right to be forgotten.

use std::collections::BTreeMap;

use hearthwatch_protocol::HomeId;

use crate::store::StoreResult;

/// What stands where the home's name stood.
pub const ERASED: &str = "erased";

/// What was erased.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Erased {
    /// Rows that were deleted, or in which the name was replaced, by table.
    pub rows: BTreeMap<String, u64>,
    /// Data sets that hold windows of the home: their files are to be deleted.
    pub snapshots: Vec<String>,
}

/// How old something may be: what came before these times goes, Unix seconds; none keeps all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeptSince {
    /// Answers, announcements, and the files of data sets, which hold windows of answers.
    pub answers: Option<i64>,
    /// What was refused.
    pub quarantine: Option<i64>,
}

/// What was let go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Rows that were deleted, by table.
    pub rows: BTreeMap<String, u64>,
    /// Data sets whose files are to be deleted.
    pub snapshots: Vec<String>,
    /// Whether there is more: one call deletes only so much, so that nobody waits for it.
    pub more: bool,
}

/// The part of the aggregator's memory that forgets.
pub trait ErasureStore {
    /// Erases everything of a home in every table but the two chains (`audit`, `lineage`), in one transaction, and overwrites its bytes in the
    /// file; [`StoreError::NotFound`](crate::StoreError::NotFound) if it never was let in. With `dry_run` it is only counted.
    fn erase_home(&self, home: &HomeId, dry_run: bool) -> StoreResult<Erased>;
    /// Deletes what is older than it may be, at most `most` rows of each table.
    fn forget_older(&self, since: KeptSince, most: usize) -> StoreResult<Forgotten>;
}
