//! Rounds that go on without waiting for every home: what the others send counts in later ones.

use std::collections::BTreeMap;

use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::messages::RoundState;
use hearthwatch_store::rounds::RoundStore as _;

use super::*;
use crate::bench::{Bench, NOW, config};
use crate::config::BufferSettings;
use crate::fixtures::StubTrainer;

/// What evaluators find of 20 faults: as much with the candidate as with replay alone, so that a series goes on.
const AS_REPLAY: [usize; 3] = [14, 14, 10];

/// Six homes train, three deltas are enough; plans hold for five hours.
fn buffered(staleness_max: u32) -> Bench {
    let buffer = Some(BufferSettings { size: 3, staleness_max });
    let config = RoundsConfig { buffer, cohort: 5, deadline_minutes: 300, least: 2, ..config() };
    Bench::with_homes(config, StubTrainer::default(), 6)
}

/// The homes that were asked in the newest round and are waited for.
fn asked(bench: &Bench) -> Vec<HomeId> {
    let number = bench.store.rounds(None, 1).unwrap()[0].number;
    let rows = bench.store.round_homes(number, None, 0).unwrap();
    rows.into_iter().filter(|row| row.state == RoundHomeState::Planned).map(|row| row.home).collect()
}

fn judged(bench: &Bench) {
    bench.work();
    bench.send_all_counts(AS_REPLAY);
    bench.work();
    assert_eq!(bench.stage(), Some(RoundStage::Ended));
}

/// Opens the next round, an hour after the one before.
fn next(bench: &Bench, number: i64) -> Vec<HomeId> {
    bench.at(60 * number);
    bench.work();
    assert_eq!(bench.stage(), Some(RoundStage::Training));
    asked(bench)
}

/// The first round: three of five homes answer, and it goes on; the two others are returned.
fn first_round(bench: &Bench) -> [HomeId; 2] {
    let homes = next(bench, 0);
    assert_eq!(homes.len(), 5);
    homes[..3].iter().for_each(|home| assert_eq!(bench.send_delta(home).state, RoundState::Taken));
    judged(bench);
    [homes[3].clone(), homes[4].clone()]
}

fn how(bench: &Bench, number: u64) -> BTreeMap<HomeId, (u64, RoundHomeState, String)> {
    let rows = bench.store.round_homes(number, None, 0).unwrap();
    let train = rows.into_iter().filter(|row| row.duty == RoundDuty::Train);
    train.map(|row| (row.home, (row.round, row.state, row.reason))).collect()
}

#[test]
fn a_round_goes_on_with_enough_deltas_and_one_that_comes_later_counts_in_the_next() {
    let bench = buffered(2);
    let [late, silent] = first_round(&bench);
    assert_eq!(how(&bench, 1)[&late].1, RoundHomeState::Straggling);
    let bench = bench.restart();
    let asked = next(&bench, 1);
    assert!(!asked.contains(&late) && !asked.contains(&silent), "they have a plan already");
    assert_eq!(bench.send_delta(&late).state, RoundState::Taken);
    assert_eq!(bench.send_delta(&late).state, RoundState::Taken, "sent again it changes nothing");
    asked[..2].iter().for_each(|home| assert_eq!(bench.send_delta(home).state, RoundState::Taken));
    bench.work();
    let round = bench.round(2);
    assert_eq!((round.stage, round.series, round.place), (RoundStage::Evaluating, 1, 1), "two of its own and one late");
    let counted = (1, RoundHomeState::Taken, "trained in round 1, counts 0.71".to_owned());
    assert_eq!(how(&bench, 2)[&late], counted);
    judged(&bench);
    let tally = |number: u64| bench.store.round_tallies(Some(number + 1), 1).unwrap()[0].1;
    assert_eq!((tally(1).used, tally(1).silent, tally(2).used), (3, 2, 3));
    assert_eq!(bench.store.round_body(1, &late).unwrap(), b"", "no delta outlives the round that it counts in");
    assert_eq!(how(&bench, 1)[&silent].1, RoundHomeState::Straggling);
    assert_eq!(bench.store.verify_lineage().unwrap().findings, []);
    bench.at(300);
    assert_eq!(
        bench.send_delta(&silent).state,
        RoundState::Refused(hearthwatch_protocol::messages::RoundRefusal::Late)
    );
}

