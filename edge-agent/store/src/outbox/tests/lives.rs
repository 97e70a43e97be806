//! A home that lost its past, and receipts that speak of it.

use hearthwatch_protocol::messages::PayloadDigest;

use super::*;

/// What an aggregator says that has these payloads under the numbers up to `through`.
fn naming(through: u64, payloads: &[&[u8]]) -> Receipt {
    Receipt { digests: payloads.iter().map(|payload| PayloadDigest::of(payload)).collect(), ..receipt(through, &[]) }
}

/// Alarm and number of what has a number, and gets one now.
fn held(outbox: &mut Outbox) -> Vec<(String, u64)> {
    while outbox.number_next().unwrap().is_some() {}
    let numbered = outbox.numbered().unwrap();
    numbered.iter().map(|one| (read(one).alarm.to_string(), one.sequence.0)).collect()
}

fn states(outbox: &Outbox) -> Vec<(u64, LedgerState)> {
    outbox.ledger(None, 100).unwrap().into_iter().rev().map(|entry| (entry.sequence.0, entry.state)).collect()
}

#[test]
fn a_receipt_that_speaks_of_a_former_life_takes_no_answer_of_this_one() {
    let home = Home::new(10);
    let mut outbox = holding(&home, &["a", "b", "c"]);
    let settled = outbox.settle(&naming(2, &[b"former", b"former too"]), 5).unwrap();
    assert_eq!(settled, Settled { renumbered: 2, ..Settled::default() });
    let again = [("c".to_owned(), 3), ("b".to_owned(), 4), ("a".to_owned(), 5)];
    assert_eq!(held(&mut outbox), again, "behind what was given already, across a restart too");
    assert_eq!(held(&mut home.open()), again);
}

#[test]
fn a_receipt_of_a_former_life_that_was_this_ones_too_confirms() {
    let home = Home::new(10);
    let mut outbox = holding(&home, &["a", "b"]);
    let payloads: Vec<Vec<u8>> = outbox.numbered().unwrap().into_iter().map(|one| one.payload).collect();
    let settled = outbox.settle(&naming(2, &[&payloads[0], &payloads[1]]), 5).unwrap();
    assert_eq!(settled, Settled { confirmed: 2, ..Settled::default() });
    assert_eq!(states(&outbox), [(1, LedgerState::Stored), (2, LedgerState::Stored)]);
}

#[test]
fn an_old_backup_confirms_what_the_aggregator_has_and_goes_on_behind_the_rest() {
    let home = Home::new(10);
    let mut outbox = holding(&home, &["a", "b"]);
    let first = outbox.numbered().unwrap().remove(0).payload;
    let settled = outbox.settle(&naming(9, &[&first, b"b", b"3", b"4", b"5", b"6", b"7", b"8", b"9"]), 5).unwrap();
    assert_eq!(settled, Settled { confirmed: 1, renumbered: 1, ..Settled::default() });
    assert_eq!(held(&mut outbox), [("b".to_owned(), 10)]);
    assert_eq!(states(&outbox), [(1, LedgerState::Stored), (2, LedgerState::Renumbered), (10, LedgerState::Sent)]);
}

#[test]
fn a_refusal_of_other_bytes_forgets_nothing() {
    let home = Home::new(10);
    let mut outbox = holding(&home, &["a", "b"]);
    let mine = outbox.numbered().unwrap().remove(1).payload;
    let reasons = [(1, RefusalReason::UnknownClass), (2, RefusalReason::ReplayedSequence)];
    let told = Receipt { refused: receipt(2, &reasons).refused, ..naming(2, &[b"former", &mine]) };
    let settled = outbox.settle(&told, 5).unwrap();
    assert_eq!(settled, Settled { confirmed: 1, renumbered: 1, refused: 0 });
    assert_eq!(held(&mut outbox), [("a".to_owned(), 3)]);
    assert_eq!(outbox.settle(&told, 6).unwrap(), Settled::default(), "however often it comes");
    let expected = [(1, LedgerState::Renumbered), (2, LedgerState::Stored), (3, LedgerState::Sent)];
    assert_eq!((states(&outbox), outbox.refusals().unwrap()), (expected.to_vec(), vec![]));
    let refused = Receipt {
        refused: receipt(3, &[(3, RefusalReason::UnknownClass)]).refused,
        ..naming(3, &[&outbox.numbered().unwrap()[0].payload])
    };
    assert_eq!(outbox.settle(&refused, 7).unwrap(), Settled { refused: 1, ..Settled::default() });
}

#[test]
fn a_number_that_was_taken_again_and_again_is_no_reason_to_give_up() {
    let home = Home::new(10);
    let mut outbox = holding(&home, &["a"]);
    for taken in 1..=4 {
        let told = Receipt {
            refused: receipt(taken, &[(taken, RefusalReason::ReplayedSequence)]).refused,
            ..naming(taken, &[b"former"])
        };
        assert_eq!(outbox.settle(&told, 5).unwrap(), Settled { renumbered: 1, ..Settled::default() });
        assert_eq!(held(&mut outbox), [("a".to_owned(), taken + 1)]);
    }
}

#[test]
fn what_was_given_up_and_is_here_still_keeps_its_number_until_it_is_heard() {
    let home = Home::new(10);
    let mut outbox = holding(&home, &["a", "b"]);
    let payloads: Vec<Vec<u8>> = outbox.numbered().unwrap().into_iter().map(|one| one.payload).collect();
    let mut told = naming(2, &[b"", &payloads[1]]);
    told.digests[0] = PayloadDigest::MISSING;
    assert_eq!(outbox.settle(&told, 5).unwrap(), Settled { confirmed: 1, ..Settled::default() });
    assert_eq!(held(&mut outbox), [("a".to_owned(), 1)]);
    assert_eq!(states(&outbox), [(1, LedgerState::Sent), (2, LedgerState::Stored)]);
    let heard = naming(2, &[&payloads[0], &payloads[1]]);
    assert_eq!(outbox.settle(&heard, 6).unwrap(), Settled { confirmed: 1, ..Settled::default() });
    assert_eq!(outbox.waiting().unwrap(), 0);
}

