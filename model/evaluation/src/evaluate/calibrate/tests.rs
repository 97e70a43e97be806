//! Thresholds that give the rates they promise.

use hearthwatch_detector::alarm::Adapts;
use hearthwatch_detector::finding::AnomalyKind;

use super::*;
use crate::evaluate::scores::baseline_scores;

const WEEK: usize = 1008;

/// Ten weeks of zero with a pair of high steps each `every` steps, the n-th as high as n.
fn bursts(every: usize) -> HomeTrace {
    let mut scores = vec![0.0_f32; 10 * WEEK];
    for (number, at) in (every..10 * WEEK - 1).step_by(every).enumerate() {
        scores[at] = 1.0 + number as f32;
        scores[at + 1] = 1.0 + number as f32;
    }
    HomeTrace::of_scores(DeviceClass::Temperature, &scores)
}

fn calibrated(home: &HomeTrace, rules: Option<&Calibration>) -> Calibration {
    let scores = baseline_scores(home);
    calibrate(&[Record { home, scores: &scores }], rules)
}

#[test]
fn a_threshold_lets_through_half_as_many_episodes_as_asked_for() {
    // 100 bursts in ten weeks: the five highest are one in two weeks.
    let home = bursts(100);
    let calibration = calibrated(&home, None);
    let threshold = calibration.threshold(DeviceClass::Temperature, 1.0);
    assert!((95.0..98.0).contains(&threshold), "{threshold}");
    assert!(calibration.threshold(DeviceClass::Temperature, 0.1) > 99.0);
}

#[test]
fn curves_rise_in_rate_and_fall_in_threshold() {
    let home = bursts(60);
    let calibration = calibrated(&home, None);
    let points = &calibration.classes[&DeviceClass::Temperature].points;
    assert!(points.len() > 5);
    assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1));
}

#[test]
fn rules_that_speak_beside_a_score_count_towards_the_rate() {
    let mut home = bursts(100);
    // Half a week apart a rule speaks: two a week already.
    let rules = Calibration {
        classes: BTreeMap::new(),
        fallback: CalibrationCurve { points: vec![(0.01, 500.0), (10.0, 500.0)] },
    };
    for at in (250..10 * WEEK).step_by(WEEK / 2) {
        home.entities[0].kind[at] = AnomalyKind::Flat;
        home.entities[0].kind[at + 1] = AnomalyKind::Flat;
        home.entities[0].baseline[at] = 1000.0;
        home.entities[0].baseline[at + 1] = 1000.0;
    }
    let quiet = bursts(100);
    let scores = baseline_scores(&quiet);
    let with = calibrate(&[Record { home: &home, scores: &scores }], Some(&rules));
    let without = calibrate(&[Record { home: &quiet, scores: &scores }], Some(&rules));
    let at = |calibration: &Calibration| calibration.threshold(DeviceClass::Temperature, 3.0);
    assert!(at(&with) > at(&without) + 10.0, "{} against {}", at(&with), at(&without));
}

#[test]
fn a_rule_with_a_threshold_of_its_own_moves_no_threshold_of_the_statistics() {
    let quiet = bursts(100);
    let mut home = bursts(100);
    for at in (250..10 * WEEK).step_by(WEEK / 2) {
        for at in [at, at + 1] {
            home.entities[0].kind[at] = AnomalyKind::Running;
            home.entities[0].baseline[at] = 1000.0;
        }
    }
    assert_eq!(calibrated(&home, None), calibrated(&quiet, None));
}

#[test]
fn a_class_with_a_short_record_shares_the_pooled_curve() {
    let scores: Vec<f32> = (0..2 * WEEK).map(|step| (step % 100) as f32).collect();
    let home = HomeTrace::of_scores(DeviceClass::Power, &scores);
    let calibration = calibrated(&home, None);
    assert!(calibration.classes.is_empty());
    assert!(!calibration.fallback.points.is_empty());
}

#[test]
fn labelled_stretches_do_not_raise_the_threshold() {
    let mut home = bursts(100);
    home.labels.push(crate::dataset::Label {
        entity: 0,
        start: 0,
        end: 8 * WEEK as i64 * STEP_SECONDS,
        family: "steam".into(),
        origin: crate::dataset::LabelOrigin::Real,
    });
    let steps: usize = unlabelled(&home, &home.entities[0]).iter().map(Range::len).sum();
    assert_eq!(steps, 2 * WEEK - 37, "two weeks less the six hours in which it settles");
}

#[test]
fn marks_alone_give_the_episodes_that_the_decider_raises() {
    use hearthwatch_detector::alarm::{AlarmEvent, Decider, DeciderConfig, Evidence};
    // A rough walk with bursts: margins on both sides of every bound.
    let scores: Vec<f32> = (0..3 * WEEK)
        .map(|step| 2.0 * (step as f32 * 0.05).sin() + ((step * 7919 % 101) as f32 / 25.0) - (step % 37) as f32 * 0.05)
        .collect();
    let home = HomeTrace::of_scores(DeviceClass::Temperature, &scores);
    for threshold in [1.0_f32, 2.5, 3.5, 4.5] {
        let mut decider = Decider::new(DeciderConfig { budget_per_week: 1.0, salt: Vec::new(), adapts: Adapts::Never });
        decider.add_entity(home.infos[0].clone());
        let raised: usize = scores
            .iter()
            .enumerate()
            .map(|(step, score)| {
                let evidence = Evidence {
                    entity: 0,
                    score: Some(*score),
                    threshold,
                    kind: AnomalyKind::Level,
                    amount: 0.0,
                    usual: 0.0,
                    observed: None,
                    band: None,
                };
                let events = decider.decide(step as i64 * STEP_SECONDS, 0.0, &[evidence], true).events;
                events.iter().filter(|event| matches!(event, AlarmEvent::Raised(_))).count()
            })
            .sum();
        let stretch = Stretch { entity: &home.entities[0], scores: &scores, steps: 0..scores.len() };
        let sparse = marks(&stretch, threshold, None);
        assert!(sparse.marks.len() < scores.len());
        assert_eq!(episodes(&sparse.marks, threshold, f32::INFINITY), raised, "at {threshold}");
        assert!(raised > 0);
    }
}
