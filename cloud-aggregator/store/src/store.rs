//! The trait that every engine fulfils, and what goes through it.
//!
//! Calls block; async code goes through [`blocking`]. Every method is one transaction: what it says is done is on disk.

use std::sync::Arc;

use hearthwatch_protocol::manifest::SignedManifest;
use hearthwatch_protocol::messages::{AgentStatus, Refusal, RefusalReason, UpdateOutcome, Withdrawal};
use hearthwatch_protocol::{AlarmId, HomeId, ModelVersion, RecordKey, Sequence};

use crate::actor::Actor;
use crate::change::{Change, Note};
use crate::erasure::ErasureStore;
use crate::evaluation::EvaluationStore;
use crate::idempotency::IdempotencyStore;
use crate::lists::ListStore;
use crate::people::PeopleStore;
use crate::rollouts::RolloutStore;
use crate::rounds::RoundStore;
use crate::rows::*;
use crate::run_requests::RunRequestStore;
use crate::standings::StandingStore;

/// Most payloads kept in quarantine; beyond it the home that holds most gives up its oldest. At 512 bytes of prefix and as much
/// around it, 10 MB.
pub const QUARANTINE_ROWS_MAX: u64 = 10_000;

/// Most payloads of one home kept in quarantine; its oldest go first. Twenty days of ten unannounced answers, and a fiftieth of the
/// whole.
pub const QUARANTINE_HOME_ROWS_MAX: u64 = 200;

/// Rows of the quarantine whose whole payload is kept, where it may be let in after all; beyond it the home that holds most gives
/// up its oldest. 2,000 × 8 KiB are 16 MB, and 128 MB if every one had the largest size.
pub const QUARANTINE_PAYLOADS_MAX: u64 = 2_000;

/// Whole payloads of one home that are kept: all of its rows may have one. 200 × 8 KiB are 1.6 MB.
pub const QUARANTINE_HOME_PAYLOADS_MAX: u64 = QUARANTINE_HOME_ROWS_MAX;

/// Announcements kept of a home, by number: at four a day, seven years. One that is gone can no longer be answered.
pub const ANNOUNCED_KEPT: u64 = 10_000;

/// How long a missing record is waited for once later ones are here. An agent resends everything that no receipt
/// covers within minutes of connecting; what is missing a day later was dropped by its bounded outbox.
pub const GAP_PATIENCE_SECONDS: i64 = 24 * 60 * 60;

/// Numbers beyond what was heard of a home that "everything up to" settles in advance: an agent's outbox holds 2,000
/// records, so no honest home has more on their way.
pub const WITHDRAWN_AHEAD_MAX: i64 = 2_000;

/// How far a home's clock may be ahead of ours: an hour covers a wrongly set time zone and any drift without NTP.
pub const CLOCK_AHEAD_SECONDS_MAX: i64 = 3_600;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The engine refused this statement; the same again will fail as well.
    #[error("store {action}: {cause}")]
    Engine {
        /// What was being done, e.g. `list runs`.
        action: &'static str,
        /// What the engine said; for the log alone.
        cause: String,
    },
    /// The engine can do nothing at this moment, whatever it is asked for: the disk is full or fails, the file is locked. Worth trying
    /// again.
    #[error("store {action}: {cause}")]
    Unavailable {
        /// What was being done, e.g. `list runs`.
        action: &'static str,
        /// What the engine said; for the log alone.
        cause: String,
    },
    /// A row holds what this program never writes.
    #[error("store table {table}: {cause}")]
    Corrupt {
        /// Name of the table in the database.
        table: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// There is no row of this identity.
    #[error("no {noun} {id:?}")]
    NotFound {
        /// The kind of row, in one word: `home`, `model`, ….
        noun: &'static str,
        /// What it was looked up by, as text.
        id: String,
    },
    /// Somebody else wrote since the row was read; nothing was changed.
    #[error("{noun} {id} was changed meanwhile: it is {present}")]
    Conflict {
        /// What was to be changed.
        noun: &'static str,
        /// What it was looked up by, as text.
        id: String,
        /// Where it is now, in one word.
        present: String,
        /// Its version now; 0 where it has none.
        row_version: u64,
    },
    /// Without this token nobody could make another.
    #[error("{0:?} is the last admin token in force; make another admin token first")]
    LastAdmin(String),
    /// The database was written by a newer program.
    #[error("database schema {found} is newer than this program's {known}; run the newer hearthwatch-cloud")]
    NewerSchema {
        /// Version of the schema in the file.
        found: u32,
        /// Version of the schema that this program writes.
        known: u32,
    },
}

/// What the store answers, or why it did not do it.
pub type StoreResult<T> = Result<T, StoreError>;