#[test]
fn a_delta_of_a_version_too_old_is_left_out_and_its_home_is_asked_again() {
    let bench = buffered(1);
    let [late, _] = first_round(&bench);
    let homes = next(&bench, 1);
    homes[..3].iter().for_each(|home| assert_eq!(bench.send_delta(home).state, RoundState::Taken));
    judged(&bench);
    assert_eq!(how(&bench, 1)[&late].1, RoundHomeState::Late, "two versions behind at the next");
    assert_eq!(bench.store.round_homes_behind().unwrap().len(), homes.len() - 3);
    bench.offer(&late, true);
    assert!(next(&bench, 2).contains(&late));
}

#[test]
fn deltas_of_a_round_with_too_few_count_in_the_next_in_full() {
    let bench = buffered(2);
    let homes = next(&bench, 0);
    assert_eq!(bench.send_delta(&homes[0]).state, RoundState::Taken);
    bench.at(300);
    bench.work();
    assert_eq!(bench.round(1).outcome, Some(RoundOutcome::TooFew));
    bench.train.iter().chain(&bench.evaluators).for_each(|home| bench.offer(home, true));
    bench.work();
    let homes_2 = asked(&bench);
    assert!(!homes_2.contains(&homes[0]), "its delta waits");
    homes_2[..2].iter().for_each(|home| assert_eq!(bench.send_delta(home).state, RoundState::Taken));
    bench.work();
    assert_eq!(how(&bench, 2)[&homes[0]], (1, RoundHomeState::Taken, "trained in round 1, counts 1.00".to_owned()));
}

#[test]
fn a_home_that_withdraws_takes_its_late_delta_with_it() {
    let bench = buffered(2);
    let [late, waited_for] = first_round(&bench);
    assert_eq!(bench.send_delta(&late).state, RoundState::Taken);
    bench.at(1);
    bench.offer(&late, false);
    bench.offer(&waited_for, false);
    for home in [&late, &waited_for] {
        assert_eq!(how(&bench, 1)[home].1, RoundHomeState::Declined);
    }
    assert_eq!(bench.store.round_body(1, &late).unwrap(), b"");
    assert_eq!(bench.store.round_homes_behind().unwrap(), []);
    assert_eq!(NOW + 60, bench.now());
}

#[test]
fn a_restarted_aggregator_sends_stragglers_their_plans_and_receipts_again() {
    let bench = buffered(2);
    let [late, silent] = first_round(&bench);
    assert_eq!(bench.send_delta(&late).state, RoundState::Taken);
    let bench = bench.restart();
    next(&bench, 1);
    let receipts = receipts::taken(bench.store.as_ref()).unwrap();
    let receipt = receipts.into_iter().find(|(home, _)| *home == late).unwrap().1;
    assert_eq!((receipt.round, receipt.state), (1, RoundState::Taken));
    let plans = plans::open(bench.store.as_ref()).unwrap();
    let of_silent: Vec<u64> = plans.iter().filter_map(|plan| plan.is_for(&silent)).collect();
    assert_eq!((plans.len(), of_silent), (5, vec![1]), "four of round 2 and one of round 1");
}

#[test]
fn without_a_buffer_again_late_deltas_do_not_count_and_their_homes_are_asked() {
    let mut bench = buffered(2);
    let [late, silent] = first_round(&bench);
    assert_eq!(bench.send_delta(&late).state, RoundState::Taken);
    bench.config.buffer = None;
    let bench = bench.restart();
    let homes = next(&bench, 1);
    assert_eq!(homes.len(), 5);
    let how = how(&bench, 1);
    let reason = "late deltas do not count any more";
    assert_eq!((how[&late].1, how[&late].2.as_str()), (RoundHomeState::LeftOut, reason));
    assert_eq!((how[&silent].1, how[&silent].2.as_str()), (RoundHomeState::Late, reason));
    assert_eq!(bench.store.round_body(1, &late).unwrap(), b"");
    assert_eq!(bench.store.round_homes_behind().unwrap(), []);
}
