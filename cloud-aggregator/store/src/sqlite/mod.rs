//! The embedded engine: one file, write-ahead log, one writer.

mod announced;
mod answered;
mod change;
mod copy;
mod erasure;
mod evaluation;
mod homes;
mod idempotency;
mod ingest;
mod learning;
mod lineage;
mod lists;
mod models;
mod outcomes;
mod people;
mod quarantine;
mod query;
mod readers;
mod rollouts;
mod rounds;
mod run_requests;
mod standings;
mod tags;
mod tokens;
mod withdrawals;

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hearthwatch_protocol::messages::{UpdateOutcome, Withdrawal};
use hearthwatch_protocol::{AlarmId, HomeId, ModelVersion, RecordKey, Sequence};
use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use self::copy::{Contents, admin_tokens, contents, copy_database};
use self::readers::{Lent, Readers};
use crate::actor::Actor;
use crate::change::{Change, Note};
use crate::erasure::{Erased, ErasureStore, Forgotten, KeptSince};
use crate::rows::{
    AnnouncedRow, AnsweredRow, AuditEntry, AuditRow, Digest, FeedbackFilter, FeedbackRow, FeedbackTotals, FleetStates,
    FleetTotals, HomeRow, ModelRow, ModelState, OutcomeKey, OutcomeRow, OutcomeTotals, QuarantineChoice, QuarantineEnd,
    QuarantineRow, Received, ReleaseRow, RunRow, Settled, SnapshotRow, TokenRow, WithdrawalRow,
};
use crate::store::{Handled, HomeProgress, IngestBatch, NewModel, Store, StoreError, StoreResult};

/// Every change of the schema, in order; `user_version` counts how many a file has seen.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
    include_str!("migrations/0010.sql"),
    include_str!("migrations/0011.sql"),
    include_str!("migrations/0012.sql"),
    include_str!("migrations/0013.sql"),
    include_str!("migrations/0014.sql"),
];

/// Version of the schema that this program writes.
pub const SCHEMA: u32 = MIGRATIONS.len() as u32;

/// How long a statement waits for a lock that another process holds (a backup, an operator's shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A store in one SQLite file. Writes take turns on one connection; reads have others (`readers`), never wait for a write, and
/// those of single rows never wait for those of many.
pub struct SqliteStore {
    writer: Mutex<Connection>,
    readers: Readers,
}

impl SqliteStore {
    /// Opens or makes the database `file`, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Engine`] when it cannot be opened, [`StoreError::NewerSchema`] when a newer program wrote it.
    pub fn open(file: &Path) -> StoreResult<Self> {
        create_private(file)?;
        let mut writer = connect(file)?;
        overwrite_deleted(&writer)?;
        migrate(&mut writer)?;
        ingest::fill_columns(&mut writer)?;
        lineage::prepare(&mut writer)?;
        outcomes::move_those_of_before(&mut writer)?;
        Ok(Self { writer: Mutex::new(writer), readers: Readers::open(file)? })
    }

    /// A connection for lists and sums.
    fn read(&self) -> Lent<'_> {
        self.readers.long()
    }

    /// A connection for single rows.
    fn look_up(&self) -> Lent<'_> {
        self.readers.short()
    }

    /// Runs `work` in a transaction that is durable when this returns; an error undoes all of it.
    fn write<T>(&self, action: &'static str, work: impl FnOnce(&Transaction<'_>) -> StoreResult<T>) -> StoreResult<T> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(engine(action))?;
        let result = work(&transaction)?;
        lineage::seal(&transaction)?;
        transaction.commit().map_err(engine(action))?;
        Ok(result)
    }
}

/// Makes the file if it is not there, for its owner alone: SQLite would make it readable for all, and gives the files that it
/// keeps beside it the same mode.
fn create_private(file: &Path) -> StoreResult<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(StoreError::Engine { action: "open", cause: format!("{}: {error}", file.display()) })
        }
        _ => Ok(()),
    }
}

fn connect(file: &Path) -> StoreResult<Connection> {
    let connection = Connection::open(file).map_err(engine("open"))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(engine("open"))?;
    connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))
        .map_err(engine("open"))?;
    // FULL, not NORMAL: in WAL mode NORMAL may lose the last commits with the power, and their receipts are out by then.
    connection.pragma_update(None, "synchronous", "full").map_err(engine("open"))?;
    Ok(connection)
}

/// Has what is deleted overwritten in the file: an answer that a home takes back is to be gone, and not only out of sight.
fn overwrite_deleted(connection: &Connection) -> StoreResult<()> {
    let set = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    connection.pragma_update_and_check(None, "secure_delete", true, set).map(drop).map_err(engine("open"))
}

