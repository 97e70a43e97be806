//! The embedded engine: one file, write-ahead log, one writer.

mod announced;
mod answered;
mod homes;
mod ingest;
mod learning;
mod lineage;
mod models;
mod outcomes;
mod people;
mod quarantine;
mod rollouts;
mod withdrawals;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearthwatch_protocol::messages::Withdrawal;
use hearthwatch_protocol::{AlarmId, HomeId, ModelVersion, RecordKey, Sequence};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{
    AnnouncedRow, AnsweredRow, AuditEntry, AuditRow, Digest, FeedbackFilter, FeedbackRow, FeedbackTotals, Handled,
    HomeProgress, HomeRow, IngestBatch, ModelRow, ModelState, NewModel, OutcomeRow, QuarantineChoice, QuarantineEnd,
    QuarantineRow, Received, ReleaseRow, RunRow, Settled, SnapshotRow, Store, StoreError, TokenRow, WithdrawalRow,
};

/// Every change of the schema, in order; `user_version` counts how many a file has seen.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0008.sql"),
];

/// How long a statement waits for a lock that another process holds (a backup, an operator's shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A store in one SQLite file. Writes take turns on one connection; reads have another and never wait for a write.
pub struct SqliteStore {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

impl SqliteStore {
    /// Opens or makes the database `file`, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Engine`] when it cannot be opened, [`StoreError::NewerSchema`] when a newer program wrote it.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let mut writer = connect(file)?;
        migrate(&mut writer)?;
        lineage::prepare(&mut writer)?;
        outcomes::move_those_of_before(&mut writer)?;
        let reader = connect(file)?;
        reader.pragma_update(None, "query_only", true).map_err(engine("open"))?;
        Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(reader) })
    }

    fn read(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in a transaction that is durable when this returns; an error undoes all of it.
    fn write<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(engine(action))?;
        let result = work(&transaction)?;
        lineage::seal(&transaction)?;
        transaction.commit().map_err(engine(action))?;
        Ok(result)
    }
}

fn connect(file: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(file).map_err(engine("open"))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(engine("open"))?;
    connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))
        .map_err(engine("open"))?;
    // FULL, not NORMAL: in WAL mode NORMAL may lose the last commits with the power, and their receipts are out by then.
    connection.pragma_update(None, "synchronous", "full").map_err(engine("open"))?;
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = MIGRATIONS.len();
    let found: u32 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(engine("read schema version"))?;
    let pending = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found..));
    let Some(pending) = pending else {
        return Err(StoreError::NewerSchema { found, known: u32::try_from(known).unwrap_or(u32::MAX) });
    };
    for (number, script) in (found + 1..).zip(pending) {
        let transaction = connection.transaction().map_err(engine("migrate"))?;
        transaction.execute_batch(script).map_err(engine("migrate"))?;
        transaction.pragma_update(None, "user_version", number).map_err(engine("migrate"))?;
        transaction.commit().map_err(engine("migrate"))?;
    }
    Ok(())
}

/// Turns the engine's error into ours.
fn engine(action: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
    move |error| {
        let cause = error.to_string();
        if unavailable(&error) {
            StoreError::Unavailable { action, cause }
        } else {
            StoreError::Engine { action, cause }
        }
    }
}

/// Whether the engine could do nothing at this moment, whatever it was asked for: the disk is full or broken, the file is locked.
fn unavailable(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode as Code;
    matches!(
        error.sqlite_error_code(),
        Some(
            Code::DiskFull
                | Code::DatabaseBusy
                | Code::DatabaseLocked
                | Code::SystemIoFailure
                | Code::CannotOpen
                | Code::OutOfMemory
                | Code::ReadOnly
                | Code::PermissionDenied
                | Code::FileLockingProtocolFailed
                | Code::NotADatabase
                | Code::DatabaseCorrupt
        )
    )
}

/// A value that this program would not have written.
fn corrupt(table: &'static str, cause: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { table, cause: cause.to_string() }
}

/// SQLite's integers are signed; nothing here counts so far that it matters.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A limit of 0 means none; SQLite spells that -1.
fn limited(limit: usize) -> i64 {
    if limit == 0 { -1 } else { i64::try_from(limit).unwrap_or(i64::MAX) }
}

fn home_id(table: &'static str, text: String) -> Result<HomeId, StoreError> {
    HomeId::new(text).map_err(|error| corrupt(table, error))
}

