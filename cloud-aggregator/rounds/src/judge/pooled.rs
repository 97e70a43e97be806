//! Counts of all evaluators added up: thresholds that keep a budget, and what is found at them.

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_federation::BINS;

use super::{ClassFigures, Evaluator, ModelFigures};

/// Counts by bin, from many homes.
type Counts = [f64; BINS];

/// Where alarms begin: the scores of a bin are taken as spread evenly, so that every budget can be kept exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Threshold {
    /// Scores of higher bins raise an alarm.
    bin: usize,
    /// And this share of those in the bin, in [0, 1].
    share: f64,
}

impl Threshold {
    /// The one that `allowed` of the `days` are above.
    pub(super) fn of(days: &Counts, allowed: f64) -> Self {
        let mut above = 0.0;
        for (bin, count) in days.iter().enumerate().rev() {
            if *count > 0.0 && above + count >= allowed {
                return Self { bin, share: ((allowed - above) / count).clamp(0.0, 1.0) };
            }
            above += count;
        }
        Self { bin: 0, share: 1.0 }
    }

    /// How many of `counts` are above it.
    pub(super) fn above(&self, counts: &Counts) -> f64 {
        counts[self.bin + 1..].iter().sum::<f64>() + self.share * counts[self.bin]
    }
}

/// One model's counts over all evaluators, by class.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Pooled(BTreeMap<DeviceClass, (Counts, Counts)>);

impl Pooled {
    /// Adds up what the homes counted for the model at this place, each with its weight. The sum takes noise away; what is left of it is
    /// made counts again only then ([`consistent`]).
    pub(super) fn of(evaluators: &[(&Evaluator, f64)], model: usize) -> Self {
        let mut pooled: BTreeMap<DeviceClass, (Counts, Counts)> = BTreeMap::new();
        for (evaluator, weight) in evaluators {
            for (class, counts) in evaluator.counts.models.get(model).into_iter().flatten() {
                let (days, faults) = pooled.entry(*class).or_insert(([0.0; BINS], [0.0; BINS]));
                add(days, counts.days.counts(), *weight);
                add(faults, counts.faults.counts(), *weight);
            }
        }
        for (days, faults) in pooled.values_mut() {
            consistent(days);
            consistent(faults);
        }
        Self(pooled)
    }

    /// Standard deviation of the false alarms at `thresholds` of which the noise alone is the cause: Laplace noise of this `scale` on each
    /// count of each of the `evaluators`.
    pub(super) fn noise_of_alarms(
        &self,
        evaluators: &[(&Evaluator, f64)],
        thresholds: &BTreeMap<DeviceClass, Threshold>,
        scale: f64,
    ) -> f64 {
        let squares: f64 = evaluators.iter().map(|(_, weight)| weight * weight).sum();
        let bins = |threshold: &Threshold| (BINS - 1 - threshold.bin) as f64 + threshold.share;
        let bins: f64 = self.0.keys().filter_map(|class| thresholds.get(class)).map(bins).sum();
        scale * (2.0 * squares * bins).sqrt()
    }

    /// Thresholds by class at which `alarms` of all days are above: each class gets the share of its days.
    pub(super) fn thresholds(&self, alarms: f64) -> BTreeMap<DeviceClass, Threshold> {
        let all: f64 = self.0.values().map(|(days, _)| days.iter().sum::<f64>()).sum();
        let rate = if all > 0.0 { alarms / all } else { 0.0 };
        let of = |(class, (days, _)): (&DeviceClass, &(Counts, Counts))| {
            (*class, Threshold::of(days, rate * days.iter().sum::<f64>()))
        };
        self.0.iter().map(of).collect()
    }

    /// Days of each class that are above its threshold.
    #[cfg(test)]
    pub(super) fn alarms(&self, thresholds: &BTreeMap<DeviceClass, Threshold>) -> f64 {
        let above = |(class, (days, _)): (&DeviceClass, &(Counts, Counts))| Some(thresholds.get(class)?.above(days));
        self.0.iter().filter_map(above).sum()
    }