fn migrate(connection: &mut Connection) -> StoreResult<()> {
    let known = MIGRATIONS.len();
    let found = schema_version(connection).map_err(engine("read schema version"))?;
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

fn schema_version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
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

/// The error of a write that came too late: the row is `now` in this state and version, or not there at all.
fn lost(noun: &'static str, id: String, now: Option<(&str, u64)>) -> StoreError {
    match now {
        None => StoreError::NotFound { noun, id },
        Some((present, row_version)) => StoreError::Conflict { noun, id, present: present.to_owned(), row_version },
    }
}

/// Of a change of one row: an error if there was none to change.
fn found(changed: usize, noun: &'static str, id: impl std::fmt::Display) -> StoreResult<()> {
    if changed > 0 { Ok(()) } else { Err(StoreError::NotFound { noun, id: id.to_string() }) }
}

/// SQLite's integers are signed; nothing here counts so far that it matters.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A limit of 0 means none; SQLite spells that -1.
fn limited(limit: usize) -> i64 {
    if limit == 0 { -1 } else { i64::try_from(limit).unwrap_or(i64::MAX) }
}

impl ErasureStore for SqliteStore {
    fn erase_home(&self, home: &HomeId, dry_run: bool) -> StoreResult<Erased> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let work = |writer: &mut Connection| {
            let behavior = TransactionBehavior::Immediate;
            let transaction = writer.transaction_with_behavior(behavior).map_err(engine("erase a home"))?;
            homes::one(&transaction, home)?
                .ok_or_else(|| StoreError::NotFound { noun: "home", id: home.to_string() })?;
            let erased = erasure::erase(&transaction, home)?;
            if dry_run {
                transaction.rollback().map_err(engine("erase a home"))?;
            } else {
                lineage::seal(&transaction)?;
                transaction.commit().map_err(engine("erase a home"))?;
            }
            Ok(erased)
        };
        let erased = work(&mut writer);
        if !dry_run && erased.is_ok() {
            erasure::empty_log(&writer)?;
        }
        erased
    }

    fn forget_older(&self, since: KeptSince, most: usize) -> StoreResult<Forgotten> {
        self.write("forget", |transaction| erasure::forget_older(transaction, since, most))
    }
}

