//! What will be measured, written down before anything is: homes by role and time, faults, seeds, thresholds, figures.

use std::collections::BTreeMap;

use hearthwatch_detector::grid::HISTORY_DAYS;
use serde::{Deserialize, Serialize};

use super::metrics::vus_pr::Surface;
use crate::dataset::RecordedHome;
use crate::inject::Family;

const DAY_SECONDS: i64 = 86_400;

/// Days of a home that are seen before it is judged: what every detector's statistics want, in whole weeks.
const HISTORY_SECONDS: i64 = 28 * DAY_SECONDS;

/// The shortest stretch worth judging: half of the shortest recordings, a week's, less what their ends lack.
const JUDGED_MIN: i64 = 3 * DAY_SECONDS;

/// Families that are left out together, one group a fold. The first are those that networks missed in earlier work.
const LEFT_OUT: [[Family; 3]; 5] = [
    [Family::TimeShift, Family::WindowOpen, Family::LeftOn],
    [Family::Spike, Family::SlowLeak, Family::SensorSwap],
    [Family::LevelShift, Family::Missing, Family::PeriodicLoad],
    [Family::Drift, Family::NoiseBurst, Family::DoorOpen],
    [Family::Stuck, Family::DutyCycle, Family::UnitChange],
];

/// What a home is for in a fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Weights may be trained on it.
    Train,
    /// Training is stopped and thresholds are set on it.
    Calibrate,
    /// Measured on it; nothing is chosen by it.
    Test,
}

/// How homes come to their roles.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Roles {
    /// As many folds as parts: part *k* tests, part *k* + 1 calibrates, the others train. Every home is tested once. Train
    /// and calibrate end at the cut, test begins there.
    Rotation {
        /// At least 3: one tests, one calibrates, the rest trains.
        parts: usize,
        /// The cut, as a share of the set's whole time.
        cut: f64,
    },
    /// One fold: part 0 tests, part 1 calibrates, the others train; the cut as above, of each home's own time.
    Parts {
        /// The cut, as a share of the home's time.
        cut: f64,
    },
    /// One fold in which every home trains, then calibrates, then tests: for sets of few homes.
    OwnPast {
        /// End of the time to train on, as a share of the home's time.
        train: f64,
        /// End of the time to calibrate on.
        calibrate: f64,
    },
}

/// How the homes of one set are used; fixed before anything is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetRules {
    /// The name it is asked for by.
    pub set: String,
    /// How homes come to their roles.
    pub roles: Roles,
    /// Warm-up of a home that is not given 28 days of it, days.
    pub warm_up_days: i64,
    /// Most days that a home is calibrated on.
    pub calibrate_days: i64,
    /// Most days that a home is tested on.
    pub test_days: i64,
    /// Most homes in any role of a fold, first by name.
    pub homes_max: usize,
    /// Faults of each entity in a week of test; nought where the recording has real ones.
    pub events_per_entity_week: f64,
}

/// One home in one fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HomeRole {
    /// As `set/name` ([`RecordedHome::full_name`]).
    pub home: String,
    /// A home may have several roles only under [`Roles::OwnPast`], at different times.
    pub role: Role,
    /// Readings before this are not looked at, Unix seconds.
    pub begin: i64,
    /// Used from here on; warm-up before.
    pub from: i64,
    /// Readings after this are not looked at.
    pub until: i64,
}

/// One assignment of roles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fold {
    /// Counted from 0.
    pub number: usize,
    /// Families that nothing may be trained against in this fold.
    pub left_out: Vec<Family>,
    /// By role, then by name.
    pub homes: Vec<HomeRole>,
}

/// A recording with the moment from which on it may be used; what comes before is warm-up.
#[derive(Debug, Clone)]
pub struct Span {
    /// Cut to warm-up and use.
    pub home: RecordedHome,
    /// Unix seconds.
    pub from: i64,
}

/// Everything that decides a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// What the folds were made by.
    pub rules: SetRules,
    /// Seeds of the injector: each makes a faulty copy of every test home.
    pub injection_seeds: Vec<u64>,
    /// Families that are injected.
    pub families: Vec<Family>,
    /// Budgets, alarms a home-week.
    pub budgets: Vec<f64>,
    /// How VUS-PR is cut.
    pub surface: Surface,
    /// Coverage of the intervals.
    pub coverage: f64,
    /// Bootstrap resamples of homes (of entities where a set has one home).
    pub resamples: usize,
    /// As many as [`Roles`] asks for.
    pub folds: Vec<Fold>,
    /// Homes that were too short for their role, by name.
    pub too_short: Vec<String>,
    /// SHA-256 over each home's readings.
    pub content: BTreeMap<String, String>,
}

