//! Thresholds from calibration homes: how many alarms an entity of each class gives a week at each threshold.

use std::collections::BTreeMap;
use std::ops::Range;

use hearthwatch_detector::alarm::{
    Calibration, CalibrationCurve, HOLD_MARGIN, MERGE_SECONDS, QUIET_SECONDS, Sustained,
};
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::grid::STEP_SECONDS;

use super::trace::{EntityTrace, HomeTrace};

/// Entity-weeks below which a class has no curve of its own: its rarest alarms could not be counted.
const ENTITY_WEEKS_MIN: f64 = 6.0;

/// Alarms of an entity in a week at the lowest threshold of a curve: one a day is far beyond any budget.
const RATE_MAX: f64 = 7.0;

/// Share of a record's steps, the highest, whose scores are tried as thresholds: a quarter of the time in alarm is beyond
/// any budget.
const LOUD_SHARE: f64 = 0.25;

/// Thresholds are those at which the calibration homes raise this many times fewer alarms than asked: a home is unlike them in some
/// way, and then higher. More alarms found hardly more faults (docs/measurements/2026-11-30-training-tries.md), and each costs trust.
const CAUTION: f64 = 2.0;

/// And of water, whose rare hours are seldom faults: a bath at night. What is wrong with it is for the rules to find, which have
/// thresholds of their own.
const CAUTION_OF_WATER: f64 = 6.0;

/// A network needs none: in each home it speaks only where it is surer than it ever was there. Chosen on the calibration homes, where
/// twice and four times the rate found no more (docs/measurements/2026-11-30-training-tries.md).
const CAUTION_OF_NETWORK: f64 = 1.0;

/// How far above the highest step a threshold is put when even that is too often.
const ABOVE_ALL: f32 = 0.5;

/// What a curve answers when no score was ever seen: nothing is unusual enough.
const NOTHING_SEEN: f32 = 1e6;

/// After a labelled fault a recording settles for a while; nothing in it calibrates.
const SETTLING_SECONDS: i64 = 6 * 3600;

/// Rates at which thresholds are sought: from one alarm in the whole record to one a day, a factor of about 1.3 apart.
const RATES: usize = 24;

/// What a home's entities are judged by: scores to be calibrated, and rules that speak beside them.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Without injected faults; labelled stretches of the recording are left out of the count.
    pub home: &'a HomeTrace,
    /// One score for each step of each entity; NaN where there is none.
    pub scores: &'a [Vec<f32>],
}

/// Consecutive steps of one entity that count.
struct Stretch<'a> {
    entity: &'a EntityTrace,
    scores: &'a [f32],
    steps: Range<usize>,
}

impl Stretch<'_> {
    /// A step's score; −∞ where there is none, and where a rule with a threshold of its own speaks: no budget buys or holds it.
    fn score(&self, index: usize) -> f32 {
        let score = self.scores[index];
        // A reference method's or a network's own score at such a step is its own, and counts.
        let by_rule = score == self.entity.baseline[index] && self.entity.kind[index].has_own_threshold();
        if score.is_nan() || by_rule { f32::NEG_INFINITY } else { score }
    }
}

/// A step that can matter at some threshold that is looked at.
#[derive(Clone, Copy)]
struct Mark {
    at: i64,
    /// The score to be calibrated; −∞ where there is none.
    score: f32,
    /// What a rule says, or the baseline detector where it speaks alone; −∞ where neither does.
    rule: f32,
}

/// The marks of one stretch.
struct Marks {
    class: DeviceClass,
    marks: Vec<Mark>,
}

