//! A home run through the feature extractor once, kept so that every detector can be tried on it.

use std::ops::Range;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::features::{FAULT_STEPS, FeatureExtractor};
use hearthwatch_detector::finding::{AnomalyKind, BaselineScore};
use hearthwatch_detector::grid::{DAY_STEPS, FEATURES, STEP_SECONDS, WINDOW_STEPS, step_of};
use hearthwatch_detector::reading::EntityInfo;
use jiff::tz::TimeZone;

use crate::dataset::{Label, RecordedHome};
use crate::inject::{InjectionPlan, inject};

/// One entity's steps from the home's first to its last; index `i` is the step that ends at `first + i * 600`.
#[derive(Debug, Clone)]
pub struct EntityTrace {
    /// Index in the home's entities.
    pub entity: u32,
    /// Decides thresholds and, for networks, the class input.
    pub class: DeviceClass,
    /// End of step 0, Unix seconds.
    pub first: i64,
    /// Whether the entity had enough history.
    pub ready: Vec<bool>,
    /// Whether a network may be asked: a step of now, of an entity whose single steps mean something.
    pub asks: Vec<bool>,
    /// The value in the unit that is shown; NaN where there is none.
    pub observed: Vec<f32>,
    /// The baseline detector's score.
    pub baseline: Vec<f32>,
    /// What had the highest score in it.
    pub kind: Vec<AnomalyKind>,
    /// Small faults put into copies of the entity.
    pub(crate) fault_checks: Vec<FaultCheck>,
    /// Feature rows from step [`Self::rows_from`] on, one after another.
    rows: Vec<f32>,
    /// The first step whose row is kept.
    rows_from: usize,
}

/// A small fault put into a copy of an entity ([`FeatureExtractor::small_faults`]).
#[derive(Debug, Clone)]
pub(crate) struct FaultCheck {
    /// The last step before the fault.
    pub(crate) step: usize,
    /// The newest `FAULT_STEPS * FEATURES` values of the window; what comes before them is the entity's own.
    rows: Vec<f32>,
    /// The baseline detector's judgement at the fault's end.
    pub(crate) baseline: BaselineScore,
}

/// Steps before a trace is measured whose rows are kept.
const SEEN_STEPS: usize = 28 * DAY_STEPS + WINDOW_STEPS;

/// One home's steps, and its labels.
#[derive(Debug, Clone)]
pub struct HomeTrace {
    /// As `set/name` ([`RecordedHome::full_name`]).
    pub home: String,
    /// What was recorded.
    pub infos: Vec<EntityInfo>,
    /// One for each entity.
    pub entities: Vec<EntityTrace>,
    /// Known faults, real and injected.
    pub labels: Vec<Label>,
    /// Steps that end at or before this are warm-up: seen by the detectors, never measured.
    pub from: i64,
    /// End of the last step.
    pub until: i64,
}

/// A clean recording and its faulty copies.
#[derive(Debug, Clone)]
pub struct HomePair {
    /// The recording as it is.
    pub clean: HomeTrace,
    /// Copies with injected faults, each with others: the more, the less a figure hangs on where a few faults fell.
    pub faulty: Vec<HomeTrace>,
}

impl HomePair {
    /// Extracts `home` as it is, and a copy for each plan with its faults. All are measured after `from` (Unix seconds), where the faults
    /// begin.
    #[must_use]
    pub fn extract(home: &RecordedHome, from: i64, plans: impl IntoIterator<Item = InjectionPlan>) -> Self {
        let copy = |plan| HomeTrace::extract_copy(&inject(home, &plan, from), from);
        Self { clean: HomeTrace::extract(home, from), faulty: plans.into_iter().map(copy).collect() }
    }
}

