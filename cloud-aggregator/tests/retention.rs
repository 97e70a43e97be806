//! What is older than it may be goes, with its bytes; what is younger stays, and all sums and chains fit.

use hearthwatch_cloud::aggregator::DATABASE_FILE;
use hearthwatch_cloud::config::RetentionConfig;
use hearthwatch_cloud::retention::run_once;
use hearthwatch_protocol::messages::RefusalReason;
use hearthwatch_store::artifact_store::ArtifactStore;
use hearthwatch_store::files::private_data;
use hearthwatch_store::fixtures::{NOW, home, record, refusal, row, snapshot};
use hearthwatch_store::{FeedbackRow, IngestBatch, QuarantineRow, SnapshotRow, SqliteStore, Store as _};

const DAY: i64 = 86_400;

/// Answers of the last forty days, one a day and home.
fn fill(store: &SqliteStore) {
    for name in ["home-1", "home-2"] {
        store.enrol_home(&home(name), NOW - 50 * DAY).unwrap();
        let answers = (0..40).map(|day| {
            let record = record(name, u64::try_from(day).unwrap() + 1);
            FeedbackRow { received_at: NOW - day * DAY - 1, ..row(record) }
        });
        let at = NOW;
        store.apply(&IngestBatch { feedback: answers.collect(), at, ..IngestBatch::default() }).unwrap();
    }
    let refused = (0..40)
        .map(|day| QuarantineRow { at: NOW - day * DAY - 1, ..refusal("home-1", RefusalReason::NotAnnounced, "x") });
    store.apply(&IngestBatch { quarantine: refused.collect(), at: NOW, ..IngestBatch::default() }).unwrap();
}

#[test]
fn what_is_too_old_goes_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cloud");
    let file = private_data(&data, DATABASE_FILE).unwrap();
    let store = SqliteStore::open(&file).unwrap();
    fill(&store);
    let old = "5a".repeat(32);
    store.put_snapshot(&SnapshotRow { created_at: NOW - 31 * DAY, ..snapshot(&old) }).unwrap();
    let files = ArtifactStore::new(&data);
    std::fs::create_dir_all(files.snapshot_path(&old).parent().unwrap()).unwrap();
    std::fs::write(files.snapshot_path(&old), "windows").unwrap();

    assert_eq!(run_once(&store, &data, RetentionConfig::default(), NOW).unwrap(), 0, "without limits all stays");
    let config = RetentionConfig { answers_days: Some(30), quarantine_days: Some(7) };
    // 2 homes × 10 days of answers, 33 days of refusals, one file.
    assert_eq!(run_once(&store, &data, config, NOW).unwrap(), 20 + 33 + 1);
    assert_eq!(store.feedback_totals().unwrap().records, 60);
    assert_eq!(store.quarantine(1000).unwrap().len(), 7);
    assert!(!files.snapshot_path(&old).exists());
    let line = store.audit(None, 1).unwrap().remove(0);
    assert_eq!((line.action.as_str(), line.actor.to_string().as_str()), ("retention.run", "system"));
    let told: serde_json::Value = serde_json::from_str(&line.detail).unwrap();
    assert_eq!((&told["rows"]["feedback"], &told["files"]), (&20.into(), &1.into()));
    assert_eq!(run_once(&store, &data, config, NOW).unwrap(), 0, "nothing is left to let go");
    assert_eq!(store.verify_lineage().unwrap().findings, [], "the chain knows that they went");
}
