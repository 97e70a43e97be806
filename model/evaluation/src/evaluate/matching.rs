//! Alarms against labels: pure.

use hearthwatch_detector::alarm::Alarm;
use hearthwatch_detector::reading::EntityInfo;

use super::outcome::{EventResult, HomeResult};
use crate::dataset::Label;

/// Seconds in a week.
const WEEK_SECONDS: f64 = 604_800.0;

/// What of a home the judgement needs besides labels and alarms.
#[derive(Debug, Clone, Copy)]
pub struct Outline<'a> {
    /// As `set/name` ([`RecordedHome::full_name`]).
    pub home: &'a str,
    /// By the index that labels and alarms name them by.
    pub entities: &'a [EntityInfo],
    /// Judged from here on, Unix seconds.
    pub from: i64,
    /// Unix seconds; what is raised later does not count.
    pub until: i64,
}

/// Judges the labels and alarms of a faulty copy and of its clean twin.
#[must_use]
pub fn compare(
    home: &Outline<'_>,
    (labels, on_faulty): (&[Label], &[Alarm]),
    (known, on_clean): (&[Label], &[Alarm]),
) -> HomeResult {
    let events = labels
        .iter()
        .filter(|label| label.start >= home.from)
        .map(|label| {
            let first = on_faulty.iter().filter(|alarm| hits(alarm, label)).map(|alarm| alarm.raised_at).min();
            // A real event is in the clean twin too; only an injected one must be absent there.
            let inherited = on_clean.iter().any(|alarm| hits(alarm, label)) && !known.contains(label);
            let found = first.filter(|_| !inherited);
            let entity = usize::try_from(label.entity).ok().and_then(|index| home.entities.get(index));
            EventResult {
                family: label.family.clone(),
                class: entity.map_or_else(String::new, |entity| entity.class.as_str().to_owned()),
                origin: label.origin,
                found: found.is_some(),
                delay_s: found.map(|at| at - label.start),
            }
        })
        .collect();
    let false_alarms = on_clean
        .iter()
        .filter(|alarm| alarm.raised_at >= home.from && !known.iter().any(|label| hits(alarm, label)))
        .count();
    HomeResult {
        home: home.home.to_owned(),
        weeks: (home.until - home.from).max(0) as f64 / WEEK_SECONDS,
        events,
        false_alarms: u32::try_from(false_alarms).unwrap_or(u32::MAX),
    }
}

/// Strict: of the event's entity, and raised while the event lasts.
fn hits(alarm: &Alarm, label: &Label) -> bool {
    alarm.entity == label.entity && alarm.raised_at >= label.start && alarm.raised_at <= label.end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::LabelOrigin;
    use hearthwatch_detector::alarm::Severity;
    use hearthwatch_detector::class::DeviceClass;
    use hearthwatch_detector::finding::AnomalyKind;

    fn alarm(raised_at: i64) -> Alarm {
        Alarm {
            id: format!("a{raised_at}"),
            entity: 0,
            start: raised_at - 600,
            end: None,
            raised_at,
            severity: Severity::Warning,
            score: 3.0,
            threshold: 1.0,
            observed: None,
            band: None,
            kind: AnomalyKind::Level,
            amount: 0.0,
            usual: 0.0,
            reason: String::new(),
        }
    }

    /// A fortnight of one entity, judged from `from` on.
    fn judged(from: i64, faulty: (&[Label], &[Alarm]), clean: (&[Label], &[Alarm])) -> HomeResult {
        let entity =
            EntityInfo { entity_id: "sensor.a".to_owned(), class: DeviceClass::Temperature, unit: "°C".to_owned() };
        compare(&Outline { home: "set/a", entities: &[entity], from, until: 1_209_600 }, faulty, clean)
    }

    fn label(start: i64, end: i64, origin: LabelOrigin) -> Label {
        Label { entity: 0, start, end, family: "spike".to_owned(), origin }
    }

    #[test]
    fn an_alarm_an_hour_after_the_event_does_not_find_it() {
        let label = label(6000, 9000, LabelOrigin::Injected);
        let result = judged(0, (&[label], &[alarm(9000 + 3600)]), (&[], &[]));
        assert!(!result.events[0].found);
    }

    #[test]
    fn an_event_where_the_clean_twin_also_speaks_is_not_found() {
        let label = label(6000, 9000, LabelOrigin::Injected);
        let result = judged(0, (&[label], &[alarm(6600)]), (&[], &[alarm(7200)]));
        assert!(!result.events[0].found);
        assert_eq!(result.false_alarms, 1);
    }

    #[test]
    fn a_found_event_has_the_delay_of_its_first_alarm() {
        let label = label(6000, 9000, LabelOrigin::Injected);
        let result = judged(0, (&[label], &[alarm(8400), alarm(7200)]), (&[], &[]));
        assert_eq!(result.events[0].delay_s, Some(1200));
    }

    #[test]
    fn an_alarm_on_a_real_event_of_the_clean_twin_is_no_false_alarm() {
        let real = [label(6000, 9000, LabelOrigin::Real)];
        let result = judged(0, (&real, &[alarm(6600)]), (&real, &[alarm(6600)]));
        assert_eq!((result.events[0].found, result.false_alarms), (true, 0));
    }

    #[test]
    fn what_comes_before_the_judged_stretch_counts_for_nothing() {
        let label = label(6000, 9000, LabelOrigin::Injected);
        let result = judged(604_800, (&[label], &[alarm(6600)]), (&[], &[alarm(6600)]));
        assert_eq!((result.events.len(), result.false_alarms), (0, 0));
        assert!((result.weeks - 1.0).abs() < 1e-9);
    }
}