impl EntityTrace {
    /// Number of steps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ready.len()
    }

    /// Whether there are no steps.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// When step `index` ends.
    #[must_use]
    pub fn at(&self, index: usize) -> i64 {
        self.first + index as i64 * STEP_SECONDS
    }

    /// The window that ends with step `index`: `WINDOW_STEPS * FEATURES` values, oldest first. `None` where rows are
    /// missing before it.
    #[must_use]
    pub fn window(&self, index: usize) -> Option<&[f32]> {
        self.series(index..index + 1)
    }

    /// The rows of all windows that end with these steps, oldest first: `WINDOW_STEPS - 1` rows lead up to the first step.
    /// `None` where rows are missing.
    #[must_use]
    pub fn series(&self, steps: Range<usize>) -> Option<&[f32]> {
        let begin = (steps.start + 1).checked_sub(WINDOW_STEPS)?.checked_sub(self.rows_from)?;
        self.rows.get(begin * FEATURES..steps.end.checked_sub(self.rows_from)? * FEATURES)
    }

    /// The window at the end of a small fault.
    pub(crate) fn window_of(&self, one: &FaultCheck) -> Option<Vec<f32>> {
        let own = (WINDOW_STEPS - FAULT_STEPS) * FEATURES;
        let before = self.window(one.step)?;
        Some([&before[before.len() - own..], &one.rows].concat())
    }

    /// The feature row of step `index`, where it was kept.
    #[must_use]
    pub fn row(&self, index: usize) -> Option<&[f32]> {
        let begin = index.checked_sub(self.rows_from)?;
        self.rows.get(begin * FEATURES..(begin + 1) * FEATURES)
    }

    /// Whether the network may judge step `index`: a number, with history and a full window.
    #[must_use]
    pub fn network_ready(&self, index: usize) -> bool {
        self.ready[index] && self.asks[index] && !self.class.is_binary() && self.window(index).is_some()
    }
}

impl HomeTrace {
    /// Runs `home` through the feature extractor. Steps up to `from` (Unix seconds) are warm-up; feature rows are kept
    /// from four weeks and one window before it: so long a network is looked at before it speaks.
    ///
    /// An unknown time zone counts as UTC: a recording is no reason to fail.
    #[must_use]
    pub fn extract(home: &RecordedHome, from: i64) -> Self {
        Self::extracted(home, from, true, SEEN_STEPS)
    }

    /// The same where small faults are not asked about: of a copy with faults in it, which follows its clean twin, and for reference methods.
    #[must_use]
    pub fn extract_copy(home: &RecordedHome, from: i64) -> Self {
        Self::extracted(home, from, false, SEEN_STEPS)
    }

    /// A copy's trace with the rows from one window before `from` on alone: enough to train on what comes after it, or to count its scores,
    /// and less memory.
    #[must_use]
    pub fn extract_brief(home: &RecordedHome, from: i64) -> Self {
        Self::extracted(home, from, false, WINDOW_STEPS)
    }

    fn extracted(home: &RecordedHome, from: i64, fault_checks: bool, seen_steps: usize) -> Self {
        let zone = TimeZone::get(&home.timezone).unwrap_or(TimeZone::UTC);
        let mut extractor = FeatureExtractor::new(zone);
        for info in &home.entities {
            extractor.add_entity(info.clone());
        }
        let (first, last) = home.span().map_or((0, 0), |(first, last)| (step_of(first), step_of(last)));
        let steps = if home.readings.is_empty() { 0 } else { ((last - first) / STEP_SECONDS + 1) as usize };
        let rows_from = (((from - first) / STEP_SECONDS).max(0) as usize).saturating_sub(seen_steps).min(steps);
        let mut entities: Vec<EntityTrace> = home
            .entities
            .iter()
            .enumerate()
            .map(|(entity, info)| EntityTrace {
                entity: entity as u32,
                class: info.class,
                first,
                ready: Vec::with_capacity(steps),
                asks: Vec::with_capacity(steps),
                observed: Vec::with_capacity(steps),
                baseline: Vec::with_capacity(steps),
                kind: Vec::with_capacity(steps),
                fault_checks: Vec::new(),
                rows: Vec::with_capacity((steps - rows_from) * FEATURES),
                rows_from,
            })
            .collect();
        let mut readings = home.readings.iter().peekable();
        for index in 0..steps {
            let end = first + index as i64 * STEP_SECONDS;
            while let Some(reading) = readings.next_if(|reading| reading.at <= end) {
                extractor.observe(reading);
            }
            for step in extractor.close_step(end) {
                let trace = &mut entities[step.entity as usize];
                trace.ready.push(step.ready);
                trace.asks.push(step.has_statistics && step.is_news);
                trace.observed.push(step.observed.unwrap_or(f32::NAN));
                trace.baseline.push(step.baseline.score);
                trace.kind.push(step.baseline.kind);
                if index >= rows_from {
                    trace.rows.extend_from_slice(&step.features);
                }
            }
            for (place, trace) in entities.iter_mut().enumerate().filter(|_| fault_checks && index >= rows_from) {
                trace.fault_checks.extend(extractor.small_faults(place).into_iter().map(|window| FaultCheck {
                    step: index,
                    rows: window.values[(WINDOW_STEPS - FAULT_STEPS) * FEATURES..].to_vec(),
                    baseline: window.baseline,
                }));
            }
        }
        Self {
            home: home.full_name(),
            infos: home.entities.clone(),
            entities,
            labels: home.labels.clone(),
            from,
            until: last,
        }
    }

