//! Offers, rounds, and the parts of answers.

use hearthwatch_protocol::round::{ClassCount, SignedGroupRequest, SignedRoundAnswer, SignedRoundOffer};

use super::*;
use crate::fixtures;
use crate::rounds::*;

fn offer(name: &str, willing: bool, at: i64) -> OfferRow {
    let classes = vec![ClassCount { class: "temperature".to_owned(), entities: 4 }];
    let signed = SignedRoundOffer::from_bytes(vec![1, 2]);
    OfferRow { home: home(name), willing, classes, masks: at % 2 == 0, signed, at, heard_at: NOW }
}

fn round(number: u64) -> RoundRow {
    fixtures::round(number, RoundStage::Training)
}

fn asked(round: u64, name: &str, duty: RoundDuty) -> RoundHomeRow {
    fixtures::round_home(round, name, duty, RoundHomeState::Planned)
}

fn answered(name: &str, answer: u8) -> RoundHomeRow {
    let answer_bytes = SignedRoundAnswer::from_bytes(vec![answer]);
    RoundHomeRow {
        answer: Some(answer_bytes),
        digest: Some([answer; 32]),
        bytes: 5,
        ..asked(1, name, RoundDuty::Train)
    }
}

fn opened(store: &dyn Store) -> RoundRow {
    let homes = ["a", "b"].map(|name| asked(1, name, RoundDuty::Train));
    store.advance_round(&round(1), &homes).unwrap()
}

fn ended(row: &RoundRow) -> RoundRow {
    RoundRow { stage: RoundStage::Ended, outcome: Some(RoundOutcome::TooFew), ended_at: Some(NOW), ..row.clone() }
}

fn state(store: &dyn Store, name: &str) -> RoundHomeState {
    store.round_home(1, &home(name)).unwrap().unwrap().state
}

fn the_newest_offer_of_a_home_counts_by_its_own_clock(store: &dyn Store) {
    assert!(store.put_offer(&offer("a", true, 5)).unwrap());
    assert!(!store.put_offer(&offer("a", false, 4)).unwrap(), "an older word");
    assert_eq!(store.offer(&home("a")).unwrap(), Some(offer("a", true, 5)));
    assert!(store.put_offer(&offer("a", false, 6)).unwrap());
    assert_eq!(store.offers_after(None, 0).unwrap(), [offer("a", false, 6)]);
    assert_eq!(store.willing_homes().unwrap(), 0);
}

fn offers_come_in_pages_by_home(store: &dyn Store) {
    for (name, willing) in [("a", true), ("b", false), ("c", true)] {
        store.put_offer(&offer(name, willing, 1)).unwrap();
    }
    assert_eq!(store.offers_after(Some(&home("a")), 1).unwrap(), [offer("b", false, 1)]);
    assert_eq!(store.willing_homes().unwrap(), 2);
}

fn the_homes_of_a_round_are_counted_by_what_became_of_their_answers(store: &dyn Store) {
    use RoundHomeState as State;
    let states = [State::Taken, State::Taken, State::LeftOut, State::Refused, State::Late, State::Planned];
    let mut homes: Vec<RoundHomeRow> = (0_u8..)
        .zip(states)
        .map(|(place, state)| fixtures::round_home(1, &format!("h{place}"), RoundDuty::Train, state))
        .collect();
    homes[0].norm = Some(1.0);
    homes[2].norm = Some(3.0);
    homes.push(fixtures::round_home(1, "j", RoundDuty::Evaluate, State::Taken));
    let row = store.advance_round(&round(1), &homes).unwrap();
    let tally = RoundTally { used: 2, left_out: 1, refused: 1, silent: 2, evaluated: 1, mean_norm: Some(2.0) };
    assert_eq!(store.round_tallies(None, 5).unwrap(), [(row, tally)]);
    assert_eq!(store.round_tallies(Some(1), 5).unwrap(), []);
    assert_eq!(store.round_homes_not_used(1, 0).unwrap(), homes[2..4]);
    assert_eq!(store.round_homes_not_used(1, 1).unwrap(), homes[2..3]);
}

fn rounds_count_up_one_at_a_time_and_a_change_names_what_it_read(store: &dyn Store) {
    let conflict = |row: &RoundRow| matches!(store.advance_round(row, &[]), Err(StoreError::Conflict { .. }));
    assert!(conflict(&round(2)), "the first has number 1");
    let first = opened(store);
    assert_eq!((first.row_version, store.round(1).unwrap()), (1, Some(first.clone())));
    assert!(conflict(&round(2)), "the first is still open");
    let over = store.advance_round(&ended(&first), &[]).unwrap();
    assert!(conflict(&first), "it was read before");
    let second = store.advance_round(&round(2), &[]).unwrap();
    assert_eq!(store.rounds(None, 0).unwrap(), [second, over.clone()]);
    assert_eq!(store.rounds(Some(2), 1).unwrap(), [over]);
}

