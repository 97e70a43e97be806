//! From what the store knows to what the tests weigh. Pure.

use std::collections::{BTreeMap, BTreeSet};

use hearthwatch_protocol::manifest::Vitals;
use hearthwatch_protocol::messages::UpdateResult;
use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_store::OutcomeRow;
use hearthwatch_store::rollouts::AnswerDay;

use super::gate::{DISAGREEING_STEPS, Day, Evidence, FaultChecks, Side};

const DAY: i64 = 86_400;

/// Most days that are looked at: a rollout that is not through after a quarter has other troubles.
const DAYS_MAX: i64 = 92;

/// Fault checks of one home that count: four entities with three faults each. A home signs what it says of them, and could say any
/// number; so no home alone reaches the level at which a rollout stops, and one with hundreds of entities speaks for itself only.
const FAULT_CHECKS_MAX: u64 = 12;

/// What is known about a release on its way.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// Version of the release.
    pub version: ModelVersion,
    /// When its rollout began, Unix seconds.
    pub started_at: i64,
    /// Every home of the fleet.
    pub homes: &'a [HomeId],
    /// When each home was ordered to run it.
    pub assigned: &'a BTreeMap<HomeId, i64>,
    /// The last words of every home on how installations ended; those on other releases are left out here.
    pub outcomes: &'a [OutcomeRow],
    /// Answers by home and day.
    pub answers: &'a [AnswerDay],
    /// What homes that are proven to run it said of how it does.
    pub vitals: &'a [Vitals],
    /// The time now, Unix seconds.
    pub now: i64,
}

/// The homes that told how the installation ended. One that could not get it has yet to.
#[must_use]
pub fn reported(version: ModelVersion, outcomes: &[OutcomeRow]) -> BTreeSet<HomeId> {
    let of = outcomes.iter().filter(|outcome| outcome.model_version == version && outcome.weighs_on_release());
    of.map(|outcome| outcome.home.clone()).collect()
}

/// The last word of each home.
type LastWords<'a> = BTreeMap<&'a HomeId, &'a OutcomeRow>;

/// Those about the release, and those about the way to it.
fn last_words<'a>(known: &Known<'a>) -> (LastWords<'a>, LastWords<'a>) {
    let (mut weighing, mut others) = (LastWords::new(), LastWords::new());
    for outcome in known.outcomes.iter().filter(|outcome| outcome.model_version == known.version) {
        let ends = if outcome.weighs_on_release() { &mut weighing } else { &mut others };
        let newer = |before: &&OutcomeRow| (before.at, before.received_at) <= (outcome.at, outcome.received_at);
        if ends.get(&outcome.home).is_none_or(newer) {
            ends.insert(&outcome.home, outcome);
        }
    }
    (weighing, others)
}

/// Counts, from what is known, what the tests weigh. Pure.
#[must_use]
pub fn gather(known: &Known<'_>) -> Evidence {
    let (ends, others) = last_words(known);
    let without = others.keys().filter(|home| !ends.contains_key(*home)).count();
    let installed = |outcome: &OutcomeRow| matches!(outcome.result, UpdateResult::Installed);
    let (good, bad): (Vec<&OutcomeRow>, Vec<&OutcomeRow>) = ends.into_values().partition(|outcome| installed(outcome));
    let mut evidence = Evidence {
        installed: good.len() as u64,
        failed: bad.len() as u64,
        undelivered: without as u64,
        ..Evidence::default()
    };
    let since: BTreeMap<&HomeId, i64> =
        good.iter().map(|outcome| (&outcome.home, outcome.received_at.div_euclid(DAY))).collect();
    evidence.days = days(known, &since);
    for vitals in known.vitals {
        let (fault_checks, of) = (&mut evidence.fault_checks, of_home(vitals));
        fault_checks.caught = fault_checks.caught.saturating_add(of.caught);
        fault_checks.caught_before = fault_checks.caught_before.saturating_add(of.caught_before);
        if vitals.compared > 0 {
            evidence.compared += 1;
            let share = f64::from(vitals.disagreed) / f64::from(vitals.compared);
            evidence.disagreeing += u64::from(share > DISAGREEING_STEPS);
        }
    }
    evidence
}

/// What a home's fault checks count for: the shares that it says, of at most [`FAULT_CHECKS_MAX`].
fn of_home(vitals: &Vitals) -> FaultChecks {
    let (all, most) = (u64::from(vitals.fault_checks), FAULT_CHECKS_MAX);
    let part = |found: u32| {
        let found = u64::from(found).min(all);
        if all <= most { found } else { (found * most + all / 2) / all }
    };
    FaultChecks { caught: part(vitals.caught), caught_before: part(vitals.caught_before) }
}

