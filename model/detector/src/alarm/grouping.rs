//! One message for one cause: alarms of several entities that begin together are told as one.
//!
//! A hub that dies takes ten sensors with it; an open window moves temperature and humidity of a room. What ties alarms
//! together must be known: going quiet together, one device, or one room within two steps. That they merely began together is
//! not enough, for an answer to a message is an answer to all that it speaks for. Pure: alarms in, groups out.

use crate::finding::AnomalyKind;

/// Alarms of one kind of silence or standstill, or of one device, that begin within this time have one cause: half an hour,
/// three steps.
const TOGETHER_SECONDS: i64 = 30 * 60;

/// Other alarms of one room must begin closer, two steps: much that is unrelated happens within half an hour.
const CLOSE_SECONDS: i64 = 20 * 60;

/// Members from which on a silence is sought outside its entities: two may be chance, three in half an hour are not.
const CONNECTION_MEMBERS_MIN: usize = 3;

/// What grouping needs to know of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Onset<'a> {
    /// Which entity, by Home Assistant's id.
    pub entity: &'a str,
    /// When the alarm was raised, Unix seconds.
    pub raised_at: i64,
    /// In what way it is unusual.
    pub kind: AnomalyKind,
    /// The device that the entity belongs to, when it is known.
    pub device: Option<&'a str>,
    /// The room that it is in, when it is known.
    pub area: Option<&'a str>,
}

/// What ties a group together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Only one alarm.
    Single,
    /// Its members belong to one device.
    Device,
    /// Its members went quiet together: a hub, or the network, is the likely cause.
    Connection,
    /// Its members are in one room.
    Area,
    /// Each is tied to another, but one tie does not hold for all.
    Mixed,
}

/// Alarms that are told as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Places of its members in the list that was grouped, oldest first. The first is the one to be told.
    pub members: Vec<usize>,
    /// What ties them together.
    pub cause: Cause,
}

/// Groups alarms, which must be sorted by `raised_at`. Every alarm is in exactly one group; groups are in the order of
/// their first members. A later alarm never changes what an earlier one was grouped with, so a message once sent stays
/// true: it only grows.
#[must_use]
pub fn group(onsets: &[Onset<'_>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (place, onset) in onsets.iter().enumerate() {
        let joined = groups.iter_mut().rev().find(|group| belongs(onsets, group, onset));
        match joined {
            Some(group) => group.members.push(place),
            None => groups.push(Group { members: vec![place], cause: Cause::Single }),
        }
    }
    for group in &mut groups {
        group.cause = cause(onsets, &group.members);
    }
    groups
}

