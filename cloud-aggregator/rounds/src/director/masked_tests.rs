//! Whole masked rounds: what the server holds of single homes is noise, and drop-outs and liars end in a sum or in a reason.

use std::collections::BTreeMap;

use hearthwatch_detector::network::PARAMETER_COUNT;
use hearthwatch_federation::{Delta, FixedPoint, Quantised};
use hearthwatch_masking::{
    GroupStart, Home, KeyPairs, MaskedInput, ShareDelivery, ShareKeys, UnmaskRequest, Words, from_bytes, to_bytes,
};
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::messages::{RoundRefusal, RoundState};
use hearthwatch_protocol::round::{MaskAnswer, MaskExchange, RoundFile, RoundOffer, RoundResult, RoundWork};
use hearthwatch_store::rollouts::ExclusionRow;
use hearthwatch_store::rounds::{RoundDuty, RoundStore as _};
use hearthwatch_store::{Actor, RolloutStore as _};
use rand::SeedableRng as _;
use rand_chacha::{ChaCha8Rng, ChaCha20Rng};

use super::*;
use crate::bench::{Bench, NOW, config, delta_body};
use crate::config::MaskSettings;
use crate::fixtures::{StubTrainer, key};
use crate::strategies::StrategyName;

/// A home that masks what it sends.
struct Masker {
    id: HomeId,
    delta: Delta,
    keys: KeyPairs,
    home: Option<Home>,
}

/// What a home does to a body before it sends it.
type Lie<'a> = &'a dyn Fn(&HomeId, MaskExchange, Vec<u8>) -> Vec<u8>;

struct Fleet {
    bench: Bench,
    homes: Vec<Masker>,
}

fn masked(strategy: StrategyName) -> RoundsConfig {
    let masks = Some(MaskSettings { group: 4, threshold: 0.7, exchange_minutes: 10 });
    RoundsConfig { masks, least: 4, strategy, ..config() }
}

