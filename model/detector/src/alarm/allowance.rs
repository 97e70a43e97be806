//! The upper limit of how often a home is disturbed: never more than three times what was asked for in any four weeks.
//!
//! Thresholds and the slow offset keep the *mean*; a week in which everything is unusual (guests, a heat wave, a sensor in
//! the sun) is where people switch a thing off for good. What this holds back is not lost: evidence goes on being gathered,
//! and is told as soon as there is room again. A sensor that exists to warn is never held back and uses nothing up.

/// The span in which alarms are counted, seconds: four weeks.
pub const SPAN_SECONDS: i64 = 28 * 86_400;

/// Alarms in that span, as a multiple of the budget.
const TIMES_BUDGET: f64 = 3.0;

/// Weeks in the span.
const SPAN_WEEKS: f64 = 4.0;

/// Most alarms in four weeks under a budget of so many a week: at least one, but none under a budget that is no positive
/// number.
#[must_use]
pub fn allowance(budget_per_week: f64) -> usize {
    if budget_per_week > 0.0 {
        // A float beyond the range becomes the largest integer, which is meant.
        ((TIMES_BUDGET * SPAN_WEEKS * budget_per_week).floor() as usize).max(1)
    } else {
        0
    }
}

/// Whether one more alarm may be raised at `at`, given when earlier ones were.
#[must_use]
pub fn may_raise(earlier: impl IntoIterator<Item = i64>, at: i64, budget_per_week: f64) -> bool {
    let recent = earlier.into_iter().filter(|raised| at.saturating_sub(*raised) < SPAN_SECONDS).count();
    recent < allowance(budget_per_week)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_budget_of_one_a_week_allows_twelve_in_four_weeks() {
        assert_eq!(allowance(1.0), 12);
        assert_eq!([allowance(0.0), allowance(-1.0), allowance(f64::NAN), allowance(0.01)], [0, 0, 0, 1]);
        let earlier: Vec<i64> = (0..12).map(|day| day * 86_400).collect();
        assert!(!may_raise(earlier.clone(), 12 * 86_400, 1.0));
        // The first of them is four weeks old then.
        assert!(may_raise(earlier, SPAN_SECONDS, 1.0));
    }

    proptest! {
        #[test]
        fn no_four_weeks_ever_hold_more_than_three_times_the_budget(
            pauses in prop::collection::vec(0i64..400_000, 1..300),
            budget in 0.1f64..10.0,
        ) {
            let (mut at, mut raised) = (0, Vec::new());
            for pause in pauses {
                at += pause;
                if may_raise(raised.iter().copied(), at, budget) {
                    raised.push(at);
                }
            }
            for begin in &raised {
                let within = raised.iter().filter(|at| (0..SPAN_SECONDS).contains(&(**at - begin))).count();
                prop_assert!(within as f64 <= TIMES_BUDGET * SPAN_WEEKS * budget);
            }
        }

        #[test]
        fn a_home_that_keeps_its_budget_is_never_held_back(budget in 0.25f64..20.0, weeks in 1i64..60) {
            let count = (budget * weeks as f64) as i64;
            let at = |place: i64| (place as f64 * 604_800.0 / budget) as i64;
            let earlier: Vec<i64> = (0..count).map(at).collect();
            prop_assert!(may_raise(earlier, at(count), budget));
        }
    }
}