/// Thresholds on a score by the rate of alarms they give on clean homes, one curve a device class.
///
/// Episodes are those of the deployed decision. Where the scores are a network's, `rules` gives the thresholds of the
/// baseline detector: its rules go on speaking beside a network, and their alarms count towards the rate, so that what is
/// asked for is what both together give. Labelled stretches of the recordings are left out. Classes with too little of a
/// record share the pooled curve.
#[must_use]
pub fn calibrate(records: &[Record<'_>], rules: Option<&Calibration>) -> Calibration {
    let mut classes: BTreeMap<DeviceClass, Vec<Stretch<'_>>> = BTreeMap::new();
    for Record { home, scores } in records {
        for (entity, scores) in home.entities.iter().zip(*scores) {
            let stretches = unlabelled(home, entity).into_iter().map(|steps| Stretch { entity, scores, steps });
            classes.entry(entity.class).or_default().extend(stretches);
        }
    }
    let all: Vec<&Stretch<'_>> = classes.values().flatten().collect();
    let fallback = curve(&all, if rules.is_some() { CAUTION_OF_NETWORK } else { CAUTION }, rules);
    let curves = classes
        .iter()
        .map(|(class, stretches)| (*class, stretches.iter().collect::<Vec<_>>()))
        .filter(|(_, stretches)| weeks(stretches) >= ENTITY_WEEKS_MIN)
        .map(|(class, stretches)| {
            let caution = match class {
                _ if rules.is_some() => CAUTION_OF_NETWORK,
                DeviceClass::Water | DeviceClass::VolumeFlowRate => CAUTION_OF_WATER,
                _ => CAUTION,
            };
            (class, curve(&stretches, caution, rules))
        })
        .filter(|(_, curve)| curve.points.len() > 1)
        .collect();
    Calibration { classes: curves, fallback }
}

/// The measured steps of an entity, less the recording's own labelled faults and a while after them.
fn unlabelled(home: &HomeTrace, entity: &EntityTrace) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut begin = None;
    for index in 0..=entity.len() {
        let at = entity.at(index);
        let labelled = home
            .labels
            .iter()
            .any(|label| label.entity == entity.entity && label.start <= at && at <= label.end + SETTLING_SECONDS);
        let counts = index < entity.len() && at > home.from && !labelled;
        match (counts, begin) {
            (true, None) => begin = Some(index),
            (false, Some(start)) => {
                ranges.push(start..index);
                begin = None;
            }
            _ => {}
        }
    }
    ranges
}

fn weeks(stretches: &[&Stretch<'_>]) -> f64 {
    let steps: usize = stretches.iter().map(|stretch| stretch.steps.len()).sum();
    steps as f64 * STEP_SECONDS as f64 / 604_800.0
}

fn curve(stretches: &[&Stretch<'_>], caution: f64, rules: Option<&Calibration>) -> CalibrationCurve {
    let weeks = weeks(stretches);
    let mut peaks: Vec<f32> = stretches
        .iter()
        .flat_map(|stretch| stretch.steps.clone().skip(1).map(|index| sustained(stretch, index)))
        .filter(|score| score.is_finite())
        .collect();
    peaks.sort_by(|left, right| right.total_cmp(left));
    peaks.truncate((peaks.len() as f64 * LOUD_SHARE).ceil() as usize);
    let mut points: Vec<(f32, f32)> = Vec::new();
    if let Some(floor) = peaks.last()
        && weeks > 0.0
    {
        let marks: Vec<Marks> = stretches.iter().map(|stretch| marks(stretch, *floor, rules)).collect();
        let (lowest, highest) = ((1.0 / weeks).min(RATE_MAX / 2.0).ln(), RATE_MAX.ln());
        let mut rank = 0;
        for step in 0..RATES {
            let wanted = (lowest + (highest - lowest) * step as f64 / (RATES - 1) as f64).exp();
            let search = Search { wanted, weeks, peaks: &peaks, marks: &marks, rules };
            let threshold;
            (rank, threshold) = search.threshold(rank);
            if points.last().is_none_or(|(_, before)| threshold < *before) {
                points.push(((caution * wanted) as f32, threshold));
            }
        }
    }
    if points.is_empty() {
        points.push((1.0, NOTHING_SEEN));
    }
    CalibrationCurve { points }
}

/// The steps of a stretch that can raise or hold an alarm at a threshold of at least `floor`: the others need no second
/// look at each of the hundreds of thresholds that are tried.
fn marks(stretch: &Stretch<'_>, floor: f32, rules: Option<&Calibration>) -> Marks {
    let class = stretch.entity.class;
    let rule_floor = rules.map(|rules| rules.threshold(class, RATE_MAX as f32) - HOLD_MARGIN);
    let mark = |index: usize| {
        let (score, kind) = (stretch.score(index), stretch.entity.kind[index]);
        let speaks = (score == f32::NEG_INFINITY || kind.is_rule()) && !kind.has_own_threshold();
        let rule = if rules.is_some() && speaks { stretch.entity.baseline[index] } else { f32::NEG_INFINITY };
        let matters = score >= floor - HOLD_MARGIN || rule_floor.is_some_and(|floor| rule >= floor);
        matters.then_some(Mark { at: index as i64 * STEP_SECONDS, score, rule })
    };
    Marks { class, marks: stretch.steps.clone().filter_map(mark).collect() }
}

/// The search for one rate's threshold.
struct Search<'a> {
    /// Episodes per entity-week.
    wanted: f64,
    weeks: f64,
    /// The record's own scores in falling order: the thresholds that are tried.
    peaks: &'a [f32],
    marks: &'a [Marks],
    rules: Option<&'a Calibration>,
}

impl Search<'_> {
    fn rare_enough(&self, rank: usize) -> bool {
        let count: usize = self
            .marks
            .iter()
            .map(|marks| {
                let rule = self.rules.map_or(f32::INFINITY, |rules| rules.threshold(marks.class, self.wanted as f32));
                episodes(&marks.marks, self.peaks[rank], rule)
            })
            .sum();
        count as f64 / self.weeks <= self.wanted
    }

    /// The lowest of the scores at which alarms come no more often than wanted, and its rank; a little above the highest
    /// when even that is too often. The search goes down from `rank`, the result of the next rarer rate: not by halving
    /// the whole, since far below alarms merge into one that never ends and are few again.
    fn threshold(&self, rank: usize) -> (usize, f32) {
        let mut enough = if self.rare_enough(rank) { rank } else { 0 };
        if enough == 0 && !self.rare_enough(0) {
            return (0, self.peaks[0] + ABOVE_ALL);
        }
        let mut stride = 1;
        let mut many = enough + stride;
        while many < self.peaks.len() && self.rare_enough(many) {
            enough = many;
            stride += stride / 2 + 1;
            many += stride;
        }
        many = many.min(self.peaks.len());
        while many - enough > 1 {
            let middle = usize::midpoint(enough, many);
            if self.rare_enough(middle) { enough = middle } else { many = middle }
        }
        (enough, self.peaks[enough])
    }
}

