//! Any detector of scores beside the deployed one: on the same homes in the recorder's form, with the same faults, at the same number
//! of false alarms.
//!
//! A detector that only scores has no thresholds of its own. It is given the one threshold that raises as many false alarms on the tested
//! clean homes as the deployed detector did there: in its favour, for no home knows that threshold beforehand. All faults of a seed
//! are in one copy.

use hearthwatch_detector::grid::STEP_SECONDS;

use super::{
    DAY_SECONDS, LivedHome, LivedPlan, SAME_ALARM_SECONDS, SETTLED_SECONDS, clean_and_faulty, is_about_change,
};
use crate::dataset::{Label, LabelOrigin, RecordedHome};
use crate::evaluate::bootstrap::{Interval, bootstrap};
use crate::evaluate::episodes::episodes;
use crate::evaluate::method::Detector;
use crate::evaluate::trace::HomeTrace;

/// Halvings of the search for the threshold.
const SEARCH_STEPS: usize = 24;
const COVERAGE: f64 = 0.9;
const RESAMPLES: usize = 1000;
const SEED: u64 = 1;
const WEEK_SECONDS: f64 = 604_800.0;

/// A home in the recorder's form as it was, and one copy a seed with all faults.
#[derive(Debug)]
pub struct HomeCopies {
    clean: HomeTrace,
    faulty: Vec<HomeTrace>,
}

impl HomeCopies {
    /// The copies that [`live_through`](super::live_through) makes of `home` by the same plan; measured from the day that faults begin.
    #[must_use]
    pub fn of(home: &RecordedHome, plan: &LivedPlan) -> Self {
        let (clean, faulty) = clean_and_faulty(home, plan);
        let from = clean.span().map_or(0, |(first, _)| first + SETTLED_SECONDS);
        let faulty = faulty.iter().map(|copy| HomeTrace::extract_copy(copy, from)).collect();
        Self { clean: HomeTrace::extract_copy(&clean, from), faulty }
    }

    fn weeks(&self) -> f64 {
        (self.clean.until - self.clean.from).max(0) as f64 / WEEK_SECONDS
    }
}

/// What a detector found at a number of false alarms.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct EqualAlarms {
    /// False alarms a home-week, at most those that were allowed.
    pub false_a_week: f64,
    /// Share of faults found, and its interval over homes.
    pub recall: Interval,
    /// The same without silence and standing still, for which detectors of scores have no rule.
    pub changing: Interval,
}

/// False alarms a home-week of lives after the day on which faults begin.
#[must_use]
pub fn settled_rate(lives: &[LivedHome]) -> f64 {
    let settled = (SETTLED_SECONDS / DAY_SECONDS) as f64;
    let alarms = lives.iter().flat_map(|home| &home.false_alarms).filter(|alarm| alarm.day > settled).count();
    let weeks: f64 = lives.iter().map(|home| (home.weeks - settled / 7.0).max(0.0)).sum();
    if weeks > 0.0 { alarms as f64 / weeks } else { 0.0 }
}

/// Measures `detector` at no more than `false_a_week` false alarms a home-week, pooled over `homes`.
#[must_use]
pub fn at_equal_alarms(homes: &[HomeCopies], detector: &dyn Detector, false_a_week: f64) -> EqualAlarms {
    let scores: Vec<Scored> = homes.iter().map(|home| Scored::by(detector, home)).collect();
    let weeks: f64 = homes.iter().map(HomeCopies::weeks).sum();
    let count = |threshold: f32| -> usize {
        homes.iter().zip(&scores).map(|(home, scored)| unlabelled(&home.clean, &scored.clean, threshold)).sum()
    };
    let finite = || scores.iter().flat_map(|one| one.clean.iter().flatten()).copied().filter(|score| score.is_finite());
    let (mut low, mut high) = finite().fold((0.0_f32, 0.0_f32), |(low, high), one| (low.min(one), high.max(one)));
    // Above every clean score nothing is raised.
    high += 1.0;
    for _ in 0..SEARCH_STEPS {
        let middle = f32::midpoint(low, high);
        if count(middle) as f64 > false_a_week * weeks { low = middle } else { high = middle }
    }
    let found: Vec<[(f64, f64); 2]> =
        homes.iter().zip(&scores).map(|(home, scored)| scored.found(home, high)).collect();
    let recall = |place: usize| {
        let homes: Vec<(f64, f64)> = found.iter().map(|one| one[place]).filter(|(_, all)| *all > 0.0).collect();
        bootstrap(&homes, COVERAGE, RESAMPLES, SEED, &|homes: &[&(f64, f64)]| {
            let (found, all) = homes.iter().fold((0.0, 0.0), |sum, home| (sum.0 + home.0, sum.1 + home.1));
            if all > 0.0 { found / all } else { 0.0 }
        })
    };
    let false_a_week = if weeks > 0.0 { count(high) as f64 / weeks } else { 0.0 };
    EqualAlarms { false_a_week, recall: recall(0), changing: recall(1) }
}

