//! What the store keeps, one type for each table. All times are Unix seconds.

use bytes::Bytes;
use hearthwatch_protocol::messages::{
    FeedbackRecord, RefusalReason, UpdateOutcome, UpdateResult, UpdateStage, Verdict,
};
use hearthwatch_protocol::{AlarmId, HomeId, ModelVersion, RecordKey, Sequence};

use super::Actor;

/// A SHA-256 hash, as bytes.
pub type Digest = [u8; 32];

/// Makes an enum whose variants have one word each, their own name in snake case: in tables, metrics, JSON.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
            strum::EnumString, strum::IntoStaticStr, strum::VariantArray, utoipa::ToSchema,
        )]
        #[serde(rename_all = "snake_case")]
        #[strum(serialize_all = "snake_case")]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// The word for it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                self.into()
            }

            /// The variant that `word` stands for; none for any other text.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                word.parse().ok()
            }
        }
    };
}
pub(crate) use words;

/// A home, as far as the aggregator knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeRow {
    /// The name in its certificate.
    pub home: HomeId,
    /// When it was let in.
    pub enrolled_at: i64,
    /// When it was shut out, if it was: nothing of it is admitted from then on.
    pub revoked_at: Option<i64>,
    /// Every record up to this one was stored or refused; what the last receipt said.
    pub through: Sequence,
    /// Since when a number after `through` is missing while later ones are here, or wait for it.
    pub gap_since: Option<i64>,
    /// When it announced an alarm for the first time.
    pub announces_since: Option<i64>,
    /// Stored answers, those that it took back left out.
    pub records: u64,
    /// What its agent last said of itself; none before it did.
    pub status: Option<StatusRow>,
    /// Counts up when somebody shuts it out or lets it in again.
    pub row_version: u64,
}

/// What an agent last said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRow {
    /// False after a will or a clean stop.
    pub online: bool,
    /// Version of the agent's program, e.g. `0.1.0`.
    pub agent_version: String,
    /// The model in charge there.
    pub model_version: ModelVersion,
    /// Entities that it watches.
    pub entities: u32,
    /// Records that wait for a receipt.
    pub outbox: u32,
    /// When this was heard, by the aggregator's clock.
    pub heard_at: i64,
}

/// A stored answer. Its key is the home and the record's sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedbackRow {
    /// What the home said.
    pub record: FeedbackRecord,
    /// The payload, byte for byte as it travelled.
    pub payload: Bytes,
    /// SHA-256 of the payload.
    pub digest: Digest,
    /// When it was stored, by the aggregator's clock.
    pub received_at: i64,
    /// Whether it was admitted unannounced, as one of the day's few.
    pub grace: bool,
    /// The line of the audit log by which an operator let it out of quarantine.
    pub lift: Option<u64>,
}

/// What a home said of an alarm before anybody answered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnouncedRow {
    /// The home that announced it.
    pub home: HomeId,
    /// Its number in the home's outbox; answers and announcements count together.
    pub sequence: Sequence,
    /// Which alarm or question.
    pub alarm: AlarmId,
    /// The model that raised it.
    pub model_version: ModelVersion,
    /// Hash of the window ([`hearthwatch_protocol::messages::FeatureWindow::digest`]).
    pub window: Digest,
    /// SHA-256 of the payload.
    pub digest: Digest,
    /// When it was stored, by the aggregator's clock.
    pub received_at: i64,
}

/// How long the last answer to an alarm is known by the alarm: what a home without a disk may say again is ten days old at most.
pub const ANSWERED_KEPT_SECONDS: i64 = 40 * 86_400;

/// The last stored answer to an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnsweredRow {
    /// Number of that answer in the home's outbox.
    pub sequence: Sequence,
    /// What the resident said in it.
    pub verdict: Verdict,
    /// When it was given, by the home's clock.
    pub answered_at: i64,
    /// When the home took it back.
    pub withdrawn_at: Option<i64>,
}

/// What was stored of a home within some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Received {
    /// Stored answers.
    pub answers: u64,
    /// Of these: admitted without an announcement, as some of the day's few.
    pub unannounced: u64,
    /// Stored announcements; they have a quota of their own.
    pub announcements: u64,
}

