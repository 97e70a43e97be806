//! A meter that only counts up, turned into consumption per hour.

use crate::grid::STEP_SECONDS;

/// A count's consumption is spread over at most this many usual report intervals, and the rate held for as long.
const HOLD_INTERVALS: f64 = 2.0;

/// Differences of a count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter {
    /// The newest count and when it was read. It outlives a gap: consumption during it is real.
    last: Option<(i64, f64)>,
    /// Consumption in this step and the hours it is spread over.
    consumed: f64,
    hours: f64,
    /// When the count was read that came before the first of this step.
    since: i64,
    rate: f64,
    /// Running median of the report interval, in log seconds.
    interval_log: Option<f64>,
    intervals: u32,
}

impl Meter {
    /// Takes a count, newer than the last one or dropped.
    pub(crate) fn count(&mut self, at: i64, count: f64, in_step: bool) {
        if let Some((before_at, before)) = self.last {
            let elapsed = (at - before_at) as f64;
            if elapsed <= 0.0 {
                return;
            }
            self.learn_interval(elapsed);
            // A count that falls is a meter that was reset or corrected. How much it counted before the reset is not known
            // and what it shows now may be a correction: nothing is learnt from it, and the rate goes on as it was.
            if in_step && count >= before {
                if self.hours == 0.0 {
                    self.since = before_at;
                }
                self.consumed += count - before;
                self.hours += elapsed.min(self.hold_seconds()) / 3600.0;
            }
        }
        self.last = Some((at, count));
    }

    fn learn_interval(&mut self, elapsed: f64) {
        let log = elapsed.max(1.0).ln();
        self.intervals = self.intervals.saturating_add(1);
        let gain = (4.0 / f64::from(self.intervals)).clamp(0.08, 1.0);
        self.interval_log = Some(match self.interval_log {
            // Steps of bounded size towards each interval follow the median rather than the mean.
            Some(median) => median + gain * (log - median).clamp(-0.5, 0.5),
            None => log,
        });
    }

    fn hold_seconds(&self) -> f64 {
        (HOLD_INTERVALS * self.interval_log.map_or(0.0, f64::exp)).max(STEP_SECONDS as f64)
    }

    /// Consumption per hour in the step that ends at `step_end`; none before the first count.
    pub(crate) fn close(&mut self, step_end: i64) -> Option<f64> {
        let (counted_at, _) = self.last?;
        if self.hours > 0.0 {
            // Never over less than the step: a burst of pulses is still ten minutes' consumption.
            self.rate = self.consumed / self.hours.max(STEP_SECONDS as f64 / 3600.0);
        } else if (step_end - counted_at) as f64 > self.hold_seconds() {
            // A meter that speaks only when it counts says nothing while nothing flows.
            self.rate = 0.0;
        }
        Some(self.rate)
    }

    /// What was counted up to the newest count of this step, and the seconds that it took; none where no count came.
    pub(crate) fn counted(&self) -> Option<(f64, i64)> {
        let (at, _) = self.last?;
        (self.hours > 0.0).then(|| (self.consumed, at.saturating_sub(self.since).max(1)))
    }

    pub(crate) fn clear_step(&mut self) {
        self.consumed = 0.0;
        self.hours = 0.0;
    }
}