    /// Number of steps.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.entities.first().map_or(0, EntityTrace::len)
    }

    /// When step `index` ends.
    #[must_use]
    pub fn at(&self, index: usize) -> i64 {
        self.entities.first().map_or(self.from, |entity| entity.at(index))
    }
}

#[cfg(test)]
impl HomeTrace {
    /// A home of one entity that is always ready, with these baseline scores from step 0 on, measured from its start.
    pub(super) fn of_scores(class: DeviceClass, baseline: &[f32]) -> Self {
        let info = EntityInfo { entity_id: "sensor.made".into(), class, unit: String::new() };
        let entity = EntityTrace {
            entity: 0,
            class,
            first: 0,
            ready: vec![true; baseline.len()],
            asks: vec![true; baseline.len()],
            observed: vec![1.0; baseline.len()],
            baseline: baseline.to_vec(),
            kind: vec![AnomalyKind::Level; baseline.len()],
            fault_checks: Vec::new(),
            rows: Vec::new(),
            rows_from: baseline.len(),
        };
        let until = entity.at(baseline.len().saturating_sub(1));
        Self {
            home: "tests/made".into(),
            infos: vec![info],
            entities: vec![entity],
            labels: Vec::new(),
            from: -1,
            until,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::home::made_home;

    #[test]
    fn windows_are_the_rows_that_the_extractor_would_hand_out() {
        let home = made_home(1, 6);
        let (first, last) = home.span().unwrap();
        let from = first + 4 * 86_400;
        let trace = HomeTrace::extract(&home, from);
        assert_eq!(trace.steps() as i64, (last - first) / STEP_SECONDS + 1);

        let mut extractor = FeatureExtractor::new(TimeZone::UTC);
        for info in &home.entities {
            extractor.add_entity(info.clone());
        }
        let mut checked = 0;
        for index in 0..trace.steps() {
            let end = trace.at(index);
            home.readings.iter().filter(|reading| reading.at == end).for_each(|reading| extractor.observe(reading));
            extractor.close_step(end);
            if end > from {
                assert_eq!(trace.entities[1].window(index).map(<[f32]>::to_vec), extractor.window(1));
            }
            for (number, entity) in trace.entities.iter().enumerate() {
                let kept: Vec<Option<Vec<f32>>> = entity
                    .fault_checks
                    .iter()
                    .filter(|one| one.step == index)
                    .map(|one| entity.window_of(one))
                    .collect();
                let faults = extractor.small_faults(number);
                checked += faults.len();
                assert_eq!(kept, faults.into_iter().map(|fault| Some(fault.values)).collect::<Vec<_>>());
            }
        }
        assert!(checked > 0, "each entity has its turn within four days");
        assert_eq!(trace.entities[0].window(10), None, "rows before the warm-up's last window are not kept");
    }

    #[test]
    fn a_brief_trace_has_the_same_windows_after_the_warm_up_and_none_long_before() {
        let home = made_home(1, 6);
        let from = home.span().unwrap().0 + 4 * 86_400;
        let (whole, brief) = (HomeTrace::extract_copy(&home, from), HomeTrace::extract_brief(&home, from));
        for index in 0..whole.steps() {
            let kept = brief.entities[1].window(index);
            // Rows are kept from a whole window before: the step just before `from` has one, too.
            if whole.at(index) >= from - STEP_SECONDS {
                assert!(kept.is_some() && kept == whole.entities[1].window(index), "step {index}");
            } else {
                assert!(kept.is_none(), "step {index}");
            }
        }
    }
}
