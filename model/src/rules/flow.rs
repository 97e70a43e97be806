//! Water that never stops, and an hour of more water than ever.
//!
//! **Leak**: in most homes every few hours hold ten minutes without any water. The least flow within the last 3, 6, 12 and 24 hours is
//! held against the most that it ever was in four weeks: a leak lifts it by all of its own flow. **Burst**: the last hour's use, likewise.

use std::collections::VecDeque;

use super::Finding;
use super::daily::DailyMax;
use crate::features::AnomalyKind;
use crate::grid::STEP_SECONDS;

/// Spans in steps, with what their least flow must exceed the greatest of before by, litres per hour. Short spans need more: a long
/// shower after a long bath.
const SPANS: [(usize, f32); 4] = [(18, 12.0), (36, 6.0), (72, 2.0), (144, 1.5)];
/// Steps of the longest span.
const LONGEST_SPAN: usize = 144;
/// And by this factor.
const LEAK_FACTOR: f32 = 1.2;
/// Steps of the hour that a burst is seen in.
const HOUR_STEPS: usize = 6;
/// A burst brings this much more than the greatest hour, litres, …
const BURST_LITRES: f32 = 50.0;
/// … and this factor.
const BURST_FACTOR: f32 = 1.3;
/// Days that must have been seen.
const DAYS_MIN: usize = 7;

/// Steps between two counts over which the flow is taken to be even: two and a half hours. Over longer ones nothing is known of pauses.
const EVEN_STEPS_MAX: usize = 15;

/// Follows one water meter or flow sensor.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    /// Litres an hour by step, newest last. Of a counter, steps since its last report hold 0: what was counted meanwhile is filled in
    /// when it comes, so that nothing is made of a meter's silence.
    recent: VecDeque<f32>,
    /// What the last report of a counter led to: it stands until the next, or until the counter has been silent for too long.
    standing: Option<Finding>,
    silent: usize,
    least: [DailyMax; SPANS.len()],
    hour: DailyMax,
}

impl Flow {
    pub(crate) fn new() -> Self {
        Self {
            recent: VecDeque::with_capacity(LONGEST_SPAN),
            standing: None,
            silent: 0,
            least: std::array::from_fn(|_| DailyMax::new()),
            hour: DailyMax::new(),
        }
    }

    /// Takes a step of a flow sensor: litres an hour, none while they are not known.
    pub(crate) fn measure(&mut self, litres_per_hour: Option<f32>) -> Option<Finding> {
        self.push(litres_per_hour.unwrap_or(0.0).max(0.0));
        self.judge()
    }

    /// Takes a step of a counter: the litres between its two last reports and the seconds between them; none where none came.
    pub(crate) fn count(&mut self, counted: Option<(f32, i64)>) -> Option<Finding> {
        self.push(0.0);
        let Some((litres, seconds)) = counted else {
            self.silent = self.silent.saturating_add(1);
            return self.standing.filter(|_| self.silent <= EVEN_STEPS_MAX);
        };
        self.silent = 0;
        let steps = usize::try_from((seconds + STEP_SECONDS / 2) / STEP_SECONDS).unwrap_or(usize::MAX).max(1);
        let rate = litres / (seconds.max(STEP_SECONDS) as f32 / 3600.0);
        if steps <= EVEN_STEPS_MAX {
            self.recent.iter_mut().rev().take(steps).for_each(|step| *step = rate);
        }
        self.standing = self.judge();
        self.standing
    }

    /// Time passed that nobody saw.
    pub(crate) fn lose(&mut self) {
        self.recent.clear();
        self.standing = None;
    }

    fn push(&mut self, litres_per_hour: f32) {
        if self.recent.len() == LONGEST_SPAN {
            self.recent.pop_front();
        }
        self.recent.push_back(litres_per_hour);
    }