/// How much feedback there is, without the windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedbackTotals {
    /// Stored answers, of all homes and verdicts.
    pub records: u64,
    /// Of these, answered *confirmed*.
    pub confirmed: u64,
    /// Of these, answered *dismissed*.
    pub dismissed: u64,
    /// Of these, answered *expected*.
    pub expected: u64,
    /// Homes with at least one record.
    pub homes: u64,
}

/// The fleet in numbers, kept up to date with every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FleetTotals {
    /// Homes that were ever let in.
    pub homes: u64,
    /// Of these, neither shut out nor offline by their last word.
    pub online: u64,
    /// Records that wait in the homes' outboxes, by their last word.
    pub waiting: u64,
}

/// How the homes stand, in numbers. Each is counted in one state, whether excluded or not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetStates {
    /// Online by their last word.
    pub online: u64,
    /// Offline since not long.
    pub offline: u64,
    /// Offline, and not heard for long.
    pub late: u64,
    /// Let in, and never heard.
    pub never_seen: u64,
    /// Shut out.
    pub revoked: u64,
    /// Of those that are not shut out, the homes whose answers are kept and not learnt from.
    pub excluded: u64,
    /// How many of those that are not shut out said last that they run which model, by version.
    pub running: Vec<(ModelVersion, u64)>,
}

/// How a release ended on the homes, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutcomeTotals {
    /// Homes whose last word is *installed*.
    pub installed: u64,
    /// Homes on which it never took charge.
    pub refused: u64,
    /// Homes on which it took charge and gave way.
    pub rolled_back: u64,
    /// Homes that told of nothing but the way to the release: a mirror, its metadata.
    pub undelivered: u64,
}

/// Where the next page of a release's outcomes begins: after this row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeKey {
    /// When it was heard, by the aggregator's clock.
    pub received_at: i64,
    /// The home that reported it.
    pub home: HomeId,
    /// When it was, by the home's clock.
    pub at: i64,
}

/// Which stored answers to list, in order of (home, sequence).
#[derive(Debug, Clone, Default)]
pub struct FeedbackFilter {
    /// Only answers of this home; of all homes if none.
    pub home: Option<HomeId>,
    /// Only those after this key.
    pub after: Option<RecordKey>,
    /// At most so many; 0 means all of them.
    pub limit: usize,
}

/// A payload that was not admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineRow {
    /// Its position in the quarantine, counted up; 0 in a row that is yet to be stored.
    pub id: u64,
    /// Why it was refused.
    pub reason: RefusalReason,
    /// One line for the operator.
    pub detail: String,
    /// The topic it came on, shortened.
    pub topic: String,
    /// The home that sent it, where the topic names one.
    pub home: Option<HomeId>,
    /// Its sequence, where it could be read.
    pub sequence: Option<Sequence>,
    /// The payload's first bytes.
    pub prefix: Vec<u8>,
    /// The whole payload's length in bytes.
    pub length: u64,
    /// The whole payload, where it may be let in after all.
    pub payload: Option<Bytes>,
    /// What an operator made of it; none yet.
    pub settled: Option<Settlement>,
    /// When it came, Unix seconds.
    pub at: i64,
}

words! {
    /// What an operator makes of something in quarantine.
    QuarantineEnd {
        /// Let in: stored as if it had been admitted.
        Lifted,
        /// Thrown away: its payload is gone.
        Discarded,
    }
}

/// Who settled something in quarantine, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Whether it was let in or thrown away.
    pub end: QuarantineEnd,
    /// An [`Actor`]: a token, or the home itself where it took its answer back.
    pub by: String,
    /// When it was settled, Unix seconds.
    pub at: i64,
}

/// Which of the quarantine is meant; settled rows never are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuarantineChoice {
    /// The row of this id.
    Row(u64),
    /// All of one home for one reason.
    HomeReason(HomeId, RefusalReason),
}

/// What became of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// Rows that were settled.
    pub rows: u64,
    /// Rows that could not be: their payload is not kept, or their number is taken by another answer.
    pub left: u64,
    /// The audit log's line; none when nothing was settled.
    pub audit: Option<u64>,
}

/// Answers that a home took back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawalRow {
    /// The home that took them back.
    pub home: HomeId,
    /// The home's own number of it.
    pub id: u64,
    /// When the resident asked, by the home's clock.
    pub asked_at: i64,
    /// Answers and announcements that were stored and are deleted.
    pub removed: u64,
    /// When they were deleted, Unix seconds.
    pub at: i64,
}