impl Store for SqliteStore {
    fn engine(&self) -> &'static str {
        "sqlite"
    }

    fn enrol_home(&self, home: &HomeId, at: i64) -> StoreResult<bool> {
        self.write("enrol home", |transaction| homes::enrol(transaction, home, at))
    }

    fn revoke_home(&self, home: &HomeId, at: i64) -> StoreResult<()> {
        self.write("revoke home", |transaction| homes::set_revoked(transaction, home, Some(at)))
    }

    fn restore_home(&self, home: &HomeId) -> StoreResult<()> {
        self.write("restore home", |transaction| homes::set_revoked(transaction, home, None))
    }

    fn home(&self, home: &HomeId) -> StoreResult<Option<HomeRow>> {
        homes::one(&self.look_up(), home)
    }

    fn homes_after(&self, after: Option<&HomeId>, limit: usize) -> StoreResult<Vec<HomeRow>> {
        homes::list(&self.read(), after, limit)
    }

    fn fleet_totals(&self) -> StoreResult<FleetTotals> {
        homes::totals(&self.look_up())
    }

    fn fleet_states(&self, late_before: i64) -> StoreResult<FleetStates> {
        homes::states(&self.read(), late_before)
    }

    fn apply(&self, batch: &IngestBatch) -> StoreResult<Vec<HomeProgress>> {
        self.write("apply batch", |transaction| ingest::apply(transaction, batch))
    }

    fn probe(&self) -> StoreResult<()> {
        self.write("probe", |transaction| {
            ingest::probe(transaction)?;
            // Written again as it is: a page goes to the log and to the disk, and nothing changes.
            let version = schema_version(transaction).map_err(engine("probe"))?;
            transaction.pragma_update(None, "user_version", version).map_err(engine("probe"))
        })
    }

    fn withdraw(&self, withdrawal: &Withdrawal, at: i64) -> StoreResult<WithdrawalRow> {
        self.write("withdraw", |transaction| withdrawals::withdraw(transaction, withdrawal, at))
    }

    fn withdrawals(&self, limit: usize) -> StoreResult<Vec<WithdrawalRow>> {
        withdrawals::list(&self.read(), limit)
    }

    fn handled(&self, keys: &[RecordKey]) -> StoreResult<Vec<Handled>> {
        ingest::handled(&self.look_up(), keys)
    }

    fn received_since(&self, home: &HomeId, since: i64) -> StoreResult<Received> {
        ingest::received_since(&self.look_up(), home, since)
    }

    fn announced(&self, home: &HomeId, alarm: &AlarmId) -> StoreResult<Option<AnnouncedRow>> {
        announced::first(&self.look_up(), home, alarm)
    }

    fn answered(&self, home: &HomeId, alarm: &AlarmId) -> StoreResult<Option<AnsweredRow>> {
        answered::last(&self.look_up(), home, alarm)
    }

    fn handled_between(&self, home: &HomeId, after: Sequence, before: Sequence) -> StoreResult<u64> {
        ingest::handled_between(&self.look_up(), home, after, before)
    }

    fn feedback(&self, filter: &FeedbackFilter) -> StoreResult<Vec<FeedbackRow>> {
        ingest::feedback(&self.read(), filter)
    }

    fn feedback_of(&self, keys: &[RecordKey]) -> StoreResult<Vec<FeedbackRow>> {
        ingest::feedback_of(&self.read(), keys)
    }

    fn feedback_totals(&self) -> StoreResult<FeedbackTotals> {
        ingest::totals(&self.look_up())
    }

    fn quarantine_before(&self, before: Option<u64>, limit: usize) -> StoreResult<Vec<QuarantineRow>> {
        quarantine::list(&self.read(), before, limit)
    }

    fn settle_quarantine(
        &self,
        choice: &QuarantineChoice,
        end: QuarantineEnd,
        by: &Actor,
        reason: &str,
        at: i64,
    ) -> StoreResult<Settled> {
        let by = by.to_string();
        self.write("settle quarantine", |transaction| quarantine::settle(transaction, choice, end, (&by, reason), at))
    }

    fn put_snapshot(&self, row: &SnapshotRow) -> StoreResult<()> {
        self.write("put snapshot", |transaction| learning::put_snapshot(transaction, row))
    }

    fn snapshot(&self, id: &str) -> StoreResult<Option<SnapshotRow>> {
        learning::snapshot(&self.look_up(), id)
    }

    fn snapshots_after(&self, after: Option<&str>, limit: usize) -> StoreResult<Vec<SnapshotRow>> {
        learning::snapshots(&self.read(), after, limit)
    }

    fn newest_recall(&self) -> StoreResult<Option<String>> {
        learning::newest_recall(&self.look_up())
    }

    fn put_run(&self, row: &RunRow) -> StoreResult<()> {
        self.write("put run", |transaction| learning::put_run(transaction, row))
    }

    fn run(&self, id: &str) -> StoreResult<Option<RunRow>> {
        learning::run(&self.look_up(), id)
    }

    fn runs_after(&self, after: Option<&str>, limit: usize) -> StoreResult<Vec<RunRow>> {
        learning::runs(&self.read(), after, limit)
    }

    fn promote_run(&self, id: &str) -> StoreResult<()> {
        self.write("promote run", |transaction| learning::promote_run(transaction, id))
    }

    fn add_model(&self, model: &NewModel) -> StoreResult<ModelRow> {
        self.write("add model", |transaction| models::add(transaction, model))
    }

    fn model(&self, version: ModelVersion) -> StoreResult<Option<ModelRow>> {
        models::one(&self.look_up(), version)
    }

    fn models_before(&self, before: Option<ModelVersion>, limit: usize) -> StoreResult<Vec<ModelRow>> {
        models::list(&self.read(), before, limit)
    }

    fn champion(&self) -> StoreResult<Option<ModelRow>> {
        models::champion(&self.look_up())
    }

    fn set_model_state(&self, seen: &ModelRow, state: ModelState) -> StoreResult<()> {
        self.write("set model state", |transaction| models::set_state(transaction, seen, state))
    }

    fn put_release(&self, row: &ReleaseRow) -> StoreResult<()> {
        self.write("put release", |transaction| models::put_release(transaction, row))
    }

    fn releases_before(&self, before: Option<ModelVersion>, limit: usize) -> StoreResult<Vec<ReleaseRow>> {
        models::releases(&self.read(), before, limit)
    }

    fn outcomes(&self, version: Option<ModelVersion>, limit: usize) -> StoreResult<Vec<OutcomeRow>> {
        outcomes::list(&self.read(), version, limit)
    }

    fn outcomes_after(
        &self,
        version: ModelVersion,
        after: Option<&OutcomeKey>,
        limit: usize,
    ) -> StoreResult<Vec<OutcomeRow>> {
        outcomes::list_after(&self.read(), version, after, limit)
    }

    fn is_new_outcome(&self, home: &HomeId, outcome: &UpdateOutcome) -> StoreResult<bool> {
        outcomes::is_news(&self.read(), home, outcome)
    }

    fn outcome_totals(&self, version: ModelVersion) -> StoreResult<OutcomeTotals> {
        outcomes::totals(&self.read(), version)
    }

    fn change(&self, change: &Change, note: &Note) -> StoreResult<AuditRow> {
        self.write("change", |transaction| change::change(transaction, change, note))
    }

    fn try_change(&self, change: &Change, note: &Note) -> StoreResult<AuditRow> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(engine("try"))?;
        let line = change::change(&transaction, change, note);
        transaction.rollback().map_err(engine("try"))?;
        line
    }

    fn put_token(&self, row: &TokenRow) -> StoreResult<()> {
        self.write("put token", |transaction| tokens::put_token(transaction, row))
    }

    fn token_by_hash(&self, hash: &Digest) -> StoreResult<Option<TokenRow>> {
        tokens::token_by_hash(&self.look_up(), hash)
    }

    fn tokens_after(&self, after: Option<&str>, limit: usize) -> StoreResult<Vec<TokenRow>> {
        tokens::tokens(&self.read(), after, limit)
    }

    fn revoke_token(&self, name: &str, at: i64) -> StoreResult<()> {
        self.write("revoke token", |transaction| tokens::revoke_token(transaction, name, at))
    }

    fn append_audit(&self, entry: &AuditEntry) -> StoreResult<AuditRow> {
        self.write("append audit", |transaction| tokens::append_audit(transaction, entry))
    }

    fn audit_after(&self, after: u64, limit: usize) -> StoreResult<Vec<AuditRow>> {
        tokens::audit_after(&self.read(), after, limit)
    }

    fn webhook_position(&self, name: &str) -> StoreResult<Option<u64>> {
        tokens::webhook_position(&self.look_up(), name)
    }

    fn set_webhook_position(&self, name: &str, position: u64) -> StoreResult<()> {
        self.write("note a webhook", |transaction| tokens::set_webhook_position(transaction, name, position))
    }

    fn audit(&self, before: Option<u64>, limit: usize) -> StoreResult<Vec<AuditRow>> {
        tokens::audit(&self.read(), before, limit)
    }
}

