//! The daily brief: what the last day brought, as one message.

use super::Brain;
use super::view::Brief;

/// What a brief is about.
const DAY_SECONDS: i64 = 86_400;
/// Alarms that a brief names; the rest is counted.
const NAMED_MAX: usize = 5;

impl Brain {
    pub(super) fn brief(&self, now: i64) -> Brief {
        let day: Vec<_> =
            self.alarms.raised_in(now - DAY_SECONDS, now).filter(|alarm| alarm.led_by.is_none()).collect();
        let (said, held): (Vec<_>, Vec<_>) = day.into_iter().partition(|alarm| alarm.is_said());
        let names = |alarms: &[&super::ShownAlarm]| {
            let names: Vec<String> =
                alarms.iter().take(NAMED_MAX).map(|alarm| alarm.place.name_of(&alarm.entity_id)).collect();
            names.join(", ")
        };
        let text = self.language.brief(
            self.detector.entities().len(),
            (said.len(), &names(&said)),
            (held.len(), &names(&held)),
            self.alarms.month(now).questions,
        );
        Brief { at: now, text }
    }
}