/// An immutable data set: which answers a run learned from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRow {
    /// Hex SHA-256 of its canonical bytes; also its file's name.
    pub id: String,
    /// When it was first taken.
    pub created_at: i64,
    /// Examples in it, one for each answer.
    pub rows: u64,
    /// Homes with at least one example in it.
    pub homes: u64,
    /// Stored records that were looked at, the newest of them included.
    pub watermark: u64,
    /// Hash of the recorded sets that go with it.
    pub corpus: String,
    /// Lineage as JSON: per home the first and last sequence, what was left out, and why.
    pub lineage: String,
}

words! {
    /// What made a run start.
    RunTrigger {
        /// As many new answers as `trigger_count` asks for.
        Count,
        /// The time had come.
        Schedule,
        /// Incoming windows are no longer as they were.
        Drift,
        /// Residents confirm less than before the last run.
        Confirmations,
        /// Answers about a class waited as long as they may.
        Freshness,
        /// An operator asked, by the API.
        Hand,
    }
}

words! {
    /// Where a run is.
    RunState {
        /// It trains or is being judged.
        Running,
        /// The gate let its candidate through; the release is on its way or waits for a person.
        Promoted,
        /// The gate held its candidate back; the report says why.
        Held,
        /// It broke; the row says how.
        Failed,
        /// Somebody ended it before its time; the row says who.
        Cancelled,
    }
}

/// One retraining, from its data set to the gate's verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// Hex hash of snapshot, champion and configuration: the same work has the same id.
    pub id: String,
    /// What it learned from.
    pub snapshot: String,
    /// Whether a person asked, or a rule of `[training]` did.
    pub trigger: RunTrigger,
    /// The whole training configuration, as JSON.
    pub config: String,
    /// The model that its candidate had to beat besides the baseline detector.
    pub champion: Option<ModelVersion>,
    /// Whether it works, or how it ended.
    pub state: RunState,
    /// When it started; of a run that was taken up again, the last time.
    pub started_at: i64,
    /// When it ended; none while it works.
    pub ended_at: Option<i64>,
    /// Hex SHA-256 of the challenger's artifact, once there is one.
    pub challenger: Option<String>,
    /// The gate's report, as JSON, once there is one.
    pub report: Option<String>,
    /// What went wrong, in a failed run.
    pub failure: Option<String>,
}

words! {
    /// What became of a model.
    ModelState {
        /// Made by the gate's consent, not yet out.
        Approved,
        /// Let through by the gate; the signer waits for a second person's word on it.
        AwaitingSignature,
        /// The fleet's current model.
        Champion,
        /// Was champion until a later release.
        Retired,
        /// Withdrawn by a person.
        Withdrawn,
    }
}

/// A model that has a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRow {
    /// Counts up from 1, given by the store.
    pub version: ModelVersion,
    /// Hex SHA-256 of the artifact.
    pub sha256: String,
    /// The artifact's length in bytes.
    pub length: u64,
    /// Canonical hash of the tensors.
    pub weights_id: String,
    /// The run that made it, `again:RUN:WHEN` if it was put in charge again; empty for one given from outside.
    pub run: String,
    /// Whether it is out, in charge, or withdrawn.
    pub state: ModelState,
    /// When it got its version.
    pub created_at: i64,
    /// Counts up with every change of `state`: a change names the one that it read.
    pub row_version: u64,
}

/// A model let out to the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRow {
    /// Version of the model; a model is let out once.
    pub model_version: ModelVersion,
    /// Name of the file in the TUF repository: `model-N.safetensors`.
    pub target: String,
    /// Hex SHA-256 of the artifact.
    pub sha256: String,
    /// The artifact's length in bytes.
    pub length: u64,
    /// Hex SHA-256 of the gate's report (its JSON bytes).
    pub report_sha256: String,
    /// When it was signed and published.
    pub released_at: i64,
    /// Who or what released it: `auto`, or an [`Actor`] (a bare token's name in old rows).
    pub by: String,
}

/// How an update ended on one home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeRow {
    /// The home that reported it.
    pub home: HomeId,
    /// Version that the update led to, or was to lead to.
    pub model_version: ModelVersion,
    /// Where it stood when it ended; none in the words of agents that name no stage.
    pub stage: Option<UpdateStage>,
    /// Whether the model is in charge there, never was, or was and gave way.
    pub result: UpdateResult,
    /// When, by the home's clock.
    pub at: i64,
    /// When it was heard here.
    pub received_at: i64,
}

