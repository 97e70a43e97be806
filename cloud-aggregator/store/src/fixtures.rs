//! What tests of this crate and of those above it build on: records, payloads, a store in a directory that goes away. No program uses it.

use bytes::Bytes;
use hearthwatch_protocol::messages::{
    AgentStatus, Announcement, FeatureWindow, FeedbackRecord, Origin, RefusalReason, Verdict,
};
use hearthwatch_protocol::round::SignedRoundPlan;
use hearthwatch_protocol::{AlarmId, HomeId, Message, ModelVersion, Sequence, Topic, encode};
use sha2::{Digest as _, Sha256};

use crate::rollouts::{RolloutRow, RolloutState};
use crate::rounds::{RoundDuty, RoundHomeRow, RoundHomeState, RoundRow, RoundStage};
use crate::{
    Actor, AnnouncedRow, AuditEntry, FeedbackRow, ModelRow, ModelState, NewModel, QuarantineRow, ReleaseRow, RunRow,
    RunState, RunTrigger, SnapshotRow, SqliteStore,
};

/// The window of a record: steps, features, and the schema of the latter. The detector's own, which a test of admission holds them
/// against: the store knows nothing of windows.
pub const WINDOW: (u16, u16, u32) = (96, 20, 1);

/// The time in most tests.
pub const NOW: i64 = 1_700_000_000;

/// A home of this name.
pub fn home(name: &str) -> HomeId {
    HomeId::new(name).unwrap()
}

/// A record that is admitted at [`NOW`].
pub fn record(home_name: &str, sequence: u64) -> FeedbackRecord {
    let (steps, features, feature_schema) = WINDOW;
    FeedbackRecord {
        home: home(home_name),
        sequence: Sequence(sequence),
        alarm: AlarmId::new(format!("alarm-{sequence}")).unwrap(),
        device_class: "temperature".to_owned(),
        model_version: ModelVersion::ROUTINE,
        feature_schema,
        window: FeatureWindow { steps, features, values: vec![0.5; usize::from(steps * features)] },
        score: 3.5,
        threshold: 2.0,
        verdict: Verdict::Confirmed,
        origin: Origin::Alarm,
        raised_at: NOW - 600,
        answered_at: NOW - 60,
    }
}

/// The record as its home sends it.
pub fn payload(record: &FeedbackRecord) -> Bytes {
    encode(&Message::Feedback(record.clone())).unwrap().into()
}

/// The record as the broker delivers it.
pub fn message(record: &FeedbackRecord) -> (String, Bytes) {
    (Topic::Feedback(record.home.clone()).to_string(), payload(record))
}

/// The record as the store keeps it.
pub fn row(record: FeedbackRecord) -> FeedbackRow {
    let payload = payload(&record);
    let digest = Sha256::digest(&payload).into();
    FeedbackRow { record, payload, digest, received_at: NOW, grace: false, lift: None }
}

/// What the store keeps of the announcement of `record`'s alarm under another number.
pub fn announced(record: &FeedbackRecord, sequence: u64) -> AnnouncedRow {
    let FeedbackRecord { home, alarm, model_version, window, .. } = record.clone();
    let (sequence, window, digest) = (Sequence(sequence), window.digest(), [sequence as u8; 32]);
    AnnouncedRow { home, sequence, alarm, model_version, window, digest, received_at: NOW }
}

/// The announcement of `record`'s alarm as the broker delivers it.
pub fn announcement(record: &FeedbackRecord, sequence: u64) -> (String, Bytes) {
    let AnnouncedRow { home, sequence, alarm, model_version, window: window_sha256, .. } = announced(record, sequence);
    let said = Announcement { home, sequence, alarm, model_version, window_sha256, raised_on: record.raised_at };
    (Topic::Feedback(record.home.clone()).to_string(), encode(&Message::Announcement(said)).unwrap().into())
}

/// What an agent says of itself with so many records in its outbox.
pub fn status(outbox: u32) -> AgentStatus {
    let (agent_version, model_version) = ("0.1.0".to_owned(), ModelVersion::ROUTINE);
    AgentStatus { online: true, agent_version, model_version, entities: 31, outbox }
}

