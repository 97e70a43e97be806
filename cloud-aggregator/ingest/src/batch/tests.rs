//! Batches against a real store.

use hearthwatch_protocol::messages::{
    FeatureWindow, FeedbackRecord, RefusalReason, RoundPart, RoundState, Said, UpdateStage, Verdict, WithdrawalScope,
};
use hearthwatch_protocol::round::{SignedRoundAnswer, SignedRoundOffer};
use hearthwatch_protocol::{Message, Topic, encode};
use hearthwatch_store::fixtures::{NOW, announcement, home, message, record};

use super::*;
use crate::fixtures::{World, bare, withdrawal, world};

fn receipt(through: u64, refused: &[(u64, RefusalReason)]) -> Receipt {
    let refusal =
        |(sequence, reason): &(u64, RefusalReason)| Refusal { sequence: Sequence(*sequence), reason: *reason };
    Receipt { through: Sequence(through), refused: refused.iter().map(refusal).collect(), digests: vec![] }
}

#[test]
fn a_batch_is_stored_and_each_home_gets_one_receipt() {
    let world = world();
    let messages = [record("b", 1), record("a", 1), record("b", 2)].map(|record| message(&record));
    let report = world.take(&messages, NOW).unwrap();
    assert_eq!(report.receipts, [(home("a"), receipt(1, &[])), (home("b"), receipt(2, &[]))]);
    assert_eq!(world.stored().len(), 3);
}

#[test]
fn a_record_sent_twice_in_one_batch_is_stored_once() {
    let world = world();
    let messages = [message(&record("a", 1)), message(&record("a", 1))];
    let report = world.take(&messages, NOW).unwrap();
    assert_eq!((report.stored, report.receipts), (1, vec![(home("a"), receipt(1, &[]))]));
}

#[test]
fn a_home_that_sends_again_is_told_again_refusals_included() {
    let world = world();
    let strange = FeedbackRecord { device_class: "ghosts".to_owned(), ..record("a", 2) };
    let messages = [message(&record("a", 1)), message(&strange)];
    for _ in 0..2 {
        let receipts = [(home("a"), receipt(2, &[(2, RefusalReason::UnknownClass)]))];
        assert_eq!(world.take(&messages, NOW).unwrap().receipts, receipts);
    }
    assert_eq!(world.store.quarantine(0).unwrap().len(), 1, "quarantined once");
}

#[test]
fn a_replay_with_other_bytes_changes_nothing_is_quarantined_and_the_home_is_told() {
    let world = world();
    world.take(&[message(&record("a", 1))], NOW).unwrap();
    let other = FeedbackRecord { score: 99.0, ..record("a", 1) };
    let report = world.take(&[message(&other)], NOW).unwrap();
    assert_eq!(report.receipts, [(home("a"), receipt(1, &[(1, RefusalReason::ReplayedSequence)]))]);
    assert_eq!(world.stored()[0].record, record("a", 1));
    let quarantined = world.refused();
    assert_eq!((quarantined.reason, quarantined.home), (RefusalReason::ReplayedSequence, Some(home("a"))));
    assert_eq!(quarantined.prefix.len(), QUARANTINE_PREFIX_BYTES);
}

#[test]
fn a_home_that_asks_is_told_whose_bytes_stand_under_its_last_numbers() {
    let world = world();
    let strange = FeedbackRecord { device_class: "ghosts".to_owned(), ..record("a", 2) };
    let messages = [message(&record("a", 1)), message(&strange)];
    world.take(&messages, NOW).unwrap();
    let other = FeedbackRecord { score: 99.0, ..record("a", 1) };
    let told = world.taker.take(&[message(&other)], NOW).unwrap().receipts.remove(0).1;
    let said = [(1, &messages[0].1), (2, &messages[1].1), (1, &message(&other).1)]
        .map(|(sequence, payload)| told.says_of(Sequence(sequence), payload));
    assert_eq!(said, [Said::Judged, Said::Judged, Said::OtherBytes]);

    // 3 and 4 were taken back on their way; 5 never comes.
    world.take(&[withdrawal("a", 1, WithdrawalScope::Through(Sequence(4)))], NOW).unwrap();
    world.take(&[message(&record("a", 6))], NOW).unwrap();
    let at = NOW + GAP_PATIENCE_SECONDS;
    let told = world.taker.take(&[message(&record("a", 6))], at).unwrap().receipts.remove(0).1;
    let said = [1, 4, 5].map(|sequence| told.says_of(Sequence(sequence), &message(&record("a", sequence)).1));
    assert_eq!((told.through, said), (Sequence(6), [Said::Judged, Said::Nothing, Said::Missing]));
}

