//! A home's values as reference methods see them.

use hearthwatch_detector::features::Normaliser;
use hearthwatch_detector::grid::STEP_SECONDS;

use crate::evaluate::HomeTrace;

/// Steps for which a missing value is taken for the last one: an hour.
const HELD_STEPS: usize = 6;

/// Values by entity and step, transformed; NaN where none is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// One run of values for each entity, gaps up to an hour filled with the last value.
    pub values: Vec<Vec<f32>>,
    /// Whether an entity's values passed through the signed logarithm.
    pub log: Vec<bool>,
    /// End of step 0, Unix seconds.
    pub first: i64,
}

impl Grid {
    /// The values of a trace.
    #[must_use]
    pub fn of(home: &HomeTrace) -> Self {
        let log: Vec<bool> = home.entities.iter().map(|entity| entity.class.heavy_tailed()).collect();
        let values = home
            .entities
            .iter()
            .zip(&log)
            .map(|(entity, log)| held(entity.observed.iter().map(|value| Normaliser::transform(*value, *log))))
            .collect();
        Self { values, log, first: home.at(0) }
    }

    /// Hour of the day (UTC) of a step's last second.
    #[must_use]
    pub fn hour(&self, step: usize) -> usize {
        ((self.at(step) - 1).div_euclid(3600).rem_euclid(24)) as usize
    }

    /// Day of the week (UTC, from a Thursday on) of a step's last second.
    #[must_use]
    pub fn weekday(&self, step: usize) -> usize {
        (self.at(step) - 1).div_euclid(86_400).rem_euclid(7) as usize
    }

    /// Step of the day (UTC), 0 to 143.
    #[must_use]
    pub fn step_of_day(&self, step: usize) -> usize {
        ((self.at(step) - 1).rem_euclid(86_400) / STEP_SECONDS) as usize
    }

    fn at(&self, step: usize) -> i64 {
        self.first + step as i64 * STEP_SECONDS
    }
}

fn held(values: impl Iterator<Item = f32>) -> Vec<f32> {
    let (mut last, mut age) = (f32::NAN, 0);
    values
        .map(|value| {
            if value.is_finite() {
                (last, age) = (value, 0);
            } else {
                age += 1;
            }
            if age <= HELD_STEPS { last } else { f32::NAN }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_gap_is_filled_and_a_long_one_is_not() {
        let mut values = vec![1.0];
        values.extend([f32::NAN; 8]);
        let filled = held(values.into_iter());
        assert_eq!(filled[6], 1.0);
        assert!(filled[7].is_nan());
    }

    #[test]
    fn a_step_belongs_to_the_hour_that_it_covers() {
        // The epoch was a Thursday; the step that ends at 01:00 is the last of hour 0.
        let grid = Grid { values: Vec::new(), log: Vec::new(), first: 3600 };
        assert_eq!((grid.hour(0), grid.hour(1), grid.weekday(0), grid.step_of_day(0)), (0, 1, 0, 5));
    }
}
