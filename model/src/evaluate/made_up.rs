//! Evaluations made up for tests.

use super::outcome::{Evaluation, EventResult, HomeResult};
use crate::dataset::LabelOrigin;

/// So many injected faults of a family and class, of which the first `found` were found.
pub(crate) fn events(family: &str, class: &str, found: usize, all: usize) -> Vec<EventResult> {
    let event = |index| EventResult {
        family: family.to_owned(),
        class: class.to_owned(),
        origin: LabelOrigin::Injected,
        found: index < found,
        delay_s: None,
    };
    (0..all).map(event).collect()
}

/// A home for each list of faults, judged for so many weeks with so many false alarms each.
pub(crate) fn evaluation(
    weeks: f64,
    false_alarms: u32,
    homes: impl IntoIterator<Item = Vec<EventResult>>,
) -> Evaluation {
    let homes = homes.into_iter().enumerate();
    let home = |(number, events)| HomeResult { home: format!("home-{number}"), weeks, events, false_alarms };
    Evaluation { homes: homes.map(home).collect() }
}