/// A detector's scores by entity and step; nothing said is the calmest score there is.
struct Scored {
    clean: Vec<Vec<f32>>,
    faulty: Vec<Vec<Vec<f32>>>,
}

impl Scored {
    fn by(detector: &dyn Detector, home: &HomeCopies) -> Self {
        let of = |trace: &HomeTrace| -> Vec<Vec<f32>> {
            let calm = |score: f32| if score.is_nan() { f32::NEG_INFINITY } else { score };
            detector.score(trace).into_iter().map(|one| one.scores.into_iter().map(calm).collect()).collect()
        };
        Self { clean: of(&home.clean), faulty: home.faulty.iter().map(of).collect() }
    }

    /// Faults found and tried: all, and those of values that change.
    fn found(&self, home: &HomeCopies, threshold: f32) -> [(f64, f64); 2] {
        let raise = |trace: &HomeTrace, scores: &[Vec<f32>]| -> Vec<Vec<i64>> {
            scores.iter().map(|scores| episodes(scores, trace.at(0), trace.from, threshold)).collect()
        };
        let on_clean = raise(&home.clean, &self.clean);
        let mut counts = [(0.0, 0.0); 2];
        for (copy, scores) in home.faulty.iter().zip(&self.faulty) {
            let on_copy = raise(copy, scores);
            for label in copy.labels.iter().filter(|label| label.origin == LabelOrigin::Injected) {
                let entity = label.entity as usize;
                let own = on_copy[entity].iter().filter(|at| (label.start..=label.end + STEP_SECONDS).contains(at));
                let is_inherited =
                    |at: &i64| on_clean[entity].iter().any(|clean| (clean - at).abs() <= SAME_ALARM_SECONDS);
                let found = f64::from(u8::from(own.into_iter().any(|at| !is_inherited(at))));
                let changing = f64::from(u8::from(is_about_change(&label.family)));
                counts[0] = (counts[0].0 + found, counts[0].1 + 1.0);
                counts[1] = (counts[1].0 + found * changing, counts[1].1 + changing);
            }
        }
        counts
    }
}

fn unlabelled(home: &HomeTrace, scores: &[Vec<f32>], threshold: f32) -> usize {
    let covers =
        |label: &Label, entity: usize, at: i64| label.entity as usize == entity && label.start <= at && at <= label.end;
    let of = |(entity, scores): (usize, &Vec<f32>)| {
        let raised = episodes(scores, home.at(0), home.from, threshold);
        raised.iter().filter(|at| !home.labels.iter().any(|label| covers(label, entity, **at))).count()
    };
    scores.iter().enumerate().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::method::Baseline;
    use crate::fixtures::home::made_home;
    use crate::inject::Family;

    #[test]
    fn no_more_false_alarms_than_allowed_and_more_of_them_find_no_fewer_faults() {
        let plan = LivedPlan {
            budget_per_week: 1.0,
            seeds: vec![1],
            faults_per_entity_week: 0.7,
            families: Family::EVERY.to_vec(),
            outages: false,
            dense: true,
        };
        let homes = [HomeCopies::of(&made_home(1, 42), &plan)];
        let few = at_equal_alarms(&homes, &Baseline, 0.4);
        let many = at_equal_alarms(&homes, &Baseline, 4.0);
        assert!(few.false_a_week <= 0.4 && many.false_a_week <= 4.0);
        assert!(many.recall.point >= few.recall.point, "{few:?} {many:?}");
        assert!(many.recall.point > 0.0);
    }
}
