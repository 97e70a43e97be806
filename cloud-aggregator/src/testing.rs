//! What the tests of several modules build on: records, payloads, a store in a directory that goes away.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hearthwatch_detector::grid::{FEATURE_SCHEMA, FEATURES, WINDOW_STEPS};
use hearthwatch_protocol::messages::{Announcement, FeatureWindow, FeedbackRecord, Origin, Verdict};
use hearthwatch_protocol::{AlarmId, HomeId, Message, ModelVersion, Sequence, Topic, encode};
use hearthwatch_training::Checkpoints;
use sha2::{Digest as _, Sha256};

use crate::dataset::Example;
use crate::store::{AnnouncedRow, FeedbackRow, SqliteStore};
use crate::training::{Challenger, Learner, Step};

/// The time in most tests.
pub const NOW: i64 = 1_700_000_000;

pub fn home(name: &str) -> HomeId {
    HomeId::new(name).unwrap()
}

/// A record that is admitted at [`NOW`].
pub fn record(home_name: &str, sequence: u64) -> FeedbackRecord {
    let (steps, features) = (WINDOW_STEPS as u16, FEATURES as u16);
    FeedbackRecord {
        home: home(home_name),
        sequence: Sequence(sequence),
        alarm: AlarmId::new(format!("alarm-{sequence}")).unwrap(),
        device_class: "temperature".to_owned(),
        model_version: ModelVersion::ROUTINE,
        feature_schema: FEATURE_SCHEMA,
        window: FeatureWindow { steps, features, values: vec![0.5; WINDOW_STEPS * FEATURES] },
        score: 3.5,
        threshold: 2.0,
        verdict: Verdict::Confirmed,
        origin: Origin::Alarm,
        raised_at: NOW - 600,
        answered_at: NOW - 60,
    }
}

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

/// Promotes or holds; the artifact is made of what it was given.
pub struct Puppet {
    pub promote: bool,
    pub fails: bool,
    /// There is nothing to judge by.
    pub unready: bool,
    pub runs: AtomicUsize,
}

impl Puppet {
    pub fn new(promote: bool) -> Self {
        Self { promote, fails: false, unready: false, runs: AtomicUsize::new(0) }
    }
}

impl Learner for Puppet {
    fn corpus(&self) -> Result<String, String> {
        if self.unready { Err("no recorded sets".to_owned()) } else { Ok("corpus".to_owned()) }
    }

    fn config(&self) -> String {
        "{\"seed\":7}".to_owned()
    }

    fn learn(
        &self,
        examples: Vec<Example>,
        champion: Option<&[u8]>,
        _checkpoints: &mut dyn Checkpoints,
        progress: &mut dyn FnMut(Step),
    ) -> Result<Challenger, String> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        progress(Step::Training { done: 1, total: 2, loss: 0.5 });
        if self.fails {
            return Err("the loss is not finite".to_owned());
        }
        let artifact = format!("{} examples after {:?}", examples.len(), champion).into_bytes();
        let report = format!("{{\"promote\":{}}}", self.promote);
        let weights_id = "w".to_owned();
        Ok(Challenger { artifact, weights_id, promote: self.promote, report, ..Challenger::default() })
    }
}
