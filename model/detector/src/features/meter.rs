//! A meter that only counts up, turned into consumption per hour.
//!
//! Devices slip: a count of 0 between 5230 and 5230, or of 999999. A count that comes straight back was never true, so a fall is
//! a reset only once the next counts stay below, and a leap far beyond all before waits for the next count to confirm it.

use crate::grid::STEP_SECONDS;

/// A count's consumption is spread over at most this many usual report intervals, and the rate held for as long.
const HOLD_INTERVALS: f64 = 2.0;
/// A count comes straight back within this time, or within [`SLIP_INTERVALS`] usual intervals.
const SLIP_SECONDS: f64 = 3600.0;
const SLIP_INTERVALS: f64 = 3.0;
/// A rate so many times the highest ever waits to be confirmed, …
const LEAP_FACTOR: f64 = 10.0;
/// … once so many counts have told what is high.
const LEAP_COUNTS_MIN: u32 = 20;
/// No home uses at once what its highest use would take so many hours for: the meter was replaced by another.
const REPLACED_HOURS: f64 = 1000.0;

/// A count and when it was read.
type Count = (i64, f64);

/// Differences of a count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter {
    /// The newest count that is believed. It outlives a gap: consumption during it is real.
    last: Option<Count>,
    /// The last count before it fell; none once it has counted on from below.
    fallen_from: Option<Count>,
    /// A count far above the last one, not believed yet, and whether its step was open when it came.
    leap: Option<Count>,
    /// The newest count of the meter, believed or not.
    heard_at: Option<i64>,
    /// Consumption in this step and the hours it is spread over.
    consumed: f64,
    hours: f64,
    /// When the count was read that came before the first of this step.
    since: i64,
    rate: f64,
    /// The highest consumption per hour so far, and of how many counts.
    highest: f64,
    counted: u32,
    /// How often it began again.
    resets: u64,
    /// Running median of the report interval, in log seconds.
    interval_log: Option<f64>,
    intervals: u32,
}

impl Meter {
    /// Takes a count, newer than the last one or dropped.
    pub(crate) fn count(&mut self, at: i64, count: f64, in_step: bool) {
        let Some(last) = self.last else {
            (self.last, self.heard_at) = (Some((at, count)), Some(at));
            return;
        };
        let elapsed = (at - self.heard_at.unwrap_or(last.0)) as f64;
        if elapsed <= 0.0 {
            return;
        }
        self.learn_interval(elapsed);
        self.heard_at = Some(at);
        if let Some(leap) = self.leap.take()
            && count >= leap.1
        {
            self.believe(leap, in_step);
            self.consume((at, count), in_step);
        } else if count < last.1 {
            self.fall((at, count));
        } else if let Some(before) = self.fallen_from.take().filter(|before| self.comes_back(*before, at, count)) {
            self.last = Some(before);
            self.consume((at, count), in_step);
        } else if self.leaps((at, count)) {
            self.leap = Some((at, count));
        } else {
            self.consume((at, count), in_step);
        }
    }

    /// How often it began again, as far as that is certain.
    pub(crate) fn resets(&self) -> u64 {
        self.resets
    }

    /// How much it counted before a reset is not known, and what it shows now may be a correction: nothing is learnt from
    /// it, and the rate goes on as it was.
    fn fall(&mut self, (at, count): Count) {
        if self.fallen_from.is_none() {
            self.fallen_from = self.last;
            self.resets += 1;
        }
        self.last = Some((at, count));
    }

    /// Whether a count that fell from `before` stands where it stood: it never fell.
    fn comes_back(&mut self, before: Count, at: i64, count: f64) -> bool {
        let slip = SLIP_SECONDS.max(SLIP_INTERVALS * self.interval_seconds());
        if count == self.last.map_or(count, |last| last.1) && count < before.1 {
            // It has not counted since: still undecided.
            self.fallen_from = Some(before);
            return false;
        }
        let back = count >= before.1 && (at - before.0) as f64 <= slip;
        self.resets -= u64::from(back);
        back
    }

    /// A leap that was confirmed: much consumption, or a meter that was replaced by one that had counted elsewhere.
    fn believe(&mut self, leap: Count, in_step: bool) {
        let Some(last) = self.last else { return };
        if leap.1 - last.1 > REPLACED_HOURS * self.highest {
            self.last = Some(leap);
        } else {
            self.consume(leap, in_step);
        }
    }

