//! What is left of a home that was erased, and of one beside it.

use hearthwatch_protocol::messages::{AgentStatus, RefusalReason, UpdateOutcome, Withdrawal, WithdrawalScope};
use hearthwatch_protocol::{ModelVersion, Sequence};

use crate::erasure::ErasureStore as _;
use crate::fixtures::{NOW, announced, entry, home, record, refusal, row, snapshot, store};
use crate::rollouts::ExclusionRow;
use crate::{Actor, Change, IngestBatch, Note, RolloutStore as _, SnapshotRow, Store as _};

/// Something of a home in as many tables as a home can be in.
fn fill(store: &crate::SqliteStore, name: &str) {
    let of = home(name);
    store.enrol_home(&of, NOW).unwrap();
    let status = AgentStatus {
        online: true,
        agent_version: "0.1.0".to_owned(),
        model_version: ModelVersion(1),
        entities: 3,
        outbox: 0,
    };
    let batch = IngestBatch {
        feedback: vec![row(record(name, 1)), row(record(name, 2))],
        announced: vec![announced(&record(name, 4), 3)],
        quarantine: vec![refusal(name, RefusalReason::NotAnnounced, "no such alarm")],
        statuses: vec![(of.clone(), status)],
        outcomes: vec![(of.clone(), UpdateOutcome::installed(ModelVersion(1), NOW))],
        at: NOW,
        ..IngestBatch::default()
    };
    store.apply(&batch).unwrap();
    let scope = WithdrawalScope::Records(vec![Sequence(2)]);
    store.withdraw(&Withdrawal { home: of.clone(), id: 1, at: NOW, scope }, NOW).unwrap();
    let (reason, by) = ("odd".to_owned(), Actor::Home(of.clone()));
    store.exclude_home(&ExclusionRow { home: of.clone(), reason, by, at: NOW, lifted: None }).unwrap();
    let note = Note::because(NOW, Actor::System, "home.tag", "sorted");
    store.change(&Change::TagHome { home: of, tags: ["pilot".to_owned()].into() }, &note).unwrap();
}

#[test]
fn nothing_of_a_home_is_left_but_its_name_in_the_two_chains() {
    let (directory, store) = store();
    for name in ["forgotten-home", "kept-home"] {
        fill(&store, name);
    }
    let lineage = r#"{"homes":{"forgotten-home":[1,2],"kept-home":[1,2]}}"#.to_owned();
    store.put_snapshot(&SnapshotRow { lineage, ..snapshot("5a") }).unwrap();
    let before = store.erase_home(&home("forgotten-home"), true).unwrap();
    assert!(store.home(&home("forgotten-home")).unwrap().is_some(), "only counted");
    let erased = store.erase_home(&home("forgotten-home"), false).unwrap();
    assert_eq!(before, erased);
    assert_eq!(erased.snapshots, ["5a"]);
    assert!(erased.rows["feedback"] == 1 && erased.rows["homes"] == 1 && erased.rows["home_tags"] == 1, "{erased:?}");
    store.append_audit(&entry("home.erase", "forgotten-home")).unwrap();

    let connection = rusqlite::Connection::open(directory.path().join("store.db")).unwrap();
    let found: Vec<String> = super::tables(&connection)
        .unwrap()
        .into_iter()
        .flat_map(|(table, columns)| columns.into_iter().map(move |(column, _)| (table.clone(), column)))
        .filter(|(table, column)| {
            let count = format!(
                "SELECT count(*) FROM \"{table}\" WHERE instr(CAST(\"{column}\" AS TEXT), 'forgotten-home') > 0"
            );
            connection.query_row(&count, [], |row| row.get::<_, u64>(0)).unwrap() > 0
        })
        .map(|(table, column)| format!("{table}.{column}"))
        .collect();
    assert_eq!(found, ["audit.subject", "lineage.subject"]);
    assert_eq!(store.verify_lineage().unwrap().findings, []);
    assert_eq!(store.feedback_totals().unwrap().records, 1, "the other home's answers are there");
    assert!(store.home(&home("kept-home")).unwrap().is_some());
}

#[test]
fn what_a_home_sent_is_gone_from_the_files_bytes_too() {
    let (directory, store) = store();
    fill(&store, "forgotten-home");
    let payload = row(record("forgotten-home", 1)).payload;
    let bytes = || {
        let mut bytes = std::fs::read(directory.path().join("store.db")).unwrap();
        bytes.extend(std::fs::read(directory.path().join("store.db-wal")).unwrap_or_default());
        bytes
    };
    let has = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    // A part that lies within one page of the file.
    let part = &payload[payload.len() - 600..payload.len() - 300];
    assert!(has(&bytes(), part));
    store.erase_home(&home("forgotten-home"), false).unwrap();
    assert!(!has(&bytes(), part));
}
