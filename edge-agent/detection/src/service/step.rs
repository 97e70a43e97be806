//! The readings of the open step, kept for the history: a number per numeric entity, every binary change.

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::detector::EntityScore;
use hearthwatch_detector::reading::{Reading, Value};
use hearthwatch_edge_store::history::{BinaryChange, Judged, StepRow};

/// Most binary changes kept of one step: 500 entities × 20. A flickering contact must not fill the disk.
const CHANGES_MAX: usize = 10_000;

/// Where the service stands in time, and what it knows of the newest steps.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// The newest time that a command brought, Unix seconds.
    pub(super) now: i64,
    pub(super) open: OpenStep,
    /// End of the last closed step; none before the first.
    pub(super) closed: Option<i64>,
    /// What the last step made of each entity.
    pub(super) last_scores: Vec<EntityScore>,
    /// Whether that step was judged, rather than learnt from.
    pub(super) judged: bool,
    /// The newest value of each entity, by number, and when it came.
    pub(super) newest: Vec<Option<(i64, Value)>>,
    /// Whether readings of now may be judged.
    pub(super) listening: bool,
}

/// Collects readings until the step is closed; those of later steps wait.
#[derive(Debug, Default)]
pub(super) struct OpenStep {
    received: Vec<(Reading, DeviceClass)>,
    newest: Option<i64>,
}

impl OpenStep {
    pub(super) fn take(&mut self, reading: &Reading, class: DeviceClass) {
        self.newest = self.newest.max(Some(reading.at));
        if self.received.len() < CHANGES_MAX * 2 {
            self.received.push((*reading, class));
        }
    }

    /// Drops the readings of the open step.
    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }

    /// The readings since the last step.
    pub(super) fn received(&self) -> impl Iterator<Item = &Reading> {
        self.received.iter().map(|(reading, _)| reading)
    }

    /// Time of the newest reading, Unix seconds.
    pub(super) fn newest(&self) -> Option<i64> {
        self.newest
    }

    /// What the step that ends at `step_end` leaves to remember.
    pub(super) fn close(&mut self, step_end: i64, scores: &[EntityScore]) -> (Vec<StepRow>, Vec<BinaryChange>) {
        let (now, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.received).into_iter().partition(|(reading, _)| reading.at <= step_end);
        self.received = later;
        remembered(now, scores)
    }
}

/// What a step's readings and scores leave to remember: of each numeric entity one number, of binary ones every change.
#[must_use]
pub fn remembered(
    received: impl IntoIterator<Item = (Reading, DeviceClass)>,
    scores: &[EntityScore],
) -> (Vec<StepRow>, Vec<BinaryChange>) {
    let mut numbers: BTreeMap<u32, Number> = BTreeMap::new();
    let mut changes = Vec::new();
    for (reading, class) in received {
        match reading.value {
            _ if class.is_binary() => {
                let on = match reading.value {
                    Value::Binary(on) => Some(on),
                    Value::Number(_) | Value::Gap => None,
                };
                changes.push(BinaryChange { at: reading.at, entity: reading.entity, on });
            }
            value => numbers.entry(reading.entity).or_default().take(value, class.counter()),
        }
    }
    changes.truncate(CHANGES_MAX);
    let mut rows: BTreeMap<u32, StepRow> = scores
        .iter()
        .filter(|score| score.score.is_some() || score.observed.is_some())
        .map(|score| (score.entity, StepRow { judged: Some(judged(score)), ..StepRow::silent(score.entity) }))
        .collect();
    for (entity, number) in numbers {
        rows.entry(entity).or_insert(StepRow::silent(entity)).received = Some(number.value());
    }
    (rows.into_values().collect(), changes)
}

fn judged(score: &EntityScore) -> Judged {
    Judged {
        observed: score.observed,
        band: score.band,
        score: score.score,
        rarity: score.rarity,
        immediate: score.immediate,
    }
}

/// The mean of a step's numbers; for a meter the last one.
#[derive(Debug, Default)]
struct Number {
    sum: f64,
    count: u32,
}

impl Number {
    fn take(&mut self, value: Value, meter: bool) {
        match value {
            Value::Number(number) if meter => *self = Self { sum: number, count: 1 },
            Value::Number(number) => {
                self.sum += number;
                self.count += 1;
            }
            Value::Binary(_) | Value::Gap => {}
        }
    }

    fn value(&self) -> Value {
        if self.count == 0 { Value::Gap } else { Value::Number(self.sum / f64::from(self.count)) }
    }
}