fn parts_are_kept_until_the_round_ends_and_then_only_the_digest(store: &dyn Store) {
    let first = opened(store);
    let answer = answered("a", 9);
    let put = |part, bytes: &[u8]| store.put_round_part(&answer, part, 2, bytes).unwrap();
    assert_eq!(put(1, b"de"), PartPut::Next(0), "parts may come in any order");
    assert_eq!(state(store, "a"), RoundHomeState::Receiving);
    assert_eq!(put(0, b"abc"), PartPut::Next(2));
    assert_eq!(put(0, b"xxx"), PartPut::Next(2), "the same part again changes nothing");
    assert_eq!(store.round_body(1, &home("a")).unwrap(), b"abcde");
    let taken = RoundHomeRow { state: RoundHomeState::Taken, norm: Some(0.5), ..answer };
    assert!(store.settle_round_home(&taken).unwrap());
    assert!(!store.settle_round_home(&taken).unwrap(), "it is settled");
    assert_eq!(store.put_round_part(&taken, 0, 2, b"abc").unwrap(), PartPut::Closed);
    store.advance_round(&ended(&first), &[]).unwrap();
    assert_eq!(store.round_body(1, &home("a")).unwrap(), b"");
    assert_eq!(store.newest_round_home(&home("a")).unwrap(), Some(taken));
}

fn another_answer_takes_the_place_of_one_that_is_not_whole(store: &dyn Store) {
    opened(store);
    store.put_round_part(&answered("a", 9), 0, 2, b"abc").unwrap();
    assert_eq!(store.put_round_part(&answered("a", 8), 1, 2, b"nd").unwrap(), PartPut::Next(0));
    assert_eq!(store.round_body(1, &home("a")).unwrap(), b"nd");
    let refused = RoundHomeRow { state: RoundHomeState::Refused, reason: "norm".to_owned(), ..answered("a", 8) };
    assert!(store.settle_round_home(&refused).unwrap());
    assert_eq!(store.round_body(1, &home("a")).unwrap(), b"", "what is refused is not kept");
}

fn nothing_is_taken_in_a_stage_that_is_not_the_homes(store: &dyn Store) {
    let first = opened(store);
    let evaluating = RoundRow { stage: RoundStage::Evaluating, ..first };
    store.advance_round(&evaluating, &[asked(1, "c", RoundDuty::Evaluate)]).unwrap();
    assert_eq!(store.put_round_part(&answered("a", 9), 0, 1, b"x").unwrap(), PartPut::Closed);
    assert_eq!(store.put_round_part(&answered("c", 9), 0, 1, b"x").unwrap(), PartPut::Next(1));
    assert_eq!(store.put_round_part(&answered("d", 9), 0, 1, b"x").unwrap(), PartPut::Closed, "nobody asked it");
    let names = store.round_homes(1, Some(&home("a")), 1).unwrap().into_iter().map(|row| row.home.to_string());
    assert_eq!(names.collect::<Vec<_>>(), ["b"]);
}

fn a_straggler_answers_after_its_round_and_counts_in_a_later_one(store: &dyn Store) {
    let first = opened(store);
    store.put_round_part(&answered("b", 8), 0, 2, b"x").unwrap();
    let behind = |name: &str, state| RoundHomeRow { state, ..asked(1, name, RoundDuty::Train) };
    let straggling = [behind("a", RoundHomeState::Straggling), behind("b", RoundHomeState::Late)];
    let first = store.advance_round(&RoundRow { stage: RoundStage::Aggregating, ..first }, &straggling).unwrap();
    assert_eq!(store.round_body(1, &home("b")).unwrap(), b"", "who is late is not waited for");
    store.put_round_part(&answered("a", 9), 0, 2, b"abc").unwrap();
    assert_eq!(state(store, "a"), RoundHomeState::Straggling);
    store.advance_round(&ended(&first), &[]).unwrap();
    assert_eq!(store.put_round_part(&answered("a", 9), 1, 2, b"de").unwrap(), PartPut::Next(2));
    let carried = RoundHomeRow { state: RoundHomeState::Carried, norm: Some(2.0), ..answered("a", 9) };
    assert!(store.settle_round_home(&carried).unwrap());
    let lost = store.advance_round(&round(2), &straggling[..1]).unwrap_err();
    assert!(matches!(lost, StoreError::Conflict { .. }), "it answered meanwhile: {lost}");
    assert_eq!(store.round_homes_behind().unwrap(), std::slice::from_ref(&carried));
    assert_eq!(store.trained_since(1).unwrap(), [home("a")]);
    let second = store.advance_round(&round(2), &[asked(2, "b", RoundDuty::Train)]).unwrap();
    let counted = RoundHomeRow { state: RoundHomeState::Taken, counted_in: Some(2), ..carried };
    let second = store.advance_round(&second, std::slice::from_ref(&counted)).unwrap();
    assert_eq!(store.round_homes(2, None, 0).unwrap(), [counted, asked(2, "b", RoundDuty::Train)]);
    assert_eq!(store.round_homes(2, Some(&home("a")), 1).unwrap(), [asked(2, "b", RoundDuty::Train)]);
    let tallies: Vec<RoundTally> = store.round_tallies(None, 0).unwrap().into_iter().map(|(_, tally)| tally).collect();
    let none = RoundTally { silent: 2, ..RoundTally::default() };
    assert_eq!(tallies, [RoundTally { used: 1, silent: 1, mean_norm: Some(2.0), ..none }, none]);
    assert_eq!(store.round_body(1, &home("a")).unwrap(), b"abcde");
    store.advance_round(&ended(&second), &[]).unwrap();
    assert_eq!(store.round_body(1, &home("a")).unwrap(), b"");
}