fn random(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn answer(exchange: MaskExchange, body: &[u8]) -> RoundResult {
    RoundResult::Masks(MaskAnswer { exchange, file: RoundFile::of(body) })
}

impl Fleet {
    fn new(homes: usize) -> Self {
        Self::with(homes, masked(StrategyName::Mean))
    }

    fn with(homes: usize, config: RoundsConfig) -> Self {
        let bench = Bench::with_homes(config, StubTrainer::default(), homes);
        let homes = (0..).zip(&bench.train).map(|(seed, id)| Masker {
            id: id.clone(),
            delta: Delta::zero().noised(5e-4, &mut ChaCha8Rng::seed_from_u64(seed)),
            keys: KeyPairs::draw(&mut random(seed)),
            home: None,
        });
        let homes = homes.collect();
        Self { bench, homes }
    }

    fn say(&self, place: usize, exchange: MaskExchange, body: &[u8]) -> RoundState {
        let home = &self.homes[place].id;
        self.bench.say_all(home, &self.bench.parts(home, answer(exchange, body), body)).state
    }

    fn keys_of(&self, place: usize) -> Vec<u8> {
        to_bytes(&self.homes[place].keys.public().unwrap()).unwrap()
    }

    /// The round opens, and all but the `silent` send their keys.
    fn open(&self, silent: &[usize]) {
        self.bench.work();
        for place in (0..self.homes.len()).filter(|place| !silent.contains(place)) {
            let said = self.say(place, MaskExchange::Keys, &self.keys_of(place));
            assert_eq!(said, RoundState::Received(MaskExchange::Keys));
        }
    }

    /// All who are asked but the `silent` answer the requests of the exchange that is open.
    fn answer(&mut self, silent: &[usize], lie: Lie<'_>) {
        let clip = settings::read(&self.bench.round(1)).unwrap().clip;
        for row in self.bench.store.round_requests(1).unwrap() {
            let place = self.homes.iter().position(|home| home.id == row.home).unwrap();
            if silent.contains(&place) {
                continue;
            }
            let request = row.signed.read(&[key(200).public()]).unwrap();
            assert_eq!((request.nonce, request.file), (self.bench.part(&row.home).nonce, RoundFile::of(&row.body)));
            let masker = &mut self.homes[place];
            let body = match request.exchange {
                MaskExchange::Shares => {
                    let GroupStart { plan, roster } = from_bytes(&row.body).unwrap();
                    let mut home = Home::enter(plan, &row.home, masker.keys.clone(), &mut random(90)).unwrap();
                    let dealt = home.share_keys(&roster, &mut random(91)).unwrap();
                    masker.home = Some(home);
                    to_bytes(&dealt)
                }
                MaskExchange::Masked => {
                    let delivery: ShareDelivery = from_bytes(&row.body).unwrap();
                    let words = Words(FixedPoint::of_clip(clip).words(masker.delta.clone()));
                    to_bytes(&masker.home.as_mut().unwrap().mask(&delivery, words).unwrap())
                }
                MaskExchange::Opened => {
                    let asked: UnmaskRequest = from_bytes(&row.body).unwrap();
                    to_bytes(&masker.home.as_mut().unwrap().unmask(&asked).unwrap())
                }
                MaskExchange::Keys => panic!("the plan asks for keys"),
            };
            let body = lie(&row.home, request.exchange, body.unwrap());
            self.say(place, request.exchange, &body);
        }
    }

    /// Three exchanges after the keys; places in `silent` send nothing from an exchange on. Ten minutes pass for each.
    fn exchanges(&mut self, silent: &[(usize, MaskExchange)], lie: Lie<'_>) {
        for (turn, exchange) in (1..).zip([MaskExchange::Shares, MaskExchange::Masked, MaskExchange::Opened]) {
            let quiet: Vec<usize> = silent.iter().filter(|(_, from)| *from <= exchange).map(|(at, _)| *at).collect();
            self.answer(&quiet, lie);
            self.bench.at(60 + turn * 10);
            self.bench.work();
        }
    }

    fn states(&self) -> Vec<(RoundHomeState, String)> {
        let of = |home: &Masker| {
            // The next round may have opened.
            let row = self.bench.store.round_home(1, &home.id).unwrap().unwrap();
            (row.state, row.reason)
        };
        self.homes.iter().map(of).collect()
    }

    fn mean(&self, of: &[usize]) -> Vec<f32> {
        let value =
            |at: usize| of.iter().map(|home| self.homes[*home].delta.values()[at]).sum::<f32>() / of.len() as f32;
        (0..PARAMETER_COUNT).map(value).collect()
    }

    /// The mean that the sums of the groups give, when the exchanges are over and nothing was made of them yet.
    fn mean_of_sums(&self) -> Vec<Vec<f32>> {
        let clip = settings::read(&self.bench.round(1)).unwrap().clip;
        let groups = self.bench.store.round_groups(1).unwrap();
        let mean = |group: &hearthwatch_store::rounds::GroupRow| {
            let sum = group.sum.clone().unwrap();
            let words: Vec<u16> = sum.as_chunks::<2>().0.iter().map(|word| u16::from_le_bytes(*word)).collect();
            let homes = crate::groups::masked(&crate::groups::server(group).unwrap()).len();
            FixedPoint::of_clip(clip).mean(&words, homes).unwrap().values().to_vec()
        };
        groups.iter().map(mean).collect()
    }
}

fn honest(_: &HomeId, _: MaskExchange, body: Vec<u8>) -> Vec<u8> {
    body
}

/// The last byte of a body is one of a share or of a word.
fn spoil(mut body: Vec<u8>) -> Vec<u8> {
    if let Some(last) = body.last_mut() {
        *last ^= 1;
    }
    body
}

fn cosine(one: &[f64], other: &[f64]) -> f64 {
    let dot = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(one, other)| one * other).sum::<f64>();
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}