fn belongs(onsets: &[Onset<'_>], group: &Group, onset: &Onset<'_>) -> bool {
    let members = || group.members.iter().map(|member| &onsets[*member]);
    // An entity speaks once in a group: its second alarm is news.
    members().all(|member| member.entity != onset.entity) && members().any(|member| tied(member, onset))
}

/// Whether two alarms, of which `later` is not the earlier, have one cause as far as one can tell.
fn tied(earlier: &Onset<'_>, later: &Onset<'_>) -> bool {
    let apart = later.raised_at - earlier.raised_at;
    let quiet = earlier.kind.is_quiet() && later.kind.is_quiet();
    let device = earlier.device.is_some() && earlier.device == later.device;
    // What a rule is certain of is its own message: smoke and a freezer in one kitchen are two things.
    let statistical = !earlier.kind.is_rule() && !later.kind.is_rule();
    let area = earlier.area.is_some() && earlier.area == later.area && statistical;
    ((quiet || device) && apart <= TOGETHER_SECONDS) || (area && apart <= CLOSE_SECONDS)
}

fn cause(onsets: &[Onset<'_>], members: &[usize]) -> Cause {
    let first = &onsets[members[0]];
    let all = |holds: &dyn Fn(&Onset<'_>) -> bool| members.iter().all(|member| holds(&onsets[*member]));
    if members.len() < 2 {
        Cause::Single
    } else if first.device.is_some() && all(&|member| member.device == first.device) {
        Cause::Device
    } else if members.len() >= CONNECTION_MEMBERS_MIN && all(&|member| member.kind.is_quiet()) {
        Cause::Connection
    } else if first.area.is_some() && all(&|member| member.area == first.area) {
        Cause::Area
    } else {
        Cause::Mixed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

    fn onset(entity: usize, raised_at: i64, kind: AnomalyKind) -> Onset<'static> {
        Onset { entity: NAMES[entity], raised_at, kind, device: None, area: None }
    }

    #[test]
    fn a_hub_that_takes_ten_entities_down_is_one_message() {
        let onsets: Vec<Onset<'_>> =
            (0..10).map(|entity| onset(entity, 600 * (entity as i64 / 4), AnomalyKind::Silent)).collect();
        let groups = group(&onsets);
        assert_eq!(groups.len(), 1);
        assert_eq!((groups[0].members.len(), groups[0].cause), (10, Cause::Connection));
    }

    #[test]
    fn a_leak_while_sensors_are_down_stays_a_message_of_its_own() {
        let groups = group(&[
            onset(0, 0, AnomalyKind::Silent),
            onset(1, 0, AnomalyKind::Silent),
            onset(2, 600, AnomalyKind::Level),
            onset(3, 600, AnomalyKind::Silent),
        ]);
        assert_eq!(groups.iter().map(|group| group.members.clone()).collect::<Vec<_>>(), [vec![0, 1, 3], vec![2]]);
    }

    #[test]
    fn entities_of_one_device_are_named_as_its_doing() {
        let of_fridge = |entity, at, kind| Onset { device: Some("fridge"), ..onset(entity, at, kind) };
        let groups = group(&[of_fridge(0, 0, AnomalyKind::Level), of_fridge(1, 1800, AnomalyKind::Flat)]);
        assert_eq!((groups.len(), groups[0].cause), (1, Cause::Device));
    }

    #[test]
    fn an_open_window_is_one_message_and_smoke_in_the_same_room_another() {
        let in_kitchen = |entity, at, kind| Onset { area: Some("kitchen"), ..onset(entity, at, kind) };
        let groups = group(&[
            in_kitchen(0, 0, AnomalyKind::Level),
            in_kitchen(1, 600, AnomalyKind::Change),
            in_kitchen(2, 600, AnomalyKind::Alert),
        ]);
        let causes: Vec<(usize, Cause)> = groups.iter().map(|group| (group.members.len(), group.cause)).collect();
        assert_eq!(causes, [(2, Cause::Area), (1, Cause::Single)]);
    }

    #[test]
    fn what_merely_begins_together_and_a_second_alarm_of_one_entity_are_two_messages() {
        let together = group(&[onset(0, 0, AnomalyKind::Level), onset(1, 0, AnomalyKind::Level)]);
        let again = group(&[onset(0, 0, AnomalyKind::Silent), onset(0, 600, AnomalyKind::Silent)]);
        assert_eq!((together.len(), again.len()), (2, 2));
    }

    proptest! {
        #[test]
        fn every_alarm_is_in_one_group_and_more_alarms_do_not_regroup_earlier_ones(
            raw in prop::collection::vec((0usize..6, 0i64..3000, any::<bool>(), 0usize..3), 0..30),
        ) {
            let mut at = 0;
            let onsets: Vec<Onset<'_>> = raw
                .iter()
                .map(|(entity, pause, silent, device)| {
                    at += pause;
                    let kind = if *silent { AnomalyKind::Silent } else { AnomalyKind::Level };
                    Onset { device: [None, Some("hub"), Some("stove")][*device], ..onset(*entity, at, kind) }
                })
                .collect();
            let groups = group(&onsets);
            let mut seen: Vec<usize> = groups.iter().flat_map(|group| group.members.clone()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..onsets.len()).collect::<Vec<_>>());
            if let Some((_, fewer)) = onsets.split_last() {
                for (before, after) in group(fewer).iter().zip(&groups) {
                    prop_assert!(after.members.starts_with(&before.members));
                }
            }
        }
    }
}