#[test]
fn a_revoked_home_gets_no_receipt() {
    let world = world();
    world.store.revoke_home(&home("a"), NOW).unwrap();
    let report = world.take(&[message(&record("a", 1))], NOW).unwrap();
    assert_eq!(report, BatchReport::default());
    assert_eq!(world.refused().reason, RefusalReason::UnknownHome);
}

#[test]
fn the_quota_counts_what_is_in_the_same_batch_and_lets_go_after_a_day() {
    let world = world();
    let taker = world.taker.with_quota(2);
    let messages = [1, 2, 3].map(|sequence| message(&record("a", sequence)));
    let report = bare(taker.take(&messages, NOW).unwrap());
    assert_eq!(report.receipts[0].1, receipt(3, &[(3, RefusalReason::QuotaExceeded)]));
    let report = taker.take(&[message(&record("a", 4))], NOW + QUOTA_SECONDS + 1).unwrap();
    assert_eq!(report.stored, 1);
}

#[test]
fn an_agent_that_comes_online_with_a_full_outbox_is_told_where_it_stands() {
    let world = world();
    world.take(&[message(&record("a", 1))], NOW).unwrap();
    let report = world.take(&[status("a", 1)], NOW).unwrap();
    assert_eq!(report.receipts, [(home("a"), receipt(1, &[]))]);
}

#[test]
fn a_record_that_arrives_after_it_was_taken_back_stays_out_and_the_next_one_comes_in() {
    let world = world();
    world.take(&[message(&record("a", 1))], NOW).unwrap();
    world.take(&[withdrawal("a", 1, WithdrawalScope::Through(Sequence(2)))], NOW).unwrap();
    world.take(&[message(&record("a", 2))], NOW).unwrap();
    assert_eq!(world.stored(), []);
    let report = world.take(&[message(&record("a", 3))], NOW).unwrap();
    assert_eq!(report.receipts, [(home("a"), receipt(3, &[(2, RefusalReason::Withdrawn)]))]);
    assert_eq!(world.store.home(&home("a")).unwrap().unwrap().records, 1);
}

#[test]
fn no_home_takes_back_what_is_another_homes() {
    let world = world();
    world.take(&[message(&record("b", 1))], NOW).unwrap();
    let (_, payload) = withdrawal("b", 1, WithdrawalScope::Through(Sequence(9)));
    let report = world.take(&[(Topic::Withdrawal(home("a")).to_string(), payload)], NOW).unwrap();
    assert_eq!(report.withdrawn, []);
    assert_eq!(world.stored().len(), 1);
    assert_eq!(world.refused().reason, RefusalReason::WrongHome);
}

fn refused(world: &World) -> Vec<(RefusalReason, String)> {
    world.store.quarantine(0).unwrap().into_iter().map(|row| (row.reason, row.detail)).collect()
}

#[test]
fn an_answer_after_its_announcement_is_stored_even_in_the_same_batch_and_teaches() {
    let world = world();
    let answer = record("a", 2);
    let report = world.take(&[announcement(&answer, 1), message(&answer)], NOW).unwrap();
    assert_eq!((report.stored, report.receipts), (1, vec![(home("a"), receipt(2, &[]))]));
    assert!(!world.stored()[0].grace);
}

