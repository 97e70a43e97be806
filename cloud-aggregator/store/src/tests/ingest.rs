//! What homes send: stored once, refused once, counted, and answered with how far each is heard.

use super::*;

fn a_home_is_enrolled_once_and_a_revoked_one_stays_revoked(store: &dyn Store) {
    assert!(store.enrol_home(&home("a"), 1).unwrap());
    assert!(!store.enrol_home(&home("a"), 2).unwrap());
    store.revoke_home(&home("a"), 3).unwrap();
    assert!(!store.enrol_home(&home("a"), 4).unwrap());
    let found = home_a(store);
    assert_eq!((found.enrolled_at, found.revoked_at), (1, Some(3)));
    store.restore_home(&home("a")).unwrap();
    assert_eq!(home_a(store).revoked_at, None);
    assert!(matches!(store.revoke_home(&home("b"), 5), Err(StoreError::NotFound { noun: "home", .. })));
    assert_eq!(store.home(&home("b")).unwrap(), None);
}

fn through_goes_as_far_as_there_is_no_gap(store: &dyn Store) {
    assert_eq!(through(&store.apply(&feedback("a", &[1, 2, 4])).unwrap()), [("a".to_owned(), 2)]);
    assert_eq!(through(&store.apply(&feedback("a", &[5])).unwrap()), [("a".to_owned(), 2)]);
    assert_eq!(through(&store.apply(&feedback("a", &[3])).unwrap()), [("a".to_owned(), 5)]);
    assert_eq!(home_a(store).through, Sequence(5));
}

fn a_refused_record_fills_its_place_and_is_named_once_it_is_passed(store: &dyn Store) {
    let batch = IngestBatch { refused: vec![refused("a", 2)], at: NOW, ..IngestBatch::default() };
    assert_eq!(store.apply(&batch).unwrap()[0].refused, [], "not before the receipt covers it");
    let progress = store.apply(&feedback("a", &[1, 3])).unwrap();
    let expected = Refusal { sequence: Sequence(2), reason: RefusalReason::NotFinite };
    assert_eq!((progress[0].through, &progress[0].refused[..]), (Sequence(3), &[expected][..]));
    assert_eq!(store.apply(&feedback("a", &[4])).unwrap()[0].refused, []);
}

fn a_missing_record_is_given_up_after_a_day_and_not_before(store: &dyn Store) {
    store.apply(&feedback("a", &[1, 4])).unwrap();
    let early = store.apply(&asking(NOW + GAP_PATIENCE_SECONDS - 1)).unwrap();
    assert_eq!((early[0].through, early[0].lost), (Sequence(1), 0));
    let late = store.apply(&asking(NOW + GAP_PATIENCE_SECONDS)).unwrap();
    assert_eq!((late[0].through, late[0].lost), (Sequence(4), 2));
    let stored = store.apply(&feedback("a", &[2])).unwrap();
    assert_eq!(stored[0].through, Sequence(4), "one that comes after all is still stored");
    assert_eq!(store.feedback_totals().unwrap().records, 3);
}

fn what_stands_under_the_last_numbers_is_told(store: &dyn Store) {
    let once_more = Handled { refused: None, ..refused("a", 4) };
    let batch = IngestBatch {
        refused: vec![refused("a", 2)],
        announced: vec![AnnouncedRow { digest: [3; 32], ..announced(&record("a", 1), 3) }],
        repeated: vec![(once_more, Sequence(1))],
        ..feedback("a", &[1])
    };
    let digests = store.apply(&batch).unwrap().remove(0).digests;
    assert_eq!(digests, [Some(batch.feedback[0].digest), Some([7; 32]), Some([3; 32]), Some([7; 32])]);

    // 5 is taken back before it came, 6 never comes, and what is taken back later keeps its bytes.
    take_back(store, 1, through_number(5));
    let late = feedback("a", &[7]);
    store.apply(&late).unwrap();
    let again = store.apply(&asking(NOW + GAP_PATIENCE_SECONDS)).unwrap().remove(0).digests;
    assert_eq!(again[..4], digests);
    assert_eq!(again[4..], [Some([0; 32]), None, Some(late.feedback[0].digest)]);

    let many: Vec<u64> = (8..=50).collect();
    let last = store.apply(&feedback("a", &many)).unwrap().remove(0);
    assert_eq!((last.through.0, last.digests.len()), (50, RECEIPT_DIGESTS_MAX));
    assert_eq!(last.digests[0], Some(row(record("a", 19)).digest), "32 numbers before 51");
}

fn a_record_is_stored_once(store: &dyn Store) {
    store.apply(&feedback("a", &[1])).unwrap();
    let mut again = feedback("a", &[1]);
    again.feedback[0].digest = [9; 32];
    store.apply(&again).unwrap();
    assert_eq!(answers(store), feedback("a", &[1]).feedback);
    assert_eq!(home_a(store).records, 1);
}

fn what_was_handled_is_known_by_its_key(store: &dyn Store) {
    let batch = IngestBatch { refused: vec![refused("a", 2)], ..feedback("a", &[1]) };
    store.apply(&batch).unwrap();
    let stored = Handled { key: key(1), digest: batch.feedback[0].digest, refused: None };
    assert_eq!(store.handled(&[key(1), key(2), key(3)]).unwrap(), [stored, refused("a", 2)]);
    assert_eq!(store.received_since(&home("a"), NOW).unwrap(), Received { answers: 1, ..Received::default() });
    assert_eq!(store.received_since(&home("a"), NOW + 1).unwrap(), Received::default());
}

fn a_stranger_makes_no_progress(store: &dyn Store) {
    let batch = IngestBatch { asking: vec![home("nobody")], at: NOW, ..IngestBatch::default() };
    assert_eq!(store.apply(&batch).unwrap(), []);
}

