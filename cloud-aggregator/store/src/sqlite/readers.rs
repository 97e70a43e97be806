//! Connections that only read: a fixed number of each kind, lent out one at a time.
//!
//! By hand rather than by a pool crate: connections to a file do not die, need no health checks and no timeouts, and there are
//! as many as there are; what is left of a pool is a stack and a condition variable.

use std::ops::Deref;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

use rusqlite::Connection;

use super::{StoreResult, connect, engine};

/// Connections for lists, sums and whole tables: as many as pages are drawn at a time on a small machine. Each holds up to 2 MB of
/// the file.
const LONG: usize = 4;

/// Connections for single rows by their key, which the long reads never use: health, tokens, and what ingest looks up.
const SHORT: usize = 2;

/// Connections for reading: some for single rows, others for lists and sums, so that the first never wait for the second.
pub(super) struct Readers {
    long: Stack,
    short: Stack,
}

impl Readers {
    pub(super) fn open(file: &Path) -> StoreResult<Self> {
        Ok(Self { long: Stack::open(file, LONG)?, short: Stack::open(file, SHORT)? })
    }

    /// For whatever may read many rows. Waits while all are lent.
    pub(super) fn long(&self) -> Lent<'_> {
        self.long.lend()
    }

    /// For a row or a few by their key.
    pub(super) fn short(&self) -> Lent<'_> {
        self.short.lend()
    }
}

struct Stack {
    idle: Mutex<Vec<Connection>>,
    given_back: Condvar,
}

impl Stack {
    fn open(file: &Path, count: usize) -> StoreResult<Self> {
        let connect = |_| {
            let connection = connect(file)?;
            connection.pragma_update(None, "query_only", true).map_err(engine("open"))?;
            Ok(connection)
        };
        let idle = (0..count).map(connect).collect::<StoreResult<Vec<_>>>()?;
        Ok(Self { idle: Mutex::new(idle), given_back: Condvar::new() })
    }

    fn lend(&self) -> Lent<'_> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(connection) = idle.pop() {
                return Lent { connection: Some(connection), stack: self };
            }
            idle = self.given_back.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A connection that goes back when this is dropped, after a panic too: a statement that was cut off has changed nothing.
pub(super) struct Lent<'a> {
    connection: Option<Connection>,
    stack: &'a Stack,
}

impl Deref for Lent<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        // Taken in `drop` alone.
        self.connection.as_ref().expect("a lent connection is there until it is dropped")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.stack.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            self.stack.given_back.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store as _;

    #[test]
    fn single_rows_are_read_while_every_connection_for_lists_is_taken() {
        let (_directory, store) = crate::fixtures::store();
        store.enrol_home(&crate::fixtures::home("a"), 1).unwrap();
        let _taken: Vec<Lent<'_>> = (0..LONG).map(|_| store.readers.long()).collect();
        assert!(store.champion().unwrap().is_none());
        assert!(store.token_by_hash(&[0; 32]).unwrap().is_none());
        assert!(store.home(&crate::fixtures::home("a")).unwrap().is_some());
        assert_eq!(store.fleet_totals().unwrap().homes, 1);
        assert_eq!(store.feedback_totals().unwrap().records, 0);
    }

    #[test]
    fn a_connection_comes_back_after_a_panic() {
        let (_directory, store) = crate::fixtures::store();
        for _ in 0..2 * LONG {
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _lent = store.readers.long();
                std::panic::resume_unwind(Box::new("cut off"));
            }));
            assert!(panicked.is_err());
        }
        assert_eq!(store.homes().unwrap(), []);
    }
}
