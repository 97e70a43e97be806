//! Whether it is time to learn. Pure.

use hearthwatch_store::RunTrigger;

use super::config::TrainingConfig;

/// Seconds after the start of a run in which neither drift nor fewer confirmations start the next: both are seen for longer than a run takes.
const REST: i64 = 86_400;

/// Fewest answers since the last run whose share of confirmations is looked at.
const ANSWERS_MIN: u64 = 30;

/// The normal distribution's 97.5 % point.
const Z: f64 = 1.959_964;

/// What the decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// Stored answers now.
    pub answers: u64,
    /// Stored answers that the last run looked at; 0 before the first run.
    pub watermark: u64,
    /// When the last run started; before the first, when the aggregator did.
    pub last_started_at: i64,
    /// How often incoming windows have moved since the last run.
    pub moved: u64,
    /// Answers up to the last run.
    pub before: Confirmed,
    /// Answers since the last run.
    pub since: Confirmed,
    /// Whether answers about a class wait longer than they are to.
    pub overdue: bool,
    /// The time, Unix seconds.
    pub now: i64,
}

/// Answers, and how many of them confirm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Confirmed {
    /// *Confirmed*.
    pub confirmed: u64,
    /// All.
    pub answers: u64,
}

impl Confirmed {
    /// Lower and upper end of the 95 % interval of the share that confirms (Wilson, 1927); all of it without an answer.
    #[must_use]
    pub fn interval(self) -> (f64, f64) {
        if self.answers == 0 {
            return (0.0, 1.0);
        }
        let (n, share) = (self.answers as f64, self.confirmed as f64 / self.answers as f64);
        let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        ((middle - half).max(0.0), (middle + half).min(1.0))
    }
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
    let waited = situation.now.saturating_sub(situation.last_started_at);
    if config.drift && situation.moved > 0 && waited >= REST {
        return Some(RunTrigger::Drift);
    }
    if config.confirmations && waited >= REST && confirms_less(situation) {
        return Some(RunTrigger::Confirmations);
    }
    if situation.overdue {
        return Some(RunTrigger::Freshness);
    }
    let period = i64::try_from(config.schedule_hours).unwrap_or(i64::MAX).saturating_mul(3_600);
    let due = config.schedule_hours > 0 && waited >= period;
    due.then_some(RunTrigger::Schedule)
}

/// Whether the interval of the share since the last run lies below the one before it.
fn confirms_less(situation: &Situation) -> bool {
    let (_, highest) = situation.since.interval();
    let (lowest, _) = situation.before.interval();
    situation.since.answers >= ANSWERS_MIN && highest < lowest
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: i64 = 168 * 3_600;

    fn config(trigger_count: u64, schedule_hours: u64) -> TrainingConfig {
        TrainingConfig { trigger_count, schedule_hours, ..TrainingConfig::default() }
    }

    fn situation(new: u64, waited: i64) -> Situation {
        let (before, since) = (Confirmed::default(), Confirmed::default());
        Situation {
            answers: 100 + new,
            watermark: 100,
            last_started_at: 1_000,
            moved: 0,
            before,
            since,
            overdue: false,
            now: 1_000 + waited,
        }
    }

    #[test]
    fn windows_that_moved_start_a_run_a_day_after_the_last_and_never_where_that_is_off() {
        let moved = Situation { moved: 1, ..situation(1, REST) };
        assert_eq!(decide(&moved, &config(50, 168)), Some(RunTrigger::Drift));
        assert_eq!(decide(&Situation { now: moved.now - 1, ..moved }, &config(50, 168)), None);
        assert_eq!(decide(&moved, &TrainingConfig { drift: false, ..config(50, 168) }), None);
        assert_eq!(decide(&Situation { answers: 100, ..moved }, &config(50, 168)), None, "nothing new to learn from");
    }

    #[test]
    fn fewer_confirmations_start_a_run_only_when_the_intervals_are_apart() {
        let of = |confirmed, answers| Confirmed { confirmed, answers };
        let fell = Situation { before: of(120, 200), since: of(12, 40), ..situation(40, REST) };
        assert_eq!(decide(&fell, &config(50, 168)), Some(RunTrigger::Confirmations));
        assert_eq!(decide(&Situation { since: of(18, 40), ..fell }, &config(50, 168)), None, "that may be chance");
        assert_eq!(decide(&Situation { since: of(0, 29), ..fell }, &config(50, 168)), None, "too few to say");
        assert_eq!(decide(&fell, &TrainingConfig { confirmations: false, ..config(50, 168) }), None);
    }

    #[test]
    fn answers_that_wait_longer_than_they_are_to_start_a_run() {
        assert_eq!(
            decide(&Situation { overdue: true, ..situation(1, 0) }, &config(50, 168)),
            Some(RunTrigger::Freshness)
        );
        assert_eq!(decide(&Situation { overdue: true, ..situation(0, 0) }, &config(50, 168)), None);
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
