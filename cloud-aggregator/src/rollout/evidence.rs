//! From what the store knows to what the tests weigh. Pure.

use std::collections::{BTreeMap, BTreeSet};

use hearthwatch_protocol::manifest::Vitals;
use hearthwatch_protocol::messages::UpdateResult;
use hearthwatch_protocol::{HomeId, ModelVersion};

use super::gate::{Canaries, DISAGREEING_STEPS, Day, Evidence, Side};
use crate::store::OutcomeRow;
use crate::store::rollouts::AnswerDay;

const DAY: i64 = 86_400;

/// Most days that are looked at: a rollout that is not through after a quarter has other troubles.
const DAYS_MAX: i64 = 92;

/// What is known about a release on its way.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// Which release.
    pub version: ModelVersion,
    /// When its rollout began, Unix seconds.
    pub started_at: i64,
    /// Every home of the fleet.
    pub homes: &'a [HomeId],
    /// When each home was ordered to run it.
    pub assigned: &'a BTreeMap<HomeId, i64>,
    /// How installations ended; those of other releases are left out here.
    pub outcomes: &'a [OutcomeRow],
    /// Answers by home and day.
    pub answers: &'a [AnswerDay],
    /// What homes that are proven to run it said of how it does.
    pub vitals: &'a [Vitals],
    /// The time.
    pub now: i64,
}

/// The homes that told how the installation ended.
#[must_use]
pub fn reported(version: ModelVersion, outcomes: &[OutcomeRow]) -> BTreeSet<HomeId> {
    outcomes.iter().filter(|outcome| outcome.model_version == version).map(|outcome| outcome.home.clone()).collect()
}

/// Gathers.
#[must_use]
pub fn gather(known: &Known<'_>) -> Evidence {
    // The last word of each home counts: installed, and then perhaps taken back.
    let mut ends: BTreeMap<&HomeId, &OutcomeRow> = BTreeMap::new();
    for outcome in known.outcomes.iter().filter(|outcome| outcome.model_version == known.version) {
        let newer = |before: &&OutcomeRow| (before.at, before.received_at) <= (outcome.at, outcome.received_at);
        if ends.get(&outcome.home).is_none_or(newer) {
            ends.insert(&outcome.home, outcome);
        }
    }
    let installed = |outcome: &OutcomeRow| matches!(outcome.result, UpdateResult::Installed);
    let (good, bad): (Vec<&OutcomeRow>, Vec<&OutcomeRow>) = ends.into_values().partition(|outcome| installed(outcome));
    let mut evidence = Evidence { installed: good.len() as u64, failed: bad.len() as u64, ..Evidence::default() };
    let since: BTreeMap<&HomeId, i64> =
        good.iter().map(|outcome| (&outcome.home, outcome.received_at.div_euclid(DAY))).collect();
    evidence.days = days(known, &since);
    for vitals in known.vitals {
        let canaries = &mut evidence.canaries;
        *canaries = Canaries {
            caught: canaries.caught + u64::from(vitals.caught),
            caught_before: canaries.caught_before + u64::from(vitals.caught_before),
        };
        if vitals.compared > 0 {
            evidence.compared += 1;
            let share = f64::from(vitals.disagreed) / f64::from(vitals.compared);
            evidence.disagreeing += u64::from(share > DISAGREEING_STEPS);
        }
    }
    evidence
}