impl Protocol {
    /// Assigns homes to roles; `part_of` gives a home's part (see [`Roles`]) and must depend on its name alone.
    #[must_use]
    pub fn new(
        rules: SetRules,
        homes: &[RecordedHome],
        part_of: &dyn Fn(&RecordedHome) -> usize,
        injection_seeds: Vec<u64>,
    ) -> Self {
        let mut too_short = Vec::new();
        let count = if let Roles::Rotation { parts, .. } = rules.roles { parts } else { 1 };
        let folds = (0..count)
            .map(|number| Fold {
                number,
                left_out: LEFT_OUT[number % LEFT_OUT.len()].to_vec(),
                homes: assign(&rules, homes, part_of, number, &mut too_short),
            })
            .collect();
        too_short.sort_unstable();
        too_short.dedup();
        Self {
            rules,
            injection_seeds,
            families: Family::EVERY.to_vec(),
            budgets: vec![1.0, 3.0],
            surface: Surface::default(),
            coverage: 0.9,
            resamples: 2000,
            folds,
            too_short,
            content: homes.iter().map(|home| (home.full_name(), home.content_hash())).collect(),
        }
    }

    /// The homes of one role in a fold, cut to what it may see.
    #[must_use]
    pub fn spans(fold: &Fold, role: Role, homes: &[RecordedHome]) -> Vec<Span> {
        fold.homes
            .iter()
            .filter(|one| one.role == role)
            .filter_map(|one| {
                let home = homes.iter().find(|home| home.full_name() == one.home)?;
                Some(Span { home: home.between(one.begin, one.until), from: one.from })
            })
            .collect()
    }
}

fn assign(
    rules: &SetRules,
    homes: &[RecordedHome],
    part_of: &dyn Fn(&RecordedHome) -> usize,
    fold: usize,
    too_short: &mut Vec<String>,
) -> Vec<HomeRole> {
    let whole = homes.iter().filter_map(RecordedHome::span).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let mut assigned: Vec<HomeRole> = Vec::new();
    for home in homes {
        let (Some((first, last)), Some(whole)) = (home.span(), whole) else { continue };
        let at = |(first, last): (i64, i64), share: f64| first + ((last - first) as f64 * share) as i64;
        let part = part_of(home);
        let stretches: Vec<(Role, i64, i64)> = match rules.roles {
            Roles::Rotation { parts, cut } => {
                let cut = at(whole, cut);
                match (part + parts - fold) % parts {
                    0 => vec![(Role::Test, cut, last)],
                    1 => vec![(Role::Calibrate, first, cut)],
                    _ => vec![(Role::Train, first, cut)],
                }
            }
            Roles::Parts { cut } => {
                let cut = at((first, last), cut);
                match part {
                    0 => vec![(Role::Test, cut, last)],
                    1 => vec![(Role::Calibrate, first, cut)],
                    _ => vec![(Role::Train, first, cut)],
                }
            }
            Roles::OwnPast { train, calibrate } => {
                let (train, calibrate) = (at((first, last), train), at((first, last), calibrate));
                vec![(Role::Train, first, train), (Role::Calibrate, train, calibrate), (Role::Test, calibrate, last)]
            }
        };
        for (role, begin, end) in stretches {
            let full = assigned.iter().filter(|one| one.role == role).count() >= rules.homes_max;
            match span(rules, role, (first, begin), end) {
                _ if full => {}
                Some((begin, from, until)) => {
                    assigned.push(HomeRole { home: home.full_name(), role, begin, from, until });
                }
                None => too_short.push(home.full_name()),
            }
        }
    }
    assigned.sort_by(|left, right| (left.role, &left.home).cmp(&(right.role, &right.home)));
    assigned
}

/// Begin, use from and until of a stretch; none when too little is left after the warm-up.
fn span(rules: &SetRules, role: Role, (first, begin): (i64, i64), end: i64) -> Option<(i64, i64, i64)> {
    let warm_up = rules.warm_up_days * DAY_SECONDS;
    let most = match role {
        Role::Train => i64::MAX / 2,
        Role::Calibrate => rules.calibrate_days * DAY_SECONDS,
        Role::Test => rules.test_days * DAY_SECONDS,
    };
    // Calibration is done on the days that come last before the cut, testing on those that come first after it.
    let begin = if role == Role::Calibrate { begin.max(end - most) } else { begin };
    let from = begin.max(first + warm_up);
    let until = end.min(from.saturating_add(most));
    let history = HISTORY_SECONDS.max(HISTORY_DAYS as i64 * DAY_SECONDS);
    let earliest = if role == Role::Train { first } else { (from - history).max(first) };
    (until - from >= JUDGED_MIN).then_some((earliest - 1, from, until))
}

#[cfg(test)]
mod tests;
