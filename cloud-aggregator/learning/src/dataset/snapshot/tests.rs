//! What becomes an example, in which order, under which hash.

use std::sync::Arc;

use hearthwatch_protocol::messages::{Withdrawal, WithdrawalScope};
use hearthwatch_store::IngestBatch;
use hearthwatch_store::fixtures::{NOW, home, record, row};

use super::*;
use crate::dataset::whole::Whole;
use crate::dataset::{read, take, to_bytes};

fn stored(records: Vec<FeedbackRecord>) -> (tempfile::TempDir, Arc<dyn Store>) {
    let (directory, store) = hearthwatch_store::fixtures::store();
    for record in &records {
        store.enrol_home(&record.home, 1).unwrap();
    }
    let feedback = records.into_iter().map(row).collect();
    store.apply(&IngestBatch { feedback, at: NOW, ..IngestBatch::default() }).unwrap();
    (directory, Arc::new(store))
}

fn snapshot(records: Vec<FeedbackRecord>) -> Whole {
    take(stored(records).1.as_ref(), "corpus", &Consumed::default()).unwrap()
}

fn answered(home_name: &str, sequence: u64, alarm: &str, verdict: Verdict) -> FeedbackRecord {
    FeedbackRecord { alarm: AlarmId::new(alarm).unwrap(), verdict, ..record(home_name, sequence) }
}

fn keys(snapshot: &Whole) -> Vec<String> {
    snapshot.examples.iter().map(|example| example.key.to_string()).collect()
}

#[test]
fn examples_are_in_order_of_home_and_sequence_whatever_order_they_came_in() {
    let orders = [
        vec![record("b", 2), record("a", 10), record("b", 1), record("a", 9)],
        vec![record("a", 9), record("a", 10), record("b", 1), record("b", 2)],
    ];
    let [one, other] = orders.map(snapshot);
    assert_eq!(keys(&one), ["a/9", "a/10", "b/1", "b/2"]);
    assert_eq!(one.id, other.id);
}

#[test]
fn the_last_answer_for_an_alarm_wins() {
    let snapshot = snapshot(vec![
        answered("a", 1, "x", Verdict::Confirmed),
        answered("a", 2, "y", Verdict::Confirmed),
        answered("a", 3, "x", Verdict::Dismissed),
        answered("b", 1, "x", Verdict::Confirmed),
    ]);
    assert_eq!(keys(&snapshot), ["a/2", "a/3", "b/1"], "the same alarm id in another home is another alarm");
    assert!(!snapshot.examples[1].anomalous);
    assert_eq!(snapshot.lineage.homes[&home("a")].superseded, 1);
}

#[test]
fn expected_teaches_nothing_and_takes_an_earlier_answer_back() {
    let snapshot = snapshot(vec![
        answered("a", 1, "x", Verdict::Confirmed),
        answered("a", 2, "x", Verdict::Expected),
        answered("a", 3, "y", Verdict::Expected),
    ]);
    assert_eq!(keys(&snapshot), [""; 0]);
    let lineage = &snapshot.lineage.homes[&home("a")];
    assert_eq!((lineage.answers, lineage.expected, lineage.superseded, lineage.examples), (3, 2, 1, 0));
    assert_eq!((lineage.first, lineage.last, snapshot.lineage.watermark), (Sequence(1), Sequence(3), 3));
}

#[test]
fn drawn_questions_weigh_their_inverse_propensity_around_a_mean_of_one_up_to_the_cap() {
    let sample =
        |sequence, propensity| FeedbackRecord { origin: Origin::AuditSample { propensity }, ..record("a", sequence) };
    let weights = |records| -> Vec<f32> { snapshot(records).examples.iter().map(|example| example.weight).collect() };
    // Inverse propensities 4 and 12, mean 8.
    assert_eq!(weights(vec![record("a", 1), sample(2, 0.25), sample(3, 1.0 / 12.0)]), [1.0, 0.5, 1.5]);
    let many = (1..=20).map(|sequence| sample(sequence, if sequence == 20 { 1e-5 } else { 0.5 })).collect();
    assert_eq!(weights(many)[19], WEIGHT_MAX);
}

#[test]
fn what_the_champion_has_learnt_from_is_not_learnt_from_again() {
    let records = vec![record("a", 1), record("a", 2), record("b", 1), answered("a", 3, "alarm-1", Verdict::Dismissed)];
    let through = [(home("a"), Sequence(2))].into();
    let (_directory, store) = stored(records);
    let snapshot = take(store.as_ref(), "corpus", &Consumed { through, ..Consumed::default() }).unwrap();
    assert_eq!(keys(&snapshot), ["a/3", "b/1"], "a changed answer is a new one");
    let lineage = &snapshot.lineage.homes[&home("a")];
    assert_eq!((lineage.answers, lineage.consumed, lineage.examples, lineage.last), (3, 2, 1, Sequence(3)));
}

