//! Judging by counts of made-up homes.

use hearthwatch_evaluation::evaluate::{Comparison, GatePolicy, Share, Summary};
use hearthwatch_store::fixtures::home;

use super::*;
use crate::bench::counts;

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
