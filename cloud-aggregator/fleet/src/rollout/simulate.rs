//! A fleet that does not exist, under the same planner and the same tests: how many homes see a bad model before it stops.
//!
//! Homes differ: their residents answer at log-normal rates, and one home in six sleeps through it all. Any other fetches
//! within a few hours of its order, tells how the installation ended, and reports its synthetic fault checks an hour later. Nothing in
//! here knows a clock; the seed decides the rest.

use std::fmt;

use hearthwatch_protocol::HomeId;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::gate::{self, Day, Evidence, Finding};
use super::plan::{Member, Next, Situation, plan};
use super::policy::Policy;

const HOUR: i64 = 3_600;

/// Longest a home takes from its order to the swap, in hours.
const FETCH_HOURS: i64 = 6;

/// Synthetic fault checks of a home after a swap.
const FAULT_CHECKS: u32 = 8;

/// Share of synthetic faults that a sound model finds.
const SOUND_CATCH: f64 = 0.75;

/// Share of homes that dismiss an alarm on a day under a sound model: a budget of one a week, half of them answered.
const SOUND_DISMISS: f64 = 0.07;

/// Share of homes that confirm one.
const SOUND_CONFIRM: f64 = 0.01;

/// Spread of the residents' rates (standard deviation of their logarithm).
const SPREAD: f64 = 0.8;

/// What is wrong with a release.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// What it is called.
    pub name: &'static str,
    /// Share of installations that fail.
    pub failures: f64,
    /// Dismissals, as a multiple of a sound model's.
    pub dismissals: f64,
    /// Confirmations, as a multiple of a sound model's.
    pub confirmations: f64,
    /// Synthetic faults found, as a multiple of a sound model's.
    pub fault_checks: f64,
}

/// The releases that are tried.
pub const FAULTS: [Fault; 6] = [
    Fault { name: "sound", failures: 0.005, dismissals: 1.0, confirmations: 1.0, fault_checks: 1.0 },
    Fault { name: "does not install", failures: 0.30, dismissals: 1.0, confirmations: 1.0, fault_checks: 1.0 },
    Fault { name: "noisy (x2)", failures: 0.005, dismissals: 2.0, confirmations: 1.0, fault_checks: 1.0 },
    Fault { name: "noisy (x1.3)", failures: 0.005, dismissals: 1.3, confirmations: 1.0, fault_checks: 1.0 },
    Fault { name: "low recall", failures: 0.005, dismissals: 0.9, confirmations: 0.3, fault_checks: 0.4 },
    Fault {
        name: "low recall, no fault checks",
        failures: 0.005,
        dismissals: 0.9,
        confirmations: 0.3,
        fault_checks: 1.0,
    },
];

/// How one rollout went.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Homes that ran the release before it stopped, or ended.
    pub saw: usize,
    /// Hours until it stopped; `None` if it never did.
    pub stopped_after: Option<i64>,
    /// The tests that alarmed; none if it never stopped.
    pub findings: Vec<Finding>,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stopped_after {
            None => write!(f, "{} homes, never stopped", self.saw),
            Some(hours) => {
                let tests: Vec<_> = self.findings.iter().map(|finding| finding.test.as_str()).collect();
                write!(f, "{} homes, stopped after {hours} h by {}", self.saw, tests.join(", "))
            }
        }
    }
}

struct Home {
    /// How much more or less than others its resident answers.
    rate: f64,
    installs_at: Option<i64>,
    installed: bool,
}

