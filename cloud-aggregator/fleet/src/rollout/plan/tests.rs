//! The planner over time, as committed transcripts, and what holds for every plan.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::rollout::gate::Test;

const START: i64 = 1_790_000_000;

fn fleet(count: usize) -> Vec<Member> {
    let home = |index| HomeId::new(format!("home-{index}")).unwrap();
    (0..count).map(|index| Member { home: home(index), assigned: false, reported: false }).collect()
}

fn situation<'a>(policy: &'a Policy, members: &'a [Member], hours: i64) -> Situation<'a> {
    let now = START + hours * HOUR;
    Situation { policy, members, started_at: START, paused_seconds: 0, forced: false, findings: &[], now }
}

/// What the planner says every twelve hours, if every home reports twelve hours after its order except those that sleep.
fn transcript(policy: &Policy, homes: usize, sleeps: impl Fn(usize) -> bool) -> String {
    let mut members = fleet(homes);
    let mut text = String::new();
    for hours in (0..=192).step_by(12) {
        let plan = plan(&situation(policy, &members, hours));
        let named: BTreeSet<&str> = plan.assign.iter().map(HomeId::as_str).collect();
        let next = match &plan.next {
            Next::Wave(at) => format!("wave at {} h", (at - START) / HOUR),
            other => other.to_string(),
        };
        let _ = write!(text, "{hours:>4} h  waves {}  {next}", plan.open);
        if named.is_empty() {
            text.push('\n');
        } else {
            let _ = writeln!(text, "  assign {}", named.iter().copied().collect::<Vec<_>>().join(" "));
        }
        for (index, member) in members.iter_mut().enumerate() {
            member.reported |= member.assigned && !sleeps(index);
            member.assigned |= plan.assign.contains(&member.home);
        }
    }
    text
}

fn matches_the_committed(name: &str, text: &str) {
    let path = format!("{}/src/rollout/snapshots/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap_or_default(), "{path}");
}

#[test]
fn a_staged_rollout_over_twelve_homes_goes_as_committed() {
    matches_the_committed("staged_12_homes", &transcript(&Policy::named("staged").unwrap(), 12, |_| false));
}

#[test]
fn a_staged_rollout_waits_for_homes_that_sleep() {
    matches_the_committed("staged_12_homes_asleep", &transcript(&Policy::named("staged").unwrap(), 12, |_| true));
}

#[test]
fn an_immediate_rollout_goes_out_at_once() {
    matches_the_committed("immediate_12_homes", &transcript(&Policy::named("immediate").unwrap(), 12, |_| false));
}

#[test]
fn a_pause_moves_the_waves_by_its_length() {
    let policy = Policy::named("staged").unwrap();
    let members: Vec<Member> =
        fleet(100).into_iter().map(|member| Member { assigned: true, reported: true, ..member }).collect();
    let paused = Situation { paused_seconds: 10 * HOUR, ..situation(&policy, &members, 50) };
    assert_eq!(plan(&paused).next, Next::Wave(START + 58 * HOUR));
}

#[test]
fn a_finding_stops_everything() {
    let (policy, members) = (Policy::named("immediate").unwrap(), fleet(3));
    let findings = [Finding { test: Test::Installation, log10_e: 4.0, limit: 2.7 }];
    let stopped = plan(&Situation { findings: &findings, ..situation(&policy, &members, 0) });
    assert_eq!(stopped, Plan { open: 0, assign: Vec::new(), next: Next::Stopped });
}

proptest! {
    #[test]
    fn a_later_plan_reaches_every_home_that_an_earlier_one_did(homes in 1usize..300, early in 0i64..200, later in 0i64..200) {
        let policy = Policy::named("staged").unwrap();
        let members: Vec<Member> =
            fleet(homes).into_iter().map(|member| Member { reported: true, ..member }).collect();
        let reach = |hours| plan(&situation(&policy, &members, hours)).assign.into_iter().collect::<BTreeSet<_>>();
        let (first, second) = (reach(early.min(later)), reach(early.max(later)));
        prop_assert!(first.is_subset(&second));
        prop_assert!(!first.is_empty());
        prop_assert_eq!(reach(168).len(), homes);
    }

    #[test]
    fn a_home_keeps_its_wave_when_others_join(homes in 2usize..100, joins in 1usize..100) {
        let policy = Policy::named("staged").unwrap();
        let (small, large) = (fleet(homes), fleet(homes + joins));
        let order = |members: &[Member]| plan(&situation(&policy, members, 0)).assign;
        let names: BTreeSet<_> = small.iter().map(|member| member.home.clone()).collect();
        let of_small: Vec<_> = order(&large).into_iter().filter(|home| names.contains(home)).collect();
        // Whoever of the old homes goes first in the larger fleet goes first in the old order too.
        let all = plan(&Situation { forced: true, ..situation(&policy, &small, 0) }).assign;
        prop_assert_eq!(&all[..of_small.len()], &of_small[..]);
    }
}
