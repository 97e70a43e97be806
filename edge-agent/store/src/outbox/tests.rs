//! The outbox: what is promised survives a kill between any two steps (here: reopening the file).

mod damage;
mod lives;

use std::collections::BTreeMap;

use hearthwatch_protocol::messages::{
    Contribution, FeatureWindow, Receipt, Refusal, RefusalReason, Verdict, WithdrawalReceipt,
};
use hearthwatch_protocol::{AlarmId, HomeId, ModelVersion};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn record(alarm: &str, verdict: Verdict, origin: Origin) -> FeedbackRecord {
    FeedbackRecord {
        home: HomeId::new("home-7").unwrap(),
        sequence: Sequence(99),
        alarm: AlarmId::new(alarm).unwrap(),
        device_class: "temperature".to_owned(),
        model_version: ModelVersion(1),
        feature_schema: 1,
        window: FeatureWindow { steps: 1, features: 2, values: vec![0.5, 1.0] },
        score: 3.0,
        threshold: 2.0,
        verdict,
        origin,
        raised_at: 600,
        answered_at: 1_200,
    }
}

fn verdict(alarm: &str) -> FeedbackRecord {
    record(alarm, Verdict::Confirmed, Origin::Alarm)
}

fn sample(alarm: &str) -> FeedbackRecord {
    record(alarm, Verdict::Dismissed, Origin::AuditSample { propensity: 0.1 })
}

fn read(numbered: &Numbered) -> FeedbackRecord {
    match decode(&numbered.payload).unwrap() {
        Message::Feedback(record) => record,
        other => panic!("{other:?}"),
    }
}

fn receipt(through: u64, refused: &[(u64, RefusalReason)]) -> Receipt {
    let refused = refused.iter().map(|&(sequence, reason)| Refusal { sequence: Sequence(sequence), reason });
    Receipt { through: Sequence(through), refused: refused.collect(), digests: vec![] }
}

struct Home {
    directory: TempDir,
    limit: u32,
}

impl Home {
    fn new(limit: u32) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), limit }
    }

    fn open(&self) -> Outbox {
        let mut outbox = Outbox::open_with_limit(&self.directory.path().join("outbox.db"), self.limit).unwrap();
        outbox.configure_sharing(SharingLevel::Windows);
        outbox
    }
}

/// Keeps a record, and gives a number to what is sent next.
fn send(outbox: &mut Outbox, record: FeedbackRecord) -> Numbered {
    outbox.push(record).unwrap();
    outbox.number_next().unwrap().unwrap()
}

/// Everything that has no number yet gets one, in the order of sending.
fn send_all(outbox: &mut Outbox) -> Vec<Numbered> {
    std::iter::from_fn(|| outbox.number_next().unwrap()).collect()
}

/// An outbox that has given a number to the answer to each of these alarms, in their order.
fn holding(home: &Home, alarms: &[&str]) -> Outbox {
    let mut outbox = home.open();
    for alarm in alarms {
        send(&mut outbox, verdict(alarm));
    }
    outbox
}

#[test]
fn numbers_run_from_one_without_gaps_across_restarts() {
    let home = Home::new(100);
    for expected in 1..=5 {
        let mut outbox = home.open();
        let numbered = send(&mut outbox, verdict(&format!("alarm-{expected}")));
        assert_eq!(numbered.sequence, Sequence(expected));
        assert_eq!(read(&numbered).sequence, Sequence(expected));
    }
    let before = home.open().numbered().unwrap();
    assert_eq!(before.len(), 5);
    assert_eq!(home.open().numbered().unwrap(), before, "every attempt has the same bytes");
}

#[test]
fn only_a_receipt_makes_the_outbox_forget() {
    let home = Home::new(100);
    let mut outbox = holding(&home, &["a", "b", "c"]);
    assert_eq!(outbox.settle(&receipt(0, &[]), 5).unwrap(), Settled::default());
    assert_eq!(outbox.settle(&receipt(2, &[]), 5).unwrap(), Settled { confirmed: 2, ..Settled::default() });
    drop(outbox);
    let mut outbox = home.open();
    assert_eq!(outbox.numbered().unwrap().iter().map(|record| record.sequence.0).collect::<Vec<_>>(), [3]);
    assert_eq!(outbox.settle(&receipt(2, &[]), 6).unwrap(), Settled::default(), "a receipt may come twice");
    assert_eq!(outbox.waiting().unwrap(), 1);
}

