//! The embedded engine: one file, write-ahead log, one writer.

/// A store in one SQLite file.
pub struct SqliteStore;