#[test]
fn recall_is_estimated_for_the_champion_alone() {
    let sample = |sequence, version| FeedbackRecord {
        origin: Origin::AuditSample { propensity: 0.1 },
        model_version: ModelVersion(version),
        ..record("a", sequence)
    };
    let records = (1..=40).map(|sequence| sample(sequence, 1 + sequence % 2)).collect();
    let (_directory, store) = stored(records);
    let consumed = Consumed { champion: ModelVersion(2), ..Consumed::default() };
    let recall = take(store.as_ref(), "corpus", &consumed).unwrap().lineage.recall;
    assert_eq!((recall.audit_samples, recall.audit_samples_confirmed, recall.low_recall), (20, 20, true));
}

#[test]
fn a_changed_answer_to_a_drawn_question_is_one_answer() {
    let origin = Origin::AuditSample { propensity: 0.1 };
    let records = [(1, Verdict::Confirmed), (2, Verdict::Dismissed)]
        .map(|(sequence, verdict)| FeedbackRecord { origin, ..answered("a", sequence, "x", verdict) });
    let champion = records[0].model_version;
    let (_directory, store) = stored(records.to_vec());
    let consumed = Consumed { champion, ..Consumed::default() };
    let recall = take(store.as_ref(), "corpus", &consumed).unwrap().lineage.recall;
    assert_eq!((recall.audit_samples, recall.audit_samples_confirmed), (1, 0));
}

#[test]
fn the_hash_of_known_examples_never_changes() {
    // If this fails, old snapshots can no longer be told from new ones: give the format a new magic instead.
    let snapshot = snapshot(vec![answered("a", 1, "x", Verdict::Confirmed), answered("b", 1, "x", Verdict::Dismissed)]);
    assert_eq!(snapshot.id, "cd254a38a07192e330470d0e20bd3931eafd62f96f865c0b1463805d8db07302");
}

#[test]
fn the_hash_covers_the_corpus_and_every_bit_of_a_window() {
    let records = vec![record("a", 1)];
    let (_directory, store) = stored(records.clone());
    let id = |corpus| take(store.as_ref(), corpus, &Consumed::default()).unwrap().id;
    assert_ne!(id("one"), id("other"));
    let mut changed = records;
    changed[0].window.values[7] = 0.500_000_1;
    assert_ne!(snapshot(changed).id, id("corpus"));
}

#[test]
fn canonical_bytes_read_back_and_damage_is_found() {
    let snapshot = snapshot(vec![record("a", 1), record("b", 2)]);
    let bytes = to_bytes(&snapshot.examples, "corpus");
    let (corpus, examples) = read(&bytes, &snapshot.id).unwrap();
    assert_eq!((corpus.as_str(), &examples), ("corpus", &snapshot.examples));
    let mut damaged = bytes.clone();
    damaged[100] ^= 1;
    assert!(read(&damaged, &snapshot.id).unwrap_err().to_string().starts_with("the bytes hash to "));
    let cut = &bytes[..bytes.len() - 1];
    use sha2::Digest as _;
    let id = hex::encode(sha2::Sha256::digest(cut));
    assert_eq!(read(cut, &id).unwrap_err().to_string(), "not a snapshot: cut short");
}

/// Puts what was asked for down, and never holds it.
struct Watching {
    held_most: std::cell::Cell<usize>,
    bytes: usize,
}

impl std::io::Write for Watching {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.held_most.set(self.held_most.get().max(bytes.len()));
        self.bytes += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_snapshot_is_written_one_example_at_a_time_under_the_hash_of_the_whole() {
    let records: Vec<_> = (1..=30).map(|sequence| record("a", sequence)).collect();
    let (_directory, store) = stored(records);
    let whole = take(store.as_ref(), "corpus", &Consumed::default()).unwrap();
    let chosen = choose(store.as_ref(), "corpus", &Consumed::default()).unwrap();
    let mut sink = Watching { held_most: std::cell::Cell::new(0), bytes: 0 };
    let snapshot = write(store.as_ref(), chosen, None, &mut sink).unwrap().unwrap();
    let bytes = to_bytes(&whole.examples, "corpus");
    use sha2::Digest as _;
    assert_eq!(snapshot.id, hex::encode(sha2::Sha256::digest(&bytes)));
    assert_eq!(sink.bytes, bytes.len());
    assert!(sink.held_most.get() < bytes.len() / 25, "{} of {}", sink.held_most.get(), bytes.len());
}

#[test]
fn an_answer_that_is_taken_back_while_a_snapshot_is_written_makes_it_begin_anew() {
    let (_directory, store) = stored(vec![record("a", 1), record("a", 2)]);
    let chosen = choose(store.as_ref(), "corpus", &Consumed::default()).unwrap();
    let scope = WithdrawalScope::Through(Sequence(1));
    let withdrawal = Withdrawal { home: home("a"), id: 1, scope, at: NOW };
    store.withdraw(&withdrawal, NOW).unwrap();
    assert_eq!(write(store.as_ref(), chosen, None, &mut Vec::new()).unwrap(), None);
    assert_eq!(keys(&take(store.as_ref(), "corpus", &Consumed::default()).unwrap()), ["a/2"]);
}
