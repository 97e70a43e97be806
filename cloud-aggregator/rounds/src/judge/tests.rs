//! Judging by counts of made-up homes.

use hearthwatch_evaluation::evaluate::{Comparison, GatePolicy, Share, Summary};
use hearthwatch_store::fixtures::home;

use super::*;
use crate::bench::counts;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

fn evaluator(name: usize, found: [usize; 3]) -> Evaluator {
    let models = found.map(counts).to_vec();
    Evaluator { home: home(&format!("j{name}")), counts: HomeCounts { models }, sensors: 8 }
}

fn evaluators(found: [usize; 3]) -> Vec<Evaluator> {
    (0..6).map(|name| evaluator(name, found)).collect()
}

fn summary(found: u32) -> Summary {
    let share = Share { found, all: 40 };
    let by_class = BTreeMap::from([("temperature".to_owned(), share)]);
    Summary { homes: 4, recall: share, false_alarms_per_week: 1.0, by_class, ..Summary::default() }
}

fn recordings(found: [u32; 3], recall: Interval) -> GateReport {
    let comparison = |against: &str| Comparison { against: against.to_owned(), recall, false_alarms: None };
    GateReport {
        verdict: GateVerdict::Promote,
        candidate: summary(found[0]),
        baseline: summary(10),
        champion: Some(summary(found[2])),
        control: Some(summary(found[1])),
        comparisons: ["routine detector", "champion", "replay without feedback"].map(comparison).to_vec(),
        influences: Vec::new(),
        policy: GatePolicy::default(),
    }
}

fn no_difference() -> GateReport {
    recordings([30; 3], Interval { low: -0.02, point: 0.0, high: 0.02 })
}

fn judged(evaluators: &[Evaluator]) -> RoundVerdict {
    judge(evaluators, no_difference(), &JudgePolicy::with_least(4))
}

#[test]
fn a_candidate_that_finds_more_than_replay_alone_and_the_model_in_use_is_promoted() {
    let verdict = judged(&evaluators([16, 12, 10]));
    assert_eq!(verdict.reasons, [""; 0]);
    assert!(verdict.kept);
    let homes = &verdict.report.homes;
    assert!((homes.less_control.point - 0.2).abs() < 1e-9 && (homes.less_champion.point - 0.3).abs() < 1e-9);
    assert!((homes.home_weeks - 6.0 * 113.0 / 56.0).abs() < 1e-9, "113 sensor-days of 8 sensors each");
    assert!(homes.candidate.auc_pr > homes.control.auc_pr);
}

#[test]
fn what_replay_alone_explains_is_held_with_that_reason_and_goes_on() {
    let verdict = judged(&evaluators([16, 16, 10]));
    let reason = "what replay alone explains: recall against it is +0.000, interval +0.000 to +0.000, not above zero";
    assert_eq!(verdict.reasons, [reason]);
    assert!(verdict.kept);
    assert_eq!(verdict.report.recordings.verdict, GateVerdict::Hold { reasons: verdict.reasons.clone() });
}

#[test]
fn a_candidate_below_replay_alone_is_not_gone_on_from() {
    let verdict = judged(&evaluators([8, 12, 10]));
    assert!(!verdict.kept && !verdict.promotes());
}

#[test]
fn too_few_evaluators_hold_a_candidate_and_so_do_four_that_agree() {
    let verdict = judge(&evaluators([16, 12, 10]), no_difference(), &JudgePolicy::with_least(7));
    assert_eq!(verdict.reasons, ["too few homes evaluated: 6 of the 7 that are needed"]);
    let four = judged(&evaluators([16, 12, 10])[..4]);
    assert_eq!(
        four.reasons,
        [
            "what replay alone explains: recall against it is +0.200, interval -1.000 to +1.000, not above zero",
            "recall against the model in use is +0.300, interval -1.000 to +1.000, not above zero",
        ]
    );
    let alone = judge(&evaluators([16, 12, 10])[..1], no_difference(), &JudgePolicy::with_least(1));
    assert_eq!(alone.report.homes.less_control, Interval { low: -1.0, point: 0.2, high: 1.0 });
    assert!(!alone.promotes());
    assert_eq!(judged(&[]).report.homes.homes, 0);
}

#[test]
fn forgetting_on_recordings_holds_a_candidate_that_homes_praise() {
    let report = recordings([10, 30, 30], Interval { low: -0.3, point: -0.2, high: -0.1 });
    let verdict = judge(&evaluators([16, 12, 10]), report, &JudgePolicy::with_least(4));
    assert_eq!(
        verdict.reasons,
        [
            "on recordings recall against the champion is -0.200, interval -0.300 to -0.100: below zero",
            "on recordings recall against the replay without feedback is -0.200, interval -0.300 to -0.100: below zero",
            "forgets temperature: on recordings recall 0.25 against 0.75 of the model in use, on 40 faults",
            "forgets temperature: on recordings recall 0.25 against 0.75 of replay alone, on 40 faults",
        ]
    );
    assert!(!verdict.kept);
}