impl OutcomeRow {
    /// Whether it says how good the release is, or only how the way to it was.
    #[must_use]
    pub fn weighs_on_release(&self) -> bool {
        let (model_version, stage, result, at) = (self.model_version, self.stage, self.result.clone(), self.at);
        UpdateOutcome { model_version, stage, result, at }.weighs_on_release()
    }
}

words! {
    /// What the bearer of a token may do. Each role may do what the ones before it may.
    Role {
        /// Look.
        Viewer,
        /// Look, start, promote, roll back.
        Operator,
        /// All of it, tokens and homes included.
        Admin,
    }
}

/// A bearer token of the admin API; only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its name, unique, shown in the audit log.
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: Digest,
    /// What its bearer may do.
    pub role: Role,
    /// What it may do of that, `noun:verb`; none where it may do all of it.
    pub scopes: Option<Vec<String>>,
    /// When it was made.
    pub created_at: i64,
    /// When it ends, if it does.
    pub expires_at: Option<i64>,
    /// When it was withdrawn, if it was.
    pub revoked_at: Option<i64>,
}

/// A line of the audit log. Its hash covers the line before it, so that none can be taken out unseen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Position, counted from 1.
    pub index: u64,
    /// When it was written, Unix seconds.
    pub at: i64,
    /// Who did it, or tried to.
    pub actor: Actor,
    /// What was done, e.g. `home.revoke`.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// A JSON object whose fields depend on the action.
    pub detail: String,
    /// Hash of the line before; zeros for the first.
    pub previous: Digest,
    /// Hash of this line.
    pub hash: Digest,
}

/// A line yet to be written to the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it is written, Unix seconds.
    pub at: i64,
    /// Who did it, or tried to.
    pub actor: Actor,
    /// What was done, `NOUN.VERB`; what was tried and refused ends in `.refused`.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// A JSON object whose fields depend on the action.
    pub detail: String,
}

impl AuditEntry {
    /// SHA-256 over position, the hash before and every field, each with its length in front.
    #[must_use]
    pub fn hash(&self, index: u64, previous: &Digest) -> Digest {
        use sha2::Digest as _;
        let mut hasher = sha2::Sha256::new();
        hasher.update(index.to_be_bytes());
        hasher.update(previous);
        hasher.update(self.at.to_be_bytes());
        for field in [&self.actor.to_string(), &self.action, &self.subject, &self.detail] {
            hasher.update((field.len() as u64).to_be_bytes());
            hasher.update(field.as_bytes());
        }
        hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use serde::Serialize;
    use strum::VariantArray;

    use super::*;
    use crate::RequestState;
    use crate::rollouts::RolloutState;

    /// Each variant has the same word in tables and in JSON, and is read back from it. Returns the words.
    fn words_of<T>() -> Vec<&'static str>
    where
        T: VariantArray + Serialize + Copy + Into<&'static str> + FromStr + PartialEq,
    {
        let agrees = |variant: &T| {
            let word: &'static str = (*variant).into();
            assert_eq!(serde_json::to_value(variant).unwrap(), word);
            assert!(word.parse().is_ok_and(|read: T| read == *variant), "{word}");
            word
        };
        T::VARIANTS.iter().map(agrees).collect()
    }

    #[test]
    fn a_word_is_the_same_in_tables_and_in_json() {
        assert_eq!(words_of::<RunTrigger>(), ["count", "schedule", "drift", "confirmations", "freshness", "hand"]);
        assert_eq!(words_of::<RunState>(), ["running", "promoted", "held", "failed", "cancelled"]);
        let models = ["approved", "awaiting_signature", "champion", "retired", "withdrawn"];
        assert_eq!(words_of::<ModelState>(), models);
        assert_eq!(words_of::<RequestState>(), ["queued", "running", "done", "failed", "interrupted", "cancelled"]);
        assert_eq!(words_of::<QuarantineEnd>(), ["lifted", "discarded"]);
        assert_eq!(words_of::<Role>(), ["viewer", "operator", "admin"]);
        let rollouts = ["running", "paused", "halted", "rolled_back", "complete", "superseded"];
        assert_eq!(words_of::<RolloutState>(), rollouts);
        assert_eq!((Role::parse("Admin"), Role::parse("")), (None, None));
    }
}