#[test]
fn a_refused_record_is_forgotten_and_its_reason_kept() {
    let home = Home::new(100);
    let mut outbox = holding(&home, &["a", "b"]);
    let settled = outbox.settle(&receipt(2, &[(1, RefusalReason::UnknownClass)]), 77).unwrap();
    assert_eq!(settled, Settled { confirmed: 1, refused: 1, renumbered: 0 });
    let expected = Refused { sequence: Sequence(1), reason: "unknown_class".to_owned(), at: 77 };
    assert_eq!(home.open().refusals().unwrap(), [expected]);
}

#[test]
fn a_changed_answer_replaces_the_one_that_was_not_sent_and_follows_the_one_that_was() {
    let home = Home::new(100);
    let mut outbox = home.open();
    outbox.push(verdict("a")).unwrap();
    let dismissed = record("a", Verdict::Dismissed, Origin::Alarm);
    assert_eq!(outbox.push(dismissed.clone()).unwrap(), Admission::Replaced);
    assert_eq!(read(&outbox.number_next().unwrap().unwrap()).verdict, Verdict::Dismissed);
    assert_eq!(outbox.push(verdict("a")).unwrap(), Admission::Queued);
    let second = outbox.number_next().unwrap().unwrap();
    assert_eq!((second.sequence, read(&second).verdict), (Sequence(2), Verdict::Confirmed));
}

#[test]
fn an_answer_given_now_goes_before_the_backlog_and_before_probes() {
    let mut outbox = Home::new(100).open();
    for record in [verdict("old"), verdict("new"), sample("probe")] {
        outbox.push(record).unwrap();
    }
    let order: Vec<String> = send_all(&mut outbox).iter().map(|one| read(one).alarm.to_string()).collect();
    assert_eq!(order, ["new", "old", "probe"]);
}

#[test]
fn when_full_unsent_probes_go_first_and_a_verdict_never_goes() {
    let home = Home::new(3);
    let mut outbox = home.open();
    outbox.push(sample("p1")).unwrap();
    outbox.push(sample("p2")).unwrap();
    outbox.push(verdict("v1")).unwrap();
    assert_eq!(outbox.push(verdict("v2")).unwrap(), Admission::QueuedForAuditSample);
    assert_eq!(outbox.push(sample("p3")).unwrap(), Admission::QueuedForAuditSample);
    assert_eq!(outbox.push(verdict("v3")).unwrap(), Admission::QueuedForAuditSample);
    assert_eq!(outbox.push(sample("p4")).unwrap(), Admission::DroppedAuditSample);
    assert!(matches!(outbox.push(verdict("v4")), Err(OutboxError::Full { limit: 3 })));
    assert_eq!(outbox.push(record("v1", Verdict::Dismissed, Origin::Alarm)).unwrap(), Admission::Replaced);
    assert_eq!((outbox.waiting().unwrap(), outbox.dropped_audit_samples().unwrap()), (3, 4));
    let alarms: Vec<String> = send_all(&mut outbox).iter().map(|one| read(one).alarm.to_string()).collect();
    assert_eq!(alarms, ["v3", "v2", "v1"]);
}

#[test]
fn a_probe_that_carries_a_number_is_not_dropped() {
    let mut outbox = Home::new(1).open();
    send(&mut outbox, sample("p1"));
    assert!(matches!(outbox.push(verdict("v1")), Err(OutboxError::Full { limit: 1 })));
    assert_eq!(outbox.numbered().unwrap().len(), 1);
}

#[test]
fn a_home_that_lost_its_disk_goes_on_after_what_the_aggregator_has() {
    let mut outbox = Home::new(10).open();
    outbox.push(verdict("a")).unwrap();
    send(&mut outbox, verdict("b"));
    let settled = outbox.settle(&receipt(57, &[(1, RefusalReason::ReplayedSequence)]), 5).unwrap();
    assert_eq!(settled, Settled { renumbered: 1, ..Settled::default() });
    assert_eq!(outbox.refusals().unwrap(), []);
    let again: Vec<u64> = send_all(&mut outbox).iter().map(|record| record.sequence.0).collect();
    assert_eq!(again, [58, 59]);
}

