//! What rounds leave behind: homes that were left out, the noise of the server, artifacts.

use hearthwatch_federation::Delta;
use hearthwatch_store::{Actor, Change, Note, StandingStore as _, Store as _};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::bench::{Bench, NOW, config};
use crate::fixtures::{StubTrainer, replayed};
use crate::reputation::{Suspected, suspected};
use crate::strategies::StrategyName;

fn vetted() -> Bench {
    let vetted = RoundsConfig { strategy: StrategyName::VettedMean, ..config() };
    Bench::with(vetted, StubTrainer::default())
}

/// Every home sends what passes, the first `times` as much.
fn hold(bench: &Bench, number: i64, times: f64) {
    bench.at(number * 60);
    bench.train.iter().chain(&bench.evaluators).for_each(|home| bench.offer(home, true));
    bench.work();
    let recipe = bench.round(number as u64);
    assert_eq!(recipe.stage, RoundStage::Training);
    for (place, home) in (0..).zip(&bench.train) {
        let mut rng = ChaCha8Rng::seed_from_u64(100 * number as u64 + place);
        let delta = replayed(number as u64).noised(1e-4, &mut rng).scaled(if place == 0 { times } else { 1.0 });
        bench.send(home, &delta);
    }
    bench.work();
    bench.send_all_counts([14, 14, 10]);
    bench.work();
    assert_eq!(bench.stage(), Some(RoundStage::Ended));
}

/// How the first home's answer stands, and why.
fn first(bench: &Bench) -> (RoundHomeState, String) {
    let row = bench.part(&bench.train[0]);
    (row.state, row.reason)
}

#[test]
fn a_home_that_is_left_out_again_and_again_does_not_count_until_rounds_went_well() {
    let mut bench = vetted();
    for number in 1..=3 {
        hold(&bench, number, 4.0);
        assert!(first(&bench).1.contains("times as long"), "{}", first(&bench).1);
        bench = bench.restart();
    }
    let described = "left out 3 of 3 rounds".to_owned();
    let worst = Suspected { home: bench.train[0].clone(), verdict: "left_out", described };
    assert_eq!(suspected(bench.store.as_ref(), 0).unwrap(), [worst]);
    hold(&bench, 4, 1.0);
    let reason = "passed, after too many rounds that did not: left out 3 of 3 rounds".to_owned();
    assert_eq!(first(&bench), (RoundHomeState::LeftOut, reason));
    hold(&bench, 5, 1.0);
    assert_eq!(first(&bench), (RoundHomeState::Taken, "counts 0.93: left out 3 of 4 rounds".to_owned()));
    hold(&bench, 6, 1.0);
    assert_eq!(first(&bench), (RoundHomeState::Taken, String::new()));
    assert!(bench.store.standings(None, 0).unwrap().len() == 4, "homes that train");
    assert_eq!(bench.store.verify_lineage().unwrap().findings, []);
}

#[test]
fn an_operator_who_includes_a_home_gives_it_a_fresh_start() {
    let bench = vetted();
    (1..=3).for_each(|number| hold(&bench, number, 4.0));
    let note = Note { at: NOW, actor: Actor::System, action: "home.include".to_owned(), detail: serde_json::json!({}) };
    let include = Change::IncludeHome { home: bench.train[0].clone(), by: Actor::System, at: NOW };
    bench.store.change(&include, &note).unwrap();
    hold(&bench, 4, 1.0);
    assert_eq!(first(&bench), (RoundHomeState::Taken, String::new()));
}

#[test]
fn a_step_that_is_done_again_remembers_its_round_once() {
    let bench = vetted();
    bench.work();
    let bad = replayed(1).scaled(4.0);
    for (place, home) in (0..).zip(&bench.train) {
        let mut rng = ChaCha8Rng::seed_from_u64(place);
        bench.send(home, &if place == 0 { bad.clone() } else { replayed(1).noised(1e-4, &mut rng) });
    }
    one_step(&bench);
    // Killed before anything was stored: the step leaves no trace.
    let before = bench.store.standings(None, 0).unwrap();
    assert_eq!(before, []);
    let bench = bench.restart();
    one_step(&bench);
    let rounds: Vec<u32> = bench.store.standings(None, 0).unwrap().iter().map(|row| row.rounds).collect();
    assert_eq!(rounds, [1; 4]);
}

fn one_step(bench: &Bench) {
    assert!(bench.director.step(bench.store.as_ref(), NOW).unwrap().is_some(), "there is something to do");
}

#[test]
fn noise_of_the_server_is_new_in_each_round_and_as_large_as_configured() {
    let candidate = |server_noise| {
        let bench = Bench::with(RoundsConfig { server_noise, ..config() }, StubTrainer::default());
        bench.work();
        bench.send_deltas();
        bench.work();
        let sha256 = bench.round(1).candidate.unwrap();
        RoundFiles::new(
            hearthwatch_store::artifact_store::ArtifactStore::new(bench.directory.path()),
            &bench.directory.path().join("repository"),
        )
        .artifact(&sha256)
        .unwrap()
    };
    let (without, one, other) = (candidate(0.0), candidate(0.003), candidate(0.003));
    let noise = Delta::between(without.weights(), one.weights());
    let expected = 0.003 * (noise.values().len() as f64).sqrt();
    assert!((noise.norm() / expected - 1.0).abs() < 0.03, "{} of {expected}", noise.norm());
    assert!(noise.cosine(&Delta::between(without.weights(), other.weights())).abs() < 0.05);
}

#[test]
fn artifacts_of_rounds_long_ago_are_removed_unless_something_names_them() {
    let bench = vetted();
    let kept = |name: &str| bench.directory.path().join("models").join(format!("{name}.safetensors")).exists();
    for number in 1..=33 {
        hold(&bench, number, 1.0);
    }
    let names = |number: u64| {
        let round = bench.round(number);
        [round.base, round.candidate.unwrap(), round.control.unwrap()].map(|name| kept(&name))
    };
    // Of thirty rounds before the next they stay: when round 33 opened, the first three had become old.
    assert_eq!(names(1), [true, false, false], "the model in use stays");
    assert_eq!(names(2), [false; 3]);
    assert_eq!(names(3), [false, true, true], "round 4 began at what came of it");
    assert_eq!(names(33), [true; 3]);
}
