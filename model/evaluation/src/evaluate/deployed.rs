//! Running the whole detector over recorded homes.

use std::sync::Arc;

use hearthwatch_detector::alarm::{Alarm, AlarmEvent};
use hearthwatch_detector::detector::{AlarmMode, DetectorConfig, HomeDetector, Model};
use hearthwatch_detector::grid::{STEP_SECONDS, step_of};

use super::fan_out::fan_out;
use super::matching::{Outline, compare};
use super::outcome::{Evaluation, HomeResult};
use crate::dataset::RecordedHome;

/// A home to be judged on: a copy with events in it, and the same recording without.
#[derive(Debug, Clone)]
pub struct TestHome {
    /// With labelled events.
    pub faulty: RecordedHome,
    /// The same without the injected ones: what is raised here is a false alarm.
    pub clean: RecordedHome,
    /// Judged from here on, Unix seconds; what comes before is warm-up.
    pub from: i64,
}

/// Runs `model` over every home, as deployed at this budget (alarms a week and home). Homes run on all cores; the result is in
/// the order of `homes` and does not depend on their number.
#[must_use]
pub fn evaluate(homes: &[TestHome], model: &Arc<Model>, budget_per_week: f64) -> Evaluation {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Evaluation { homes: fan_out(homes, threads, |home| evaluate_home(home, model, budget_per_week), |_| {}) }
}

fn evaluate_home(home: &TestHome, model: &Arc<Model>, budget_per_week: f64) -> HomeResult {
    let on_faulty = alarms(&home.faulty, home.from, model, budget_per_week);
    let on_clean = alarms(&home.clean, home.from, model, budget_per_week);
    let name = home.clean.full_name();
    let outline = Outline {
        home: &name,
        entities: &home.faulty.entities,
        from: home.from,
        until: home.clean.span().map_or(home.from, |(_, end)| end),
    };
    compare(&outline, (&home.faulty.labels, &on_faulty), (&home.clean.labels, &on_clean))
}

/// Every alarm of one recording; quiet before `from`.
fn alarms(home: &RecordedHome, from: i64, model: &Arc<Model>, budget_per_week: f64) -> Vec<Alarm> {
    let Some((start, end)) = home.span() else { return Vec::new() };
    let timezone = jiff::tz::TimeZone::get(&home.timezone).unwrap_or(jiff::tz::TimeZone::UTC);
    let config = DetectorConfig { timezone, budget_per_week, salt: home.full_name().into_bytes() };
    let mut detector = HomeDetector::new(config, Arc::clone(model));
    for entity in &home.entities {
        detector.add_entity(entity.clone());
    }
    let mut raised = Vec::new();
    let mut keep = |events: Vec<AlarmEvent>, live: bool| {
        for event in events {
            if let (AlarmEvent::Raised(alarm), true) = (event, live) {
                raised.push(alarm);
            }
        }
    };
    let mut readings = home.readings.iter().peekable();
    // As a trace does: a reading at the very end of a step belongs to it.
    let mut step = step_of(start) - STEP_SECONDS;
    while step < end {
        step += STEP_SECONDS;
        let live = step > from;
        while let Some(reading) = readings.next_if(|reading| reading.at <= step) {
            keep(detector.observe(reading), live);
        }
        let mode = if live { AlarmMode::Raise } else { AlarmMode::LearnOnly };
        keep(detector.close_step(step, mode).events, live);
    }
    raised
}
