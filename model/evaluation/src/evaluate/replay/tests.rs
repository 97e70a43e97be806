//! Traces lead to the alarms that the deployed detector raises.

use std::sync::Arc;

use hearthwatch_detector::detector::Model;
use hearthwatch_detector::network::initial_weights;

use super::*;
use crate::evaluate::{TestHome, evaluate};
use crate::fixtures::home::made_home;
use crate::inject::{Family, InjectionPlan, inject};

const DAY: i64 = 86_400;

fn calibration(threshold: f32) -> Calibration {
    let points = vec![(0.01, threshold + 1.0), (10.0, threshold - 1.0)];
    Calibration {
        classes: std::collections::BTreeMap::new(),
        fallback: hearthwatch_detector::alarm::CalibrationCurve { points },
    }
}

/// Two homes with faults, as recordings and as traces.
fn homes() -> (Vec<TestHome>, Vec<HomePair>) {
    let plan = InjectionPlan { seed: 3, events_per_entity_week: 2.0, families: Family::ALL.to_vec() };
    let tests: Vec<TestHome> = (1..3)
        .map(|variant| {
            let clean = made_home(variant, 42);
            let from = clean.span().unwrap().0 + 21 * DAY;
            TestHome { faulty: inject(&clean, &plan, from), clean, from }
        })
        .collect();
    let pairs = tests
        .iter()
        .map(|home| HomePair {
            clean: HomeTrace::extract(&home.clean, home.from),
            faulty: vec![HomeTrace::extract(&home.faulty, home.from)],
        })
        .collect();
    (tests, pairs)
}

#[test]
fn the_routine_detector_raises_the_same_false_alarms_on_traces_as_deployed() {
    let (tests, pairs) = homes();
    // A low threshold, so that there are alarms to compare.
    let calibration = calibration(-2.0);
    let replayed = replay(&pairs, Contender::Baseline(&calibration), 3.0, 1, |_| {});
    let deployed = evaluate(&tests, &Arc::new(Model::Baseline { calibration: calibration.clone() }), 3.0);
    assert!(deployed.homes.iter().any(|home| home.false_alarms > 0));
    for (left, right) in replayed.homes.iter().zip(&deployed.homes) {
        assert_eq!((&left.home, left.false_alarms, left.weeks), (&right.home, right.false_alarms, right.weeks));
        assert_eq!(left.events.len(), right.events.len());
    }
}

#[test]
fn a_network_raises_the_same_false_alarms_on_traces_as_deployed() {
    let (tests, pairs) = homes();
    let scorer = Scorer::new(&initial_weights(4)).unwrap();
    // Untrained logits lie around zero: this threshold is crossed now and then.
    let (own, baseline) = (calibration(-0.5), calibration(-2.0));
    let blend = Blend::uniform(0.5);
    let contender = Contender::Network { scorer: &scorer, calibration: &own, blend: &blend, baseline: &baseline };
    let replayed = replay(&pairs, contender, 3.0, 2, |_| {});
    let model = Model::Network {
        scorer: Box::new(scorer.clone()),
        calibration: own.clone(),
        blend: blend.clone(),
        baseline: baseline.clone(),
        version: 1,
    };
    let deployed = evaluate(&tests, &Arc::new(model), 3.0);
    let alarms =
        |evaluation: &Evaluation| -> Vec<u32> { evaluation.homes.iter().map(|home| home.false_alarms).collect() };
    assert!(alarms(&deployed).iter().sum::<u32>() > 0);
    assert_eq!(alarms(&replayed), alarms(&deployed));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let (_, pairs) = homes();
    let calibration = calibration(2.0);
    let contender = Contender::Baseline(&calibration);
    assert_eq!(replay(&pairs, contender, 1.0, 1, |_| {}), replay(&pairs, contender, 1.0, 4, |_| {}));
}