/// Whole days since the rollout began. A home is on neither side on the days between its order and its first whole day
/// with the release.
fn days(known: &Known<'_>, since: &BTreeMap<&HomeId, i64>) -> Vec<Day> {
    let today = known.now.div_euclid(DAY);
    let first = known.started_at.div_euclid(DAY).saturating_add(1).max(today.saturating_sub(DAYS_MAX));
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
        let Some(day) = answer.day.checked_sub(first).and_then(|index| days.get_mut(usize::try_from(index).ok()?))
        else {
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
    use hearthwatch_protocol::messages::UpdateStage;
    use hearthwatch_store::fixtures::home;

    use super::*;

    const NOON: i64 = DAY / 2;

    fn outcome(name: &str, at: i64, result: UpdateResult) -> OutcomeRow {
        OutcomeRow { home: home(name), model_version: ModelVersion(3), stage: None, result, at, received_at: at }
    }

    fn refused(name: &str, at: i64, stage: UpdateStage) -> OutcomeRow {
        let result = UpdateResult::Refused { reason: "expired: timestamp of last week".to_owned() };
        OutcomeRow { stage: Some(stage), ..outcome(name, at, result) }
    }

    static NOBODY: BTreeMap<HomeId, i64> = BTreeMap::new();

    const NOTHING: Known<'_> = Known {
        version: ModelVersion(3),
        started_at: 0,
        homes: &[],
        assigned: &NOBODY,
        outcomes: &[],
        answers: &[],
        vitals: &[],
        now: 10,
    };

    fn of(outcomes: &[OutcomeRow]) -> Evidence {
        gather(&Known { outcomes, ..NOTHING })
    }

    fn of_vitals(vitals: &[Vitals]) -> Evidence {
        gather(&Known { vitals, ..NOTHING })
    }

    fn alarms(evidence: &Evidence) -> bool {
        let policy = crate::rollout::Policy::named("staged").unwrap();
        super::super::gate::weigh(&policy, evidence).iter().any(super::super::gate::Finding::alarms)
    }

    #[test]
    fn what_a_mirror_did_is_counted_apart_and_is_no_failure_of_the_release() {
        let outcomes = [
            refused("a", 5, UpdateStage::Fetch),
            refused("b", 5, UpdateStage::Verify),
            refused("c", 5, UpdateStage::Install),
            outcome("d", 5, UpdateResult::Installed),
            refused("d", 9, UpdateStage::Verify),
        ];
        let evidence = of(&outcomes);
        assert_eq!((evidence.installed, evidence.failed, evidence.undelivered), (1, 1, 2));
        assert_eq!(reported(ModelVersion(3), &outcomes), [home("c"), home("d")].into());
    }

    #[test]
    fn a_fleet_behind_a_stale_mirror_stops_no_rollout() {
        let stale = |number| refused(&format!("home-{number}"), 5, UpdateStage::Verify);
        let outcomes: Vec<OutcomeRow> = (0..1_000).map(stale).collect();
        assert!(!alarms(&of(&outcomes)));
        let installing = |outcome| OutcomeRow { stage: Some(UpdateStage::Install), ..outcome };
        let install: Vec<OutcomeRow> = outcomes.into_iter().map(installing).collect();
        assert!(alarms(&of(&install)));
    }

    #[test]
    fn a_home_counts_on_whole_days_with_the_release_or_without_it() {
        let homes = ["a", "b", "c"].map(home);
        let assigned = BTreeMap::from([(home("a"), 10 * DAY), (home("b"), 12 * DAY + NOON)]);
        let outcomes = [outcome("a", 10 * DAY + NOON, UpdateResult::Installed)];
        let answer = |name: &str, day, confirmed, dismissed| AnswerDay { home: home(name), day, confirmed, dismissed };
        let answers = [answer("a", 11, 0, 9), answer("c", 11, 1, 0), answer("b", 12, 0, 1), answer("a", 10, 5, 5)];
        let (started_at, now) = (10 * DAY, 13 * DAY + NOON);
        let (homes, assigned, outcomes, answers) = (&homes, &assigned, &outcomes, &answers);
        let evidence = gather(&Known { started_at, now, homes, assigned, outcomes, answers, ..NOTHING });
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
        let evidence = of(&outcomes);
        assert_eq!((evidence.installed, evidence.failed), (0, 1));
    }

    #[test]
    fn vitals_add_up_over_homes() {
        let checked = Vitals { fault_checks: 8, caught: 6, caught_before: 7, compared: 100, ..Vitals::default() };
        let vitals = |disagreed| Vitals { disagreed, ..checked };
        let evidence = of_vitals(&[vitals(5), vitals(6)]);
        assert_eq!(evidence.fault_checks, FaultChecks { caught: 12, caught_before: 14 });
        assert_eq!((evidence.compared, evidence.disagreeing), (2, 1));
    }
    #[test]
    fn one_home_alone_cannot_stop_a_rollout_by_what_it_says_of_its_fault_checks() {
        let vitals = Vitals { fault_checks: u32::MAX, caught: 0, caught_before: u32::MAX, ..Vitals::default() };
        let evidence = of_vitals(&[vitals]);
        assert_eq!(evidence.fault_checks, FaultChecks { caught: 0, caught_before: 12 });
        assert!(!alarms(&evidence));
        let half = Vitals { fault_checks: 900, caught: 450, caught_before: 675, ..Vitals::default() };
        assert_eq!(of_vitals(&[half]).fault_checks, FaultChecks { caught: 6, caught_before: 9 }, "the shares stay");
    }
}