#[test]
fn a_masked_round_comes_to_a_candidate_and_nothing_that_the_server_holds_of_a_home_tells_its_delta() {
    let mut fleet = Fleet::new(9);
    fleet.open(&[]);
    let plan = fleet.bench.part(&fleet.homes[0].id).signed.read(&[key(200).public()]).unwrap();
    let RoundWork::MaskedTrain(work) = plan.work else { panic!("the plan asks for masks") };
    assert_eq!((work.masks.group, work.masks.threshold), (4, 0.7));
    fleet.bench.work();
    assert_eq!(fleet.bench.round(1).stage, RoundStage::Sharing);
    fleet.answer(&[], &honest);
    fleet.bench.work();
    assert_eq!(fleet.bench.round(1).stage, RoundStage::Masking);
    fleet.answer(&[], &honest);

    let clip = settings::read(&fleet.bench.round(1)).unwrap().clip;
    let files = ["aggregator.db", "aggregator.db-wal"].map(|name| fleet.bench.directory.path().join(name));
    let stored: Vec<u8> = files.iter().filter_map(|file| std::fs::read(file).ok()).flatten().collect();
    for home in &fleet.homes {
        let body = fleet.bench.store.round_body(1, &home.id).unwrap();
        let sent: MaskedInput = from_bytes(&body).unwrap();
        let words: Vec<f64> = sent.words.0.iter().map(|word| f64::from(*word as i16)).collect();
        let delta: Vec<f64> = home.delta.values().iter().map(|value| f64::from(*value)).collect();
        let found = cosine(&words, &delta);
        // Of independent vectors: 29,798 values, five deviations.
        assert!(found.abs() < 0.029, "{}: {found}", home.id);
        // Words of sixteen bits, each as often as any other: 16 bins, none off by more than six deviations.
        let mut bins = [0_i32; 16];
        sent.words.0.iter().for_each(|word| bins[usize::from(*word >> 12)] += 1);
        let even = PARAMETER_COUNT as f64 / 16.0;
        assert!(bins.iter().all(|count| (f64::from(*count) - even).abs() < 6.0 * even.sqrt()), "{bins:?}");
        let plain = FixedPoint::of_clip(clip).words(home.delta.clone());
        let plain: Vec<u8> = plain[..8].iter().flat_map(|word| word.to_le_bytes()).collect();
        let levels = Quantised::of(&home.delta).to_bytes().unwrap();
        let levels = &levels[levels.len() - 16..];
        let holds = |bytes: &[u8]| stored.windows(bytes.len()).any(|window| window == bytes);
        assert!(!holds(&plain) && !holds(levels), "{} lies in the store", home.id);
        assert!(
            holds(&sent.words.0[..8].iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>()),
            "masked it does"
        );
    }

    fleet.bench.work();
    assert_eq!(fleet.bench.round(1).stage, RoundStage::Unmasking);
    assert!(
        fleet.homes.iter().all(|home| fleet.bench.store.round_body(1, &home.id).unwrap().is_empty()),
        "added, and gone"
    );
    fleet.answer(&[], &honest);
    fleet.bench.work();
    let round = fleet.bench.round(1);
    assert_eq!((round.stage, round.aggregate.is_some()), (RoundStage::Evaluating, true));
    let states = fleet.states();
    assert!(states.iter().all(|(state, _)| *state == RoundHomeState::Taken));
    assert!(states.iter().all(|(_, reason)| reason.starts_with("masked, in the sum of group-")), "{states:?}");
    assert!(fleet.homes.iter().all(|home| fleet.bench.part(&home.id).norm.is_none()));
    let groups = fleet.bench.store.round_groups(1).unwrap();
    assert_eq!(groups.len(), 2, "nine homes in groups of at least four");
    let means = fleet.mean_of_sums();
    for (group, mean) in groups.iter().zip(means) {
        let homes = crate::groups::masked(&crate::groups::server(group).unwrap());
        let places: Vec<usize> =
            homes.iter().map(|id| fleet.homes.iter().position(|home| home.id == *id).unwrap()).collect();
        let step = FixedPoint::of_clip(clip).step();
        let exact = fleet.mean(&places);
        assert!(mean.iter().zip(&exact).all(|(one, other)| f64::from((one - other).abs()) <= 0.6 * step));
    }
    fleet.bench.send_all_counts([16, 12, 10]);
    fleet.bench.work();
    assert_eq!(fleet.bench.round(1).outcome, Some(RoundOutcome::Promoted));
    assert_eq!(fleet.bench.store.round_groups(1).unwrap(), [], "sums go with the round");
    assert_eq!(fleet.bench.store.verify_lineage().unwrap().findings, []);
}

#[test]
fn homes_that_drop_out_in_any_exchange_are_recovered_and_what_was_masked_before_stays_in() {
    for exchange in [MaskExchange::Keys, MaskExchange::Shares, MaskExchange::Masked, MaskExchange::Opened] {
        let mut fleet = Fleet::new(8);
        // One group of seven or eight: then one drop-out is nothing to a threshold of three quarters.
        fleet.open(if exchange == MaskExchange::Keys { &[2] } else { &[] });
        fleet.bench.at(60);
        fleet.bench.work();
        fleet.exchanges(&[(2, exchange)], &honest);
        assert_eq!(fleet.bench.round(1).stage, RoundStage::Evaluating, "{exchange:?}");
        let states = fleet.states();
        let used = states.iter().filter(|(state, _)| *state == RoundHomeState::Taken).count();
        let (state, reason) = &states[2];
        if exchange == MaskExchange::Opened {
            assert_eq!((used, *state), (8, RoundHomeState::Taken), "its delta is in the sum");
        } else {
            assert_eq!((used, *state), (7, RoundHomeState::Late));
            let what = match exchange {
                MaskExchange::Keys => "keys",
                MaskExchange::Shares => "shares",
                _ => "masked delta",
            };
            assert_eq!(*reason, format!("no {what} came in time"));
        }
    }
}