/// The highest threshold at which a step would raise an alarm: what it and one of the two steps before it reach.
fn sustained(stretch: &Stretch<'_>, index: usize) -> f32 {
    let before = (1..3).filter_map(|back| index.checked_sub(back));
    let before = before.map(|index| stretch.score(index)).fold(f32::NEG_INFINITY, f32::max);
    stretch.score(index).min(before)
}

/// Alarms of one entity at a threshold (and another one for rules), as [`hearthwatch_detector::alarm::Decider`] raises them: lasting
/// evidence, held a little below the threshold, merged within six hours. Steps without a mark are far below both.
fn episodes(marks: &[Mark], threshold: f32, rule: f32) -> usize {
    let mut count = 0;
    let mut recent = Sustained::default();
    let mut lasting = false;
    let mut last_over: Option<i64> = None;
    let mut before = i64::MIN / 2;
    for mark in marks {
        // What was passed over since the last mark: two silent steps are all that lasting evidence can remember.
        for back in (1..3).rev() {
            let at = mark.at - back * STEP_SECONDS;
            if at > before {
                recent.step(at, f32::NEG_INFINITY);
            }
        }
        before = mark.at;
        let margin = (mark.score - threshold).max(mark.rule - rule);
        let since = recent.step(mark.at, margin);
        let quiet = last_over.map_or(i64::MAX, |last| mark.at - last);
        // An alarm that nothing held for an hour has ended at a step that was passed over.
        lasting &= quiet <= QUIET_SECONDS;
        if lasting {
            if margin >= -HOLD_MARGIN {
                last_over = Some(mark.at);
            } else if quiet == QUIET_SECONDS {
                lasting = false;
            }
        } else if since.is_some() {
            count += usize::from(quiet > MERGE_SECONDS);
            lasting = true;
            last_over = Some(mark.at);
        }
    }
    count
}

#[cfg(test)]
mod tests;
