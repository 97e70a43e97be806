//! A sensor that reports ever less: a dying battery, a weak radio link.

use crate::finding::AnomalyKind;
use crate::finding::Finding;
use crate::grid::DAY_STEPS;

/// Whole days that are remembered.
const DAYS: usize = 14;
/// Days that must have been seen.
const DAYS_MIN: usize = 7;
/// Steps with a report in the poorest day below which a sensor is too quiet to be counted.
const REPORTS_MIN: u16 = 36;
/// The last day must hold less than this share of the poorest day before.
const SHARE: f32 = 0.4;

/// Silent for longer than this, 8 hours, it is another fault, which other rules tell, and the day after it is none of its usual ones.
const QUIET_STEPS: u16 = 48;

/// Counts the steps with a report.
#[derive(Debug, Clone)]
pub(crate) struct Reports {
    /// Of the last whole days; the oldest is overwritten first.
    days: [u16; DAYS],
    known: usize,
    next: usize,
    /// A bit for each of the last 144 steps.
    recent: [u64; 3],
    at: usize,
    /// Steps in which nobody else reported either: they say nothing.
    excused: u16,
    /// Steps since the last report.
    quiet: u16,
    today: u16,
}

impl Reports {
    pub(crate) fn new() -> Self {
        Self { days: [0; DAYS], known: 0, next: 0, recent: [0; 3], at: 0, excused: 0, quiet: 0, today: 0 }
    }

    /// Takes a step: whether it was reported in, and whether the rest of the home reported.
    pub(crate) fn step(&mut self, reported: bool, home_alive: bool) -> Option<Finding> {
        let bit = 1u64 << (self.at % 64);
        let word = &mut self.recent[self.at / 64];
        *word = if reported { *word | bit } else { *word & !bit };
        self.at = (self.at + 1) % DAY_STEPS;
        self.today += u16::from(reported);
        self.quiet = if reported { 0 } else { self.quiet.saturating_add(1) };
        let excused = !home_alive || self.quiet > QUIET_STEPS;
        self.excused = if excused { DAY_STEPS as u16 } else { self.excused.saturating_sub(1) };
        let poorest = *self.days[..self.known].iter().min()?;
        let now = self.recent.iter().map(|word| word.count_ones()).sum::<u32>() as f32;
        let judged = self.known >= DAYS_MIN && poorest >= REPORTS_MIN && self.excused == 0;
        (judged && now < SHARE * f32::from(poorest)).then_some(Finding {
            kind: AnomalyKind::FewReports,
            amount: now,
            usual: f32::from(poorest),
        })
    }

    /// Time passed that nobody saw: a day must be counted anew.
    pub(crate) fn lose(&mut self) {
        self.excused = DAY_STEPS as u16;
        self.today = 0;
    }

    pub(crate) fn next_day(&mut self) {
        // A day on which it was told is no measure of what it reports in health.
        if self.excused == 0 {
            let poor = self.known >= DAYS_MIN
                && self.days[..self.known]
                    .iter()
                    .min()
                    .is_some_and(|least| f32::from(self.today) < SHARE * f32::from(*least));
            if !poor {
                self.days[self.next] = self.today;
                self.next = (self.next + 1) % DAYS;
                self.known = (self.known + 1).min(DAYS);
            }
        }
        self.today = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> Reports {
        let mut reports = Reports::new();
        for _ in 0..10 {
            for step in 0..DAY_STEPS {
                assert_eq!(reports.step(!step.is_multiple_of(3), true), None);
            }
            reports.next_day();
        }
        reports
    }

    #[test]
    fn a_sensor_that_loses_two_of_three_reports_is_told_within_a_day() {
        let mut reports = healthy();
        let found = (0..DAY_STEPS).find(|step| reports.step(step.is_multiple_of(9), true).is_some());
        assert!(found.is_some());
    }

    #[test]
    fn an_outage_of_the_whole_home_is_not_its_fault() {
        let mut reports = healthy();
        assert!((0..DAY_STEPS).all(|_| reports.step(false, false).is_none()));
        assert_eq!(reports.step(true, true), None);
    }
}