#[test]
fn a_group_below_its_threshold_ends_with_the_reason_and_without_another_the_round_does() {
    let mut fleet = Fleet::new(6);
    fleet.open(&[]);
    fleet.bench.work();
    fleet.exchanges(&[(0, MaskExchange::Masked), (1, MaskExchange::Masked)], &honest);
    let round = fleet.bench.round(1);
    let why = "4 of 6 homes sent masked deltas; 5 are needed";
    assert_eq!(round.outcome, Some(RoundOutcome::Failed));
    assert_eq!(round.reason, format!("no group came to a sum: group 0: {why}"));
    let states = fleet.states();
    assert_eq!(states[0], (RoundHomeState::Late, "no masked delta came in time".to_owned()));
    assert_eq!(states[2], (RoundHomeState::LeftOut, format!("group 0 ended: {why}")));
    assert_eq!(round.candidate, None);
}

#[test]
fn a_round_with_fewer_keys_than_a_group_has_homes_ends() {
    let fleet = Fleet::new(6);
    fleet.open(&[0, 1, 2]);
    fleet.bench.at(60);
    fleet.bench.work();
    let round = fleet.bench.round(1);
    assert_eq!(round.outcome, Some(RoundOutcome::TooFew));
    assert_eq!(round.reason, "3 of 6 homes sent a delta; 4 are needed");
}

#[test]
fn a_home_that_opens_another_share_is_named_and_the_sum_is_right() {
    let mut fleet = Fleet::new(8);
    fleet.open(&[]);
    fleet.bench.work();
    let liar = fleet.homes[3].id.clone();
    let lie = |home: &HomeId, exchange: MaskExchange, body: Vec<u8>| {
        if *home == liar && exchange == MaskExchange::Opened { spoil(body) } else { body }
    };
    fleet.exchanges(&[], &lie);
    assert_eq!(fleet.bench.round(1).stage, RoundStage::Evaluating);
    let states = fleet.states();
    assert!(states[3].1.contains("it opened another share of home-"), "{:?}", states[3]);
    assert_eq!(states.iter().filter(|(_, reason)| reason.contains("another share")).count(), 1);
}

#[test]
fn a_home_whose_shares_give_something_else_is_named_and_its_group_ends() {
    let mut fleet = Fleet::new(8);
    fleet.open(&[]);
    fleet.bench.work();
    let liar = fleet.homes[3].id.clone();
    let lie = |home: &HomeId, exchange: MaskExchange, body: Vec<u8>| {
        if *home != liar || exchange != MaskExchange::Shares {
            return body;
        }
        let mut dealt: ShareKeys = from_bytes(&body).unwrap();
        dealt.seed_commitment = [0; 32];
        to_bytes(&dealt).unwrap()
    };
    fleet.exchanges(&[], &lie);
    let states = fleet.states();
    assert_eq!(
        states[3],
        (RoundHomeState::LeftOut, "it dealt out shares of something else than its secrets".to_owned())
    );
    let others: Vec<_> = states.iter().filter(|(_, reason)| reason.contains(" ended: ")).collect();
    assert_eq!(others.len(), 3, "the others of its group: {states:?}");
    assert!(others.iter().all(|(state, reason)| *state == RoundHomeState::LeftOut && reason.contains(liar.as_str())));
    assert_eq!(fleet.bench.round(1).stage, RoundStage::Evaluating, "the other group goes on");
    assert_eq!(states.iter().filter(|(state, _)| *state == RoundHomeState::Taken).count(), 4);
}

#[test]
fn a_home_that_copies_another_homes_keys_is_left_out_and_its_group_goes_on() {
    let mut fleet = Fleet::new(7);
    fleet.bench.work();
    for place in 0..7 {
        fleet.say(place, MaskExchange::Keys, &fleet.keys_of(if place == 5 { 0 } else { place }));
    }
    fleet.bench.work();
    let states = fleet.states();
    let copied: Vec<usize> = (0..7).filter(|at| states[*at].0 == RoundHomeState::LeftOut).collect();
    assert_eq!(copied.len(), 1, "{states:?}");
    assert_eq!(states[copied[0]].1, "the message is wrong: a key that is not the home's own");
    fleet.exchanges(&[(0, MaskExchange::Keys), (5, MaskExchange::Keys)], &honest);
    assert_eq!(fleet.bench.round(1).stage, RoundStage::Evaluating, "five of seven are the threshold");
}