#[test]
fn an_answer_that_overtakes_its_announcement_waits_and_is_taken_when_it_comes_again() {
    let world = world();
    world.take(&[announcement(&record("a", 9), 1)], NOW).unwrap();
    let answer = record("a", 3);
    let report = world.take(&[message(&answer)], NOW).unwrap();
    assert_eq!((report.stored, report.receipts), (0, vec![(home("a"), receipt(1, &[]))]), "no receipt covers it");
    world.take(&[announcement(&answer, 2)], NOW).unwrap();
    let report = world.take(&[message(&answer)], NOW).unwrap();
    assert_eq!((report.stored, report.receipts), (1, vec![(home("a"), receipt(3, &[]))]));
    assert_eq!(refused(&world), []);
}

#[test]
fn an_answer_waits_a_day_for_what_never_comes_and_is_then_quarantined() {
    let world = world();
    world.take(&[announcement(&record("a", 9), 1)], NOW).unwrap();
    // Raised after the home's first announcement, so that no grace is given.
    let later = FeedbackRecord { raised_at: NOW + 1, answered_at: NOW + 2, ..record("a", 3) };
    let take = |at| world.take(&[message(&later)], at).unwrap().receipts;
    assert_eq!(take(NOW + 10), [(home("a"), receipt(1, &[]))]);
    assert_eq!(take(NOW + 10 + GAP_PATIENCE_SECONDS - 1), [(home("a"), receipt(1, &[]))]);
    let at = NOW + 10 + GAP_PATIENCE_SECONDS;
    assert_eq!(take(at), [(home("a"), receipt(3, &[(3, RefusalReason::NotAnnounced)]))]);
    assert_eq!(refused(&world), [(RefusalReason::NotAnnounced, "alarm alarm-3 was never announced".to_owned())]);
}

#[test]
fn an_agent_from_before_has_ten_answers_a_day_and_the_rest_waits_for_an_operator() {
    let world = world();
    let messages: Vec<_> = (1..=11).map(|sequence| message(&record("a", sequence))).collect();
    let report = world.take(&messages, NOW).unwrap();
    assert_eq!(report.receipts, [(home("a"), receipt(11, &[(11, RefusalReason::QuotaExceeded)]))]);
    assert!(world.stored().iter().all(|row| row.grace));
    let report = world.take(&[message(&record("a", 12))], NOW + QUOTA_SECONDS + 1).unwrap();
    assert_eq!(report.stored, 1, "the next day there are ten again");
}

/// The verdict of `record` as a home says it that lost its memory: without the window, of the day only, under a new number.
fn once_more(record: &FeedbackRecord, sequence: u64) -> FeedbackRecord {
    let day = |at: i64| at - at.rem_euclid(86_400);
    FeedbackRecord {
        sequence: Sequence(sequence),
        window: FeatureWindow::none(),
        raised_at: day(record.raised_at),
        answered_at: day(record.answered_at),
        ..record.clone()
    }
}

#[test]
fn an_answer_that_a_home_says_once_more_is_covered_and_not_stored_again() {
    let world = world();
    let first = record("a", 1);
    world.take(&[message(&first)], NOW).unwrap();
    let again = once_more(&first, 2);
    let told = world.take(&[message(&again), message(&once_more(&first, 3))], NOW).unwrap();
    assert_eq!((told.stored, told.receipts), (0, vec![(home("a"), receipt(3, &[]))]));
    let told = world.take(&[message(&again)], NOW).unwrap();
    assert_eq!((told.stored, told.receipts), (0, vec![(home("a"), receipt(3, &[]))]), "as often as it likes");

    // Another verdict is news, and so is the one after it, and each in one batch as over several.
    let changed = FeedbackRecord { verdict: Verdict::Dismissed, ..once_more(&first, 4) };
    let repeated = FeedbackRecord { sequence: Sequence(5), ..changed.clone() };
    let told = world.take(&[message(&changed), message(&repeated)], NOW).unwrap();
    assert_eq!((told.stored, told.receipts), (1, vec![(home("a"), receipt(5, &[]))]));
    let stored: Vec<u64> = world.stored().iter().map(|row| row.record.sequence.0).collect();
    assert_eq!(stored, [1, 4]);
    assert_eq!(world.store.home(&home("a")).unwrap().unwrap().records, 2);
}

