//! Whole rounds, with a trainer that takes no time.

use hearthwatch_evaluation::evaluate::{GateReport, GateVerdict};
use hearthwatch_federation::Delta;
use hearthwatch_protocol::round::RoundWork;
use hearthwatch_store::fixtures::release;
use hearthwatch_store::rollouts::ExclusionRow;
use hearthwatch_store::rounds::{RoundDuty, RoundStore as _};
use hearthwatch_store::{Actor, NewModel, RolloutStore as _, RunState};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use sha2::Digest as _;

use super::*;
use crate::bench::{Bench, NOW, config};
use crate::fixtures::{StubTrainer, key, replayed, shipped};
use crate::judge::RoundReport;
use crate::strategies::StrategyName;
use crate::trainer::TrainerError;

/// What evaluators find of 20 faults: the candidate, replay alone, the fleet's model.
const BETTER: [usize; 3] = [16, 12, 10];
const AS_REPLAY: [usize; 3] = [14, 14, 10];

fn train(bench: &Bench) {
    bench.work();
    bench.send_deltas();
    bench.work();
}

fn judged(bench: &Bench, found: [usize; 3]) {
    bench.send_all_counts(found);
    bench.work();
}

/// What one process does that is killed right after.
fn one_step(bench: &Bench) {
    let done = bench.director.step(bench.store.as_ref(), NOW).unwrap();
    assert!(done.is_some(), "there is something to do");
}

fn states(bench: &Bench, number: u64) -> Vec<(RoundDuty, RoundHomeState)> {
    let rows = bench.store.round_homes(number, None, 0).unwrap();
    rows.into_iter().map(|row| (row.duty, row.state)).collect()
}

#[test]
fn a_round_that_is_better_than_replay_alone_becomes_a_model() {
    let bench = Bench::new();
    train(&bench);
    let round = bench.round(1);
    assert_eq!(round.stage, RoundStage::Evaluating);
    let plan = bench.part(&bench.evaluators[0]).signed.read(&[key(200).public()]).unwrap();
    let RoundWork::Evaluate(work) = plan.work else { panic!("evaluators evaluate") };
    let named: Vec<String> = work.models.iter().map(|file| hex::encode(file.sha256)).collect();
    let (candidate, control) = (round.candidate.clone().unwrap(), round.control.clone().unwrap());
    assert_eq!(named, [candidate.clone(), control.clone(), round.base.clone()]);
    for name in &named {
        let shown = bench.directory.path().join("repository/rounds").join(name);
        assert_eq!(hex::encode(sha2::Sha256::digest(std::fs::read(shown).unwrap())), *name);
    }
    assert_ne!(candidate, control, "the homes' training is in one of them");
    judged(&bench, BETTER);
    let round = bench.round(1);
    assert_eq!((round.outcome, round.kept, round.reason.as_str()), (Some(RoundOutcome::Promoted), true, ""));
    let report: RoundReport = serde_json::from_str(&round.report.unwrap()).unwrap();
    assert!((report.homes.less_control.point - 0.2).abs() < 1e-9, "4 of 20 faults");
    let run = bench.store.run(&round.run.unwrap()).unwrap().unwrap();
    assert_eq!((run.state, run.snapshot.as_str(), run.challenger), (RunState::Promoted, "round:1", Some(candidate)));
    let gate: GateReport = serde_json::from_str(&run.report.unwrap()).unwrap();
    assert_eq!(gate.verdict, GateVerdict::Promote);
    let models = bench.store.models().unwrap();
    assert_eq!((models.len(), &*bench.promoted.lock().unwrap()), (1, &vec![models[0].version]));
    assert_eq!(bench.store.verify_lineage().unwrap().findings, []);
}

#[test]
fn the_server_goes_as_far_along_the_deltas_as_it_is_told() {
    let moved = |server_step| {
        let bench = Bench::with(RoundsConfig { server_step, ..config() }, StubTrainer::default());
        train(&bench);
        let round = bench.round(1);
        let artifact = |name: &str| bench.director.parts.files.artifact(name).unwrap();
        let (base, candidate) = (artifact(&round.base), artifact(&round.candidate.unwrap()));
        // The homes' part: replay adds the same in both.
        let replay = replayed(1);
        let values = Delta::between(base.weights(), candidate.weights());
        let own = values.values().iter().zip(replay.values()).map(|(all, replay)| all - replay).collect();
        (Delta::new(own).unwrap(), round.aggregate)
    };
    let ((once, aggregate), (twice, same)) = (moved(1.0), moved(2.0));
    assert!((twice.norm() / once.norm() - 2.0).abs() < 1e-3 && twice.cosine(&once) > 0.999);
    assert_eq!(aggregate, same, "what the deltas became is the same");
}

