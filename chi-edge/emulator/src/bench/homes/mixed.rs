//! Homes put together from several sets: rooms of one home, meters of another, a water meter and plugs, in the same weeks.

use std::collections::BTreeMap;

use hearthwatch_detector::reading::{EntityInfo, Reading};
use hearthwatch_evaluation::dataset::RecordedHome;

const WEEK: i64 = 7 * 86_400;

/// One home from one of each set, as often as the first set has homes; the other sets begin again where they end. Each part is moved by
/// whole weeks to begin in the first part's first week, and the home ends with the part that ends first.
pub(super) fn mixed(homes: &[RecordedHome]) -> Vec<RecordedHome> {
    let mut by_set: BTreeMap<&str, Vec<&RecordedHome>> = BTreeMap::new();
    for home in homes {
        by_set.entry(&home.set).or_default().push(home);
    }
    // Rooms lead: they are the shortest.
    let Some(leaders) = by_set.remove("southwark_homes") else { return Vec::new() };
    leaders
        .iter()
        .enumerate()
        .filter_map(|(number, leader)| {
            let others = by_set.values().map(|homes| homes[number % homes.len()]);
            together(leader, others)
        })
        .collect()
}

fn together<'a>(leader: &RecordedHome, others: impl Iterator<Item = &'a RecordedHome>) -> Option<RecordedHome> {
    let (first, mut last) = leader.span()?;
    let mut home = leader.clone();
    for other in others {
        let (begins, ends) = other.span()?;
        let shift = (first - begins).div_euclid(WEEK) * WEEK;
        last = last.min(ends + shift);
        let offset = u32::try_from(home.entities.len()).ok()?;
        home.entities.extend(
            other
                .entities
                .iter()
                .map(|info| EntityInfo { entity_id: format!("{}_{}", info.entity_id, other.set), ..info.clone() }),
        );
        home.readings.extend(other.readings.iter().map(|reading| Reading {
            at: reading.at + shift,
            entity: reading.entity + offset,
            ..*reading
        }));
    }
    "mixed".clone_into(&mut home.set);
    home.readings.sort_by_key(|reading| (reading.at, reading.entity));
    Some(home.between(first - 1, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearthwatch_detector::class::DeviceClass;
    use hearthwatch_detector::reading::Value;

    fn home(set: &str, from: i64, days: i64) -> RecordedHome {
        RecordedHome {
            name: set.into(),
            set: set.into(),
            timezone: "UTC".into(),
            entities: vec![EntityInfo {
                entity_id: "sensor.a".into(),
                class: DeviceClass::Temperature,
                unit: "°C".into(),
            }],
            readings: (0..=days)
                .map(|day| Reading { at: from + day * 86_400, entity: 0, value: Value::Number(1.0) })
                .collect(),
            labels: Vec::new(),
        }
    }

    #[test]
    fn parts_keep_their_day_of_the_week_and_the_shortest_ends_the_home() {
        let homes = [home("southwark_homes", 100 * WEEK, 30), home("meters", 3 * WEEK + 90_000, 20)];
        let [mixed] = &mixed(&homes)[..] else { panic!("one home") };
        assert_eq!((mixed.entities.len(), mixed.set.as_str()), (2, "mixed"));
        assert_eq!(mixed.entities[1].entity_id, "sensor.a_meters");
        // The meters' twenty days begin six days before the rooms, in the week before.
        assert_eq!(mixed.span(), Some((100 * WEEK, 102 * WEEK + 3600)));
        let of_meters = mixed.readings.iter().find(|reading| reading.entity == 1).unwrap();
        assert_eq!(of_meters.at, 100 * WEEK + 3600);
    }
}
