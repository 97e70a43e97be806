//! How many alarms a week, and what that means for a week that has had them.

/// A week.
pub const WEEK_SECONDS: i64 = 7 * 86_400;
/// The smallest budget: one alarm in ten weeks.
pub const BUDGET_MIN: f64 = 0.1;
/// The largest: two a day.
pub const BUDGET_MAX: f64 = 14.0;

/// How many alarms below critical are said in any week at this budget: at least one, however small the budget, for it
/// is an average over many weeks and the detector keeps to that.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within BUDGET_MIN..=BUDGET_MAX")]
pub fn allowed_in_a_week(budget: f64) -> usize {
    budget.clamp(BUDGET_MIN, BUDGET_MAX).ceil() as usize
}