fn a_home_that_withdraws_is_out_of_the_open_round_and_is_not_written_over(store: &dyn Store) {
    let first = opened(store);
    store.put_round_part(&answered("a", 9), 0, 1, b"abcde").unwrap();
    let taken = RoundHomeRow { state: RoundHomeState::Taken, ..answered("a", 9) };
    store.settle_round_home(&taken).unwrap();
    assert_eq!(store.leave_round(&home("a"), "no_consent", NOW).unwrap(), Some(1));
    assert_eq!((state(store, "a"), store.round_body(1, &home("a")).unwrap()), (RoundHomeState::Declined, vec![]));
    assert_eq!(store.leave_round(&home("a"), "no_consent", NOW).unwrap(), None, "it is out");
    let late = RoundHomeRow { state: RoundHomeState::Late, ..asked(1, "a", RoundDuty::Train) };
    let lost = store.advance_round(&first, &[late]).unwrap_err();
    assert!(matches!(lost, StoreError::Conflict { noun: "round", .. }), "{lost}");
    let lost = store.advance_round(&first, &[taken]).unwrap_err();
    assert_eq!(lost.to_string(), "round 1 was changed meanwhile: it is answered by a home");
    assert_eq!(store.round(1).unwrap(), Some(first.clone()), "nothing of it was written");
    let evaluating = RoundRow { stage: RoundStage::Evaluating, ..first };
    store.advance_round(&evaluating, &[]).unwrap();
    assert_eq!(store.leave_round(&home("b"), "no_consent", NOW).unwrap(), None, "its delta is in the candidate");
}

fn groups_and_requests_go_with_the_round_and_an_exchange_takes_the_bodies_of_the_one_before(store: &dyn Store) {
    let first = opened(store);
    store.put_round_part(&answered("a", 9), 0, 1, b"abcde").unwrap();
    let group =
        |state: &[u8]| GroupRow { round: 1, number: 0, state: state.to_vec(), sum: None, reason: String::new() };
    let request = |name: &str, body: &[u8]| RequestRow {
        round: 1,
        home: home(name),
        group: 0,
        signed: SignedGroupRequest::from_bytes(vec![4]),
        body: body.to_vec(),
    };
    let sharing = RoundRow { stage: RoundStage::Sharing, ..first };
    let homes = ["a", "b"].map(|name| asked(1, name, RoundDuty::Train));
    let requests = [request("a", b"roster"), request("b", b"roster")];
    let sharing = store.advance_groups(&sharing, &homes, &[group(b"one")], &requests).unwrap();
    assert_eq!(store.round_body(1, &home("a")).unwrap(), b"");
    assert_eq!(
        (store.round_groups(1).unwrap(), store.round_requests(1).unwrap()),
        (vec![group(b"one")], requests.into())
    );
    assert_eq!(
        store.put_round_part(&answered("a", 8), 0, 1, b"shares").unwrap(),
        PartPut::Next(1),
        "homes answer again"
    );
    assert_eq!(store.round_group(1, &home("b")).unwrap(), Some(group(b"one")));
    let masking = RoundRow { stage: RoundStage::Masking, ..sharing };
    let summed = GroupRow { sum: Some(vec![7]), ..group(b"two") };
    let masking =
        store.advance_groups(&masking, &homes[..1], std::slice::from_ref(&summed), &[request("a", b"shares")]).unwrap();
    assert_eq!(store.round_groups(1).unwrap(), [summed]);
    assert_eq!(store.round_group(1, &home("b")).unwrap(), None, "it is asked for nothing");
    assert_eq!(store.round_requests(1).unwrap(), [request("a", b"shares")], "who is not asked has nothing to answer");
    assert_eq!(store.leave_round(&home("b"), "no_consent", NOW).unwrap(), Some(1));
    store.advance_round(&ended(&masking), &[]).unwrap();
    assert_eq!((store.round_groups(1).unwrap(), store.round_requests(1).unwrap()), (vec![], vec![]));
}

on_every_engine!(
    rounds,
    nobody,
    [
        the_newest_offer_of_a_home_counts_by_its_own_clock,
        offers_come_in_pages_by_home,
        the_homes_of_a_round_are_counted_by_what_became_of_their_answers,
        rounds_count_up_one_at_a_time_and_a_change_names_what_it_read,
        parts_are_kept_until_the_round_ends_and_then_only_the_digest,
        another_answer_takes_the_place_of_one_that_is_not_whole,
        nothing_is_taken_in_a_stage_that_is_not_the_homes,
        groups_and_requests_go_with_the_round_and_an_exchange_takes_the_bodies_of_the_one_before,
        a_straggler_answers_after_its_round_and_counts_in_a_later_one,
        a_home_that_withdraws_is_out_of_the_open_round_and_is_not_written_over,
    ]
);