#[test]
fn what_replay_alone_explains_is_held_and_the_next_round_goes_on_from_it() {
    let bench = Bench::new();
    train(&bench);
    judged(&bench, AS_REPLAY);
    let first = bench.round(1);
    assert_eq!((first.outcome, first.kept), (Some(RoundOutcome::Held), true));
    assert!(first.reason.starts_with("what replay alone explains: "), "{}", first.reason);
    assert_eq!(bench.store.models().unwrap(), []);
    bench.work();
    assert!(bench.store.round(2).unwrap().is_none(), "not before the interval has passed");
    bench.at(60);
    bench.work();
    let second = bench.round(2);
    assert_eq!((second.series, second.place), (1, 1));
    assert_eq!((Some(second.base), Some(second.control_base)), (first.candidate, first.control));
}

#[test]
fn a_model_from_elsewhere_begins_a_new_series() {
    let bench = Bench::new();
    train(&bench);
    judged(&bench, BETTER);
    let version = bench.promoted.lock().unwrap()[0];
    let candidate = bench.round(1).candidate.unwrap();
    bench.store.put_release(&release(version, &candidate)).unwrap();
    bench.at(60);
    bench.work();
    let second = bench.round(2);
    assert_eq!((second.series, second.champion, &second.base), (1, Some(version), &candidate), "its own goes on");
    bench.decline_all();
    bench.work();
    let artifact = shipped().to_bytes();
    let kept = hearthwatch_store::artifact_store::ArtifactStore::new(bench.directory.path());
    let sha256 = kept.put_model(&artifact).unwrap();
    let model = bench.store.add_model(&hearthwatch_store::fixtures::model("labels", &sha256)).unwrap();
    bench.store.put_release(&release(model.version, &sha256)).unwrap();
    bench.at(120);
    bench.work();
    let third = bench.round(3);
    assert_eq!((third.series, third.place, &third.base), (3, 0, &sha256));
}

#[test]
fn a_round_with_too_few_deltas_ends_without_a_model_and_says_so() {
    let bench = Bench::new();
    bench.work();
    bench.send_delta(&bench.train[0]);
    bench.decline(&bench.train[1]);
    bench.at(60);
    bench.work();
    let round = bench.round(1);
    assert_eq!(
        (round.outcome, round.reason.as_str()),
        (Some(RoundOutcome::TooFew), "1 of 4 homes sent a delta; 3 are needed")
    );
    assert_eq!((round.candidate, bench.store.models().unwrap()), (None, vec![]));
    let late = states(&bench, 1).into_iter().filter(|(_, state)| *state == RoundHomeState::Late).count();
    assert_eq!(late, 2);
    assert_eq!(bench.store.round_body(1, &bench.train[0]).unwrap(), b"", "no delta outlives its round");
}

#[test]
fn no_round_opens_for_fewer_homes_than_it_needs() {
    let bench = Bench::new();
    bench.at(1);
    bench.train[..2].iter().for_each(|home| bench.offer(home, false));
    bench.work();
    assert_eq!(bench.stage(), None);
}

#[test]
fn a_kill_before_any_step_changes_nothing_of_what_comes_of_it() {
    let straight = Bench::new();
    train(&straight);
    judged(&straight, BETTER);

    let mut bench = Bench::new();
    bench.work();
    let plan = bench.part(&bench.train[0]).signed;
    for number in 0..4 {
        bench = bench.restart();
        bench.work();
        let home = bench.train[number].clone();
        bench.send_delta(&home);
    }
    assert_eq!(bench.part(&bench.train[0]).signed, plan, "the same plan is sent again");
    // One step a process: closed, aggregated, and so on.
    for stage in [RoundStage::Aggregating, RoundStage::Evaluating] {
        bench = bench.restart();
        one_step(&bench);
        assert_eq!(bench.stage(), Some(stage));
    }
    for home in bench.evaluators.clone() {
        bench = bench.restart();
        bench.send_counts(&home, BETTER);
    }
    for stage in [RoundStage::Judging, RoundStage::Ended] {
        bench = bench.restart();
        one_step(&bench);
        assert_eq!(bench.stage(), Some(stage));
    }
    let (one, other) = (straight.round(1), bench.round(1));
    assert_eq!((&one.aggregate, &one.candidate, &one.outcome), (&other.aggregate, &other.candidate, &other.outcome));
    assert_eq!(bench.store.verify_lineage().unwrap().findings, []);
}

#[test]
fn a_kill_between_the_model_and_the_verdict_gives_the_round_one_model() {
    let straight = Bench::new();
    train(&straight);
    judged(&straight, BETTER);
    let made = straight.store.models().unwrap().remove(0);

    let bench = Bench::new();
    train(&bench);
    bench.send_all_counts(BETTER);
    // The model was written, and the process ended before the run and the round were.
    let (sha256, length, weights_id, run) = (made.sha256, made.length, made.weights_id, made.run);
    bench.store.add_model(&NewModel { sha256, length, weights_id, run, at: NOW }).unwrap();
    let bench = bench.restart();
    bench.work();
    assert_eq!(bench.store.models().unwrap().len(), 1);
    assert_eq!(bench.round(1).outcome, Some(RoundOutcome::Promoted));
    assert_eq!(bench.store.verify_lineage().unwrap().findings, []);
}

