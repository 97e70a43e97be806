//! Counting what a home's alarms were worth, with labelled and injected events kept apart.

use hearthwatch_detector::alarm::Alarm;
use hearthwatch_evaluation::dataset::{Label, LabelOrigin};
use serde::{Deserialize, Serialize};

/// Events of one origin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Events with at least one alarm raised while they lasted.
    pub found: u32,
    /// Events without.
    pub missed: u32,
}

/// One home over one span of time under one model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Alarms raised.
    pub alarms: u32,
    /// Alarms that fell into some labelled event of their entity.
    pub true_alarms: u32,
    /// Alarms that fell into none.
    pub false_alarms: u32,
    /// Events put into the copy of the recording.
    pub injected: Found,
    /// Events labelled by the recording's authors.
    pub real: Found,
    /// Length of the span in weeks.
    pub weeks: f64,
}

impl Tally {
    /// Counts alarms raised in `(start, end]` against labels that lie in it as a whole.
    #[must_use]
    pub fn count(alarms: &[Alarm], labels: &[Label], (start, end): (i64, i64)) -> Self {
        let alarms: Vec<&Alarm> =
            alarms.iter().filter(|alarm| alarm.raised_at > start && alarm.raised_at <= end).collect();
        let true_alarms = count(alarms.iter().filter(|alarm| truth(alarm, labels).is_some()));
        let events = |origin| {
            let mut found = Found::default();
            let inside = |label: &&Label| label.origin == origin && label.start >= start && label.end <= end;
            for label in labels.iter().filter(inside) {
                match alarms.iter().any(|alarm| hits(alarm, label)) {
                    true => found.found += 1,
                    false => found.missed += 1,
                }
            }
            found
        };
        let total = count(alarms.iter());
        Self {
            alarms: total,
            true_alarms,
            false_alarms: total - true_alarms,
            injected: events(LabelOrigin::Injected),
            real: events(LabelOrigin::Real),
            weeks: (end - start) as f64 / super::timeline::WEEK as f64,
        }
    }

    /// Adds another home's or span's counts.
    pub fn add(&mut self, other: &Self) {
        self.alarms += other.alarms;
        self.true_alarms += other.true_alarms;
        self.false_alarms += other.false_alarms;
        self.injected.found += other.injected.found;
        self.injected.missed += other.injected.missed;
        self.real.found += other.real.found;
        self.real.missed += other.real.missed;
        self.weeks += other.weeks;
    }

    /// Alarms a week.
    #[must_use]
    pub fn per_week(&self) -> f64 {
        if self.weeks > 0.0 { f64::from(self.alarms) / self.weeks } else { 0.0 }
    }
}

/// The event that an alarm is about, if any.
#[must_use]
pub fn truth<'a>(alarm: &Alarm, labels: &'a [Label]) -> Option<&'a Label> {
    labels.iter().find(|label| hits(alarm, label))
}

/// Strict: the alarm is of the event's entity and was raised while the event lasted.
fn hits(alarm: &Alarm, label: &Label) -> bool {
    label.entity == alarm.entity && alarm.raised_at > label.start && alarm.raised_at <= label.end
}

fn count(items: impl Iterator) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}
