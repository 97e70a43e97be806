//! Teaching a detector from the own memory: what is gone through, what is left out, and what stands in for it.
//!
//! A [`Relearning`] owns all that it needs, so that it is carried out beside the detector service, which goes on hearing and speaking.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use hearthwatch_detector::detector::{AlarmMode, EntityScore, HomeDetector};
use hearthwatch_detector::grid::{STEP_SECONDS, WINDOW_STEPS};
use hearthwatch_detector::reading::{EntityInfo, Reading};
use hearthwatch_edge_core::preferences::Preferences;
use hearthwatch_edge_store::history::{History, HistoryError};
use hearthwatch_supervision::panic_text;

use super::faults::{FaultTime, stand_ins};

/// The newest stretch is always gone through, though its routine is not learnt: what is judged next needs what came just before.
pub(super) const KEPT_SECONDS: i64 = WINDOW_STEPS as i64 * STEP_SECONDS;

/// What is learnt from the past, with the preferences and entities of `as_of`.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) preferences: Preferences,
    pub(super) faults: Vec<FaultTime>,
    pub(super) as_of: i64,
}

/// How far a detector has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The last step that was looked at.
    seen: Option<i64>,
    /// The last step that was closed, …
    pub(super) closed: Option<i64>,
    /// … and what it was made of.
    pub(super) scores: Vec<EntityScore>,
}

/// Goes through what is remembered of (`from`, `until`] without alarms, for as long as `goes_on`.
pub(super) fn replay_past(
    detector: &mut HomeDetector,
    history: &History,
    plan: &Plan,
    (from, until): (i64, i64),
    progress: &mut Progress,
    goes_on: impl Fn() -> bool,
) -> Result<(), HistoryError> {
    let excluded_before = plan.as_of - KEPT_SECONDS;
    for step_end in history.steps(from, until)? {
        if !goes_on() {
            break;
        }
        if step_end <= excluded_before && !plan.preferences.learns_at(step_end) {
            // Left out: the next step that is closed passes over it as over one that nobody saw.
            progress.seen = Some(step_end);
            continue;
        }
        // Steps that nobody saw are gaps of knowledge, not of the sensors: close them silently.
        let mut missed = progress.seen.map_or(step_end, |seen| seen + STEP_SECONDS);
        while missed < step_end {
            detector.close_step(missed, AlarmMode::LearnOnly);
            missed += STEP_SECONDS;
        }
        let out = if step_end <= excluded_before { stand_ins(&plan.faults, step_end) } else { BTreeMap::new() };
        for reading in readings_without(history, step_end, &out)? {
            detector.observe(&reading);
        }
        progress.scores = detector.close_step(step_end, AlarmMode::LearnOnly).scores;
        (progress.closed, progress.seen) = (Some(step_end), Some(step_end));
    }
    Ok(())
}

/// What is remembered of a step, with another step's readings of the entities in `out`.
fn readings_without(
    history: &History,
    step_end: i64,
    out: &BTreeMap<u32, Option<i64>>,
) -> Result<Vec<Reading>, HistoryError> {
    let of = |end: i64| history.readings(end, end - STEP_SECONDS);
    let mut readings: Vec<Reading> = of(step_end)?
        .into_iter()
        .filter(|received| !out.contains_key(&received.entity))
        .map(|received| Reading { at: received.at, entity: received.entity, value: received.value })
        .collect();
    let sources: BTreeSet<i64> = out.values().copied().flatten().collect();
    for source in sources {
        let stands_in = |entity: u32| out.get(&entity) == Some(&Some(source));
        readings.extend(of(source)?.into_iter().filter(|received| stands_in(received.entity)).map(|received| {
            Reading { at: received.at + (step_end - source), entity: received.entity, value: received.value }
        }));
    }
    readings.sort_by_key(|reading| (reading.at, reading.entity));
    Ok(readings)
}

/// What a home consists of, and what of each entity's past is not usual, as (entity, from, until].
#[derive(Debug)]
pub(super) struct HomeEntities {
    pub(super) entities: Vec<EntityInfo>,
    pub(super) excluded: Vec<(u32, i64, i64)>,
}

/// Why the past was not gone through.
#[derive(Debug, thiserror::Error)]
pub(super) enum RelearnError {
    /// The history cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The thread that learnt panicked, with this message.
    #[error("teaching panicked: {0}")]
    Panicked(String),
}

/// A new detector that learns from the past, with a connection of its own to the memory.
#[derive(Debug)]
pub struct Relearning {
    detector: HomeDetector,
    /// What the detector is still to be told before it is taught: by whoever teaches, so that all its memory is taken from the heap of
    /// one thread, and given back with it.
    home: Option<HomeEntities>,
    history: History,
    plan: Plan,
    progress: Progress,
    /// What is still to be gone through, as (from, until].
    span: (i64, i64),
    outcome: Result<(), RelearnError>,
}

impl Relearning {
    /// `detector` must not know any entity yet.
    pub(super) fn new(detector: HomeDetector, home: HomeEntities, history: History, plan: Plan, from: i64) -> Self {
        let span = (from, plan.as_of);
        Self { detector, home: Some(home), history, plan, progress: Progress::default(), span, outcome: Ok(()) }
    }

    /// Goes through the past: seconds in a large home. Ends early when it no longer `goes_on`. A panic ends this attempt and nothing
    /// else: who takes it over learns of it.
    pub fn run(&mut self, goes_on: impl Fn() -> bool) {
        let Self { detector, home, history, plan, progress, span, outcome } = self;
        // What a panic leaves half done is this new detector alone, which is then thrown away.
        let studied = catch_unwind(AssertUnwindSafe(|| {
            if let Some(HomeEntities { entities, excluded }) = home.take() {
                for info in entities {
                    detector.add_entity(info);
                }
                detector.exclude_from_learning(excluded);
            }
            replay_past(detector, history, plan, *span, progress, goes_on)
        }));
        *outcome = match studied {
            Ok(relearnt) => relearnt.map_err(RelearnError::History),
            Err(panic) => Err(RelearnError::Panicked(panic_text(&*panic))),
        };
    }

    /// For which moment what is left out was decided.
    pub(super) fn as_of(&self) -> i64 {
        self.plan.as_of
    }

    /// How many steps it lacks to `closed`.
    pub(super) fn behind(&self, closed: i64) -> i64 {
        (closed - self.span.1) / STEP_SECONDS
    }

    /// Has what has been closed meanwhile, up to `closed`, gone through next.
    pub(super) fn go_on_until(&mut self, closed: i64) {
        self.span = (self.span.1, closed);
    }

    /// The detector, once the past is gone through.
    pub(super) fn detector(&mut self) -> Result<&mut HomeDetector, &RelearnError> {
        self.outcome.as_ref().map(|()| &mut self.detector)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.outcome.is_err()
    }
}