#[test]
fn a_home_that_was_excluded_after_it_answered_is_left_out_with_the_reason() {
    let bench = Bench::new();
    bench.work();
    bench.send_deltas();
    let home = bench.train[0].clone();
    let (reason, by) = ("odd".to_owned(), Actor::System);
    bench.store.exclude_home(&ExclusionRow { home: home.clone(), reason, by, at: NOW, lifted: None }).unwrap();
    bench.work();
    let row = bench.part(&home);
    assert_eq!((row.state, row.reason.as_str()), (RoundHomeState::LeftOut, "excluded: odd"));
    assert_eq!(bench.stage(), Some(RoundStage::Evaluating));
    let used = bench.part(&bench.train[1]);
    assert!(used.similarity.is_some_and(|cosine| cosine > 0.4), "one of three: {:?}", used.similarity);
}

#[test]
fn a_vetted_round_leaves_out_what_the_recipe_does_not_make_and_goes_on_without_it() {
    let vetted = RoundsConfig { strategy: StrategyName::VettedMean, ..config() };
    let bench = Bench::with(vetted, StubTrainer::default());
    bench.work();
    for (seed, home) in (0..).zip(&bench.train) {
        // As long as the server's own again, each in a direction of its own: between two homes the cosine is one half.
        let chance = Delta::zero().noised(1e-4, &mut ChaCha8Rng::seed_from_u64(100 + seed));
        let own = replayed(1).values().iter().zip(chance.values()).map(|(one, other)| one + other).collect();
        let delta = Delta::new(own).unwrap().scaled(if seed == 0 { 4.0 } else { 1.0 });
        bench.send(home, &delta);
    }
    bench.work();
    let liar = bench.part(&bench.train[0]);
    assert_eq!(liar.state, RoundHomeState::LeftOut);
    assert!(liar.reason.contains("times as long as the recipe makes them"), "{}", liar.reason);
    assert!(bench.train[1..].iter().all(|home| bench.part(home).state == RoundHomeState::Taken));
    assert_eq!(bench.stage(), Some(RoundStage::Evaluating));
}

#[test]
fn a_round_whose_deltas_are_all_left_out_ends_without_a_candidate() {
    let vetted = RoundsConfig { strategy: StrategyName::VettedMean, ..config() };
    let bench = Bench::with(vetted, StubTrainer::default());
    train(&bench);
    let round = bench.round(1);
    let reason = "none of 4 deltas is usable: the strategy left all of them out";
    assert_eq!((round.outcome, round.reason.as_str()), (Some(RoundOutcome::Failed), reason));
    for home in &bench.train {
        let part = bench.part(home);
        assert!(part.state == RoundHomeState::LeftOut && !part.reason.is_empty(), "{part:?}");
    }
}

#[test]
fn a_home_that_withdraws_before_the_deltas_become_one_is_not_in_the_candidate() {
    let bench = Bench::new();
    train(&bench);
    let with_all = bench.round(1).aggregate;
    let bench = Bench::new();
    bench.work();
    bench.send_deltas();
    one_step(&bench);
    assert_eq!(bench.stage(), Some(RoundStage::Aggregating));
    bench.at(1);
    bench.offer(&bench.train[3].clone(), false);
    bench.work();
    assert_eq!(bench.part(&bench.train[3]).state, RoundHomeState::Declined);
    assert_ne!(bench.round(1).aggregate, with_all);
    bench.at(2);
    bench.offer(&bench.train[2].clone(), false);
    assert_eq!(bench.part(&bench.train[2]).state, RoundHomeState::Taken, "it is in the candidate already");
}

#[test]
fn recordings_that_are_not_there_are_waited_for_and_a_loss_that_is_no_number_ends_the_round() {
    let with = |fault| StubTrainer { fault: Some(fault), ..StubTrainer::default() };
    let bench = Bench::with(config(), with(TrainerError::Unready("no recorded sets".to_owned())));
    bench.work();
    bench.send_deltas();
    let error = bench.director.work(bench.store.as_ref(), NOW).unwrap_err();
    assert_eq!(error.to_string(), "recordings: no recorded sets; see [training] corpus");
    assert_eq!(bench.stage(), Some(RoundStage::Aggregating));
    let bench = bench.restart_with(with(TrainerError::Failed("training diverged".to_owned())));
    bench.work();
    let round = bench.round(1);
    assert_eq!((round.outcome, round.reason.as_str()), (Some(RoundOutcome::Failed), "training diverged"));
    assert!(!round.kept);
}

#[test]
fn without_evaluators_a_candidate_is_held_for_want_of_them() {
    let bench = Bench::new();
    bench.at(1);
    bench.evaluators.iter().for_each(|home| bench.offer(home, false));
    train(&bench);
    let round = bench.round(1);
    assert_eq!(round.outcome, Some(RoundOutcome::Held));
    assert!(round.reason.starts_with("too few homes evaluated: 0 of the 2 that are needed"), "{}", round.reason);
}
