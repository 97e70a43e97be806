//! Every table that a model's story rests on is edited behind the program's back, and each edit is found.

use hearthwatch_protocol::assignment::SignedAssignment;
use hearthwatch_protocol::messages::{UpdateOutcome, Withdrawal, WithdrawalScope};
use hearthwatch_protocol::round::SignedRoundPlan;
use hearthwatch_protocol::{ModelVersion, Sequence};

use super::*;
use crate::actor::Actor;
use crate::fixtures::{NOW, entry, home, model, record, release, rollout, row, run, snapshot};
use crate::rollouts::{AssignmentRow, ExclusionRow, RolloutStore as _};
use crate::rounds::{RoundDuty, RoundHomeRow, RoundHomeState, RoundOutcome, RoundRow, RoundStage, RoundStore as _};
use crate::rows::{ModelState, RunRow, RunState};
use crate::store::{IngestBatch, Store as _};

/// A store with one row of every kind, and the file that it lies in.
fn story() -> (tempfile::TempDir, std::path::PathBuf, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("aggregator.db");
    let store = SqliteStore::open(&file).unwrap();
    store.enrol_home(&home("a"), 1).unwrap();
    let feedback = [1, 2].map(|sequence| row(record("a", sequence))).to_vec();
    let outcomes = vec![(home("a"), UpdateOutcome::installed(ModelVersion(1), NOW))];
    store.apply(&IngestBatch { feedback, outcomes, at: NOW, ..IngestBatch::default() }).unwrap();
    let model_version = learn(&store);
    send_out(&store, model_version);
    hold_round(&store);
    let (home, reason, by) = (home("a"), "odd".to_owned(), Actor::Token("ada".to_owned()));
    store.exclude_home(&ExclusionRow { home, reason, by, at: NOW, lifted: None }).unwrap();
    let entry = |subject| entry("home.exclude", subject);
    store.append_audit(&entry("a")).unwrap();
    store.append_audit(&entry("b")).unwrap();
    (directory, file, store)
}

/// A snapshot, a run and a model that is released.
fn learn(store: &SqliteStore) -> ModelVersion {
    let snapshot = snapshot(&"5a".repeat(32));
    store.put_snapshot(&snapshot).unwrap();
    let run = RunRow { snapshot: snapshot.id, ..run("ab12", RunState::Running) };
    store.put_run(&run).unwrap();
    store
        .put_run(&RunRow {
            state: RunState::Promoted,
            report: Some("{}".to_owned()),
            challenger: Some("cd".repeat(32)),
            ..run
        })
        .unwrap();
    let model = store.add_model(&model("ab12", &"cd".repeat(32))).unwrap();
    store.put_release(&release(model.version, &model.sha256)).unwrap();
    model.version
}

/// A rollout with one order.
fn send_out(store: &SqliteStore, model_version: ModelVersion) {
    let signed = SignedAssignment::from_bytes(vec![1, 2, 3]);
    let (home, nonce) = (home("a"), [9; 16]);
    let order = AssignmentRow { home, generation: 1, model_version, nonce, issued_at: 1, expires_at: 2, signed };
    let rollout = store.put_rollout(&rollout(model_version)).unwrap();
    store.add_assignments(&rollout, &[order]).unwrap();
}

/// A round whose candidate is the model of the run.
fn hold_round(store: &SqliteStore) {
    let plan = SignedRoundPlan::from_bytes(vec![3]);
    let part = RoundHomeRow {
        round: 1,
        home: home("a"),
        duty: RoundDuty::Train,
        nonce: [7; 16],
        signed: plan,
        state: RoundHomeState::Taken,
        reason: String::new(),
        answer: None,
        digest: Some([5; 32]),
        bytes: 3,
        norm: Some(0.5),
        similarity: None,
        counted_in: None,
        at: None,
    };
    let (base, hash) = ("aa".to_owned(), Some("cd".repeat(32)));
    let row = RoundRow {
        number: 1,
        stage: RoundStage::Ended,
        series: 1,
        place: 0,
        champion: None,
        control_base: base.clone(),
        base,
        settings: "{}".to_owned(),
        opened_at: 1,
        deadline: 2,
        evaluate_deadline: None,
        aggregate: Some("ee".to_owned()),
        candidate: hash.clone(),
        control: hash,
        report: None,
        outcome: Some(RoundOutcome::Promoted),
        kept: true,
        reason: String::new(),
        run: Some("ab12".to_owned()),
        ended_at: Some(3),
        row_version: 0,
    };
    store.advance_round(&row, &[part]).unwrap();
}

fn found(store: &SqliteStore) -> Vec<String> {
    store.verify_lineage().unwrap().findings.iter().map(ToString::to_string).collect()
}

/// What is found after somebody ran `sql` on the file with another tool.
fn found_after(sql: &str) -> Vec<String> {
    let (_directory, file, store) = story();
    assert_eq!(found(&store), [""; 0], "sound before");
    assert_ne!(Connection::open(&file).unwrap().execute(sql, []).unwrap(), 0, "{sql}");
    found(&store)
}

