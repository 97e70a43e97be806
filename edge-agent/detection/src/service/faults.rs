//! When which entity was at fault, and what stands in for it in what is learnt. Pure.
//!
//! A fault must not become normal only because nobody answered. So whatever a resident confirmed, and whatever is plainly unusual,
//! lasts or lasted for a day, and was neither waved away nor muted, is left out when the routine is learnt; in its place stands
//! the same time of the week of before. What may well be nothing is learnt even so, and so is a blip of some hours that is over:
//! else a home that never answers would get the same question again and again.

use std::collections::BTreeMap;

use hearthwatch_detector::alarm::{Alarm, Verdict};
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_edge_core::preferences::{Suppression, WEEK_SECONDS};

use super::view::ShownAlarm;

/// An alarm that is over and that nobody answered was a fault if it lasted this long.
const UNANSWERED_SECONDS: i64 = 86_400;
/// What nobody answered is plainly unusual from this score on, on the routine's scale rarer than once in twenty weeks, …
const PLAIN_SCORE: f32 = 3.0;
/// … and so far above its threshold.
const PLAIN_EXCESS: f32 = super::publish::UNSURE_EXCESS;
/// Weeks that are looked back for a stand-in: what the memory holds.
const WEEKS_BACK_MAX: i64 = hearthwatch_edge_store::history::KEPT_SECONDS / WEEK_SECONDS;

/// The time of a fault of one entity, as (from, until]; so far, where its alarm lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FaultTime {
    pub(super) entity: u32,
    pub(super) from: i64,
    pub(super) until: i64,
    pub(super) lasts: bool,
}

impl FaultTime {
    /// Whether any of the step that ends at `step_end` belongs to it.
    fn covers(&self, step_end: i64) -> bool {
        step_end > self.from && step_end - STEP_SECONDS < self.until
    }
}

/// The faults among `alarms`, as known at `now`. An alarm of an entity that is no more is none of them.
pub(super) fn faults(alarms: &[ShownAlarm], entities: &[EntityInfo], now: i64) -> Vec<FaultTime> {
    let numbers: BTreeMap<&str, u32> =
        (0u32..).zip(entities).map(|(number, info)| (info.entity_id.as_str(), number)).collect();
    let times = alarms.iter().filter_map(|alarm| {
        let until = alarm.alarm.end.unwrap_or(now);
        let counts = match alarm.answer {
            Some((Verdict::Confirmed, _)) => true,
            Some((Verdict::Dismissed | Verdict::Expected, _)) => false,
            None => alarm.suppressed != Some(Suppression::Muted) && is_plain(&alarm.alarm),
        };
        let entity = numbers.get(alarm.entity_id.as_str()).copied().filter(|_| counts)?;
        Some(FaultTime { entity, from: alarm.alarm.start, until, lasts: alarm.alarm.end.is_none() })
    });
    times.collect()
}

/// Whether an alarm counts as a fault without an answer.
fn is_plain(alarm: &Alarm) -> bool {
    let lasted = alarm.end.is_none_or(|end| end - alarm.start >= UNANSWERED_SECONDS);
    lasted && alarm.score >= PLAIN_SCORE && alarm.score - alarm.threshold >= PLAIN_EXCESS
}

/// The faulty entities of a step, each with the step of an earlier week that stands in for it; none where all of them were faulty.
pub(super) fn stand_ins(faults: &[FaultTime], step_end: i64) -> BTreeMap<u32, Option<i64>> {
    let at_fault = |entity: u32, at: i64| faults.iter().any(|fault| fault.entity == entity && fault.covers(at));
    let faulty = faults.iter().filter(|fault| fault.covers(step_end)).map(|fault| fault.entity);
    let stand_in = |entity| {
        let mut before = (1..=WEEKS_BACK_MAX).map(|weeks| step_end - weeks * WEEK_SECONDS);
        before.find(|at| !at_fault(entity, *at))
    };
    faulty.map(|entity| (entity, stand_in(entity))).collect()
}

#[cfg(test)]
mod tests {
    use hearthwatch_edge_core::fixtures;

    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn an_alarm_that_ended_this_second_does_not_last_and_one_without_an_end_does() {
        let info = fixtures::thermometer("sensor.a");
        let of = |end| {
            let alarm = fixtures::stored(Alarm { end, score: 9.0, threshold: 1.0, ..fixtures::alarm("1", 600) }, &info);
            faults(&[alarm], std::slice::from_ref(&info), 2 * DAY)
        };
        let fault = FaultTime { entity: 0, from: 0, until: 2 * DAY, lasts: true };
        assert_eq!(of(None), [fault]);
        assert_eq!(of(Some(2 * DAY)), [FaultTime { lasts: false, ..fault }]);
    }

    #[test]
    fn a_fault_of_ten_days_is_stood_in_for_by_the_weeks_before_it() {
        let fault = FaultTime { entity: 3, from: 20 * DAY, until: 30 * DAY, lasts: false };
        assert_eq!(stand_ins(&[fault], 20 * DAY), BTreeMap::new());
        assert_eq!(stand_ins(&[fault], 21 * DAY), BTreeMap::from([(3, Some(14 * DAY))]));
        assert_eq!(
            stand_ins(&[fault], 29 * DAY),
            BTreeMap::from([(3, Some(15 * DAY))]),
            "a week before was faulty as well"
        );
        assert_eq!(stand_ins(&[fault], 31 * DAY), BTreeMap::new());
        let always = FaultTime { from: 0, until: 60 * DAY, ..fault };
        assert_eq!(stand_ins(&[always], 50 * DAY), BTreeMap::from([(3, None)]));
    }
}