/// Whole days since the rollout began. A home is on neither side on the days between its order and its first whole day
/// with the release.
fn days(known: &Known<'_>, since: &BTreeMap<&HomeId, i64>) -> Vec<Day> {
    let today = known.now.div_euclid(DAY);
    let first = (known.started_at.div_euclid(DAY) + 1).max(today - DAYS_MAX);
    let mut days: Vec<Day> = (first..today).map(|_| Day::default()).collect();
    let with = |home: &HomeId, day: i64| since.get(home).is_some_and(|since| *since < day);
    let without = |home: &HomeId, day: i64| known.assigned.get(home).is_none_or(|at| at.div_euclid(DAY) > day);
    let side = |day: &mut Day, home: &HomeId, number: i64, change: &dyn Fn(&mut Side)| {
        if with(home, number) {
            change(&mut day.with);
        } else if without(home, number) {
            change(&mut day.without);
        }
    };
    for (number, day) in (first..today).zip(&mut days) {
        for home in known.homes {
            side(day, home, number, &|side| side.homes += 1);
        }
    }
    for answer in known.answers {
        let Some(day) = usize::try_from(answer.day - first).ok().and_then(|index| days.get_mut(index)) else {
            continue;
        };
        side(day, &answer.home, answer.day, &|side| {
            side.dismissed += u64::from(answer.dismissed > 0);
            side.confirmed += u64::from(answer.confirmed > 0);
        });
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::home;

    const NOON: i64 = DAY / 2;

    fn outcome(name: &str, at: i64, result: UpdateResult) -> OutcomeRow {
        OutcomeRow { home: home(name), model_version: ModelVersion(3), result, at, received_at: at }
    }

    #[test]
    fn a_home_counts_on_whole_days_with_the_release_or_without_it() {
        let homes = ["a", "b", "c"].map(home);
        let assigned = BTreeMap::from([(home("a"), 10 * DAY), (home("b"), 12 * DAY + NOON)]);
        let outcomes = [outcome("a", 10 * DAY + NOON, UpdateResult::Installed)];
        let answer = |name: &str, day, confirmed, dismissed| AnswerDay { home: home(name), day, confirmed, dismissed };
        let answers = [answer("a", 11, 0, 9), answer("c", 11, 1, 0), answer("b", 12, 0, 1), answer("a", 10, 5, 5)];
        let evidence = gather(&Known {
            version: ModelVersion(3),
            started_at: 10 * DAY,
            homes: &homes,
            assigned: &assigned,
            outcomes: &outcomes,
            answers: &answers,
            vitals: &[],
            now: 13 * DAY + NOON,
        });
        let side = |homes, dismissed, confirmed| Side { homes, dismissed, confirmed };
        let eleventh = Day { with: side(1, 1, 0), without: side(2, 0, 1) };
        let twelfth = Day { with: side(1, 0, 0), without: side(1, 0, 0) };
        assert_eq!(evidence.days, [eleventh, twelfth], "b is on neither side on the day of its order");
        assert_eq!((evidence.installed, evidence.failed), (1, 0));
    }

    #[test]
    fn a_model_that_was_taken_back_counts_as_failed_once() {
        let back = UpdateResult::RolledBack { reason: "golden vectors".to_owned(), to: ModelVersion(2) };
        let outcomes = [outcome("a", 5, UpdateResult::Installed), outcome("a", 9, back)];
        let evidence = gather(&Known {
            version: ModelVersion(3),
            started_at: 0,
            homes: &[],
            assigned: &BTreeMap::new(),
            outcomes: &outcomes,
            answers: &[],
            vitals: &[],
            now: 10,
        });
        assert_eq!((evidence.installed, evidence.failed), (0, 1));
    }

    #[test]
    fn vitals_add_up_over_homes() {
        let vitals = |disagreed| Vitals {
            canaries: 8,
            caught: 6,
            caught_before: 7,
            compared: 100,
            disagreed,
            ..Vitals::default()
        };
        let evidence = gather(&Known {
            version: ModelVersion(3),
            started_at: 0,
            homes: &[],
            assigned: &BTreeMap::new(),
            outcomes: &[],
            answers: &[],
            vitals: &[vitals(5), vitals(6)],
            now: 10,
        });
        assert_eq!(evidence.canaries, Canaries { caught: 12, caught_before: 14 });
        assert_eq!((evidence.compared, evidence.disagreeing), (2, 1));
    }
}