#[test]
fn of_a_number_that_was_taken_back_before_it_came_the_number_decides() {
    let home = Home::new(10);
    let mut outbox = holding(&home, &["a", "b"]);
    let told = Receipt { digests: vec![PayloadDigest::UNSEEN; 2], ..receipt(2, &[(1, RefusalReason::Withdrawn)]) };
    assert_eq!(outbox.settle(&told, 5).unwrap(), Settled { confirmed: 1, refused: 1, renumbered: 0 });
}

/// What may happen between a home that loses its disk and an aggregator that stays.
#[derive(Debug, Clone)]
enum Event {
    Answer(u8),
    /// Everything that has a number goes into the air.
    Send,
    /// Something of what is in the air comes down, or a copy of it.
    Arrive(usize, bool),
    /// A receipt comes, in any order, once or more.
    Hear(usize, bool),
    /// A new disk: the numbers begin at 1. What is in the air, both ways, stays.
    Lose,
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..3_u8).prop_map(Event::Answer),
        3 => Just(Event::Send),
        6 => (any::<usize>(), any::<bool>()).prop_map(|(which, copy)| Event::Arrive(which, copy)),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(which, copy)| Event::Hear(which, copy)),
        1 => Just(Event::Lose),
    ]
}

/// An aggregator that stores each number once and says what it stored.
#[derive(Default)]
struct Cloud {
    stored: BTreeMap<u64, Vec<u8>>,
}

impl Cloud {
    fn take(&mut self, record: &Numbered) -> Receipt {
        let sequence = record.sequence.0;
        let known = self.stored.entry(sequence).or_insert_with(|| record.payload.clone());
        let replayed = (*known != record.payload).then_some((sequence, RefusalReason::ReplayedSequence));
        let through = (1..).take_while(|sequence| self.stored.contains_key(sequence)).count() as u64;
        let last = through.saturating_sub(31).max(1)..=through;
        let payloads: Vec<&[u8]> = last.map(|sequence| self.stored[&sequence].as_slice()).collect();
        let refused: Vec<_> = replayed.into_iter().filter(|(sequence, _)| *sequence <= through).collect();
        Receipt { refused: receipt(through, &refused).refused, ..naming(through, &payloads) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_life_a_receipt_speaks_of_the_last_word_of_this_one_is_stored_and_nothing_twice(
        events in prop::collection::vec(any_event(), 1..60),
    ) {
        let mut life = 0;
        let mut homes = vec![Home::new(100)];
        let mut outbox = homes[0].open();
        let (mut cloud, mut air, mut words) = (Cloud::default(), Vec::<Numbered>::new(), Vec::<Receipt>::new());
        let (mut said, mut last) = (0, BTreeMap::new());
        let take = |from: &mut Vec<Numbered>, which: usize, copy: bool| -> Option<Numbered> {
            let which = which.checked_rem(from.len())?;
            Some(if copy { from[which].clone() } else { from.remove(which) })
        };
        for event in events {
            match event {
                Event::Answer(alarm) => {
                    said += 1;
                    let alarm = format!("life-{life}-{alarm}");
                    outbox.push(FeedbackRecord { answered_at: said, ..verdict(&alarm) }).unwrap();
                    last.insert(alarm, said);
                }
                Event::Send => {
                    while outbox.number_next().unwrap().is_some() {}
                    air.extend(outbox.numbered().unwrap());
                }
                Event::Arrive(which, copy) => words.extend(take(&mut air, which, copy).map(|record| cloud.take(&record))),
                Event::Hear(which, copy) => {
                    if let Some(which) = which.checked_rem(words.len()) {
                        let word = if copy { words[which].clone() } else { words.remove(which) };
                        outbox.settle(&word, 5).unwrap();
                    }
                }
                Event::Lose => {
                    life += 1;
                    last.clear();
                    homes.push(Home::new(100));
                    outbox = homes.last().unwrap().open();
                }
            }
        }
        // All that is in the air comes down; then the two talk until there is nothing left to say.
        words.extend(air.iter().map(|record| cloud.take(record)));
        for word in &words {
            outbox.settle(word, 5).unwrap();
        }
        for _ in 0..100 {
            if outbox.waiting().unwrap() == 0 {
                break;
            }
            while outbox.number_next().unwrap().is_some() {}
            for record in outbox.numbered().unwrap() {
                let word = cloud.take(&record);
                outbox.settle(&word, 5).unwrap();
            }
        }
        prop_assert_eq!(outbox.waiting().unwrap(), 0);
        let stored: Vec<FeedbackRecord> = cloud.stored.iter().map(|(&sequence, payload)| {
            read(&Numbered { sequence: Sequence(sequence), payload: payload.clone() })
        }).collect();
        let mut words: Vec<i64> = stored.iter().map(|record| record.answered_at).collect();
        words.sort_unstable();
        let count = words.len();
        words.dedup();
        prop_assert_eq!(count, words.len(), "nothing is stored twice");
        for (alarm, said) in last {
            let word = stored.iter().rev().find(|record| record.alarm.as_str() == alarm).map(|record| record.answered_at);
            prop_assert_eq!(word, Some(said), "the last word on {}", alarm);
        }
    }
}