#[test]
fn an_answer_that_was_taken_back_does_not_come_again_by_a_home_that_forgot_it() {
    let world = world();
    let (first, second) = (record("a", 1), FeedbackRecord { verdict: Verdict::Dismissed, ..record("a", 2) });
    let again = once_more(&second, 3);
    world.take(&[message(&first), message(&second), message(&again)], NOW).unwrap();
    // The second by the number under which it came once more.
    let scope = WithdrawalScope::Records(vec![Sequence(1), Sequence(3)]);
    let withdrawal = Withdrawal { home: home("a"), id: 1, scope, at: NOW };
    assert_eq!(world.store.withdraw(&withdrawal, NOW).unwrap().removed, 2);
    let told = world.take(&[message(&once_more(&first, 4)), message(&once_more(&second, 5))], NOW).unwrap();
    assert_eq!((told.stored, told.receipts), (0, vec![(home("a"), receipt(5, &[]))]));
    assert_eq!(world.stored(), []);
}

fn status(home_name: &str, outbox: u32) -> (String, Bytes) {
    let status = hearthwatch_store::fixtures::status(outbox);
    (Topic::Status(home(home_name)).to_string(), encode(&Message::Status(status)).unwrap().into())
}

#[test]
fn a_number_that_no_home_counts_to_stops_nothing_and_its_home_is_told_where_it_stands() {
    let world = world();
    // A verdict alone: it rests on nothing that could be missing.
    let last = FeedbackRecord { window: FeatureWindow::none(), ..record("a", i64::MAX as u64) };
    let report = world.take(&[message(&last)], NOW).unwrap();
    assert_eq!(report.receipts, [(home("a"), receipt(0, &[]))]);
    let row = world.refused();
    assert_eq!((row.reason, row.home), (RefusalReason::SequenceAhead, Some(home("a"))));
    assert_eq!(row.detail, "number 9223372036854775807, and a is heard up to 0");
    // A day later the gap would be given up.
    let later = NOW + GAP_PATIENCE_SECONDS;
    let report = world.take(&[status("a", 1), message(&record("b", 1))], later).unwrap();
    assert_eq!(report.receipts, [(home("a"), receipt(0, &[])), (home("b"), receipt(1, &[]))]);
    let report = world.take(&[message(&record("a", 1))], later).unwrap();
    assert_eq!(report.receipts, [(home("a"), receipt(1, &[]))], "its own next number is taken");
}

#[test]
fn a_home_whose_numbers_a_store_from_a_backup_does_not_know_is_taken_up_again() {
    let world = world();
    let alone = |sequence| message(&FeedbackRecord { window: FeatureWindow::none(), ..record("a", sequence) });
    assert_eq!(world.take(&[alone(40_001), alone(40_002)], NOW).unwrap().stored, 2);
    let report = world.take(&[status("a", 2)], NOW + GAP_PATIENCE_SECONDS).unwrap();
    assert_eq!(report.receipts, [(home("a"), receipt(40_002, &[]))]);
}

#[test]
fn a_message_that_was_set_aside_is_quarantined_with_its_cause_and_its_home_sends_it_no_more() {
    let world = world();
    let message = message(&record("a", 1));
    let report = bare(world.taker.set_aside(&message, "panic: attempt to add", true, NOW).unwrap());
    assert_eq!(report.receipts, [(home("a"), receipt(1, &[(1, RefusalReason::Malformed)]))]);
    let row = world.refused();
    assert_eq!((row.reason, row.detail.as_str()), (RefusalReason::Unstorable, "panic: attempt to add"));
    assert_eq!((row.home, row.sequence), (Some(home("a")), Some(Sequence(1))));
    let again = world.take(std::slice::from_ref(&message), NOW).unwrap();
    assert_eq!(again.receipts, [(home("a"), receipt(1, &[(1, RefusalReason::Malformed)]))], "not tried again");

    let report = world.taker.set_aside(&message, "again", false, NOW).unwrap();
    assert_eq!(report, BatchReport::default(), "nothing but the row");
    assert_eq!(world.store.quarantine(0).unwrap().len(), 2);
}