#[test]
fn a_record_whose_number_was_used_before_travels_once_more_and_then_no_more() {
    let mut outbox = Home::new(10).open();
    send(&mut outbox, verdict("a"));
    let replayed = |n| receipt(n, &[(n, RefusalReason::ReplayedSequence)]);
    assert_eq!(outbox.settle(&replayed(1), 5).unwrap(), Settled { renumbered: 1, ..Settled::default() });
    assert_eq!(outbox.number_next().unwrap().unwrap().sequence, Sequence(2));
    assert_eq!(outbox.settle(&replayed(2), 6).unwrap(), Settled { refused: 1, ..Settled::default() });
    assert_eq!(outbox.waiting().unwrap(), 0);
}

#[test]
fn an_answer_that_lost_its_number_does_not_overtake_a_later_answer() {
    let mut outbox = Home::new(10).open();
    send(&mut outbox, verdict("a"));
    send(&mut outbox, record("a", Verdict::Dismissed, Origin::Alarm));
    outbox.settle(&receipt(1, &[(1, RefusalReason::ReplayedSequence)]), 5).unwrap();
    assert_eq!(outbox.unsent().unwrap(), 0);
    assert_eq!(outbox.numbered().unwrap().len(), 1);
}

#[test]
fn a_record_that_every_aggregator_would_refuse_is_not_kept() {
    let mut outbox = Home::new(10).open();
    let broken = FeedbackRecord { score: f32::NAN, ..verdict("a") };
    let expected = OutboxError::Invalid(EncodeError::from(DecodeError::NotFinite));
    assert_eq!(outbox.push(broken).unwrap_err().to_string(), expected.to_string());
    assert_eq!(outbox.waiting().unwrap(), 0);
}

#[test]
fn outcomes_are_kept_until_said_and_the_newest_is_said_again_on_a_new_connection() {
    let home = Home::new(10);
    let outcome = |version| UpdateOutcome::installed(ModelVersion(version), 5);
    let mut outbox = home.open();
    outbox.push_outcome(outcome(1)).unwrap();
    outbox.push_outcome(outcome(2)).unwrap();
    let waiting = home.open().outcomes(false).unwrap();
    assert_eq!(waiting.len(), 2);
    for (id, _) in &waiting {
        outbox.outcome_published(*id).unwrap();
    }
    assert_eq!(outbox.outcomes(false).unwrap(), []);
    assert_eq!(outbox.outcomes(true).unwrap(), [waiting[1].clone()]);
}

/// What may happen to a home.
#[derive(Debug, Clone)]
enum Step {
    Answer(u8, bool),
    Probe(u8),
    Send,
    /// All numbered records reach the aggregator; does its receipt come back?
    Arrive(bool),
    Kill,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..12_u8, any::<bool>()).prop_map(|(alarm, confirmed)| Step::Answer(alarm, confirmed)),
        (100..112_u8).prop_map(Step::Probe),
        Just(Step::Send),
        any::<bool>().prop_map(Step::Arrive),
        Just(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_accepted_verdict_is_lost_doubled_or_reordered(steps in prop::collection::vec(any_step(), 1..60)) {
        let home = Home::new(8);
        let mut outbox = home.open();
        let mut accepted: BTreeMap<String, Verdict> = BTreeMap::new();
        let mut aggregator: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        let mut arrive = |outbox: &mut Outbox, answered: bool| {
            for numbered in outbox.numbered().unwrap() {
                let stored = aggregator.entry(numbered.sequence.0).or_insert_with(|| numbered.payload.clone());
                assert_eq!(*stored, numbered.payload, "one number, one content");
            }
            let through = (1..).take_while(|sequence| aggregator.contains_key(sequence)).count();
            assert_eq!(through, aggregator.len(), "no gaps");
            if answered {
                outbox.settle(&receipt(through as u64, &[]), 5).unwrap();
            }
        };
        for step in steps {
            match step {
                Step::Answer(alarm, confirmed) => {
                    let given = if confirmed { Verdict::Confirmed } else { Verdict::Dismissed };
                    let alarm = format!("a{alarm}");
                    match outbox.push(record(&alarm, given, Origin::Alarm)) {
                        Ok(admission) => {
                            prop_assert_ne!(admission, Admission::DroppedAuditSample);
                            accepted.insert(alarm, given);
                        }
                        Err(OutboxError::Full { .. }) => prop_assert_eq!(outbox.waiting().unwrap(), 8),
                        Err(other) => panic!("{other}"),
                    }
                }
                Step::Probe(alarm) => drop(outbox.push(sample(&format!("p{alarm}"))).unwrap()),
                Step::Send => drop(outbox.number_next().unwrap()),
                Step::Arrive(answered) => arrive(&mut outbox, answered),
                Step::Kill => {
                    drop(outbox);
                    outbox = home.open();
                }
            }
            prop_assert!(outbox.waiting().unwrap() <= 8);
        }
        while outbox.number_next().unwrap().is_some() {}
        arrive(&mut outbox, true);
        prop_assert_eq!(outbox.waiting().unwrap(), 0);
        let mut final_word: BTreeMap<String, Verdict> = BTreeMap::new();
        for (&sequence, payload) in &aggregator {
            let record = read(&Numbered { sequence: Sequence(sequence), payload: payload.clone() });
            if matches!(record.origin, Origin::Alarm) {
                final_word.insert(record.alarm.to_string(), record.verdict);
            }
        }
        prop_assert_eq!(final_word, accepted);
    }
}

