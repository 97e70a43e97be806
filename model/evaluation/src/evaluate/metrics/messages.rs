//! Messages a week, as a resident counts them: episodes merged, alarms with one cause told as one.
//!
//! Recordings do not tell which device or room an entity belongs to, so that only what goes quiet together is told as one
//! here: a home that knows its devices gets fewer messages than this.

use hearthwatch_detector::alarm::{Alarm, Onset, group};

/// Number of messages that these alarms, sorted by when they were raised, come to.
#[must_use]
pub fn messages(alarms: &[Alarm]) -> usize {
    let names: Vec<String> = alarms.iter().map(|alarm| alarm.entity.to_string()).collect();
    let onsets: Vec<Onset<'_>> = alarms
        .iter()
        .zip(&names)
        .map(|(alarm, entity)| Onset { entity, raised_at: alarm.raised_at, kind: alarm.kind, device: None, area: None })
        .collect();
    group(&onsets).len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use hearthwatch_detector::alarm::Severity;
    use hearthwatch_detector::finding::AnomalyKind;

    fn alarm(entity: u32, raised_at: i64) -> Alarm {
        Alarm {
            id: String::new(),
            entity,
            start: raised_at - 600,
            end: None,
            raised_at,
            severity: Severity::Info,
            score: 1.0,
            threshold: 0.0,
            observed: None,
            band: None,
            kind: AnomalyKind::Silent,
            amount: 0.0,
            usual: 0.0,
            reason: String::new(),
        }
    }

    #[test]
    fn an_example_by_hand() {
        // Two entities go quiet together, one of them again a day later, and a third by itself.
        assert_eq!(messages(&[alarm(0, 0), alarm(1, 600), alarm(0, 86_400), alarm(2, 200_000)]), 3);
    }

    proptest! {
        #[test]
        fn there_are_never_more_messages_than_alarms_nor_none_where_there_is_one(
            mut times in prop::collection::vec((0u32..5, 0i64..100_000), 0..40),
        ) {
            times.sort_by_key(|(_, at)| *at);
            let alarms: Vec<Alarm> = times.iter().map(|(entity, at)| alarm(*entity, *at)).collect();
            let count = messages(&alarms);
            prop_assert!(count <= alarms.len() && (count > 0 || alarms.is_empty()));
        }
    }
}