/// A record's end: every record that a home sends gets one, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// The home and the number in its outbox.
    pub key: RecordKey,
    /// SHA-256 of the payload.
    pub digest: Digest,
    /// `None` if it was stored.
    pub refused: Option<RefusalReason>,
}

/// Everything that one batch of messages changes, applied together or not at all.
#[derive(Debug, Clone, Default)]
pub struct IngestBatch {
    /// Answers to store. A key that is there already is left as it is.
    pub feedback: Vec<FeedbackRow>,
    /// Announcements to store.
    pub announced: Vec<AnnouncedRow>,
    /// Homes with an answer that waits for what it rests on.
    pub awaiting: Vec<HomeId>,
    /// Answers that came once more, and the numbers under which they are stored.
    pub repeated: Vec<(Handled, Sequence)>,
    /// Records refused, whose key could be read.
    pub refused: Vec<Handled>,
    /// Payloads to quarantine.
    pub quarantine: Vec<QuarantineRow>,
    /// Self-descriptions, oldest first.
    pub statuses: Vec<(HomeId, AgentStatus)>,
    /// Ends of updates.
    pub outcomes: Vec<(HomeId, UpdateOutcome)>,
    /// What homes say that they run, oldest first.
    pub manifests: Vec<(HomeId, SignedManifest)>,
    /// Homes that want to hear where they stand, though nothing of theirs may be new.
    pub asking: Vec<HomeId>,
    /// When the batch was taken.
    pub at: i64,
}

/// What a home is to be told after a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeProgress {
    /// The home that is to be notified.
    pub home: HomeId,
    /// Every record up to this one was stored or refused.
    pub through: Sequence,
    /// Those refused that the batch moved `through` past.
    pub refused: Vec<Refusal>,
    /// What was handled under the last numbers, `through` the last of them, at most
    /// [`RECEIPT_DIGESTS_MAX`](hearthwatch_protocol::limits::RECEIPT_DIGESTS_MAX); none for a number under which nothing came, zeros for
    /// one that was taken back before.
    pub digests: Vec<Option<Digest>>,
    /// Records given up for lost, because they were still missing [`GAP_PATIENCE_SECONDS`] after later ones had come.
    pub lost: u64,
}

