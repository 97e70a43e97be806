//! A home's memory gone through once more.

use hearthwatch_detector::grid::{FEATURES, WINDOW_STEPS};
use hearthwatch_detector::reading::Value;
use hearthwatch_edge_core::fixtures::thermometer;
use hearthwatch_edge_store::history::StepRow;

use super::*;

const DAY: i64 = 86_400;

/// A month of one room, five degrees too cold on the afternoon of the last day but two.
fn remembered(days: i64) -> (tempfile::TempDir, History, HomeDetail) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.sqlite");
    let info = thermometer("sensor.room");
    let mut history = History::open(&path).unwrap();
    history.know(0, &info).unwrap();
    let cold = (days - 2) * DAY + 14 * 3_600;
    for step in 1..=days * 144 {
        let at = step * STEP_SECONDS;
        let jitter = ((at / 60 * 7919).rem_euclid(1009)) as f64 / 5045.0;
        let daily = (at as f64 / DAY as f64 * std::f64::consts::TAU).sin();
        let off = if (cold..cold + 4 * 3_600).contains(&at) { -5.0 } else { 0.0 };
        let row = StepRow { received: Some(Value::Number(20.0 + 2.0 * daily + jitter + off)), ..StepRow::silent(0) };
        history.save_step(at, &[row], &[]).unwrap();
    }
    let config = DetectorConfig { timezone: jiff::tz::TimeZone::UTC, budget_per_week: 1.0, salt: vec![1; 32] };
    let home = HomeDetail {
        entities: vec![(info, None)],
        newest: Vec::new(),
        model: Arc::new(Model::baseline()),
        model_version: ModelVersion::ROUTINE,
        config,
        budget: 1.0,
        memory: DeciderMemory::default(),
        watched: 1,
        closed: Some(days * DAY),
        alarms: Vec::new(),
        backtest: None,
        places: std::collections::HashMap::new(),
        judged: false,
        gone: std::collections::BTreeSet::new(),
        unit_doubts: Vec::new(),
        looks: Vec::new(),
    };
    (dir, History::open_to_read(&path).unwrap(), home)
}

#[test]
fn two_models_are_compared_on_the_same_weeks_and_the_same_model_raises_the_same_alarms() {
    let (_dir, mut reader, home) = remembered(16);
    let model = |version| (ModelVersion(version), Arc::clone(&home.model));
    let (compared, _) = compare(&mut reader, &home, model(0), model(1), 16 * DAY).unwrap().unwrap();
    assert_eq!((compared.before.0, compared.after.0), (ModelVersion(0), ModelVersion(1)));
    assert_eq!(compared.before.1, compared.after.1);
    assert!(compared.before.1 >= 1, "the cold afternoon: {compared:?}");
}

#[test]
fn a_model_that_asks_for_more_raises_fewer_alarms_on_the_same_weeks() {
    let (_dir, mut reader, home) = remembered(16);
    let mut calibration = home.model.baseline_calibration().clone();
    for curve in calibration.classes.values_mut().chain([&mut calibration.fallback]) {
        curve.points.iter_mut().for_each(|(_, threshold)| *threshold += 1_000.0);
    }
    let strict = (ModelVersion(1), Arc::new(Model::Baseline { calibration }));
    let before = (ModelVersion(0), Arc::clone(&home.model));
    let (compared, _) = compare(&mut reader, &home, before, strict, 16 * DAY).unwrap().unwrap();
    assert!(compared.before.1 > compared.after.1, "{compared:?}");
}

#[test]
fn a_week_is_too_little_to_compare() {
    let (_dir, mut reader, home) = remembered(8);
    let model = |version| (ModelVersion(version), Arc::clone(&home.model));
    assert!(compare(&mut reader, &home, model(0), model(1), 8 * DAY).unwrap().is_none());
}

#[test]
fn a_moment_is_seen_again_with_its_window_and_its_score() {
    let (_dir, mut reader, home) = remembered(16);
    let cold = 14 * DAY + 16 * 3_600;
    let seen = moment(&mut reader, &home, "sensor.room", cold).unwrap().unwrap();
    assert_eq!(seen.window.len(), WINDOW_STEPS * FEATURES);
    let calm = moment(&mut reader, &home, "sensor.room", cold - DAY).unwrap().unwrap();
    assert!(seen.score > calm.score, "{:?} {:?}", seen.score, calm.score);
    assert_eq!(moment(&mut reader, &home, "sensor.other", cold).unwrap(), None);
}