/// What was refused of a home, in one word and in one line.
pub fn refusal(home_name: &str, reason: RefusalReason, detail: &str) -> QuarantineRow {
    QuarantineRow {
        id: 0,
        reason,
        detail: detail.to_owned(),
        topic: "t".to_owned(),
        home: Some(home(home_name)),
        sequence: None,
        prefix: vec![1],
        length: 1,
        payload: None,
        settled: None,
        at: NOW,
    }
}

/// A data set of one answer.
pub fn snapshot(id: &str) -> SnapshotRow {
    let (id, corpus, lineage) = (id.to_owned(), "c".to_owned(), "{}".to_owned());
    SnapshotRow { id, created_at: NOW, rows: 1, homes: 1, watermark: 1, corpus, lineage }
}

/// A run that learnt nothing yet.
pub fn run(id: &str, state: RunState) -> RunRow {
    RunRow {
        id: id.to_owned(),
        snapshot: "5a".repeat(32),
        trigger: RunTrigger::Hand,
        config: "{}".to_owned(),
        champion: None,
        state,
        started_at: 1,
        ended_at: None,
        challenger: None,
        report: None,
        failure: None,
    }
}

/// A model that this run made, with this hash.
pub fn model(run: &str, sha256: &str) -> NewModel {
    NewModel { sha256: sha256.to_owned(), length: 7, weights_id: "w".to_owned(), run: run.to_owned(), at: NOW }
}

/// A model that has a version already.
pub fn versioned(version: u64, sha256: &str, state: ModelState) -> ModelRow {
    let NewModel { sha256, length, weights_id, run, at } = model("ab12", sha256);
    let version = ModelVersion(version);
    ModelRow { version, sha256, length, weights_id, run, state, created_at: at, row_version: 1 }
}

/// The release of such a model.
pub fn release(model_version: ModelVersion, sha256: &str) -> ReleaseRow {
    let (target, sha256) = (format!("model-{model_version}.safetensors"), sha256.to_owned());
    let (report_sha256, by) = ("bb".to_owned(), "auto".to_owned());
    ReleaseRow { model_version, target, sha256, length: 7, report_sha256, released_at: NOW, by }
}

/// A rollout that goes on, yet to be stored.
pub fn rollout(model_version: ModelVersion) -> RolloutRow {
    RolloutRow {
        model_version,
        previous: None,
        policy: String::new(),
        state: RolloutState::Running,
        forced: false,
        started_at: NOW,
        paused_at: None,
        paused_seconds: 0,
        ended_at: None,
        reason: String::new(),
        row_version: 0,
    }
}

/// A round in the first series, yet to be stored.
pub fn round(number: u64, stage: RoundStage) -> RoundRow {
    RoundRow {
        number,
        stage,
        series: 1,
        place: 0,
        champion: None,
        base: "base".to_owned(),
        control_base: "base".to_owned(),
        settings: "{}".to_owned(),
        opened_at: NOW,
        deadline: NOW + 60,
        evaluate_deadline: None,
        aggregate: None,
        candidate: None,
        control: None,
        report: None,
        outcome: None,
        kept: false,
        reason: String::new(),
        run: None,
        ended_at: None,
        row_version: 0,
    }
}

/// A home's part in a round.
pub fn round_home(round: u64, name: &str, duty: RoundDuty, state: RoundHomeState) -> RoundHomeRow {
    RoundHomeRow {
        round,
        home: home(name),
        duty,
        nonce: [7; 16],
        signed: SignedRoundPlan::from_bytes(vec![1]),
        state,
        reason: String::new(),
        answer: None,
        digest: None,
        bytes: 0,
        norm: None,
        similarity: None,
        counted_in: None,
        at: None,
    }
}

/// What `ada` did, as it goes into the audit log.
pub fn entry(action: &str, subject: &str) -> AuditEntry {
    let (action, subject, detail) = (action.to_owned(), subject.to_owned(), "{}".to_owned());
    AuditEntry { at: NOW, actor: Actor::Token("ada".to_owned()), action, subject, detail }
}

/// A store of its own for a test; the directory lives as long as the first of the two.
pub fn store() -> (tempfile::TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("store.db")).unwrap();
    (directory, store)
}
