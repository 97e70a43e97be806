//! What the gate lets through, what it holds, and in which words.

use super::*;
use crate::fixtures::evaluation::{events, made_up};

/// Six homes with ten events each, five spikes and then five drifts: the first `found` of every home are found.
fn evaluation(found: usize, false_alarms: u32) -> Evaluation {
    let home = [events("spike", "power", found, 5), events("drift", "power", found.saturating_sub(5), 5)].concat();
    made_up(4.0, false_alarms, vec![home; 6])
}

fn reasons(report: &GateReport) -> &[String] {
    match &report.verdict {
        GateVerdict::Hold { reasons } => reasons,
        GateVerdict::Promote => &[],
    }
}

#[test]
fn a_candidate_better_than_all_within_the_budget_is_promoted() {
    let report = judge(&evaluation(8, 4), &evaluation(5, 4), Some(&evaluation(6, 4)), None, &GatePolicy::default());
    assert_eq!(report.verdict, GateVerdict::Promote);
    assert_eq!(report.comparisons.len(), 2);
}

#[test]
fn a_stored_report_keeps_its_names() {
    let report = judge(&evaluation(8, 4), &evaluation(5, 4), None, None, &GatePolicy::default());
    let stored = serde_json::to_value(&report).unwrap();
    assert_eq!(stored["routine"]["homes"], 6);
    assert_eq!(serde_json::from_value::<GateReport>(stored).unwrap(), report);
}

#[test]
fn a_candidate_no_better_than_the_champion_is_held_with_the_interval() {
    let champion = evaluation(8, 4);
    let report = judge(&champion.clone(), &evaluation(5, 4), Some(&champion), None, &GatePolicy::default());
    assert_eq!(reasons(&report), ["recall against the champion is +0.000, interval +0.000 to +0.000: not above zero"]);
}

#[test]
fn a_candidate_that_speaks_too_often_is_held_however_good_its_recall() {
    let report = judge(&evaluation(10, 8), &evaluation(5, 4), None, None, &GatePolicy::default());
    let expected = [
        "2.00 false alarms a home-week on held-out homes; at most 1.40 are allowed",
        "it raises +1.00 false alarms a home-week against the routine detector, interval +1.00 to +1.00: more than before",
    ];
    assert_eq!(reasons(&report), expected);
}

#[test]
fn a_gain_paid_for_by_one_family_is_held_and_the_family_named() {
    // What it is compared with finds all drifts and no spikes; the candidate all spikes and half of the drifts.
    let mut reference = evaluation(0, 4);
    for home in &mut reference.homes {
        home.events.iter_mut().filter(|event| event.family == "drift").for_each(|event| event.found = true);
    }
    let report = judge(&evaluation(8, 4), &reference, None, None, &GatePolicy::default());
    assert_eq!(reasons(&report), ["family drift: recall 0.60 against 1.00 of the routine detector, on 30 events"]);
}

#[test]
fn feedback_that_adds_nothing_over_plain_replay_is_held() {
    let policy = GatePolicy::default();
    let report = judge(&evaluation(8, 4), &evaluation(5, 4), Some(&evaluation(6, 4)), Some(&evaluation(8, 4)), &policy);
    assert_eq!(
        reasons(&report),
        ["recall against the replay without feedback is +0.000, interval +0.000 to +0.000: not above zero"]
    );
}

#[test]
fn too_few_events_judge_nothing() {
    let mut few = evaluation(10, 0);
    few.homes.truncate(3);
    let mut reference = evaluation(5, 0);
    reference.homes.truncate(3);
    let report = judge(&few, &reference, None, None, &GatePolicy::default());
    assert_eq!(reasons(&report), ["only 30 events on held-out homes; at least 40 are needed to judge"]);
}