#[test]
fn a_home_with_many_counts_weighs_at_most_twice_the_median_home() {
    let mut all = evaluators([16, 12, 10]);
    let mut loud = evaluator(9, [0, 20, 20]);
    for class in loud.counts.models.iter_mut().flat_map(BTreeMap::values_mut) {
        let (days, faults) = (class.days.clone(), class.faults.clone());
        (0..99).for_each(|_| {
            class.days.merge(&days);
            class.faults.merge(&faults);
        });
    }
    all.push(loud);
    // Six homes at +4 of 20, one that weighs two at -20 of 20.
    let homes = judged(&all).report.homes;
    assert!((homes.less_control.point - (6.0 * 4.0 - 2.0 * 20.0) / 160.0).abs() < 1e-9);
}

/// Days by score as homes have them: few in high bins. Half of the faults lie above nearly all days.
fn lifelike() -> BTreeMap<DeviceClass, ClassCounts> {
    let mut counts = ClassCounts::default();
    // Exponential: at each higher score there are fewer.
    (0..420u16).for_each(|day| counts.days.add(-2.0 * ((f32::from(day) + 0.5) / 420.0).ln()));
    (0..20).for_each(|fault| counts.faults.add(if fault % 2 == 0 { 20.0 } else { 1.0 }));
    BTreeMap::from([(DeviceClass::Temperature, counts)])
}

/// So many homes, each with noise of this scale.
fn noised(homes: usize, scale: f64, seed: u64) -> Vec<Evaluator> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let counts = || HomeCounts { models: vec![lifelike(); 3] };
    (0..homes)
        .map(|name| Evaluator {
            home: home(&format!("j{name}")),
            counts: counts().noised(scale, &mut rng),
            sensors: 15,
        })
        .collect()
}

fn policy(count_noise: f64) -> JudgePolicy {
    JudgePolicy { count_noise, ..JudgePolicy::with_least(4) }
}

fn weighted(evaluators: &[Evaluator]) -> Vec<(&Evaluator, f64)> {
    evaluators.iter().map(|evaluator| (evaluator, 1.0)).collect()
}

/// False alarms that the thresholds of noised counts really let through, as a share of those that are allowed.
fn realised(homes: usize, scale: f64, seed: u64) -> f64 {
    let (noisy, clean) = (noised(homes, scale, seed), noised(homes, 0.0, 0));
    let allowed = 4.0 * homes as f64;
    let thresholds = Pooled::of(&weighted(&noisy), CANDIDATE).thresholds(allowed);
    Pooled::of(&weighted(&clean), CANDIDATE).alarms(&thresholds) / allowed
}

#[test]
fn noise_that_the_gate_lets_pass_keeps_the_budget_and_noise_that_does_not_is_named() {
    let reason = |homes, scale| {
        let verdict = judge(&noised(homes, scale, 1), no_difference(), &policy(scale));
        verdict.reasons.into_iter().find(|reason| reason.starts_with("noise on counts"))
    };
    assert_eq!(reason(200, 0.5), None);
    let named = "noise on counts hides the budget: ";
    assert!(reason(20, 2.0).is_some_and(|reason| reason.starts_with(named)), "20 homes are too few for it");
    let kept: Vec<f64> = (0..40).map(|seed| realised(200, 0.5, seed)).collect();
    let within = kept.iter().filter(|share| (0.7..=1.3).contains(*share)).count();
    assert!(within >= 38, "{within} of 40: {kept:?}");
}

/// Counts of one class in which one bin is far above and another far below zero: few days in all.
fn unlike_any_home() -> HomeCounts {
    let mut days = vec![0; 60];
    (days[0], days[50]) = (50_000, -49_900);
    let class = BTreeMap::from([("days", days), ("faults", vec![20])]);
    let models = vec![BTreeMap::from([("temperature", class)]); 3];
    HomeCounts::from_bytes(&serde_cbor::to_vec(&models).unwrap(), 3).unwrap()
}

#[test]
fn a_home_that_sends_counts_below_zero_moves_no_threshold_far() {
    let all = |more: Option<Evaluator>, noise| {
        let homes: Vec<Evaluator> = evaluators([16, 12, 10]).into_iter().chain(more).collect();
        judge(&homes, no_difference(), &policy(noise)).report.homes
    };
    let hostile = Evaluator { counts: unlike_any_home(), ..evaluator(9, [0; 3]) };
    for noise in [0.0, 0.1] {
        let (honest, with) = (all(None, noise), all(Some(hostile.clone()), noise));
        let gained = |homes: &HomesReport| {
            homes.candidate.by_class["temperature"].recall * homes.candidate.by_class["temperature"].faults
        };
        assert!((gained(&with) - gained(&honest)).abs() < 1.0, "{with:?}");
        assert!(with.home_weeks < 1.4 * honest.home_weeks, "as two homes at most: {}", with.home_weeks);
    }
}