#[cfg(test)]
mod migration_tests;
#[cfg(test)]
mod totals_tests;

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
    fn an_older_store_is_counted_once_when_it_opens_and_its_audit_log_stays_a_chain() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("store.db");
        let old = Connection::open(&file).unwrap();
        for script in &MIGRATIONS[..6] {
            old.execute_batch(script).unwrap();
        }
        old.pragma_update(None, "user_version", 6).unwrap();
        old.execute_batch(
            "INSERT INTO homes (home, enrolled_at, online, outbox) VALUES ('a', 1, 1, 4), ('b', 1, 0, 2);
             INSERT INTO feedback (home, sequence, digest, verdict, received_at, payload)
                 VALUES ('a', 1, x'', 'confirmed', 86400, x''), ('a', 2, x'', 'expected', 86400, x'');
             INSERT INTO assignments VALUES ('a', 1, 7, zeroblob(16), 1, 2, x''), ('a', 2, 8, zeroblob(16), 1, 2, x'');
             INSERT INTO rollouts (model_version, policy, state, started_at) VALUES (8, '', 'halted', 1);",
        )
        .unwrap();
        // A line by the rule of its time: the actor is a bare name.
        let actor = Actor::Untyped("ada".to_owned());
        let entry = AuditEntry { at: 5, actor, ..crate::fixtures::entry("home.revoke", "a") };
        tokens::append_audit(&old, &entry).unwrap();
        drop(old);
        let store = SqliteStore::open(&file).unwrap();
        let fleet = FleetTotals { homes: 2, online: 1, waiting: 6 };
        assert_eq!(store.fleet_totals().unwrap(), fleet);
        let totals = FeedbackTotals { records: 2, confirmed: 1, dismissed: 0, expected: 1, homes: 1 };
        assert_eq!(store.feedback_totals().unwrap(), totals);
        use crate::rollouts::RolloutStore as _;
        assert_eq!(store.assignments().unwrap()[0].generation, 2);
        let home = crate::fixtures::home("a");
        assert!(store.may_deliver(&home, 2).unwrap(), "what was ordered before counts as delivered");
        assert_eq!(store.rollout(ModelVersion(8)).unwrap().unwrap().row_version, 1);
        let next = store.append_audit(&AuditEntry { actor: Actor::System, ..entry.clone() }).unwrap();
        let old = store.audit(None, 0).unwrap().remove(1);
        assert_eq!((old.actor, old.hash), (entry.actor.clone(), entry.hash(1, &[0; 32])));
        assert_eq!(next.previous, old.hash);
    }

    #[test]
    fn what_was_written_is_there_after_opening_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("store.db");
        SqliteStore::open(&file).unwrap().enrol_home(&crate::fixtures::home("a"), 5).unwrap();
        assert_eq!(SqliteStore::open(&file).unwrap().homes().unwrap()[0].enrolled_at, 5);
    }
}
