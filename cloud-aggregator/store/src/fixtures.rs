//! What tests of this crate and of those above it build on: records, payloads, a store in a directory that goes away. No program uses it.

use bytes::Bytes;
use hearthwatch_protocol::messages::{Announcement, FeatureWindow, FeedbackRecord, Origin, Verdict};
use hearthwatch_protocol::{AlarmId, HomeId, Message, ModelVersion, Sequence, Topic, encode};
use sha2::{Digest as _, Sha256};

use crate::{AnnouncedRow, FeedbackRow, SqliteStore};

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
    AnnouncedRow {
        home: record.home.clone(),
        sequence: Sequence(sequence),
        alarm: record.alarm.clone(),
        model_version: record.model_version,
        window: record.window.digest(),
        digest: [sequence as u8; 32],
        received_at: NOW,
    }
}

/// The announcement of `record`'s alarm as the broker delivers it.
pub fn announcement(record: &FeedbackRecord, sequence: u64) -> (String, Bytes) {
    let said = Announcement {
        home: record.home.clone(),
        sequence: Sequence(sequence),
        alarm: record.alarm.clone(),
        model_version: record.model_version,
        window_sha256: record.window.digest(),
        raised_on: record.raised_at,
    };
    (Topic::Feedback(record.home.clone()).to_string(), encode(&Message::Announcement(said)).unwrap().into())
}

/// A store of its own for a test; the directory lives as long as the first of the two.
pub fn store() -> (tempfile::TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("store.db")).unwrap();
    (directory, store)
}