    /// Whether a count lies so far above the last one that another must confirm it.
    fn leaps(&self, (at, count): Count) -> bool {
        let Some(last) = self.last.filter(|_| self.counted >= LEAP_COUNTS_MIN && self.highest > 0.0) else {
            return false;
        };
        let hours = ((at - last.0) as f64).max(STEP_SECONDS as f64) / 3600.0;
        (count - last.1) / hours > LEAP_FACTOR * self.highest
    }

    fn consume(&mut self, (at, count): Count, in_step: bool) {
        if let Some((before_at, before)) = self.last {
            let elapsed = (at - before_at) as f64;
            let used = (count - before).max(0.0);
            if in_step {
                if self.hours == 0.0 {
                    self.since = before_at;
                }
                self.consumed += used;
                self.hours += elapsed.min(self.hold_seconds()) / 3600.0;
            }
            self.highest = self.highest.max(used / (elapsed.max(STEP_SECONDS as f64) / 3600.0));
            self.counted = self.counted.saturating_add(1);
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

    /// Seconds between two reports, usually; 0 before the second.
    fn interval_seconds(&self) -> f64 {
        self.interval_log.map_or(0.0, f64::exp)
    }

    fn hold_seconds(&self) -> f64 {
        (HOLD_INTERVALS * self.interval_seconds()).max(STEP_SECONDS as f64)
    }

    /// Consumption per hour in the step that ends at `step_end`; none before the first count.
    pub(crate) fn close(&mut self, step_end: i64) -> Option<f64> {
        self.last?;
        // Who says nothing more stands by it: a meter on changes only is silent while nothing flows.
        if let Some(leap) = self.leap.filter(|leap| (step_end - leap.0) as f64 > self.hold_seconds()) {
            self.leap = None;
            self.believe(leap, true);
        }
        let counted_at = self.heard_at?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates of counts that come one a step, a step each.
    fn rates(counts: impl IntoIterator<Item = f64>) -> (Vec<f64>, u64) {
        let mut meter = Meter::default();
        let mut rates = Vec::new();
        for (step, count) in (0i64..).zip(counts) {
            meter.count(step * 600 + 300, count, true);
            rates.extend(meter.close(step * 600 + 600));
            meter.clear_step();
        }
        (rates, meter.resets())
    }

    fn highest(rates: &[f64]) -> f64 {
        rates.iter().copied().fold(0.0, f64::max)
    }

    #[test]
    fn a_count_that_comes_straight_back_is_neither_consumption_nor_a_reset() {
        let begin = (0..40).map(|step| 5230.0 + 0.1 * f64::from(step));
        for slip in [vec![0.0], vec![0.0, 0.0], vec![5233.8], vec![999_999.0]] {
            let end = (0..40).map(|step| 5234.0 + 0.1 * f64::from(step));
            let (rates, resets) = rates(begin.clone().chain(slip.iter().copied()).chain(end));
            assert!(highest(&rates) < 1.0, "{slip:?}: {}", highest(&rates));
            assert_eq!(resets, 0, "{slip:?}");
        }
    }

    #[test]
    fn a_count_that_goes_on_from_below_was_reset() {
        let begin = (0..40).map(|step| 5230.0 + 0.1 * f64::from(step));
        let end = (0..40).map(|step| 0.1 * f64::from(step));
        let (rates, resets) = rates(begin.chain(end));
        assert_eq!(resets, 1);
        assert!((rates.last().unwrap() - 0.6).abs() < 1e-6 && highest(&rates) < 1.0);
    }

    #[test]
    fn a_meter_replaced_by_one_that_stands_far_higher_has_consumed_nothing_and_counts_on() {
        let begin = (0..40).map(|step| 5230.0 + 0.1 * f64::from(step));
        let (replaced, _) = rates(begin.chain([48_113.0, 48_113.1, 48_113.2]));
        assert!(highest(&replaced) < 1.0, "{replaced:?}");
        assert!(*replaced.last().unwrap() > 0.5);
    }

    #[test]
    fn a_leap_that_is_confirmed_or_never_taken_back_is_consumption() {
        let begin = (0..40).map(|step| 5230.0 + 0.1 * f64::from(step));
        let (confirmed, _) = rates(begin.clone().chain([5300.0, 5370.0]));
        assert!(*confirmed.last().unwrap() > 300.0);
        let mut meter = Meter::default();
        for (step, count) in (0i64..).zip(begin.chain([5300.0])) {
            meter.count(step * 600 + 300, count, true);
            meter.close(step * 600 + 600);
            meter.clear_step();
        }
        let silent: Vec<f64> = (41i64..46).filter_map(|step| meter.close(step * 600 + 600)).collect();
        assert!(highest(&silent) > 100.0, "{silent:?}");
    }
}
