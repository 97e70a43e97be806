//! A home's own correction to the fleet's thresholds: slow, bounded, and after the home's alarm *rate* only.

/// What one alarm too many in a day adds to the thresholds, in units of the score.
const GAIN: f32 = 0.6;
/// A home is never made more eager than the fleet: a calm home is no reason to invent alarms so that a budget is spent.
pub const OFFSET_MIN: f32 = 0.0;
/// The most that a home is made calmer.
pub const OFFSET_MAX: f32 = 3.0;
/// Alarms of one day beyond the budget that count: a bad day must not silence a home for a month.
const EXCESS_MAX: f32 = 5.0;

/// No alarm lasts longer, but for warnings of danger: four weeks, the span of the [allowance](super::SPAN_SECONDS). What has
/// not been seen to by then is what this entity does now.
pub const LASTING_SECONDS_MAX: i64 = 28 * 86_400;

/// The offset after a day in which `raised` alarms were raised under a budget of so many a week.
///
/// An integral controller: it rests where a day brings a seventh of the budget. More alarms never give a lower offset.
///
/// A day in which an alarm of before is `lasting` is no quiet day, although nothing new was raised: it never lowers the
/// offset. Else a fault of a week would leave the home more eager than it found it.
#[must_use]
pub fn next_offset(offset: f32, raised: u32, lasting: bool, budget_per_week: f64) -> f32 {
    let wanted = if budget_per_week.is_finite() { (budget_per_week / 7.0).clamp(0.0, 1000.0) as f32 } else { 0.0 };
    let excess = (raised as f32 - wanted).clamp(if lasting { 0.0 } else { -EXCESS_MAX }, EXCESS_MAX);
    let offset = if offset.is_finite() { offset } else { 0.0 };
    // A generous budget swings by more alarms a day; the gain is per share of it.
    (offset + GAIN / wanted.max(1.0) * excess).clamp(OFFSET_MIN, OFFSET_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_offset_stays_within_its_bounds(
            offset in any::<f32>(), raised in any::<u32>(), lasting in any::<bool>(), budget in any::<f64>(),
        ) {
            let next = next_offset(offset, raised, lasting, budget);
            prop_assert!((OFFSET_MIN..=OFFSET_MAX).contains(&next));
        }

        #[test]
        fn more_alarms_never_give_a_lower_offset(
            offset in -5.0f32..5.0, raised in 0u32..50, lasting in any::<bool>(), budget in 0.0f64..100.0,
        ) {
            prop_assert!(next_offset(offset, raised + 1, lasting, budget) >= next_offset(offset, raised, lasting, budget));
        }

        #[test]
        fn a_day_moves_it_by_a_bounded_step(
            offset in OFFSET_MIN..OFFSET_MAX, raised in any::<u32>(), lasting in any::<bool>(), budget in 0.0f64..100.0,
        ) {
            prop_assert!((next_offset(offset, raised, lasting, budget) - offset).abs() <= GAIN * EXCESS_MAX + 1e-5);
        }

        #[test]
        fn while_an_alarm_lasts_it_never_falls(
            offset in OFFSET_MIN..OFFSET_MAX, raised in any::<u32>(), budget in 0.0f64..100.0,
        ) {
            prop_assert!(next_offset(offset, raised, true, budget) >= offset);
        }
    }

    proptest! {
        /// No wind-up: however long a home had too many alarms, the way back from the bound takes as long as after one such week.
        #[test]
        fn a_long_loud_time_is_forgotten_as_fast_as_a_short_one(loud_days in 30u32..1000, raised in 3u32..100) {
            let days_back = |days: u32| {
                let mut offset = 0.0;
                (0..days).for_each(|_| offset = next_offset(offset, raised, false, 1.0));
                let mut back = 0;
                while offset > 0.0 {
                    offset = next_offset(offset, 0, false, 1.0);
                    back += 1;
                }
                back
            };
            prop_assert_eq!(days_back(loud_days), days_back(30));
            prop_assert!(days_back(loud_days) <= 61);
        }
    }

    #[test]
    fn it_rests_where_the_rate_is_the_budget() {
        assert!((next_offset(0.5, 2, false, 14.0) - 0.5).abs() < 1e-6);
        let mut offset = 0.0;
        for day in 0..70 {
            offset = next_offset(offset, u32::from(day % 7 == 0), false, 1.0);
        }
        assert!(offset.abs() < 0.5, "{offset}");
    }
}