fn feedback_comes_in_order_of_home_and_sequence_and_in_pages(store: &dyn Store) {
    for name in ["b", "a"] {
        store.enrol_home(&home(name), 1).unwrap();
    }
    store.apply(&feedback("b", &[2, 1])).unwrap();
    store.apply(&feedback("a", &[10, 9])).unwrap();
    let keys = |filter: &FeedbackFilter| -> Vec<String> {
        store.feedback(filter).unwrap().iter().map(|row| row.record.key().to_string()).collect()
    };
    assert_eq!(keys(&FeedbackFilter::default()), ["a/9", "a/10", "b/1", "b/2"]);
    let after = Some(key(9));
    assert_eq!(keys(&FeedbackFilter { after, limit: 2, ..FeedbackFilter::default() }), ["a/10", "b/1"]);
    assert_eq!(keys(&FeedbackFilter { home: Some(home("b")), ..FeedbackFilter::default() }), ["b/1", "b/2"]);
}

fn totals_count_each_answer(store: &dyn Store) {
    let mut batch = feedback("a", &[1, 2, 3]);
    batch.feedback[1].record.verdict = Verdict::Dismissed;
    batch.feedback[2].record.verdict = Verdict::Expected;
    store.apply(&batch).unwrap();
    let expected = FeedbackTotals { records: 3, confirmed: 1, dismissed: 1, expected: 1, homes: 1 };
    assert_eq!(store.feedback_totals().unwrap(), expected);
}

fn a_number_at_the_end_of_all_numbers_overflows_nothing(store: &dyn Store) {
    // As a store may hold it that was written before such numbers were refused.
    let last = i64::MAX as u64;
    store.apply(&feedback("a", &[1, last])).unwrap();
    let given_up = store.apply(&asking(NOW + GAP_PATIENCE_SECONDS)).unwrap().remove(0);
    assert_eq!((given_up.through, given_up.lost), (Sequence(last), last - 2));
    assert_eq!(given_up.digests.len(), RECEIPT_DIGESTS_MAX);
    for (id, scope) in [(1, through_number(u64::MAX)), (2, WithdrawalScope::Records(vec![Sequence(last)]))] {
        store.withdraw(&Withdrawal { at: i64::MIN, ..withdrawal(id, scope) }, NOW).unwrap();
    }
    assert_eq!(through(&store.apply(&asking(i64::MAX)).unwrap()), [("a".to_owned(), last)]);
}

fn trying_whether_anything_can_be_stored_leaves_nothing_behind(store: &dyn Store) {
    store.probe().unwrap();
    store.probe().unwrap();
    assert_eq!((store.homes().unwrap(), store.feedback_totals().unwrap()), (vec![], FeedbackTotals::default()));
    assert_eq!(store.outcomes(None, 0).unwrap(), []);
}

fn announcements_count_as_handled_and_the_first_of_an_alarm_is_found(store: &dyn Store) {
    let answer = record("a", 3);
    let (first, again) = (announced(&answer, 1), AnnouncedRow { window: [9; 32], ..announced(&answer, 2) });
    let batch = IngestBatch { announced: vec![first.clone(), again], ..feedback("a", &[3]) };
    assert_eq!(through(&store.apply(&batch).unwrap()), [("a".to_owned(), 3)]);
    assert_eq!(store.announced(&home("a"), &answer.alarm).unwrap(), Some(first.clone()));
    assert_eq!(store.announced(&home("b"), &answer.alarm).unwrap(), None);
    let handled = Handled { key: key(1), digest: first.digest, refused: None };
    assert_eq!(store.handled(&[key(1)]).unwrap(), [handled]);
    assert_eq!(store.handled_between(&home("a"), Sequence(0), Sequence(3)).unwrap(), 2);
    let received = store.received_since(&home("a"), NOW).unwrap();
    assert_eq!(received, Received { answers: 1, unannounced: 0, announcements: 2 });
    assert_eq!(home_a(store).announces_since, Some(NOW));
    assert_eq!(take_back(store, 1, through_number(2)).removed, 2);
    assert_eq!(store.announced(&home("a"), &answer.alarm).unwrap(), None);
    assert_eq!(home_a(store).records, 1, "the answer stays");
}

fn an_answer_that_waits_keeps_its_gap_open_and_the_gap_is_timed(store: &dyn Store) {
    let awaiting = |at| IngestBatch { awaiting: vec![home("a")], at, ..IngestBatch::default() };
    let gap = || home_a(store).gap_since;
    store.apply(&awaiting(NOW)).unwrap();
    store.apply(&awaiting(NOW + 60)).unwrap();
    assert_eq!(gap(), Some(NOW));
    store.apply(&feedback("a", &[1])).unwrap();
    assert_eq!(gap(), None);
}

on_every_engine!(
    empty,
    nobody,
    [
        a_home_is_enrolled_once_and_a_revoked_one_stays_revoked,
        a_stranger_makes_no_progress,
        feedback_comes_in_order_of_home_and_sequence_and_in_pages,
        trying_whether_anything_can_be_stored_leaves_nothing_behind,
    ]
);
on_every_engine!(
    with_a_home,
    enrol,
    [
        through_goes_as_far_as_there_is_no_gap,
        a_refused_record_fills_its_place_and_is_named_once_it_is_passed,
        a_missing_record_is_given_up_after_a_day_and_not_before,
        what_stands_under_the_last_numbers_is_told,
        a_record_is_stored_once,
        what_was_handled_is_known_by_its_key,
        totals_count_each_answer,
        a_number_at_the_end_of_all_numbers_overflows_nothing,
        announcements_count_as_handled_and_the_first_of_an_alarm_is_found,
        an_answer_that_waits_keeps_its_gap_open_and_the_gap_is_timed,
    ]
);
