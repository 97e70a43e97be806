//! What was refused, and what is taken back.

use super::*;

/// A row of a home that is too large to be let in, with a number to tell it by.
fn refused_row(home_name: &str, number: u64, whole: bool) -> QuarantineRow {
    let payload = whole.then(|| bytes::Bytes::from_static(b"x"));
    QuarantineRow { payload, ..refusal(home_name, RefusalReason::Malformed, &format!("number {number}")) }
}

fn quarantine(store: &dyn Store, rows: Vec<QuarantineRow>) {
    store.apply(&IngestBatch { quarantine: rows, at: NOW, ..IngestBatch::default() }).unwrap();
}

fn the_quarantine_keeps_the_newest_of_each_home_and_shows_them_first(store: &dyn Store) {
    quarantine(store, (0..QUARANTINE_HOME_ROWS_MAX + 5).map(|number| refused_row("a", number, false)).collect());
    let kept = store.quarantine(0).unwrap();
    assert_eq!(kept.len() as u64, QUARANTINE_HOME_ROWS_MAX);
    assert_eq!(kept[0].detail, format!("number {}", QUARANTINE_HOME_ROWS_MAX + 4));
    assert_eq!(kept.last().unwrap().detail, "number 5");
    assert_eq!(store.quarantine(3).unwrap().len(), 3);
}

fn a_home_cannot_push_another_ones_entry_out_of_quarantine(store: &dyn Store) {
    quarantine(store, vec![refused_row("victim", 1, true)]);
    for _ in 0..3 {
        quarantine(store, (0..QUARANTINE_ROWS_MAX).map(|number| refused_row("hostile", number, true)).collect());
    }
    // Many hostile homes fill it to the brim, and one more gives up what it holds most of.
    let homes = QUARANTINE_ROWS_MAX / QUARANTINE_HOME_ROWS_MAX + 7;
    for index in 0..homes {
        let name = format!("hostile-{index}");
        quarantine(store, (0..QUARANTINE_HOME_ROWS_MAX).map(|number| refused_row(&name, number, true)).collect());
    }
    let kept = store.quarantine(0).unwrap();
    assert_eq!(kept.len() as u64, QUARANTINE_ROWS_MAX);
    let of = |name: &str| kept.iter().filter(|row| row.home == Some(home(name))).collect::<Vec<_>>();
    assert_eq!(of("victim").len(), 1);
    assert!(of("victim")[0].payload.is_some(), "and it can still be let in");
    assert!(of("hostile-0").len() >= 40, "they share alike");
    assert_eq!(kept.iter().filter(|row| row.payload.is_some()).count() as u64, QUARANTINE_PAYLOADS_MAX);
}

fn what_is_taken_back_far_ahead_settles_nothing(store: &dyn Store) {
    let near = WITHDRAWN_AHEAD_MAX as u64;
    let scope = WithdrawalScope::Records([near, near + 1, i64::MAX as u64, u64::MAX].map(Sequence).to_vec());
    take_back(store, 1, scope);
    let keys = [near, near + 1, i64::MAX as u64].map(key);
    let settled: Vec<u64> = store.handled(&keys).unwrap().iter().map(|handled| handled.key.sequence.0).collect();
    assert_eq!(settled, [near]);
}

fn a_withdrawal_deletes_settles_and_is_the_same_when_it_comes_again(store: &dyn Store) {
    store.apply(&feedback("a", &[1, 2, 3])).unwrap();
    let first = take_back(store, 1, through_number(2));
    assert_eq!((first.removed, first.at), (2, NOW));
    // The same number is the same withdrawal, whatever it says now.
    assert_eq!(store.withdraw(&withdrawal(1, through_number(3)), NOW + 9).unwrap(), first);
    let second = take_back(store, 2, WithdrawalScope::Records(vec![Sequence(2), Sequence(5)]));
    assert_eq!(second.removed, 0, "gone already, and never heard of");
    let left: Vec<u64> = answers(store).iter().map(|row| row.record.sequence.0).collect();
    assert_eq!(left, [3]);
    assert_eq!(through(&store.apply(&feedback("a", &[4])).unwrap()), [("a".to_owned(), 5)], "5 is settled");
    assert_eq!(store.withdrawals(0).unwrap(), [second, first]);
}

