//! How many alarms a week, and what that means for a week that has had them.

/// Seconds.
pub const WEEK_SECONDS: i64 = 7 * 86_400;
/// The smallest budget: one alarm in ten weeks.
pub const BUDGET_MIN: f64 = 0.1;
/// Alarms a week: two a day.
pub const BUDGET_MAX: f64 = 14.0;

/// Of how many alarms below critical residents are notified in any week at this budget: at least one, however small the budget, for it
/// is an average over many weeks and the detector keeps to that.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within BUDGET_MIN..=BUDGET_MAX")]
pub fn allowed_in_a_week(budget: f64) -> usize {
    budget.clamp(BUDGET_MIN, BUDGET_MAX).ceil() as usize
}

/// Whether a week that has had so many questions of each kind has room for one about an unsure alarm. One place is left for
/// a question drawn by chance, where the week has two or more: its probability goes with the answer and must not hang on
/// how many alarms were unsure.
#[must_use]
pub fn may_ask_about_unsure(per_week: u8, unsure: usize, drawn: usize) -> bool {
    unsure + drawn.max(usize::from(per_week >= 2)) < usize::from(per_week)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsure_alarms_leave_one_of_the_weeks_questions_to_chance() {
        assert!(!may_ask_about_unsure(0, 0, 0));
        assert!(may_ask_about_unsure(1, 0, 0) && !may_ask_about_unsure(1, 0, 1));
        assert!(may_ask_about_unsure(2, 0, 0) && !may_ask_about_unsure(2, 1, 0));
        assert!(may_ask_about_unsure(3, 1, 1) && !may_ask_about_unsure(3, 1, 2));
    }
}
