//! What is usual at this time of day.

use crate::features::ring::Ring;
use crate::grid::{DAY_STEPS, HISTORY_DAYS};
use crate::statistics::robust;

/// Days with a value at this time of day below which there is no routine yet.
const DAYS_MIN: usize = 3;
/// Values below which not even the last day's median is an expectation: six hours.
const RECENT_MIN: usize = 36;
/// Steps before and after the same time that are taken in: a routine is not punctual to ten minutes.
const SLACK: usize = 1;
const SAMPLES_MAX: usize = HISTORY_DAYS * (2 * SLACK + 1);

/// Order statistics of one time of day, or of the last day while there are too few days.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Profile {
    pub(crate) low: f32,
    pub(crate) median: f32,
    pub(crate) high: f32,
}

impl Profile {
    /// The profile for the step after the newest in `values`; the own day is not looked at, nor the values so many steps back of
    /// which `is_out` says so. `shifts` are by how many steps the home's clock was set forward since, for each day back. None before
    /// there is anything to go by.
    pub(crate) fn of_next(
        values: &Ring,
        shifts: &[i8; HISTORY_DAYS],
        is_out: impl Fn(usize) -> bool,
        scratch: &mut Vec<f32>,
    ) -> Option<Self> {
        let mut samples = [0.0f32; SAMPLES_MAX];
        let mut count = 0;
        let mut days = 0;
        for day in 1..=HISTORY_DAYS {
            // The next step is one step after `back(0)`, so the same time `day` days before it is `day·144 − 1` back.
            // Where the clock was set forward by an hour in between, the same time of day lies an hour later in steps.
            let Some(same) = (day * DAY_STEPS - 1).checked_add_signed(-isize::from(shifts[day - 1])) else { continue };
            let mut known = false;
            for back in same - SLACK..=same + SLACK {
                let value = values.back(back);
                if !value.is_nan() && !is_out(back) {
                    samples[count] = value;
                    count += 1;
                    known = true;
                }
            }
            days += usize::from(known);
        }
        if days >= DAYS_MIN {
            return Self::of(&mut samples[..count]);
        }
        scratch.clear();
        let (old, new) = values.newest(DAY_STEPS);
        let day = (0..old.len() + new.len()).rev().zip(old.iter().chain(new));
        scratch.extend(day.filter(|(back, value)| !value.is_nan() && !is_out(*back)).map(|(_, value)| *value));
        if scratch.len() < RECENT_MIN { None } else { Self::of(scratch) }
    }

    fn of(samples: &mut [f32]) -> Option<Self> {
        samples.sort_unstable_by(f32::total_cmp);
        let last = samples.len().checked_sub(1)?;
        let at = |share: f32| samples[((last as f32 * share).round() as usize).min(last)];
        let (low, high) = (at(0.1), at(0.9));
        Some(Self { low, median: robust::median_of_few(samples)?, high })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expectation_is_the_median_of_the_same_time_on_other_days() {
        let mut ring = Ring::new(2016);
        for step in 0..2016 {
            ring.push(((step % DAY_STEPS) / 10) as f32);
        }
        // The next step is step 0 of a day: its neighbours are the day's first and last steps.
        let profile = Profile::of_next(&ring, &[0; HISTORY_DAYS], |_| false, &mut Vec::new()).unwrap();
        assert_eq!(profile.median, 0.0);
        for step in 0..75 {
            ring.push(((step % DAY_STEPS) / 10) as f32);
        }
        assert_eq!(Profile::of_next(&ring, &[0; HISTORY_DAYS], |_| false, &mut Vec::new()).unwrap().median, 7.0);
    }

    #[test]
    fn the_own_day_is_not_looked_at() {
        let mut ring = Ring::new(2016);
        (0..2016).for_each(|_| ring.push(1.0));
        (0..100).for_each(|_| ring.push(50.0));
        assert_eq!(Profile::of_next(&ring, &[0; HISTORY_DAYS], |_| false, &mut Vec::new()).unwrap().median, 1.0);
    }

    #[test]
    fn a_new_entity_is_expected_to_stay_where_it_was_in_the_last_day() {
        let mut ring = Ring::new(2016);
        (0..35).for_each(|_| ring.push(3.0));
        assert_eq!(Profile::of_next(&ring, &[0; HISTORY_DAYS], |_| false, &mut Vec::new()), None);
        ring.push(3.0);
        assert_eq!(Profile::of_next(&ring, &[0; HISTORY_DAYS], |_| false, &mut Vec::new()).unwrap().median, 3.0);
    }
}