    /// What is found is not learnt.
    fn judge(&mut self) -> Option<Finding> {
        let mut leak: Option<Finding> = None;
        let mut least = f32::INFINITY;
        let mut newest = self.recent.iter().rev();
        let mut from = 0;
        for ((span, margin), greatest) in SPANS.iter().zip(&mut self.least) {
            if self.recent.len() < *span {
                break;
            }
            least = newest.by_ref().take(span - from).fold(least, |least, flow| least.min(*flow));
            from = *span;
            let before = greatest.largest().unwrap_or(0.0);
            if greatest.known() > DAYS_MIN && least > before * LEAK_FACTOR + margin {
                leak.get_or_insert(Finding { kind: AnomalyKind::Leak, amount: least, usual: before });
            } else {
                greatest.take(least);
            }
        }
        if self.recent.len() < HOUR_STEPS {
            return leak;
        }
        let hour = self.recent.iter().rev().take(HOUR_STEPS).sum::<f32>() / HOUR_STEPS as f32;
        let before = self.hour.largest().unwrap_or(0.0);
        if self.hour.known() > DAYS_MIN && hour > (before + BURST_LITRES).max(before * BURST_FACTOR) {
            return Some(Finding { kind: AnomalyKind::Burst, amount: hour, usual: before });
        }
        self.hour.take(hour);
        leak
    }

    /// Whether enough was seen to judge.
    pub(crate) fn is_learnt(&self) -> bool {
        self.hour.known() > DAYS_MIN
    }

    pub(crate) fn next_day(&mut self) {
        self.least.iter_mut().for_each(DailyMax::next_day);
        self.hour.next_day();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct House {
        flow: Flow,
        step: usize,
        /// Reports once in so many steps.
        every: usize,
        since: (f32, i64),
    }

    impl House {
        fn new(every: usize) -> Self {
            Self { flow: Flow::new(), step: 0, every, since: (0.0, 0) }
        }

        /// A quarter of the steps by day use 60 L/h; `extra` flows all the time.
        fn step(&mut self, extra: f32) -> Option<Finding> {
            let time = self.step % 144;
            let used = if (42..132).contains(&time) && self.step.is_multiple_of(4) { 60.0 } else { 0.0 };
            self.step += 1;
            if self.step.is_multiple_of(144) {
                self.flow.next_day();
            }
            self.since = (self.since.0 + (used + extra) / 6.0, self.since.1 + 600);
            let due = self.step.is_multiple_of(self.every);
            self.flow.count(due.then(|| std::mem::take(&mut self.since)))
        }
    }

    fn told_after(flow: f32, every: usize) -> Option<(usize, AnomalyKind)> {
        let mut house = House::new(every);
        for _ in 0..10 * 144 {
            assert_eq!(house.step(0.0), None);
        }
        (1..300).find_map(|steps| Some((steps, house.step(flow)?.kind)))
    }

    #[test]
    fn a_leak_of_fifty_litres_an_hour_is_told_within_three_hours() {
        assert_eq!(told_after(50.0, 1), Some((18, AnomalyKind::Leak)));
    }

    #[test]
    fn a_leak_of_five_litres_an_hour_is_told_within_half_a_day() {
        assert_eq!(told_after(5.0, 1), Some((72, AnomalyKind::Leak)));
    }

    #[test]
    fn a_burst_is_told_within_the_hour() {
        let (steps, kind) = told_after(600.0, 1).unwrap();
        assert!(steps <= 6 && kind == AnomalyKind::Burst, "{steps} {kind:?}");
    }

    #[test]
    fn a_meter_that_reports_once_an_hour_tells_a_leak_too() {
        assert_eq!(told_after(50.0, 6).map(|(_, kind)| kind), Some(AnomalyKind::Leak));
    }

    #[test]
    fn nothing_is_made_of_a_meter_that_was_silent_for_half_a_day() {
        let mut house = House::new(1);
        (0..10 * 144).for_each(|_| assert_eq!(house.step(0.0), None));
        house.every = 72;
        (0..144).for_each(|_| assert_eq!(house.step(20.0), None));
    }

    #[test]
    fn a_week_must_have_been_seen_first() {
        let mut house = House::new(1);
        (0..5 * 144).for_each(|_| assert_eq!(house.step(0.0), None));
        (0..144).for_each(|_| assert_eq!(house.step(50.0), None));
    }
}