#[test]
fn a_delta_without_masks_is_refused_before_any_of_it_is_stored_and_so_is_what_belongs_to_no_group() {
    let mut fleet = Fleet::new(8);
    fleet.bench.work();
    let id = fleet.homes[0].id.clone();
    let body = delta_body(1, 5e-4);
    let parts = fleet.bench.parts(&id, RoundResult::Delta(RoundFile::of(&body)), &body);
    assert_eq!(fleet.bench.say(&id, &parts[0]).state, RoundState::Refused(RoundRefusal::Malformed));
    assert_eq!(fleet.bench.store.round_body(1, &id).unwrap(), b"");
    let said = fleet.say(1, MaskExchange::Keys, b"no keys");
    assert_eq!(said, RoundState::Refused(RoundRefusal::Malformed));
    for place in 2..8 {
        fleet.say(place, MaskExchange::Keys, &fleet.keys_of(place));
    }
    fleet.bench.work();
    assert_eq!(fleet.bench.round(1).stage, RoundStage::Sharing);
    // A receipt was lost: the home sends it again, and gets the same receipt.
    let again = fleet.say(2, MaskExchange::Keys, &fleet.keys_of(2));
    assert_eq!(again, RoundState::Received(MaskExchange::Keys));
    let other = fleet.homes[3].id.clone();
    let lie = |home: &HomeId, _: MaskExchange, body: Vec<u8>| {
        let mut dealt: ShareKeys = from_bytes(&body).unwrap();
        if *home == other {
            dealt.shares.pop();
        }
        to_bytes(&dealt).unwrap()
    };
    fleet.answer(&[], &lie);
    assert_eq!(fleet.states()[3], (RoundHomeState::Refused, "malformed".to_owned()));
    fleet.bench.work();
    assert_eq!(fleet.bench.round(1).stage, RoundStage::Masking, "five of six shared");
}

#[test]
fn a_kill_before_any_step_of_the_exchanges_changes_nothing() {
    let mut fleet = Fleet::new(6);
    fleet.open(&[]);
    for stage in [RoundStage::Sharing, RoundStage::Masking, RoundStage::Unmasking, RoundStage::Aggregating] {
        let Fleet { bench, homes } = fleet;
        fleet = Fleet { bench: bench.restart(), homes };
        assert!(fleet.bench.director.step(fleet.bench.store.as_ref(), NOW).unwrap().is_some());
        assert_eq!(fleet.bench.stage(), Some(stage));
        let asked = fleet.bench.store.round_requests(1).unwrap();
        let Fleet { bench, homes } = fleet;
        fleet = Fleet { bench: bench.restart(), homes };
        assert_eq!(fleet.bench.store.round_requests(1).unwrap(), asked, "the same requests are sent again");
        fleet.answer(&[], &honest);
    }
    let exact = fleet.mean(&[0, 1, 2, 3, 4, 5]);
    let found = fleet.mean_of_sums().remove(0);
    assert!(found.iter().zip(&exact).all(|(one, other)| (one - other).abs() < 2e-4));
    fleet.bench.work();
    assert_eq!(fleet.bench.stage(), Some(RoundStage::Evaluating));
}

#[test]
fn a_restarted_aggregator_tells_homes_of_an_open_exchange_that_there_is_more_to_send() {
    let mut fleet = Fleet::new(6);
    fleet.open(&[]);
    let receipts = |fleet: &Fleet| {
        let receipts = crate::receipts::taken(fleet.bench.store.as_ref()).unwrap();
        receipts.into_iter().map(|(_, receipt)| receipt.state).collect::<Vec<_>>()
    };
    assert_eq!(receipts(&fleet), [RoundState::Received(MaskExchange::Keys); 6]);
    fleet.bench.work();
    assert_eq!(receipts(&fleet), [], "nothing of the next exchange is here");
    fleet.answer(&[], &honest);
    assert_eq!(receipts(&fleet), [RoundState::Received(MaskExchange::Shares); 6]);
    fleet.bench.work();
    fleet.exchanges(&[], &honest);
    assert_eq!(receipts(&fleet), [RoundState::Taken; 6]);
}