    pub(super) fn figures(&self, thresholds: &BTreeMap<DeviceClass, Threshold>) -> ModelFigures {
        let mut figures = ModelFigures::default();
        let (mut all, mut found, mut area) = (0.0, 0.0, 0.0);
        for (class, (days, faults)) in &self.0 {
            let here: f64 = faults.iter().sum();
            let Some(threshold) = thresholds.get(class).filter(|_| here > 0.0) else { continue };
            let above = threshold.above(faults);
            figures.by_class.insert(class.as_str().to_owned(), ClassFigures { faults: here, recall: above / here });
            all += here;
            found += above;
            area += here * area_under(days, faults);
        }
        if all > 0.0 {
            (figures.recall, figures.auc_pr) = (found / all, area / all);
        }
        figures
    }
}

fn add(sum: &mut Counts, counts: &[i32; BINS], weight: f64) {
    for (sum, count) in sum.iter_mut().zip(counts) {
        *sum += weight * f64::from(*count);
    }
}

/// Makes a sum of noised counts a histogram: how many scores are at a bin or above it falls from bin to bin and is never below zero, so the
/// nearest such sequence is taken (isotonic regression by pooling adjacent violators, as Hay et al., VLDB 2010). Cutting each count at zero
/// would turn the noise of empty bins into scores. Counts without noise stay as they are.
fn consistent(counts: &mut Counts) {
    if counts.iter().all(|count| *count >= 0.0) {
        return;
    }
    // From the highest bin on the tails rise.
    let (mut blocks, mut tail) = (Vec::<(f64, usize)>::with_capacity(BINS), 0.0);
    for count in counts.iter().rev() {
        tail += count;
        let mut block = (tail, 1);
        while let Some((mean, length)) = blocks.pop_if(|(mean, _)| *mean > block.0) {
            let together = length + block.1;
            block = ((mean * length as f64 + block.0 * block.1 as f64) / together as f64, together);
        }
        blocks.push(block);
    }
    let tails = blocks.into_iter().flat_map(|(mean, length)| std::iter::repeat_n(mean.max(0.0), length));
    let mut above = 0.0;
    for (count, tail) in counts.iter_mut().rev().zip(tails) {
        *count = tail - above;
        above = tail;
    }
}

/// Average precision: precision at each bin's lower end, weighted by the recall that the bin adds.
fn area_under(days: &Counts, faults: &Counts) -> f64 {
    let all: f64 = faults.iter().sum();
    let (mut right, mut wrong, mut area) = (0.0, 0.0, 0.0);
    for (day, fault) in days.iter().zip(faults).rev() {
        (right, wrong) = (right + fault, wrong + day);
        if *fault > 0.0 {
            area += fault / all * right / (right + wrong);
        }
    }
    area
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(bins: &[(usize, f64)]) -> Counts {
        let mut counts = [0.0; BINS];
        bins.iter().for_each(|(bin, count)| counts[*bin] = *count);
        counts
    }

    #[test]
    fn a_threshold_within_a_bin_lets_exactly_the_budget_through() {
        let days = counts(&[(0, 90.0), (3, 8.0), (5, 2.0)]);
        for allowed in [0.0, 1.0, 2.0, 4.5, 10.0, 55.0] {
            let threshold = Threshold::of(&days, allowed);
            assert!((threshold.above(&days) - allowed).abs() < 1e-9, "{allowed}: {threshold:?}");
        }
        assert_eq!(Threshold::of(&days, 1_000.0).above(&days), 100.0);
    }

    #[test]
    fn noise_leaves_a_histogram_whose_tails_fall_and_counts_without_noise_stay() {
        let clean = counts(&[(0, 90.0), (3, 8.0), (5, 2.0)]);
        let mut same = clean;
        consistent(&mut same);
        assert_eq!(same, clean);
        let mut noised = counts(&[(0, 90.0), (8, 6.0), (9, -3.0), (10, 3.0)]);
        consistent(&mut noised);
        assert!(noised.iter().all(|count| *count >= 0.0), "{noised:?}");
        assert!((noised.iter().sum::<f64>() - 96.0).abs() < 1e-9, "the whole is as it was");
        assert!(
            (noised[9..].iter().sum::<f64>() - 1.5).abs() < 1e-9,
            "two scores that are and are not there are half there"
        );
    }

    #[test]
    fn precision_is_whole_where_all_faults_lie_above_all_days() {
        let (days, faults) = (counts(&[(2, 50.0)]), counts(&[(10, 5.0)]));
        assert!((area_under(&days, &faults) - 1.0).abs() < 1e-9);
        assert!((area_under(&faults, &days) - 50.0 / 55.0).abs() < 1e-9);
    }
}
