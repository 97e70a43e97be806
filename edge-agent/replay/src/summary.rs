//! The line that a replay ends with, and the lines on what was guessed, read otherwise or passed over.

use std::fmt;

use hearthwatch_detector::grid::{DAY_STEPS, STEP_SECONDS};
use hearthwatch_edge_core::explain::on_off_is_judged_by;

use super::playback::Played;
use super::watch::counted;

/// Steps of a week.
const WEEK_STEPS: f64 = 7.0 * 86_400.0 / STEP_SECONDS as f64;
/// Steps after warm-up from which a rate means anything: a day.
const RATE_STEPS_MIN: u64 = DAY_STEPS as u64;

/// Counts of a replay.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Number of watched entities.
    pub entities: usize,
    /// Number of closed steps.
    pub steps: u64,
    /// Steps in which at least one entity was past its warm-up.
    pub scored_steps: u64,
    /// Number of raised alarms.
    pub alarms: usize,
    /// What was left out and why, a phrase each.
    pub left_out: Vec<String>,
    /// What the user should know of the file, a line each.
    pub notes: Vec<String>,
    /// Whether the file holds one state of each entity and no history.
    pub one_moment: bool,
}

impl Summary {
    /// Counts what `played` holds.
    #[must_use]
    pub fn of<W>(played: &Played<W>) -> Self {
        let mut left_out = vec!["the last step, which nothing after it completes".to_owned()];
        left_out.extend(played.watch.left_out());
        let (_, undue, unmet) = played.verdicts.tally();
        let mut verdicts = |count: usize, why: &str| {
            if count > 0 {
                left_out.push(format!("{} {why}", counted(count as u64, "verdict", "verdicts")));
            }
        };
        verdicts(undue, "given after the last row");
        verdicts(unmet, "that met no alarm");
        verdicts(played.forgotten_answers, "on alarms too old to be remembered");
        let on_off = on_off_is_judged_by(played.watch.infos()).filter(|_| played.scored_steps > 0).map(str::to_owned);
        Self {
            entities: played.watch.infos().len(),
            steps: played.steps,
            scored_steps: played.scored_steps,
            alarms: played.book.alarms().len(),
            left_out,
            notes: [played.watch.notes(), played.odd.notes(), on_off.into_iter().collect()].concat(),
            one_moment: false,
        }
    }

    /// Whether there was nothing to watch, so that the silence means nothing.
    #[must_use]
    pub fn nothing_watched(&self) -> bool {
        self.entities == 0
    }

    /// Alarms a week of the time in which there could be any; none where that is less than a day.
    #[must_use]
    pub fn alarms_per_week(&self) -> Option<f64> {
        // Counts far below 2⁵³.
        (self.scored_steps >= RATE_STEPS_MIN).then(|| self.alarms as f64 * WEEK_STEPS / self.scored_steps as f64)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = |steps: u64| steps as f64 * 7.0 / WEEK_STEPS;
        write!(
            f,
            "{} over {} ({:.1} days), {}",
            counted(self.entities as u64, "entity", "entities"),
            counted(self.steps, "step", "steps"),
            days(self.steps),
            counted(self.alarms as u64, "alarm", "alarms"),
        )?;
        match self.alarms_per_week() {
            Some(rate) => write!(f, " ({rate:.2} a week in the {:.1} days after warm-up)", days(self.scored_steps))?,
            None if self.scored_steps == 0 => write!(f, " (all of it was warm-up)")?,
            None => write!(f, " (less than a day after warm-up)")?,
        }
        write!(f, "; left out: {}", self.left_out.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_time_after_warm_up() {
        let summary = Summary {
            entities: 2,
            steps: 3024,
            scored_steps: 2016,
            alarms: 3,
            left_out: vec!["the last step, which nothing after it completes".into()],
            notes: Vec::new(),
            one_moment: false,
        };
        assert_eq!(
            summary.to_string(),
            "2 entities over 3024 steps (21.0 days), 3 alarms (1.50 a week in the 14.0 days after warm-up); left out: \
             the last step, which nothing after it completes"
        );
        let cold = Summary { scored_steps: 0, alarms: 0, ..summary.clone() };
        assert_eq!(cold.alarms_per_week(), None);
        let short = Summary { steps: 145, scored_steps: 143, alarms: 1, ..cold };
        assert!(
            short
                .to_string()
                .starts_with("2 entities over 145 steps (1.0 days), 1 alarm (less than a day after warm-up)")
        );
    }
}
