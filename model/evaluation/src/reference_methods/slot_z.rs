//! Statistics of each hour of the week with sustained evidence: what the best add-on does.

use std::ops::Range;

use super::grid::Grid;
use super::refitted::ReferenceMethod;
use super::static_z::moments;

/// Values below which an hour of the week is judged by its hour of the day: two weeks' worth of steps.
const SLOT_MIN: usize = 12;
/// Steps through which a distance must last: half an hour.
const SUSTAINED: usize = 3;

/// The smallest of the last three distances from the mean of the hour and weekday, in its standard deviations.
#[derive(Debug, Clone, Copy)]
pub struct SlotZ;

impl SlotZ {
    /// Mean and standard deviation of each hour of the week, from a Thursday's first on.
    pub(super) fn slots(home: &Grid, entity: usize, learn: Range<usize>) -> Vec<(f64, f64)> {
        let values = &home.values[entity];
        let mut slots: Vec<Vec<f32>> = vec![Vec::new(); 7 * 24];
        let mut hours: Vec<Vec<f32>> = vec![Vec::new(); 24];
        for step in learn.clone().filter(|step| values[*step].is_finite()) {
            slots[home.weekday(step) * 24 + home.hour(step)].push(values[step]);
            hours[home.hour(step)].push(values[step]);
        }
        // No slot is surer of itself than a tenth of the whole: a lamp that was off every Monday may be on once.
        let (_, whole) = moments(values[learn].iter().copied());
        let of = |slot: &[f32]| {
            let (mean, deviation) = moments(slot.iter().copied());
            (mean, deviation.max(0.1 * whole))
        };
        (0..7 * 24)
            .map(|slot| if slots[slot].len() >= SLOT_MIN { of(&slots[slot]) } else { of(&hours[slot % 24]) })
            .collect()
    }
}

impl ReferenceMethod for SlotZ {
    fn score(&self, home: &Grid, entity: usize, learn: Range<usize>, until: usize) -> Vec<f32> {
        let values = &home.values[entity];
        let known = Self::slots(home, entity, learn.clone());
        let distance: Vec<f32> = (learn.start..until)
            .map(|step| {
                let (mean, deviation) = known[home.weekday(step) * 24 + home.hour(step)];
                ((f64::from(values[step]) - mean).abs() / deviation) as f32
            })
            .collect();
        (0..distance.len())
            .map(|index| {
                let recent = &distance[(index + 1).saturating_sub(SUSTAINED)..=index];
                if recent.iter().any(|one| one.is_nan()) {
                    f32::NAN
                } else {
                    recent.iter().copied().fold(f32::INFINITY, f32::min)
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_value_is_usual_in_its_hour_and_unusual_in_another() {
        let week = 7 * 144;
        let value = |step: usize| if (step % 144) / 6 == 8 { 10.0 } else { (step % 2) as f32 };
        let mut values: Vec<f32> = (0..3 * week).map(value).collect();
        values[2 * week + 12 * 6..2 * week + 13 * 6].fill(10.0);
        let grid = Grid { values: vec![values], log: vec![false], first: 600 };
        let scores = SlotZ.score(&grid, 0, 0..2 * week, 3 * week);
        let at = |hour: usize| scores[2 * week + hour * 6 + 4];
        assert!(at(8) < 1.0 && at(12) > 5.0, "{} {}", at(8), at(12));
    }
}