impl Store for SqliteStore {
    fn engine(&self) -> &'static str {
        "sqlite"
    }

    fn enrol_home(&self, home: &HomeId, at: i64) -> Result<bool, StoreError> {
        self.write("enrol home", |transaction| homes::enrol(transaction, home, at))
    }

    fn revoke_home(&self, home: &HomeId, at: i64) -> Result<(), StoreError> {
        self.write("revoke home", |transaction| homes::set_revoked(transaction, home, Some(at)))
    }

    fn restore_home(&self, home: &HomeId) -> Result<(), StoreError> {
        self.write("restore home", |transaction| homes::set_revoked(transaction, home, None))
    }

    fn home(&self, home: &HomeId) -> Result<Option<HomeRow>, StoreError> {
        Ok(homes::list(&self.read(), Some(home))?.pop())
    }

    fn homes(&self) -> Result<Vec<HomeRow>, StoreError> {
        homes::list(&self.read(), None)
    }

    fn apply(&self, batch: &IngestBatch) -> Result<Vec<HomeProgress>, StoreError> {
        self.write("apply batch", |transaction| ingest::apply(transaction, batch))
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.write("probe", |transaction| {
            ingest::probe(transaction)?;
            // Written again as it is: a page goes to the log and to the disk, and nothing changes.
            let version: u32 =
                transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(engine("probe"))?;
            transaction.pragma_update(None, "user_version", version).map_err(engine("probe"))
        })
    }

    fn withdraw(&self, withdrawal: &Withdrawal, at: i64) -> Result<WithdrawalRow, StoreError> {
        self.write("withdraw", |transaction| withdrawals::withdraw(transaction, withdrawal, at))
    }

    fn withdrawals(&self, limit: usize) -> Result<Vec<WithdrawalRow>, StoreError> {
        withdrawals::list(&self.read(), limit)
    }

    fn handled(&self, keys: &[RecordKey]) -> Result<Vec<Handled>, StoreError> {
        ingest::handled(&self.read(), keys)
    }

    fn received_since(&self, home: &HomeId, since: i64) -> Result<Received, StoreError> {
        ingest::received_since(&self.read(), home, since)
    }

    fn announced(&self, home: &HomeId, alarm: &AlarmId) -> Result<Option<AnnouncedRow>, StoreError> {
        announced::first(&self.read(), home, alarm)
    }

    fn answered(&self, home: &HomeId, alarm: &AlarmId) -> Result<Option<AnsweredRow>, StoreError> {
        answered::last(&self.read(), home, alarm)
    }

    fn handled_between(&self, home: &HomeId, after: Sequence, before: Sequence) -> Result<u64, StoreError> {
        ingest::handled_between(&self.read(), home, after, before)
    }

    fn feedback(&self, filter: &FeedbackFilter) -> Result<Vec<FeedbackRow>, StoreError> {
        ingest::feedback(&self.read(), filter)
    }

    fn feedback_totals(&self) -> Result<FeedbackTotals, StoreError> {
        ingest::totals(&self.read())
    }

    fn quarantine(&self, limit: usize) -> Result<Vec<QuarantineRow>, StoreError> {
        quarantine::list(&self.read(), limit)
    }

    fn settle_quarantine(
        &self,
        choice: &QuarantineChoice,
        end: QuarantineEnd,
        by: &str,
        reason: &str,
        at: i64,
    ) -> Result<Settled, StoreError> {
        self.write("settle quarantine", |transaction| quarantine::settle(transaction, choice, end, (by, reason), at))
    }

    fn put_snapshot(&self, row: &SnapshotRow) -> Result<(), StoreError> {
        self.write("put snapshot", |transaction| learning::put_snapshot(transaction, row))
    }

    fn snapshot(&self, id: &str) -> Result<Option<SnapshotRow>, StoreError> {
        Ok(learning::snapshots(&self.read(), Some(id), 1)?.pop())
    }

    fn snapshots(&self, limit: usize) -> Result<Vec<SnapshotRow>, StoreError> {
        learning::snapshots(&self.read(), None, limit)
    }

    fn put_run(&self, row: &RunRow) -> Result<(), StoreError> {
        self.write("put run", |transaction| learning::put_run(transaction, row))
    }

    fn run(&self, id: &str) -> Result<Option<RunRow>, StoreError> {
        Ok(learning::runs(&self.read(), Some(id), 1)?.pop())
    }

    fn runs(&self, limit: usize) -> Result<Vec<RunRow>, StoreError> {
        learning::runs(&self.read(), None, limit)
    }

    fn add_model(&self, model: &NewModel) -> Result<ModelRow, StoreError> {
        self.write("add model", |transaction| models::add(transaction, model))
    }

    fn model(&self, version: ModelVersion) -> Result<Option<ModelRow>, StoreError> {
        models::one(&self.read(), version)
    }

    fn models(&self) -> Result<Vec<ModelRow>, StoreError> {
        models::list(&self.read())
    }

    fn champion(&self) -> Result<Option<ModelRow>, StoreError> {
        models::champion(&self.read())
    }

    fn set_model_state(&self, version: ModelVersion, state: ModelState) -> Result<(), StoreError> {
        self.write("set model state", |transaction| models::set_state(transaction, version, state))
    }

    fn put_release(&self, row: &ReleaseRow) -> Result<(), StoreError> {
        self.write("put release", |transaction| models::put_release(transaction, row))
    }

    fn releases(&self) -> Result<Vec<ReleaseRow>, StoreError> {
        models::releases(&self.read())
    }

    fn outcomes(&self, version: Option<ModelVersion>, limit: usize) -> Result<Vec<OutcomeRow>, StoreError> {
        outcomes::list(&self.read(), version, limit)
    }

    fn put_token(&self, row: &TokenRow) -> Result<(), StoreError> {
        self.write("put token", |transaction| people::put_token(transaction, row))
    }

    fn token_by_hash(&self, hash: &Digest) -> Result<Option<TokenRow>, StoreError> {
        people::token_by_hash(&self.read(), hash)
    }

    fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        people::tokens(&self.read())
    }

    fn revoke_token(&self, name: &str, at: i64) -> Result<(), StoreError> {
        self.write("revoke token", |transaction| people::revoke_token(transaction, name, at))
    }

    fn append_audit(&self, entry: &AuditEntry) -> Result<AuditRow, StoreError> {
        self.write("append audit", |transaction| people::append_audit(transaction, entry))
    }

    fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        people::audit(&self.read(), before, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_newer_program_is_refused_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("store.db");
        drop(SqliteStore::open(&file).unwrap());
        Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = SqliteStore::open(&file).err().unwrap();
        let known = MIGRATIONS.len();
        let words = format!("database schema 99 is newer than this program's {known}; run the newer hearthwatch-cloud");
        assert_eq!(error.to_string(), words);
    }

    #[test]
    fn what_was_written_is_there_after_opening_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("store.db");
        SqliteStore::open(&file).unwrap().enrol_home(&crate::testing::home("a"), 5).unwrap();
        assert_eq!(SqliteStore::open(&file).unwrap().homes().unwrap()[0].enrolled_at, 5);
    }
}
