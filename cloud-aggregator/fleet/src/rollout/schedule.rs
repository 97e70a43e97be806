//! Who gets a release when. Pure: the same waves and seats as the plan's, told before anything happens.

use hearthwatch_protocol::HomeId;

use super::plan::{Member, cohort, seat};
use super::policy::Policy;

/// One wave, as it is to come or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveAhead {
    /// Counted from 1.
    pub number: usize,
    /// How much of the fleet has the release when it is out, in percent.
    pub percent: u8,
    /// Homes that it adds.
    pub homes: u64,
    /// Of these, ordered to run the release already.
    pub assigned: u64,
    /// Of these, heard of how it ended.
    pub reported: u64,
    /// When its time comes, Unix seconds: it opens then at the earliest.
    pub opens_at: i64,
    /// Homes of the waves before that must have told how it ended.
    pub reports_needed: u64,
}

/// A home's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The home.
    pub home: HomeId,
    /// The wave that brings it the release, counted from 1.
    pub wave: usize,
    /// Its place in the order of all homes, counted from 1.
    pub position: u64,
    /// Whether it was ordered to run the release already.
    pub assigned: bool,
    /// Whether it told how it ended.
    pub reported: bool,
}

/// Waves in order, and homes in the order in which they get the release. `started_at` is when the rollout begins or began, Unix seconds,
/// `paused_seconds` how long it was paused since.
#[must_use]
pub fn schedule(
    policy: &Policy,
    members: &[Member],
    started_at: i64,
    paused_seconds: i64,
) -> (Vec<WaveAhead>, Vec<Place>) {
    let mut order: Vec<&Member> = members.iter().collect();
    order.sort_by_cached_key(|member| (seat(&member.home), member.home.clone()));
    let (mut waves, mut places, mut from) = (Vec::new(), Vec::with_capacity(order.len()), 0);
    for (index, wave) in policy.waves.iter().enumerate() {
        let until = cohort(order.len(), wave.percent).max(from);
        let homes = &order[from..until];
        let count = |is: fn(&Member) -> bool| homes.iter().filter(|member| is(member)).count() as u64;
        waves.push(WaveAhead {
            number: index + 1,
            percent: wave.percent,
            homes: homes.len() as u64,
            assigned: count(|member| member.assigned),
            reported: count(|member| member.reported),
            opens_at: started_at + paused_seconds + i64::from(wave.start_after_hours) * 3_600,
            reports_needed: if index == 0 { 0 } else { policy.minimum_reports.min(from as u64) },
        });
        places.extend(homes.iter().zip(from as u64 + 1..).map(|(member, position)| Place {
            home: member.home.clone(),
            wave: index + 1,
            position,
            assigned: member.assigned,
            reported: member.reported,
        }));
        from = until;
    }
    (waves, places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::plan::{Situation, plan};

    #[test]
    fn the_homes_of_the_open_waves_are_those_that_a_plan_orders() {
        let policy = Policy::named("staged").unwrap();
        let member = |number: u64| {
            let home = HomeId::new(format!("home-{number}")).unwrap();
            Member { home, assigned: false, reported: false }
        };
        let members: Vec<Member> = (0..500).map(member).collect();
        let (waves, places) = schedule(&policy, &members, 1_000, 60);
        assert_eq!(waves.iter().map(|wave| wave.homes).collect::<Vec<_>>(), [10, 40, 150, 300]);
        assert_eq!((waves[1].opens_at, waves[1].reports_needed), (1_060 + 48 * 3_600, 10));
        assert_eq!(places.len(), 500);
        let (findings, now) = (&[][..], 1_000);
        let (paused_seconds, forced) = (0, false);
        let situation =
            Situation { policy: &policy, members: &members, started_at: now, paused_seconds, forced, findings, now };
        let first: Vec<HomeId> =
            places.iter().filter(|place| place.wave == 1).map(|place| place.home.clone()).collect();
        assert_eq!(plan(&situation).assign, first);
    }
}