#[test]
fn a_home_that_withdraws_before_its_delta_is_added_drops_out_and_after_it_takes_the_sum_with_it() {
    for (after, outcome) in [(MaskExchange::Shares, None), (MaskExchange::Masked, Some(RoundOutcome::Failed))] {
        let mut fleet = Fleet::new(6);
        fleet.open(&[]);
        fleet.bench.work();
        let withdrawn = fleet.homes[2].id.clone();
        for (turn, exchange) in (1..).zip([MaskExchange::Shares, MaskExchange::Masked, MaskExchange::Opened]) {
            fleet.answer(&[], &honest);
            fleet.bench.at(turn);
            fleet.bench.work();
            if exchange == after {
                fleet.bench.offer(&withdrawn, false);
                fleet.bench.work();
            }
        }
        let round = fleet.bench.round(1);
        assert_eq!(round.outcome, outcome, "{}", round.reason);
        let row = fleet.bench.part(&withdrawn);
        assert_eq!((row.state, row.reason.as_str()), (RoundHomeState::Declined, "no_consent"));
        if outcome.is_some() {
            let why = format!("no group came to a sum: group 0: {withdrawn} is in it and withdrew");
            assert_eq!(round.reason, why);
        }
    }
}

#[test]
fn a_home_that_was_excluded_after_its_delta_was_added_takes_the_sum_with_it() {
    let mut fleet = Fleet::new(8);
    fleet.open(&[]);
    fleet.bench.work();
    let home = fleet.homes[0].id.clone();
    for _ in 0..2 {
        fleet.answer(&[], &honest);
        fleet.bench.work();
    }
    let (reason, by) = ("odd".to_owned(), Actor::System);
    fleet.bench.store.exclude_home(&ExclusionRow { home: home.clone(), reason, by, at: NOW, lifted: None }).unwrap();
    fleet.answer(&[], &honest);
    fleet.bench.at(70);
    fleet.bench.work();
    let states = fleet.states();
    let gone = format!("{home} is in it and cannot be taken out: excluded: odd");
    let left: Vec<_> = states.iter().filter(|(_, reason)| reason.contains(&gone)).collect();
    assert_eq!(left.len(), 3, "the others of its group: {states:?}");
    assert_eq!(states.iter().filter(|(state, _)| *state == RoundHomeState::Taken).count(), 4);
}

#[test]
fn only_homes_whose_program_can_mask_are_asked() {
    let fleet = Fleet::new(6);
    fleet.bench.at(1);
    let old = fleet.homes[1].id.clone();
    let classes = vec![hearthwatch_protocol::round::ClassCount { class: "temperature".to_owned(), entities: 8 }];
    let offer = RoundOffer { home: old.clone(), willing: true, classes, at: fleet.bench.now(), masks: false };
    fleet.bench.say_offer(&offer);
    fleet.bench.work();
    let asked = fleet.bench.store.round_homes(1, None, 0).unwrap();
    let asked: BTreeMap<HomeId, RoundDuty> = asked.into_iter().map(|row| (row.home, row.duty)).collect();
    assert_eq!(asked.len(), 5);
    assert!(!asked.contains_key(&old));
}

#[test]
fn the_means_of_groups_are_what_a_strategy_leaves_out() {
    let config = masked(StrategyName::VettedMean);
    let mut fleet = Fleet::with(8, config);
    for (seed, home) in (0..).zip(&mut fleet.homes) {
        let chance = Delta::zero().noised(1e-4, &mut ChaCha8Rng::seed_from_u64(100 + seed));
        let own =
            crate::fixtures::replayed(1).values().iter().zip(chance.values()).map(|(one, other)| one + other).collect();
        home.delta = Delta::new(own).unwrap().scaled(if seed == 0 { -40.0 } else { 1.0 });
    }
    fleet.open(&[]);
    fleet.bench.work();
    fleet.exchanges(&[], &honest);
    let states = fleet.states();
    assert_eq!(states.iter().filter(|(state, _)| *state == RoundHomeState::Taken).count(), 4, "{states:?}");
    let (state, reason) = &states[0];
    assert_eq!(*state, RoundHomeState::LeftOut, "its whole group is");
    assert!(reason.starts_with("masked, in the sum of group-"), "{reason}");
    assert_eq!(fleet.bench.round(1).stage, RoundStage::Evaluating);
}