#[test]
fn an_edit_of_any_table_is_found() {
    for (sql, expected) in [
        ("UPDATE feedback SET verdict = 'dismissed' WHERE sequence = 1", "answer a/1: is not what was written"),
        ("UPDATE feedback SET payload = x'00' WHERE sequence = 1", "answer a/1: its payload does not belong to it"),
        ("UPDATE snapshots SET watermark = 3", "is not what was written"),
        ("UPDATE runs SET report = '{\"verdict\":\"promote\"}'", "run ab12: is not what was written"),
        ("UPDATE models SET weights_id = 'v'", "model 1: is not what was written"),
        ("UPDATE releases SET by = 'eve'", "release 1: is not what was written"),
        ("UPDATE releases SET sha256 = 'ef'", "release 1: does not follow from a model with the bytes ef"),
        ("UPDATE assignments SET expires_at = 9", "assignment a/1: is not what was written"),
        ("UPDATE assignments SET model_version = 8", "assignment a/1: does not follow from release 8"),
        ("UPDATE outcomes SET result = '{}'", "is not what was written"),
        ("UPDATE exclusions SET lifted_by = 'eve', lifted_at = 1", "is not what was written"),
        ("UPDATE rounds SET aggregate = 'ef'", "round 1: is not what was written"),
        ("UPDATE rounds SET candidate = 'ef'", "round 1: does not follow from run ab12 with its candidate"),
        ("UPDATE round_homes SET digest = x'00'", "round_home 1/a: is not what was written"),
        ("DELETE FROM rounds", "round_home 1/a: does not follow from round 1"),
        ("DELETE FROM feedback WHERE sequence = 2", "answer a/2: was written and is gone"),
        ("DELETE FROM runs", "model 1: does not follow from run ab12"),
        (
            "INSERT INTO models SELECT 9, sha256, length, weights_id, '', 'approved', 1, 1 FROM models",
            "model 9: was not written",
        ),
        ("UPDATE audit SET actor = 'eve' WHERE position = 1", "audit 1: the chain is broken here"),
        ("DELETE FROM audit WHERE position = 1", "audit 2: the chain is broken here"),
        ("UPDATE lineage SET digest = x'' WHERE position = 1", "lineage 1: the chain is broken here"),
        ("DELETE FROM lineage WHERE position = 2", "lineage 3: the chain is broken here"),
    ] {
        let found = found_after(sql);
        assert!(found.iter().any(|finding| finding.contains(expected)), "{sql}: {found:?}");
    }
}

#[test]
fn an_edit_is_not_made_good_by_what_the_program_writes_later() {
    let (_directory, file, store) = story();
    let edit = "UPDATE feedback SET verdict = 'dismissed' WHERE sequence = 1";
    Connection::open(&file).unwrap().execute(edit, []).unwrap();
    store.apply(&IngestBatch { feedback: vec![row(record("a", 3))], at: NOW, ..IngestBatch::default() }).unwrap();
    drop(store);
    let found = found(&SqliteStore::open(&file).unwrap());
    assert!(found.contains(&"answer a/1: is not what was written".to_owned()), "{found:?}");
}

#[test]
fn what_the_program_itself_changes_or_takes_away_is_sound() {
    let (_directory, _file, store) = story();
    let seen = store.model(ModelVersion(1)).unwrap().unwrap();
    store.set_model_state(&seen, ModelState::Withdrawn).unwrap();
    store.lift_exclusion(&home("a"), &Actor::Token("ada".to_owned()), NOW + 1).unwrap();
    let withdrawal = Withdrawal { home: home("a"), id: 1, scope: WithdrawalScope::Through(Sequence(1)), at: NOW };
    store.withdraw(&withdrawal, NOW).unwrap();
    let report = store.verify_lineage().unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(report.rows[0], ("answer", 1));
    assert_ne!(report.head, [0; 32]);
}

#[test]
fn rows_from_before_there_were_seals_are_sealed_when_the_store_opens() {
    let (_directory, file, store) = story();
    drop(store);
    Connection::open(&file).unwrap().execute("DELETE FROM lineage", []).unwrap();
    let store = SqliteStore::open(&file).unwrap();
    assert_eq!(found(&store), [""; 0]);
}

#[test]
fn what_is_stored_while_it_is_verified_is_no_finding() {
    let (_directory, file, store) = story();
    let writes = std::thread::spawn(move || {
        for sequence in 3..200 {
            let feedback = vec![row(record("a", sequence))];
            store.apply(&IngestBatch { feedback, at: NOW, ..IngestBatch::default() }).unwrap();
        }
    });
    let other = SqliteStore::open(&file).unwrap();
    while !writes.is_finished() {
        assert_eq!(other.verify_lineage().unwrap().findings, []);
    }
    writes.join().unwrap();
    assert_eq!(other.verify_lineage().unwrap().rows[0], ("answer", 199));
}
