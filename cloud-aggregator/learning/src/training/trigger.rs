//! Whether it is time to learn. Pure.

use hearthwatch_store::RunTrigger;

use super::config::TrainingConfig;

/// What the decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// Stored answers now.
    pub answers: u64,
    /// Stored answers that the last run looked at; 0 before the first run.
    pub watermark: u64,
    /// When the last run started; before the first, when the aggregator did.
    pub last_started_at: i64,
    /// The time, Unix seconds.
    pub now: i64,
}

/// The reason to start a run now, if there is one. Without a new answer there is none: the outcome would be the same.
#[must_use]
pub fn decide(situation: &Situation, config: &TrainingConfig) -> Option<RunTrigger> {
    let new = situation.answers.saturating_sub(situation.watermark);
    if new == 0 {
        return None;
    }
    if config.trigger_count > 0 && new >= config.trigger_count {
        return Some(RunTrigger::Count);
    }
    let period = i64::try_from(config.schedule_hours).unwrap_or(i64::MAX).saturating_mul(3_600);
    let due = config.schedule_hours > 0 && situation.now.saturating_sub(situation.last_started_at) >= period;
    due.then_some(RunTrigger::Schedule)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: i64 = 168 * 3_600;

    fn config(trigger_count: u64, schedule_hours: u64) -> TrainingConfig {
        TrainingConfig { trigger_count, schedule_hours, ..TrainingConfig::default() }
    }

    fn situation(new: u64, waited: i64) -> Situation {
        Situation { answers: 100 + new, watermark: 100, last_started_at: 1_000, now: 1_000 + waited }
    }

    #[test]
    fn enough_new_answers_start_a_run_and_one_fewer_does_not() {
        assert_eq!(decide(&situation(50, 0), &config(50, 168)), Some(RunTrigger::Count));
        assert_eq!(decide(&situation(49, 0), &config(50, 168)), None);
    }

    #[test]
    fn a_week_with_one_new_answer_starts_a_run_and_a_second_less_does_not() {
        assert_eq!(decide(&situation(1, WEEK), &config(50, 168)), Some(RunTrigger::Schedule));
        assert_eq!(decide(&situation(1, WEEK - 1), &config(50, 168)), None);
    }

    #[test]
    fn without_a_new_answer_nothing_starts_however_long_it_has_been() {
        assert_eq!(decide(&situation(0, 100 * WEEK), &config(1, 1)), None);
    }

    #[test]
    fn zero_turns_either_trigger_off() {
        assert_eq!(decide(&situation(1_000, 100 * WEEK), &config(0, 0)), None);
        assert_eq!(decide(&situation(1_000, 0), &config(0, 168)), None);
        assert_eq!(decide(&situation(1, 100 * WEEK), &config(50, 0)), None);
    }

    #[test]
    fn a_clock_that_was_set_back_starts_nothing() {
        assert_eq!(decide(&situation(1, -WEEK), &config(50, 168)), None);
    }
}