/// An answer that was refused and is kept whole.
fn kept_whole(sequence: u64) -> (Handled, QuarantineRow) {
    let row = row(record("a", sequence));
    let reason = RefusalReason::NotAnnounced;
    let handled = Handled { key: row.record.key(), digest: row.digest, refused: Some(reason) };
    let quarantined = QuarantineRow {
        sequence: Some(Sequence(sequence)),
        length: row.payload.len() as u64,
        payload: Some(row.payload),
        ..refusal("a", reason, "never announced")
    };
    (handled, quarantined)
}

fn what_is_lifted_is_stored_once_and_audited_and_what_is_discarded_is_gone(store: &dyn Store) {
    let (refused, quarantine) = [1, 2, 3].map(kept_whole).into_iter().unzip();
    store.apply(&IngestBatch { refused, quarantine, at: NOW, ..IngestBatch::default() }).unwrap();
    let ids: Vec<u64> = store.quarantine(0).unwrap().iter().rev().map(|row| row.id).collect();
    let settle = |choice: &QuarantineChoice, end| store.settle_quarantine(choice, end, &ann(), "why", NOW + 5).unwrap();
    let lifted = settle(&QuarantineChoice::Row(ids[0]), QuarantineEnd::Lifted);
    assert_eq!(lifted, Settled { rows: 1, left: 0, audit: Some(1) });
    assert_eq!(settle(&QuarantineChoice::Row(ids[0]), QuarantineEnd::Lifted), Settled::default(), "once");
    settle(&QuarantineChoice::Row(ids[1]), QuarantineEnd::Discarded);
    let all = QuarantineChoice::HomeReason(home("a"), RefusalReason::NotAnnounced);
    assert_eq!(settle(&all, QuarantineEnd::Lifted).rows, 1, "what is settled is settled");
    let stored = answers(store);
    let found: Vec<_> = stored.iter().map(|row| (row.record.sequence.0, row.received_at, row.lift)).collect();
    assert_eq!(found, [(1, NOW + 5, Some(1)), (3, NOW + 5, Some(3))]);
    let rows = store.quarantine(0).unwrap();
    assert!(rows.iter().all(|row| row.payload.is_none()));
    let settlement = Settlement { end: QuarantineEnd::Discarded, by: "token:ann".to_owned(), at: NOW + 5 };
    assert_eq!(rows[1].settled, Some(settlement));
    let actions: Vec<String> = store.audit(None, 0).unwrap().into_iter().map(|line| line.action).collect();
    assert_eq!(actions, ["quarantine.lift", "quarantine.discard", "quarantine.lift"]);
    assert_eq!(home_a(store).records, 2);
}

fn what_a_home_takes_back_cannot_be_lifted_any_more(store: &dyn Store) {
    let (refused, quarantined) = kept_whole(1);
    let batch =
        IngestBatch { refused: vec![refused], quarantine: vec![quarantined], at: NOW, ..IngestBatch::default() };
    store.apply(&batch).unwrap();
    store.withdraw(&withdrawal(1, through_number(1)), NOW + 1).unwrap();
    let row = store.quarantine(1).unwrap().remove(0);
    let by_home = Settlement { end: QuarantineEnd::Discarded, by: "home:a".to_owned(), at: NOW + 1 };
    assert_eq!((row.payload, row.prefix, row.settled), (None, vec![], Some(by_home)));
    let choice = QuarantineChoice::Row(row.id);
    let settled = store.settle_quarantine(&choice, QuarantineEnd::Lifted, &ann(), "why", NOW + 2).unwrap();
    assert_eq!(settled, Settled::default());
}

on_every_engine!(
    empty,
    nobody,
    [
        the_quarantine_keeps_the_newest_of_each_home_and_shows_them_first,
        a_home_cannot_push_another_ones_entry_out_of_quarantine,
    ]
);
on_every_engine!(
    with_a_home,
    enrol,
    [
        what_is_taken_back_far_ahead_settles_nothing,
        a_withdrawal_deletes_settles_and_is_the_same_when_it_comes_again,
        what_is_lifted_is_stored_once_and_audited_and_what_is_discarded_is_gone,
        what_a_home_takes_back_cannot_be_lifted_any_more,
    ]
);
