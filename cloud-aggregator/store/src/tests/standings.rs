//! What rounds remember of homes.

use super::*;
use crate::fixtures::{round, round_home};
use crate::rounds::{OfferRow, RoundDuty, RoundHomeState, RoundRow, RoundStage};
use crate::standings::*;
use hearthwatch_protocol::round::SignedRoundOffer;

fn standing(name: &str, suspicion: f64) -> StandingRow {
    StandingRow {
        home: home(name),
        rounds: 3,
        left_out: 1,
        copied: 0,
        alike: Some(("b".to_owned(), 0.6)),
        suspicion,
        latest: 3,
        way: vec![1, 2],
    }
}

fn remembered(standings: Vec<StandingRow>) -> Remembered {
    let reputation = ReputationRow { seed: [7; 8], rounds: 3, before: Some(vec![9]) };
    Remembered { reputation, standings, forgotten: Vec::new() }
}

fn remember(store: &dyn Store, number: u64, remembered: &Remembered) {
    let opened = store.advance_round(&round(number, RoundStage::Training), &[]).unwrap();
    let ended = RoundRow { stage: RoundStage::Ended, ..opened };
    store.advance_round_and_remember(&ended, &[], remembered).unwrap();
}

fn what_a_round_remembers_is_written_with_the_round_or_not_at_all(store: &dyn Store) {
    assert_eq!((store.reputation().unwrap(), store.standings(None, 0).unwrap()), (None, vec![]));
    let opened = store.advance_round(&round(1, RoundStage::Training), &[]).unwrap();
    let homes = [round_home(1, "a", RoundDuty::Train, RoundHomeState::Taken)];
    let first = remembered(vec![standing("a", 0.8), standing("c", 0.2)]);
    let old = RoundRow { row_version: 7, ..opened.clone() };
    assert!(store.advance_round_and_remember(&old, &homes, &first).is_err());
    assert_eq!(store.standings(None, 0).unwrap(), []);
    store.advance_round_and_remember(&opened, &homes, &first).unwrap();
    assert_eq!(store.reputation().unwrap(), Some(first.reputation));
    assert_eq!(store.standings(Some(&home("a")), 1).unwrap(), [standing("c", 0.2)]);
    assert_eq!(store.suspected(0.5, 0).unwrap(), [standing("a", 0.8)]);
    assert_eq!(store.round_home(1, &home("a")).unwrap().as_ref(), Some(&homes[0]));
}

fn a_home_that_is_forgotten_or_included_again_begins_anew(store: &dyn Store) {
    remember(store, 1, &remembered(vec![standing("a", 0.8), standing("b", 0.9), standing("c", 0.1)]));
    remember(store, 2, &Remembered { forgotten: vec![home("c")], ..remembered(vec![standing("a", 0.9)]) });
    assert_eq!(store.standings(None, 0).unwrap(), [standing("a", 0.9), standing("b", 0.9)]);
    let note = Note { at: NOW, actor: Actor::System, action: "home.include".to_owned(), detail: serde_json::json!({}) };
    let include = Change::IncludeHome { home: home("a"), by: Actor::System, at: NOW };
    store.change(&include, &note).unwrap();
    assert_eq!(store.standings(None, 0).unwrap(), [standing("b", 0.9)]);
    let again = store.change(&include, &note).unwrap_err();
    assert_eq!(again.to_string(), "no exclusion \"a\"");
}

fn of_a_home_that_takes_no_part_any_more_no_sketch_is_kept(store: &dyn Store) {
    remember(store, 1, &remembered(vec![standing("a", 0.8)]));
    let signed = SignedRoundOffer::from_bytes(vec![1]);
    let offer =
        OfferRow { home: home("a"), willing: false, classes: Vec::new(), masks: false, signed, at: 5, heard_at: NOW };
    store.put_offer(&offer).unwrap();
    assert_eq!(store.standings(None, 0).unwrap(), [StandingRow { way: vec![0, 0], ..standing("a", 0.8) }]);
}

on_every_engine!(
    standings,
    nobody,
    [
        what_a_round_remembers_is_written_with_the_round_or_not_at_all,
        a_home_that_is_forgotten_or_included_again_begins_anew,
        of_a_home_that_takes_no_part_any_more_no_sketch_is_kept,
    ]
);
