//! Recall by false alarms: figures at as many false alarms, and their differences over homes. Pure.

use hearthwatch_evaluation::evaluate::{HomeRecord, Interval, bootstrap};
use serde::Serialize;

const COVERAGE: f64 = 0.9;
const RESAMPLES: usize = 2000;
const SEED: u64 = 1;

/// One home under one arm, added up over training seeds and faulty copies. Lists go with the budgets, which rise.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Unit {
    pub(super) home: String,
    weeks: f64,
    events: f64,
    alarms: Vec<f64>,
    found: Vec<f64>,
    /// Events found with the thresholds of a fold shifted so that it keeps one false alarm a home-week.
    oracle: f64,
    /// At the budget that kept one false alarm a home-week on the homes that thresholds come from.
    kept_alarms: f64,
    kept_found: f64,
    /// Areas under precision and recall, and how many series they are of.
    areas: f64,
    series: f64,
}

/// A figure of homes together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) enum Figure {
    /// Recall at the budget in this place.
    Deployed(usize),
    /// False alarms a home-week there.
    Rate(usize),
    /// Recall at the budget that the homes that thresholds come from would keep.
    Kept,
    /// False alarms a home-week there.
    KeptRate,
    /// Recall where the judged homes themselves have so many false alarms a home-week.
    AtRate(f64),
    /// Recall with each fold's thresholds shifted to one false alarm a home-week.
    Oracle,
    /// Mean area under precision and recall.
    AucPr,
}

impl Unit {
    /// Adds a run of this home; `kept` is the place of the budget that kept what was asked for where thresholds come from, `one` that
    /// of one a week.
    pub(super) fn add(&mut self, record: &HomeRecord, (one, kept): (usize, usize)) {
        self.home.clone_from(&record.home);
        self.weeks += record.weeks;
        self.events += record.events.len() as f64;
        let found: Vec<f64> = (0..record.false_alarms.len())
            .map(|place| record.events.iter().filter(|event| event.delay_s[place].is_some()).count() as f64)
            .collect();
        let alarms: Vec<f64> = record.false_alarms.iter().map(|alarms| alarms.len() as f64).collect();
        self.kept_alarms += alarms[kept];
        self.kept_found += found[kept];
        add(&mut self.found, &found);
        add(&mut self.alarms, &alarms);
        self.oracle += record.events.iter().filter(|event| event.oracle[one]).count() as f64;
        self.areas += record.auc_pr.iter().map(|one| one.value).sum::<f64>();
        self.series += record.auc_pr.len() as f64;
    }
}

fn add(sum: &mut Vec<f64>, more: &[f64]) {
    sum.resize(more.len(), 0.0);
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

impl Figure {
    /// Of these homes; 0 where there is nothing to count.
    pub(super) fn of(self, units: &[&Unit]) -> f64 {
        let sum = |part: &dyn Fn(&Unit) -> f64| units.iter().map(|unit| part(unit)).sum::<f64>();
        let (weeks, events) = (sum(&|unit| unit.weeks), sum(&|unit| unit.events));
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        match self {
            Self::Deployed(place) => share(sum(&|unit| unit.found[place]), events),
            Self::Rate(place) => share(sum(&|unit| unit.alarms[place]), weeks),
            Self::Kept => share(sum(&|unit| unit.kept_found), events),
            Self::KeptRate => share(sum(&|unit| unit.kept_alarms), weeks),
            Self::AtRate(rate) => {
                let budgets = units.first().map_or(0, |unit| unit.found.len());
                let point = |place| (Self::Rate(place).of(units), Self::Deployed(place).of(units));
                recall_at(&(0..budgets).map(point).collect::<Vec<_>>(), rate)
            }
            Self::Oracle => share(sum(&|unit| unit.oracle), events),
            Self::AucPr => share(sum(&|unit| unit.areas), sum(&|unit| unit.series)),
        }
    }

    /// With an interval over homes.
    pub(super) fn interval(self, units: &[Unit]) -> Interval {
        bootstrap(units, COVERAGE, RESAMPLES, SEED, &|units| self.of(units))
    }

    /// `left` less `right` on the same homes.
    pub(super) fn difference(self, left: &[Unit], right: &[Unit]) -> Interval {
        bootstrap(&pairs(left, right), COVERAGE, RESAMPLES, SEED, &|pairs| {
            let own: Vec<&Unit> = pairs.iter().map(|pair| pair.0).collect();
            let other: Vec<&Unit> = pairs.iter().map(|pair| pair.1).collect();
            self.of(&own) - self.of(&other)
        })
    }
}

fn pairs<'a>(left: &'a [Unit], right: &'a [Unit]) -> Vec<(&'a Unit, &'a Unit)> {
    left.iter().filter_map(|unit| Some((unit, right.iter().find(|other| other.home == unit.home)?))).collect()
}

/// Recall at a rate, linear between the points (rate, recall) of rising budgets; that of the first or last point beyond them.
fn recall_at(points: &[(f64, f64)], rate: f64) -> f64 {
    let Some(after) = points.iter().position(|point| point.0 > rate) else {
        return points.last().map_or(0.0, |point| point.1);
    };
    let Some(before) = after.checked_sub(1).map(|before| points[before]) else { return points[after].1 };
    let (x, y) = points[after];
    before.1 + (y - before.1) * (rate - before.0) / (x - before.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(home: &str, found: &[f64], alarms: &[f64]) -> Unit {
        let (found, alarms) = (found.to_vec(), alarms.to_vec());
        Unit { home: home.to_owned(), weeks: 2.0, events: 10.0, found, alarms, ..Unit::default() }
    }

    #[test]
    fn recall_is_read_where_the_homes_have_so_many_false_alarms() {
        let units = [unit("a", &[2.0, 4.0, 8.0], &[0.0, 1.0, 3.0]), unit("b", &[4.0, 6.0, 8.0], &[1.0, 2.0, 5.0])];
        let units: Vec<&Unit> = units.iter().collect();
        let at = |rate| Figure::AtRate(rate).of(&units);
        assert!((at(0.75) - 0.5).abs() < 1e-9, "the second budget's own");
        assert!((at(1.375) - 0.65).abs() < 1e-9, "halfway between the second and the third");
        assert!((at(9.0) - 0.8).abs() < 1e-9 && (at(0.1) - 0.3).abs() < 1e-9, "no further than was measured");
    }

    #[test]
    fn an_arm_that_finds_more_for_more_alarms_is_not_ahead_at_as_many() {
        let quiet = [unit("a", &[4.0, 6.0], &[2.0, 4.0]), unit("b", &[4.0, 6.0], &[2.0, 4.0])];
        let loud = [unit("a", &[6.0, 8.0], &[4.0, 8.0]), unit("b", &[6.0, 8.0], &[4.0, 8.0])];
        assert!(Figure::Deployed(0).difference(&loud, &quiet).low > 0.1);
        assert_eq!(Figure::AtRate(2.0).difference(&loud, &quiet).point, 0.0);
    }
}
