//! What tests of this crate and of those above it build on: a store with a release service over it, in a directory that goes away. No
//! program uses it.

use std::sync::Arc;

use hearthwatch_protocol::messages::{FeatureWindow, FeedbackRecord, Verdict};
use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_store::artifact_store::ArtifactStore;
use hearthwatch_store::clock::ManualClock;
use hearthwatch_store::{FeedbackRow, IngestBatch, NewModel, RunRow, RunState, SqliteStore, Store, fixtures};
use hearthwatch_telemetry::metrics::Metrics;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::hook::ReleaseHook;
use crate::release_service::ReleaseService;

/// The time at which the tests play, Unix seconds.
pub const NOW: i64 = 1_767_225_600;

/// A store, a clock that stands still, and a release service.
pub struct Releaser {
    /// Everything lies in it; it goes away with this value.
    pub directory: TempDir,
    /// A database of its own, in a temporary directory.
    pub store: Arc<dyn Store>,
    /// Shows [`NOW`].
    pub clock: Arc<ManualClock>,
    /// Shared with everything that is made from this desk.
    pub metrics: Arc<Metrics>,
    /// Lets models out through the hook.
    pub releases: ReleaseService,
}

impl Releaser {
    /// One that releases through `hook`.
    #[must_use]
    pub fn new(hook: Arc<dyn ReleaseHook>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        std::fs::create_dir_all(&data).unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&data.join("aggregator.db")).unwrap());
        let (metrics, clock) = (Arc::new(Metrics::new()), Arc::new(ManualClock::new(NOW)));
        let artifact_store = ArtifactStore::new(&data);
        let releases = ReleaseService::new(hook, store.clone(), metrics.clone(), clock.clone(), artifact_store);
        Self { directory, store, clock, metrics, releases }
    }

    /// A finished run whose candidate has these bytes, and, if the gate let it through, a version.
    pub fn run(&self, id: &str, state: RunState, artifact: &[u8]) -> Option<ModelVersion> {
        let sha256 = self.releases.artifact_store().put_model(artifact).unwrap();
        let row = RunRow {
            config: "{\"seed\":7}".to_owned(),
            started_at: NOW - 300,
            ended_at: Some(NOW - 240),
            challenger: Some(sha256.clone()),
            report: Some(REPORT.to_owned()),
            ..fixtures::run(id, state)
        };
        self.store.put_run(&row).unwrap();
        (state == RunState::Promoted).then(|| {
            let (length, weights_id) = (artifact.len() as u64, hex::encode(Sha256::digest(artifact)));
            let new = NewModel { length, weights_id, sha256, run: id.to_owned(), at: NOW - 240 };
            self.store.add_model(&new).unwrap().version
        })
    }

    /// Stores `count` answers of `home`.
    pub fn answers(&self, home: &str, count: u64) {
        let home = HomeId::new(home).unwrap();
        self.store.enrol_home(&home, NOW).unwrap();
        let feedback = (1..=count)
            .map(|sequence| FeedbackRow { received_at: NOW, ..fixtures::row(record(home.as_str(), sequence)) });
        let batch = IngestBatch { feedback: feedback.collect(), at: NOW, ..IngestBatch::default() };
        self.store.apply(&batch).unwrap();
    }
}

/// A gate report of the form that is stored.
pub const REPORT: &str = r#"{"verdict":"promote","candidate":{"homes":4,"home_weeks":9.5,"recall":{"found":15,"all":20},
"false_alarms_per_week":0.9,"by_class":{}},"routine":{"homes":4,"home_weeks":9.5,"recall":{"found":9,"all":20},
"false_alarms_per_week":1.1,"by_class":{}},"champion":null,"comparisons":[{"against":"routine detector",
"recall":{"low":0.1,"point":0.3,"high":0.5}}]}"#;

fn record(home: &str, sequence: u64) -> FeedbackRecord {
    FeedbackRecord {
        device_class: "power".to_owned(),
        window: FeatureWindow { steps: 1, features: 2, values: vec![0.25, 0.5] },
        score: 3.0,
        threshold: 2.5,
        verdict: Verdict::Dismissed,
        raised_at: NOW - 600,
        answered_at: NOW - 60,
        ..fixtures::record(home, sequence)
    }
}