fn home() -> HomeId {
    HomeId::new("home-7").unwrap()
}

#[test]
fn every_record_that_got_a_number_stays_in_the_ledger_byte_for_byte_with_what_became_of_it() {
    let mut outbox = Home::new(100).open();
    let sent = send(&mut outbox, verdict("a"));
    assert_eq!(outbox.ledger(None, 10).unwrap()[0].state, LedgerState::Sent);
    outbox.settle(&receipt(1, &[]), 5).unwrap();
    let entry = outbox.ledger_entry(Sequence(1)).unwrap().unwrap();
    assert_eq!((entry.payload, entry.state, entry.withdrawal), (sent.payload, LedgerState::Stored, None));
    assert_eq!((outbox.waiting().unwrap(), outbox.shared_totals().unwrap()), (0, (1, 0)));
}

#[test]
fn what_is_taken_back_no_longer_travels_and_its_withdrawal_waits_until_it_is_confirmed() {
    let mut outbox = Home::new(100).open();
    for alarm in ["a", "b", "c"] {
        outbox.push(verdict(alarm)).unwrap();
    }
    outbox.number_next().unwrap();
    outbox.number_next().unwrap();
    assert_eq!(outbox.take_back(&home(), TakeBack::Records(vec![Sequence(2), Sequence(9)]), 50).unwrap(), Some(1));
    assert_eq!(outbox.numbered().unwrap().len(), 1);
    assert_eq!(outbox.ledger_entry(Sequence(2)).unwrap().unwrap().withdrawal, Some(1));
    assert_eq!(outbox.take_back(&home(), TakeBack::Everything, 60).unwrap(), Some(2));
    assert_eq!((outbox.waiting().unwrap(), outbox.shared_totals().unwrap()), (0, (2, 2)));
    let ids = |outbox: &Outbox| outbox.unconfirmed_withdrawals().unwrap().iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(ids(&outbox), [1, 2]);
    let receipt = WithdrawalReceipt { id: 1, removed: 1, models: vec![ModelVersion(4), ModelVersion(3)], at: 99 };
    outbox.withdrawal_done(&receipt).unwrap();
    assert_eq!(ids(&outbox), [2]);
    assert_eq!(outbox.withdrawals().unwrap()[1].receipt, Some(receipt));
}

#[test]
fn a_home_that_never_shared_has_nothing_to_take_back() {
    let mut outbox = Home::new(100).open();
    outbox.push(verdict("a")).unwrap();
    assert_eq!(outbox.take_back(&home(), TakeBack::Everything, 50).unwrap(), None);
    assert_eq!((outbox.waiting().unwrap(), outbox.withdrawals().unwrap().len()), (0, 0));
}

#[test]
fn the_residents_choice_decides_what_enters_and_what_waits_is_cut_to_it() {
    let home = Home::new(100);
    let mut outbox = home.open();
    outbox.push(verdict("a")).unwrap();
    outbox.choose_sharing(SharingLevel::Verdicts).unwrap();
    let sent = outbox.number_next().unwrap().unwrap();
    let Ok(Message::Feedback(alone)) = decode(&sent.payload) else { panic!("a record") };
    assert!(alone.window.is_none() && alone.raised_at % 86_400 == 0 && alone.answered_at % 86_400 == 0);
    assert!(sent.payload.len() < 300, "{}", sent.payload.len());
    for level in [SharingLevel::Learning, SharingLevel::Off] {
        outbox.choose_sharing(level).unwrap();
        assert_eq!(outbox.push(verdict("b")).unwrap(), Admission::NotShared);
    }
    drop(outbox);
    assert_eq!(
        home.open().sharing().unwrap(),
        SharingLevel::Off,
        "the choice outlives the start and the configuration"
    );
}