/// The aggregator's memory. Lists are read in parts, by the key of the last row that was read and a number of rows (0 for all of
/// them), so that a row that comes or goes meanwhile neither repeats nor hides another.
pub trait Store:
    ErasureStore
    + EvaluationStore
    + IdempotencyStore
    + ListStore
    + PeopleStore
    + RolloutStore
    + RoundStore
    + RunRequestStore
    + StandingStore
    + Send
    + Sync
    + 'static
{
    /// The engine's name, for logs and the conformance suite.
    fn engine(&self) -> &'static str;

    // homes
    /// Lets a home in. Returns false if it was in already (a revoked home stays revoked).
    fn enrol_home(&self, home: &HomeId, at: i64) -> StoreResult<bool>;
    /// Shuts a home out; [`StoreError::NotFound`] if it never was in.
    fn revoke_home(&self, home: &HomeId, at: i64) -> StoreResult<()>;
    /// Lets a revoked home in again.
    fn restore_home(&self, home: &HomeId) -> StoreResult<()>;
    /// The home of this name; none if it never was let in.
    fn home(&self, home: &HomeId) -> StoreResult<Option<HomeRow>>;
    /// All homes, by name.
    fn homes(&self) -> StoreResult<Vec<HomeRow>> {
        self.homes_after(None, 0)
    }
    /// Homes by name, at most `limit`; only those after `after` if given.
    fn homes_after(&self, after: Option<&HomeId>, limit: usize) -> StoreResult<Vec<HomeRow>>;
    /// The fleet in numbers, from kept counts: a single row is read.
    fn fleet_totals(&self) -> StoreResult<FleetTotals>;

    /// How the homes stand; those last heard before `late_before` are late. Every home's row is read: not for each look of somebody.
    fn fleet_states(&self, late_before: i64) -> StoreResult<FleetStates>;

    // ingest
    /// Applies a batch; afterwards it is durable. Returns the progress of every home that occurs in it, by name.
    fn apply(&self, batch: &IngestBatch) -> StoreResult<Vec<HomeProgress>>;
    /// Writes something that changes nothing, as durably as anything else: an error means that nothing can be stored now.
    fn probe(&self) -> StoreResult<()>;
    /// How those of the `keys` were handled that came before.
    fn handled(&self, keys: &[RecordKey]) -> StoreResult<Vec<Handled>>;
    /// What was stored of a home since `since`.
    fn received_since(&self, home: &HomeId, since: i64) -> StoreResult<Received>;
    /// The first announcement of a home's alarm.
    fn announced(&self, home: &HomeId, alarm: &AlarmId) -> StoreResult<Option<AnnouncedRow>>;
    /// The last stored answer to a home's alarm, also one that was taken back since.
    fn answered(&self, home: &HomeId, alarm: &AlarmId) -> StoreResult<Option<AnsweredRow>>;
    /// How many of a home's numbers between the two, both left out, were stored or refused.
    fn handled_between(&self, home: &HomeId, after: Sequence, before: Sequence) -> StoreResult<u64>;

    /// Deletes the answers that a home takes back and settles their numbers, so that late copies stay out. The same
    /// withdrawal again changes nothing and returns the row that it made.
    fn withdraw(&self, withdrawal: &Withdrawal, at: i64) -> StoreResult<WithdrawalRow>;
    /// Withdrawals, newest first, at most `limit`.
    fn withdrawals(&self, limit: usize) -> StoreResult<Vec<WithdrawalRow>>;

    // feedback
    /// The stored answers with these keys, as far as they are there.
    fn feedback_of(&self, keys: &[RecordKey]) -> StoreResult<Vec<FeedbackRow>>;
    /// Stored answers in order of (home, sequence).
    fn feedback(&self, filter: &FeedbackFilter) -> StoreResult<Vec<FeedbackRow>>;
    /// Stored answers by verdict, from kept counts: a single row is read.
    fn feedback_totals(&self) -> StoreResult<FeedbackTotals>;
    /// Quarantined payloads, newest first, at most `limit`.
    fn quarantine(&self, limit: usize) -> StoreResult<Vec<QuarantineRow>> {
        self.quarantine_before(None, limit)
    }
    /// The same, only those before this id if given.
    fn quarantine_before(&self, before: Option<u64>, limit: usize) -> StoreResult<Vec<QuarantineRow>>;
    /// Lets in or throws away what is chosen and not settled yet, with one line of the audit log, in one step. What is let
    /// in counts as stored now.
    fn settle_quarantine(
        &self,
        choice: &QuarantineChoice,
        end: QuarantineEnd,
        by: &Actor,
        reason: &str,
        at: i64,
    ) -> StoreResult<Settled>;

    // learning
    /// Remembers a snapshot. The same id again changes at most the watermark and the lineage, forward: further answers
    /// were looked at, and none of them became an example.
    fn put_snapshot(&self, row: &SnapshotRow) -> StoreResult<()>;
    /// The snapshot of this id; none if there is none.
    fn snapshot(&self, id: &str) -> StoreResult<Option<SnapshotRow>>;
    /// Snapshots, newest first, at most `limit`.
    fn snapshots(&self, limit: usize) -> StoreResult<Vec<SnapshotRow>> {
        self.snapshots_after(None, limit)
    }
    /// The same, only those that come after the snapshot of this id if given; none if there is no such snapshot.
    fn snapshots_after(&self, after: Option<&str>, limit: usize) -> StoreResult<Vec<SnapshotRow>>;
    /// What the newest snapshot's lineage says of the champion's recall, as JSON.
    fn newest_recall(&self) -> StoreResult<Option<String>>;
    /// Writes a run, replacing the row of the same id.
    fn put_run(&self, row: &RunRow) -> StoreResult<()>;
    /// The run of this id; none if there is none. Ids of requests are not looked for.
    fn run(&self, id: &str) -> StoreResult<Option<RunRow>>;
    /// Runs, newest first, at most `limit`.
    fn runs(&self, limit: usize) -> StoreResult<Vec<RunRow>> {
        self.runs_after(None, limit)
    }
    /// The same, only those that come after the run of this id if given; none if there is no such run.
    fn runs_after(&self, after: Option<&str>, limit: usize) -> StoreResult<Vec<RunRow>>;
    /// Marks a run as promoted whose candidate the gate held back; [`StoreError::Conflict`] if it is neither held nor promoted.
    fn promote_run(&self, id: &str) -> StoreResult<()>;

    // models and releases
    /// Gives the next version to a model; the model of a run that has one already keeps it.
    fn add_model(&self, model: &NewModel) -> StoreResult<ModelRow>;
    /// The model of this version; none if it was never made.
    fn model(&self, version: ModelVersion) -> StoreResult<Option<ModelRow>>;
    /// All models, newest version first.
    fn models(&self) -> StoreResult<Vec<ModelRow>> {
        self.models_before(None, 0)
    }
    /// The fleet's current model, if there is one.
    fn champion(&self) -> StoreResult<Option<ModelRow>>;
    /// Models, newest version first, at most `limit`; only versions below `before` if given.
    fn models_before(&self, before: Option<ModelVersion>, limit: usize) -> StoreResult<Vec<ModelRow>>;
    /// Changes what became of a model, which must still be the row that was read: else [`StoreError::Conflict`].
    fn set_model_state(&self, seen: &ModelRow, state: ModelState) -> StoreResult<()>;
    /// Records a release and makes its model the champion, retiring the one before, in one step. [`StoreError::Conflict`] if the
    /// model was withdrawn meanwhile.
    fn put_release(&self, row: &ReleaseRow) -> StoreResult<()>;
    /// All releases, newest version first.
    fn releases(&self) -> StoreResult<Vec<ReleaseRow>> {
        self.releases_before(None, 0)
    }
    /// The same, at most `limit`; only versions below `before` if given.
    fn releases_before(&self, before: Option<ModelVersion>, limit: usize) -> StoreResult<Vec<ReleaseRow>>;
    /// The last words of homes on how updates ended, newest first, at most `limit` (0 for all); of one release if `version` is given.
    /// A home has at most two for each release: one that weighs on it, one about the way to it.
    fn outcomes(&self, version: Option<ModelVersion>, limit: usize) -> StoreResult<Vec<OutcomeRow>>;
    /// Ends of one release, newest first, at most `limit`; only those that come after this one if given.
    fn outcomes_after(
        &self,
        version: ModelVersion,
        after: Option<&OutcomeKey>,
        limit: usize,
    ) -> StoreResult<Vec<OutcomeRow>>;
    /// Whether a home's word on a release is new: homes repeat it until they are sure that it was heard.
    fn is_new_outcome(&self, home: &HomeId, outcome: &UpdateOutcome) -> StoreResult<bool>;
    /// How many ends of each kind a release had.
    fn outcome_totals(&self, version: ModelVersion) -> StoreResult<OutcomeTotals>;

    // people
    /// Changes something with its line of the audit log, in one step: the line says what was before and what is after.
    fn change(&self, change: &Change, note: &Note) -> StoreResult<AuditRow>;
    /// The same, taken back at once: the line that the log would have, or the error.
    fn try_change(&self, change: &Change, note: &Note) -> StoreResult<AuditRow>;
    /// Writes a token; one of the same name is replaced if it was withdrawn, else it is a [`StoreError::Conflict`].
    fn put_token(&self, row: &TokenRow) -> StoreResult<()>;
    /// The token with this hash.
    fn token_by_hash(&self, hash: &Digest) -> StoreResult<Option<TokenRow>>;
    /// All tokens, by name.
    fn tokens(&self) -> StoreResult<Vec<TokenRow>> {
        self.tokens_after(None, 0)
    }
    /// Tokens by name, at most `limit`; only those after `after` if given.
    fn tokens_after(&self, after: Option<&str>, limit: usize) -> StoreResult<Vec<TokenRow>>;
    /// Withdraws a token; [`StoreError::LastAdmin`] if no other admin token would be in force at `at`.
    fn revoke_token(&self, name: &str, at: i64) -> StoreResult<()>;
    /// Appends to the audit log.
    fn append_audit(&self, entry: &AuditEntry) -> StoreResult<AuditRow>;
    /// Lines of the audit log after this one, oldest first, at most `limit`.
    fn audit_after(&self, after: u64, limit: usize) -> StoreResult<Vec<AuditRow>>;
    /// Up to which line the audit log was sent to a webhook; none if it is new.
    fn webhook_position(&self, name: &str) -> StoreResult<Option<u64>>;
    /// Remembers up to which line the audit log was sent to a webhook.
    fn set_webhook_position(&self, name: &str, position: u64) -> StoreResult<()>;
    /// The audit log, newest first, at most `limit`; only lines before `before` if given.
    fn audit(&self, before: Option<u64>, limit: usize) -> StoreResult<Vec<AuditRow>>;
}

/// A model that is to get a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewModel {
    /// Hex SHA-256 of the artifact.
    pub sha256: String,
    /// The artifact's length in bytes.
    pub length: u64,
    /// Canonical hash of the tensors.
    pub weights_id: String,
    /// The run that made it; empty for a model given from outside.
    pub run: String,
    /// When it gets its version, Unix seconds.
    pub at: i64,
}

/// Runs `work` on the store without holding up the async runtime.
///
/// # Errors
/// What `work` returns; [`StoreError::Engine`] if it panicked.
pub async fn blocking<T, F>(store: &Arc<dyn Store>, work: F) -> StoreResult<T>
where
    T: Send + 'static,
    F: FnOnce(&dyn Store) -> StoreResult<T> + Send + 'static,
{
    let store = Arc::clone(store);
    tokio::task::spawn_blocking(move || work(store.as_ref()))
        .await
        .unwrap_or_else(|error| Err(StoreError::Engine { action: "task", cause: error.to_string() }))
}