#[test]
fn what_strangers_and_numbers_far_ahead_leave_behind_when_set_aside_is_a_row_alone() {
    let world = world();
    for message in [message(&record("nobody", 1)), message(&record("a", i64::MAX as u64))] {
        let report = world.taker.set_aside(&message, "why", true, NOW).unwrap();
        assert_eq!(report, BatchReport::default());
    }
    assert_eq!(world.store.quarantine(0).unwrap().len(), 2);
}

/// Takes every part, and remembers who was willing.
#[derive(Default)]
struct Rounds(Mutex<Vec<HomeId>>);

impl RoundIntake for Rounds {
    fn offer(&self, _: &dyn Store, home: &HomeId, _: &SignedRoundOffer) -> StoreResult<()> {
        self.0.lock().unwrap().push(home.clone());
        Ok(())
    }

    fn part(&self, _: &dyn Store, _: &HomeId, part: &RoundPart) -> StoreResult<RoundReceipt> {
        Ok(RoundReceipt { round: u64::from(part.part), state: RoundState::Taken })
    }
}

#[test]
fn what_homes_that_are_let_in_send_in_rounds_is_handed_on_and_its_receipts_come_back() {
    let offer = |name: &str| {
        let signed = Message::RoundOffer(SignedRoundOffer::from_bytes(vec![1, 2, 3]));
        (Topic::RoundOffer(home(name)).to_string(), Bytes::from(encode(&signed).unwrap()))
    };
    let answer = SignedRoundAnswer::from_bytes(vec![4, 5, 6]);
    let parts = RoundPart::cut(&answer, &[7; 20_000])
        .into_iter()
        .map(|part| (Topic::RoundPart(home("a")).to_string(), Bytes::from(encode(&Message::RoundPart(part)).unwrap())));
    let messages: Vec<(String, Bytes)> = [offer("a"), offer("stranger")].into_iter().chain(parts).collect();
    let world = world();
    assert_eq!(world.take(&messages, NOW).unwrap().rounds, [], "nobody takes them: an offer may be retained for years");
    let rounds = Arc::new(Rounds::default());
    let taker = BatchTaker::new(Arc::clone(&world.store), Arc::new(Metrics::new())).with_rounds(rounds.clone());
    let receipts = taker.take(&messages, NOW).unwrap().rounds;
    assert_eq!(receipts.iter().map(|(_, receipt)| receipt.round).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(*rounds.0.lock().unwrap(), [home("a")]);
    assert_eq!(world.refused().reason, RefusalReason::UnknownHome);
}

#[test]
fn an_end_of_an_update_that_a_home_repeats_is_counted_once() {
    let world = world();
    let metrics = Arc::new(Metrics::new());
    let taker = BatchTaker::new(Arc::clone(&world.store), Arc::clone(&metrics));
    world.store.add_model(&hearthwatch_store::fixtures::model("ab12", "aa")).unwrap();
    let told = |outcome: UpdateOutcome| {
        let payload = encode(&Message::Outcome(outcome)).unwrap();
        (Topic::Outcome(home("a")).to_string(), Bytes::from(payload))
    };
    let refused = told(UpdateOutcome::refused(ModelVersion(1), UpdateStage::Install, "low recall".to_owned(), NOW - 9));
    let installed = told(UpdateOutcome::installed(ModelVersion(1), NOW));
    taker.take(&[refused.clone(), refused.clone()], NOW).unwrap();
    taker.take(std::slice::from_ref(&refused), NOW).unwrap();
    taker.take(&[installed, refused], NOW).unwrap();
    let text = metrics.render();
    for line in ["kind=\"refused\"} 1\n", "kind=\"installed\"} 1\n"] {
        assert!(text.contains(&format!("hearthwatch_cloud_update_outcomes_total{{{line}")), "{line} in {text}");
    }
}