#[test]
fn what_the_homes_answers_did_is_kept_by_model() {
    let mut outbox = Home::new(100).open();
    let credit = |version, examples| Contribution {
        model_version: ModelVersion(version),
        snapshot: "5f".to_owned(),
        answers: 7,
        examples,
        at: 9,
    };
    outbox.credit(&credit(3, 4)).unwrap();
    outbox.credit(&credit(4, 5)).unwrap();
    outbox.credit(&credit(4, 6)).unwrap();
    assert_eq!(outbox.contributions().unwrap(), [credit(4, 6), credit(3, 4)]);
}

fn announcement(alarm: &str) -> Announcement {
    let record = verdict(alarm);
    Announcement {
        home: record.home,
        sequence: Sequence(99),
        alarm: record.alarm,
        model_version: record.model_version,
        window_sha256: record.window.digest(),
        raised_on: 86_400 + 7_000,
    }
}

fn numbered_all(outbox: &mut Outbox) -> Vec<Message> {
    send_all(outbox).iter().map(|numbered| decode(&numbered.payload).unwrap()).collect()
}

#[test]
fn what_is_announced_leaves_before_the_answers_and_tells_its_day_only() {
    let home = Home::new(100);
    let mut outbox = home.open();
    outbox.push(verdict("old")).unwrap();
    outbox.announce(announcement("a")).unwrap();
    assert_eq!(outbox.announce(announcement("a")).unwrap(), Admission::Replaced, "announced once");
    outbox.push(verdict("a")).unwrap();
    let kinds: Vec<_> = numbered_all(&mut outbox)
        .into_iter()
        .map(|message| match message {
            Message::Announcement(said) => (said.sequence.0, "announcement", said.alarm.to_string(), said.raised_on),
            Message::Feedback(record) => (record.sequence.0, "answer", record.alarm.to_string(), 0),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [(1, "announcement", "a", 86_400), (2, "answer", "a", 0), (3, "answer", "old", 0)];
    assert_eq!(kinds, expected.map(|(sequence, kind, alarm, at)| (sequence, kind, alarm.to_owned(), at)));
}

#[test]
fn an_announcement_is_let_go_after_probes_and_before_any_verdict_and_never_one_that_a_verdict_rests_on() {
    let home = Home::new(4);
    let mut outbox = home.open();
    for alarm in ["a", "b"] {
        outbox.announce(announcement(alarm)).unwrap();
    }
    outbox.push(sample("p")).unwrap();
    outbox.push(verdict("a")).unwrap();
    assert_eq!(outbox.push(verdict("c")).unwrap(), Admission::QueuedForAuditSample);
    assert_eq!(outbox.push(verdict("d")).unwrap(), Admission::QueuedForAnnouncement, "b was not answered");
    assert_eq!(outbox.announce(announcement("e")).unwrap(), Admission::DroppedAnnouncement);
    assert!(matches!(outbox.push(verdict("f")), Err(OutboxError::Full { limit: 4 })));
    assert!(matches!(&numbered_all(&mut outbox)[0], Message::Announcement(said) if said.alarm.as_str() == "a"));
}

#[test]
fn a_home_that_keeps_its_windows_announces_nothing() {
    let home = Home::new(10);
    let mut outbox = home.open();
    outbox.announce(announcement("a")).unwrap();
    outbox.choose_sharing(SharingLevel::Verdicts).unwrap();
    assert_eq!(outbox.waiting().unwrap(), 0, "what has not left is cut to the choice");
    assert_eq!(outbox.announce(announcement("b")).unwrap(), Admission::NotShared);
}

#[test]
fn an_outbox_of_before_announcements_is_taken_over() {
    let home = Home::new(10);
    home.open().push(verdict("a")).unwrap();
    let database = rusqlite::Connection::open(home.directory.path().join("outbox.db")).unwrap();
    database.execute_batch("ALTER TABLE records DROP COLUMN announcement; PRAGMA user_version = 2").unwrap();
    drop(database);
    let mut outbox = home.open();
    outbox.announce(announcement("b")).unwrap();
    assert_eq!(numbered_all(&mut outbox).len(), 2);
}
