//! One message for one cause: alarms of several entities that begin together are told as one.
//!
//! A hub that dies takes ten sensors with it; an open window moves temperature and humidity; a power cut silences a house.
//! Which alarms share a cause cannot be known from one, so a group stays open for a while after its last member joined. Pure:
//! alarms in, groups out.

use crate::features::AnomalyKind;

/// Alarms of one kind of silence or standstill that begin within this time are one cause: half an hour, three steps.
pub const TOGETHER_SECONDS: i64 = 30 * 60;

/// Alarms of other kinds must begin closer, two steps: much that is unrelated happens within half an hour.
pub const CLOSE_SECONDS: i64 = 20 * 60;

/// Members from which on a group's cause is sought outside its entities: two may be chance, three in half an hour are not.
const COMMON_MEMBERS_MIN: usize = 3;

/// What grouping needs to know of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Onset<'a> {
    /// Which entity.
    pub entity: u32,
    /// When the alarm was raised, Unix seconds.
    pub raised_at: i64,
    /// In what way it is unusual.
    pub kind: AnomalyKind,
    /// What the entity hangs on, when it is known: a device, a hub, an area. Entities with one in common belong together.
    pub parent: Option<&'a str>,
}

/// What ties a group together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Only one alarm.
    Single,
    /// Its members went silent together: their common hub, or the network, is the likely cause.
    Connection,
    /// Its members hang on one device or are in one area.
    Parent,
    /// Many began together and nothing else is known.
    Together,
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
    if members().any(|member| member.entity == onset.entity) {
        return false;
    }
    members().any(|member| {
        let apart = onset.raised_at - member.raised_at;
        let silence = disconnected(member.kind) && disconnected(onset.kind);
        let related = member.parent.is_some() && member.parent == onset.parent;
        apart <= if silence || related { TOGETHER_SECONDS } else { CLOSE_SECONDS }
            && (silence || related || !(disconnected(member.kind) || disconnected(onset.kind)))
    })
}

fn cause(onsets: &[Onset<'_>], members: &[usize]) -> Cause {
    let of = |place: &usize| &onsets[*place];
    if members.len() < 2 {
        return Cause::Single;
    }
    if members.iter().all(|member| disconnected(of(member).kind)) && members.len() >= COMMON_MEMBERS_MIN {
        return Cause::Connection;
    }
    let parent = of(&members[0]).parent;
    if parent.is_some() && members.iter().all(|member| of(member).parent == parent) {
        return Cause::Parent;
    }
    Cause::Together
}

/// Whether it looks like a lost connection: no report, or the last one for ever.
fn disconnected(kind: AnomalyKind) -> bool {
    matches!(kind, AnomalyKind::Silent | AnomalyKind::Flat)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn onset(entity: u32, raised_at: i64, kind: AnomalyKind) -> Onset<'static> {
        Onset { entity, raised_at, kind, parent: None }
    }

    #[test]
    fn a_hub_that_takes_ten_entities_down_is_one_message() {
        let onsets: Vec<Onset<'_>> =
            (0..10).map(|entity| onset(entity, 600 * i64::from(entity / 4), AnomalyKind::Silent)).collect();
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
        let of_fridge = |entity, at, kind| Onset { parent: Some("fridge"), ..onset(entity, at, kind) };
        let groups = group(&[of_fridge(0, 0, AnomalyKind::Level), of_fridge(1, 1800, AnomalyKind::Flat)]);
        assert_eq!((groups.len(), groups[0].cause), (1, Cause::Parent));
    }

    #[test]
    fn alarms_hours_apart_are_two_messages_and_so_is_a_second_alarm_of_one_entity() {
        let apart = group(&[onset(0, 0, AnomalyKind::Level), onset(1, 7200, AnomalyKind::Level)]);
        let again = group(&[onset(0, 0, AnomalyKind::Level), onset(0, 600, AnomalyKind::Level)]);
        assert_eq!((apart.len(), again.len()), (2, 2));
    }

    proptest! {
        #[test]
        fn every_alarm_is_in_one_group_and_more_alarms_do_not_regroup_earlier_ones(
            raw in prop::collection::vec((0u32..6, 0i64..3000, any::<bool>()), 0..30),
        ) {
            let mut at = 0;
            let onsets: Vec<Onset<'_>> = raw
                .iter()
                .map(|(entity, pause, silent)| {
                    at += pause;
                    onset(*entity, at, if *silent { AnomalyKind::Silent } else { AnomalyKind::Level })
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
