//! The daily brief: what the last day brought, as one message.

use hearthwatch_detector::alarm::Withheld;
use hearthwatch_edge_core::explain::{DayInBrief, friendly_name};

use super::DetectorService;
use super::view::Brief;

const DAY_SECONDS: i64 = 86_400;
/// Alarms that a brief names; the rest is counted.
const NAMED_MAX: usize = 5;

impl DetectorService {
    pub(super) fn brief(&self, now: i64) -> Brief {
        let day: Vec<_> =
            self.alarms.raised_in(now - DAY_SECONDS, now).filter(|alarm| alarm.merged_into.is_none()).collect();
        let (shown, suppressed): (Vec<_>, Vec<_>) = day.into_iter().partition(|alarm| alarm.is_shown());
        let names = |alarms: &[&super::ShownAlarm]| {
            let names: Vec<String> =
                alarms.iter().take(NAMED_MAX).map(|alarm| alarm.place.name_of(&alarm.entity_id)).collect();
            names.join(", ")
        };
        let withheld: Vec<&Withheld> = self.withheld_since(now - DAY_SECONDS).collect();
        let withheld_names: Vec<String> = withheld.iter().take(NAMED_MAX).map(|one| self.name_of(one.entity)).collect();
        let text = self.residents.language.brief(&DayInBrief {
            watched: self.judging.detector.entities().len(),
            shown: (shown.len(), &names(&shown)),
            suppressed: (suppressed.len(), &names(&suppressed)),
            withheld: (withheld.len(), &withheld_names.join(", ")),
            questions: self.alarms.month(now).questions,
        });
        Brief { at: now, text }
    }

    /// What the allowance held back and that was there after `since`, oldest first.
    pub(super) fn withheld_since(&self, since: i64) -> impl Iterator<Item = &Withheld> {
        self.judging.detector.withheld().iter().filter(move |one| one.until > since)
    }

    /// What people call an entity of the detector's list; empty for one that is not in it.
    pub(super) fn name_of(&self, entity: u32) -> String {
        let Some(info) = self.judging.detector.entities().get(entity as usize) else { return String::new() };
        let place = self.registry.places.get(&info.entity_id);
        place.map_or_else(|| friendly_name(&info.entity_id), |place| place.name_of(&info.entity_id))
    }
}
