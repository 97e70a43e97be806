//! How far beyond the 10–90 % band of the time of day.

use std::ops::Range;

use hearthwatch_detector::grid::DAY_STEPS;

use super::grid::Grid;
use super::refitted::ReferenceMethod;

/// Values of a time of day below which there is no band: four days with a neighbour on each side.
const SAMPLES_MIN: usize = 12;

/// Excess over the band of this time of day (a step to either side taken in), in widths of the median band.
#[derive(Debug, Clone, Copy)]
pub struct SeasonalBand;

impl SeasonalBand {
    /// Low and high for each step of the day; NaN where too little is known.
    pub(super) fn bands(home: &Grid, entity: usize, learn: Range<usize>) -> Vec<(f32, f32)> {
        let mut samples: Vec<Vec<f32>> = vec![Vec::new(); DAY_STEPS];
        for step in learn {
            let value = home.values[entity][step];
            if value.is_finite() {
                let at = home.step_of_day(step);
                for near in [at + DAY_STEPS - 1, at, at + 1] {
                    samples[near % DAY_STEPS].push(value);
                }
            }
        }
        samples
            .into_iter()
            .map(|mut values| {
                if values.len() < SAMPLES_MIN {
                    return (f32::NAN, f32::NAN);
                }
                values.sort_unstable_by(f32::total_cmp);
                let at = |share: f32| values[((values.len() - 1) as f32 * share).round() as usize];
                (at(0.1), at(0.9))
            })
            .collect()
    }
}

impl ReferenceMethod for SeasonalBand {
    fn score(&self, home: &Grid, entity: usize, learn: Range<usize>, until: usize) -> Vec<f32> {
        let bands = Self::bands(home, entity, learn.clone());
        let mut widths: Vec<f32> = bands.iter().map(|(low, high)| high - low).filter(|width| *width > 0.0).collect();
        widths.sort_unstable_by(f32::total_cmp);
        let width = widths.get(widths.len() / 2).copied().unwrap_or(1.0).max(1e-6);
        (learn.start..until)
            .map(|step| {
                let value = home.values[entity][step];
                let (low, high) = bands[home.step_of_day(step)];
                let beyond = (value - high).max(low - value);
                if beyond.is_nan() { f32::NAN } else { beyond / width }
            })
            .collect()
    }

    fn expect(&self, home: &Grid, entity: usize, learn: Range<usize>, until: usize) -> Vec<(f32, f32)> {
        let bands = Self::bands(home, entity, learn.clone());
        (learn.end..until).map(|step| bands[home.step_of_day(step)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_holds_eight_in_ten_of_what_it_was_made_of() {
        let values: Vec<f32> = (0..14 * 144).map(|step| (step * 7919 % 1000) as f32).collect();
        let grid = Grid { values: vec![values], log: vec![false], first: 600 };
        let scores = SeasonalBand.score(&grid, 0, 0..14 * 144, 14 * 144);
        let outside = scores.iter().filter(|score| **score > 0.0).count() as f64 / scores.len() as f64;
        assert!((0.1..0.3).contains(&outside), "{outside}");
        assert_eq!(SeasonalBand.expect(&grid, 0, 0..13 * 144, 14 * 144).len(), 144);
    }
}
