//! A drill: a backup is made while answers come in, the aggregator's data is lost, and the backup is put back.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use hearthwatch_cloud::aggregator::DATABASE_FILE;
use hearthwatch_cloud::backup::{self, RestoreError};
use hearthwatch_cloud::config::Config;
use hearthwatch_store::artifact_store::ArtifactStore;
use hearthwatch_store::files::private_data;
use hearthwatch_store::fixtures::{NOW, entry, home, record, row};
use hearthwatch_store::sqlite::contents;
use hearthwatch_store::{IngestBatch, NewModel, SqliteStore, Store as _};
use jiff::Timestamp;

fn open(config: &Config) -> SqliteStore {
    SqliteStore::open(&private_data(&config.data, DATABASE_FILE).unwrap()).unwrap()
}

fn answer(store: &SqliteStore, sequence: u64) {
    let feedback = vec![row(record("home-1", sequence))];
    store.apply(&IngestBatch { feedback, at: NOW, ..IngestBatch::default() }).unwrap();
}

/// A store with a home, answers, a model whose file is there, and a run's folder.
fn fill(config: &Config) -> SqliteStore {
    let store = open(config);
    store.enrol_home(&home("home-1"), NOW).unwrap();
    (1..=5).for_each(|sequence| answer(&store, sequence));
    let sha256 = ArtifactStore::new(&config.data).put_model(b"weights").unwrap();
    let (weights_id, run) = ("w".to_owned(), String::new());
    store.add_model(&NewModel { sha256, length: 7, weights_id, run, at: NOW }).unwrap();
    store.append_audit(&entry("home.enrol", "home-1")).unwrap();
    let folder = config.data.join("runs/ab12");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("metrics.csv"), "metric,step,value\nloss,0,0.5\n").unwrap();
    store
}

fn make(config: &Config, to: &Path, second: i64) -> (std::path::PathBuf, backup::Manifest) {
    let at = Timestamp::from_second(NOW + second).unwrap();
    backup::make(config, to, 2, at, &mut |_| {}).unwrap()
}

#[test]
fn what_was_lost_is_put_back_row_by_row_and_both_chains_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let (to, lost) = (directory.path().join("backups"), Config::in_directory(directory.path().join("lost")));
    let store = fill(&lost);
    let busy = AtomicBool::new(true);
    let (folder, manifest) = std::thread::scope(|scope| {
        // Answers come in all the time.
        scope.spawn(|| (6..).take_while(|_| busy.load(Ordering::SeqCst)).for_each(|sequence| answer(&store, sequence)));
        let made = make(&lost, &to, 0);
        busy.store(false, Ordering::SeqCst);
        made
    });
    drop(store);
    std::fs::remove_dir_all(&lost.data).unwrap();

    let mut said = Vec::new();
    let found = Config::in_directory(directory.path().join("found"));
    let restored = backup::restore(&folder, &found, &mut |text| said.push(text.to_owned())).unwrap();
    assert_eq!(said, ["checking every file", "copying", "checking every row"]);
    assert_eq!(restored, manifest);
    let now = contents(&found.data.join(DATABASE_FILE)).unwrap();
    assert_eq!(
        (now.tables, now.lineage.0, hex(&now.lineage.1)),
        (manifest.tables.clone(), manifest.lineage.0, manifest.lineage.1.clone())
    );
    assert_eq!((now.audit.0, hex(&now.audit.1)), manifest.audit);
    assert_eq!(ArtifactStore::new(&found.data).model(&now.models[0]).unwrap(), b"weights");
    assert!(found.data.join("runs/ab12/metrics.csv").is_file());

    let store = open(&found);
    let kept = manifest.tables["feedback"];
    assert!(kept >= 5, "{kept}");
    answer(&store, kept + 1);
    assert_eq!(store.feedback_totals().unwrap().records, kept + 1);
    assert_eq!(store.verify_lineage().unwrap().findings, []);
}

#[test]
fn a_backup_that_was_changed_and_a_directory_that_is_in_use_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (to, config) = (directory.path().join("backups"), Config::in_directory(directory.path().join("data")));
    drop(fill(&config));
    let (folder, manifest) = make(&config, &to, 0);
    let there = backup::restore(&folder, &config, &mut |_| {}).unwrap_err();
    let words = format!("{} is not empty: move it away first, so that nothing of it is lost", config.data.display());
    assert_eq!(there.to_string(), words);
    let model = manifest.files.keys().find(|path| path.contains("models/")).unwrap();
    std::fs::write(folder.join(model), b"weighty").unwrap();
    let elsewhere = Config::in_directory(directory.path().join("elsewhere"));
    let changed = backup::restore(&folder, &elsewhere, &mut |_| {}).unwrap_err();
    assert!(matches!(&changed, RestoreError::Backup(_)), "{changed}");
    assert!(changed.to_string().starts_with(&format!("{model}: its 7 bytes hash to ")), "{changed}");
    assert!(!elsewhere.data.exists());
}

#[test]
fn only_the_newest_backups_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (to, config) = (directory.path().join("backups"), Config::in_directory(directory.path().join("data")));
    drop(fill(&config));
    let made: Vec<_> = (0..3).map(|second| make(&config, &to, second).0).collect();
    assert_eq!(made.iter().map(|folder| folder.is_dir()).collect::<Vec<_>>(), [false, true, true]);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