/// Runs one rollout over `homes` homes for `days` days.
#[must_use]
pub fn run(policy: &Policy, fault: &Fault, homes: usize, days: i64, seed: u64) -> Run {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let name = |index| HomeId::new(format!("home-{index}")).expect("a name of letters, a dash and digits");
    let mut members: Vec<Member> =
        (0..homes).map(|index| Member { home: name(index), assigned: false, reported: false }).collect();
    members.sort_by_cached_key(|member| (super::plan::seat(&member.home), member.home.clone()));
    let mut fleet: Vec<Home> =
        members.iter().map(|_| Home { rate: log_normal(&mut rng), installs_at: None, installed: false }).collect();
    let mut evidence = Evidence::default();
    let mut ordered = 0;
    for hour in 0..days * 24 {
        if hour > 0 && hour % 24 == 0 {
            evidence.days.push(day(fault, &fleet, hour, ordered, &mut rng));
        }
        install(fault, &mut fleet[..ordered], &mut members, hour, &mut evidence, &mut rng);
        let findings = gate::alarms(policy, &evidence);
        let (started_at, paused_seconds, forced, now) = (0, 0, false, hour * HOUR);
        let situation =
            Situation { policy, members: &members, started_at, paused_seconds, forced, findings: &findings, now };
        // The planner is asked when it could say something new: not in each of the hours between two waves.
        if findings.is_empty() && ordered == homes {
            continue;
        }
        let planned = plan(&situation);
        if planned.next == Next::Stopped {
            return Run { saw: saw(&fleet), stopped_after: Some(hour), findings };
        }
        // Members are in order of their seats, so those to be ordered come next.
        for (member, home) in members[ordered..].iter_mut().zip(&mut fleet[ordered..]).take(planned.assign.len()) {
            member.assigned = true;
            // One in six sleeps through it.
            let wait = rng.random_range(0..FETCH_HOURS);
            home.installs_at = (wait > 0).then_some(hour + wait);
        }
        ordered += planned.assign.len();
    }
    Run { saw: saw(&fleet), stopped_after: None, findings: Vec::new() }
}

fn saw(fleet: &[Home]) -> usize {
    fleet.iter().filter(|home| home.installed).count()
}

fn install(
    fault: &Fault,
    ordered: &mut [Home],
    members: &mut [Member],
    hour: i64,
    evidence: &mut Evidence,
    rng: &mut ChaCha8Rng,
) {
    for (home, member) in ordered.iter_mut().zip(members) {
        if home.installs_at != Some(hour) {
            continue;
        }
        member.reported = true;
        if rng.random_bool(fault.failures) {
            evidence.failed += 1;
            continue;
        }
        home.installed = true;
        evidence.installed += 1;
        evidence.compared += 1;
        for _ in 0..FAULT_CHECKS {
            evidence.fault_checks.caught_before += u64::from(rng.random_bool(SOUND_CATCH));
            evidence.fault_checks.caught += u64::from(rng.random_bool(SOUND_CATCH * fault.fault_checks));
        }
    }
}

/// What a day's answers were.
fn day(fault: &Fault, fleet: &[Home], hour: i64, ordered: usize, rng: &mut ChaCha8Rng) -> Day {
    let mut day = Day::default();
    for (index, home) in fleet.iter().enumerate() {
        let whole_day = home.installed && home.installs_at.is_some_and(|at| at <= hour - 24);
        let (side, dismissals, confirmations) = match (whole_day, index < ordered) {
            (true, _) => (&mut day.with, fault.dismissals, fault.confirmations),
            (false, true) => continue,
            (false, false) => (&mut day.without, 1.0, 1.0),
        };
        side.homes += 1;
        side.dismissed += u64::from(rng.random_bool((SOUND_DISMISS * dismissals * home.rate).min(1.0)));
        side.confirmed += u64::from(rng.random_bool((SOUND_CONFIRM * confirmations * home.rate).min(1.0)));
    }
    day
}

/// Mean 1, spread [`SPREAD`]; the sum of twelve uniform numbers stands for a normal one.
fn log_normal(rng: &mut ChaCha8Rng) -> f64 {
    let sum: f64 = (0..12).map(|_| f64::from(rng.next_u32()) / f64::from(u32::MAX)).sum();
    (SPREAD * (sum - 6.0) - SPREAD * SPREAD / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staged() -> Policy {
        Policy::named("staged").unwrap()
    }

    #[test]
    fn a_bad_model_is_stopped_within_the_canary_cohort_of_a_small_fleet() {
        for fault in &FAULTS[1..] {
            if fault.name == "noisy (x1.3)" || fault.name == "low recall, no fault checks" {
                continue;
            }
            let run = run(&staged(), fault, 2_000, 10, 1);
            assert!(run.stopped_after.is_some(), "{}: {run}", fault.name);
            assert!(run.saw <= 200, "{}: {run}", fault.name);
        }
    }

    #[test]
    fn sound_models_are_stopped_no_more_often_than_the_stated_error() {
        // 60 rollouts at an error of 1 %: more than three stops has a chance below 1 in 250.
        let stopped = (0..60).filter(|seed| run(&staged(), &FAULTS[0], 300, 10, *seed).stopped_after.is_some()).count();
        assert!(stopped <= 3, "{stopped} of 60");
    }

    #[test]
    fn the_same_seed_gives_the_same_rollout() {
        assert_eq!(run(&staged(), &FAULTS[4], 500, 8, 3), run(&staged(), &FAULTS[4], 500, 8, 3));
    }
}
