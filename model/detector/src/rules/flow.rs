//! Water that never stops, and an hour of more water than ever.
//!
//! **Leak**: in most homes every few hours hold ten minutes without any water. The least flow within the last 3, 6, 12 and 24 hours is
//! held against the most that it ever was in four weeks: a leak lifts it by all of its own flow. **Burst**: the last hour's use, likewise.
//!
//! A counter counts in ticks, so between two counts at most one tick flowed, evenly; unless it is read seldom, when a count says only how
//! much flowed since the last reading.

use std::collections::VecDeque;

use crate::finding::AnomalyKind;
use crate::finding::Finding;
use crate::grid::STEP_SECONDS;
use crate::statistics::daily_max::DailyMax;

/// Spans in steps; with the factor and the litres per hour that their least flow must exceed the greatest of before by, and the factor of
/// all that in the first fortnight, which has not yet shown every kind of day. Short spans need more: a long shower after a long bath.
const SPANS: [(usize, f32, f32, f32); 4] =
    [(18, 1.5, 20.0, 1.5), (36, 1.3, 8.0, 1.5), (72, 1.2, 2.0, 1.25), (144, 1.2, 1.5, 1.25)];
/// Steps of the longest span.
const LONGEST_SPAN: usize = 144;
/// Days that were seen at the end of the first fortnight.
const YOUNG_DAYS: usize = 14;
/// A flow that stopped by itself within so many steps after it was found was use, and is usual afterwards: ten hours.
const USE_STEPS_MAX: usize = 60;
/// Steps of the hour that a burst is seen in.
const HOUR_STEPS: usize = 6;
/// A burst brings this much more than the greatest hour, litres, …
const BURST_LITRES: f32 = 50.0;
/// … and this factor.
const BURST_FACTOR: f32 = 1.3;
/// Days that must have been seen.
const DAYS_MIN: usize = 7;

/// A report that comes no later than this many times the usual pause is a reading like the others.
const READ_FACTOR: f32 = 1.35;
/// The usual pause follows the reports so that this share of them comes sooner, by steps of this size in its logarithm.
const READING_SHARE: f32 = 0.1;
const READING_GAIN: f32 = 0.15;
/// Steps between two counts over which anything is known of the flow: two and a half hours.
const EVEN_STEPS_MAX: usize = 15;
/// A span must hold so many ticks of a counter to be a leak: one tick of a coarse meter in an hour is no flow without a pause.
const TICKS_MIN: f32 = 6.0;
/// A leak that was found goes on while the last three hours hold this share of it.
const GOES_ON_SHARE: f32 = 0.5;

/// Follows one water meter or flow sensor.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    /// Litres an hour by step, newest last. Of a counter, steps since its last count hold 0: what
    /// flowed meanwhile is filled in when it counts, so that nothing is made of a meter's silence.
    recent: VecDeque<f32>,
    /// Litres of one tick of a counter: the least that it ever counted.
    tick: f32,
    /// Logarithm of the steps that one in ten reports comes within: how often the counter is read. None before the first.
    reading: Option<f32>,
    /// The greatest hour of a burst that lasts; it is usual afterwards.
    burst: f32,
    /// The leak that was found and goes on.
    leaking: Option<Finding>,
    /// The greatest that each span's least flow was while it lasts, and for how many steps it has.
    leaked: [f32; SPANS.len()],
    leaking_steps: usize,
    /// What the last report of a counter led to: it stands until the next, or until the counter has been silent for too long.
    standing: Option<Finding>,
    /// Steps since the last count, and since the last report.
    silent: usize,
    unheard: usize,
    least: [DailyMax; SPANS.len()],
    hour: DailyMax,
}

impl Flow {
    pub(crate) fn new() -> Self {
        Self {
            recent: VecDeque::with_capacity(LONGEST_SPAN),
            tick: f32::INFINITY,
            reading: None,
            burst: 0.0,
            leaking: None,
            leaked: [0.0; SPANS.len()],
            leaking_steps: 0,
            standing: None,
            silent: 0,
            unheard: 0,
            least: std::array::from_fn(|_| DailyMax::new()),
            hour: DailyMax::new(),
        }
    }

    /// Takes a step of a flow sensor: litres an hour, none while they are not known.
    pub(crate) fn measure(&mut self, litres_per_hour: Option<f32>) -> Option<Finding> {
        // Of a flow sensor every value counts.
        self.tick = 0.0;
        self.push(litres_per_hour.unwrap_or(0.0).max(0.0));
        self.judge()
    }

    /// Takes a step of a counter: the litres between its two last reports and the seconds between them; none where none came.
    pub(crate) fn count(&mut self, counted: Option<(f32, i64)>) -> Option<Finding> {
        self.push(0.0);
        // A report that nothing was counted is no more than silence.
        let Some((litres, seconds)) = counted.filter(|(litres, _)| *litres > 0.0) else {
            self.silent = self.silent.saturating_add(1);
            self.unheard = if counted.is_some() { 0 } else { self.unheard.saturating_add(1) };
            if self.silent > EVEN_STEPS_MAX {
                (self.standing, self.leaking) = (None, None);
            }
            return self.standing;
        };
        // Steps that this count is about: its own, and those before in which nothing was counted.
        let steps = self.silent + 1;
        self.silent = 0;
        self.tick = self.tick.min(litres);
        let usual = self.note_reading(self.unheard + 1);
        self.unheard = 0;
        let hours = seconds.max(STEP_SECONDS) as f32 / 3600.0;
        if steps <= EVEN_STEPS_MAX {
            // A counter that is read often would have counted sooner, had more than a tick flowed sooner.
            let before = if steps as f32 <= READ_FACTOR * usual { litres } else { self.tick.min(litres) };
            let gap_hours = (steps as f32 * STEP_SECONDS as f32 / 3600.0).max(hours);
            let flow = before / gap_hours;
            self.recent.iter_mut().rev().take(steps).for_each(|step| *step = flow);
        }
        // Of a counter that is read at each step, the count flowed just now. Of one that is read seldom, or that was silent for so long that
        // this would be more than ever, it flowed at any time since.
        let step_hours = STEP_SECONDS as f32 / 3600.0;
        let lately = usual < 1.5 && (steps <= EVEN_STEPS_MAX || litres <= self.hour.largest().unwrap_or(0.0));
        let within = if lately && steps > 1 { step_hours } else { hours.max(steps as f32 * step_hours) };
        if let Some(newest) = self.recent.back_mut() {
            *newest = litres / within;
        }
        self.standing = self.judge();
        self.standing
    }

    /// Time passed that nobody saw.
    pub(crate) fn lose(&mut self) {
        self.recent.clear();
        (self.standing, self.leaking, self.silent, self.unheard) = (None, None, 0, 0);
        (self.leaked, self.leaking_steps) = ([0.0; SPANS.len()], 0);
    }

    /// Takes the steps since the last report, and gives those within which one in ten reports comes.
    fn note_reading(&mut self, steps: usize) -> f32 {
        let log = (steps as f32).ln();
        let reading = self.reading.get_or_insert(log);
        *reading += if log < *reading { -READING_GAIN * (1.0 - READING_SHARE) } else { READING_GAIN * READING_SHARE };
        *reading = reading.max(0.0);
        reading.exp()
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
        let (mut least, mut litres, mut latest) = (f32::INFINITY, 0.0, 0.0);
        let mut newest = self.recent.iter().rev();
        let mut from = 0;
        for (((span, factor, margin, young), greatest), leaked) in
            SPANS.iter().zip(&mut self.least).zip(&mut self.leaked)
        {
            if self.recent.len() < *span {
                break;
            }
            for flow in newest.by_ref().take(span - from) {
                least = least.min(*flow);
                litres += flow * STEP_SECONDS as f32 / 3600.0;
            }
            if from == 0 {
                latest = least;
            }
            from = *span;
            let before = greatest.largest().unwrap_or(0.0);
            let caution = if greatest.known() > YOUNG_DAYS { 1.0 } else { *young };
            if greatest.known() > DAYS_MIN
                && least > (before * factor + margin) * caution
                && litres >= TICKS_MIN * self.tick
            {
                leak.get_or_insert(Finding { kind: AnomalyKind::Leak, amount: least, usual: before });
                *leaked = leaked.max(least);
            } else {
                greatest.take(least);
            }
        }
        // Other use beside the leak does not end it.
        self.leaking = leak.or(self.leaking.filter(|found| latest >= GOES_ON_SHARE * found.amount));
        let leak = self.leaking;
        if leak.is_some() {
            self.leaking_steps += 1;
        } else {
            self.learn_use_that_stopped();
        }
        if self.recent.len() < HOUR_STEPS {
            return leak;
        }
        let hour = self.recent.iter().rev().take(HOUR_STEPS).sum::<f32>() / HOUR_STEPS as f32;
        let before = self.hour.largest().unwrap_or(0.0);
        if self.hour.known() > DAYS_MIN && hour > (before + BURST_LITRES).max(before * BURST_FACTOR) {
            self.burst = self.burst.max(hour);
            return Some(Finding { kind: AnomalyKind::Burst, amount: hour, usual: before });
        }
        // A burst is an ordinary hour afterwards, so that an irrigation is an alarm once.
        self.hour.take(hour.max(std::mem::take(&mut self.burst)));
        leak
    }

    /// Learns what stopped by itself, so that a garden that is watered is an alarm once. What ran for longer was a leak.
    fn learn_use_that_stopped(&mut self) {
        let was_use = (1..=USE_STEPS_MAX).contains(&std::mem::take(&mut self.leaking_steps));
        for (greatest, leaked) in self.least.iter_mut().zip(std::mem::take(&mut self.leaked)) {
            if was_use && leaked > 0.0 {
                greatest.take(leaked);
            }
        }
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

        /// An eighth of the steps by day use 60 L/h, and as many 6 L/h; `extra` flows all the time.
        fn step(&mut self, extra: f32) -> Option<Finding> {
            let time = self.step % 144;
            let used = match self.step % 8 {
                _ if !(42..132).contains(&time) => 0.0,
                0 => 60.0,
                4 => 6.0,
                _ => 0.0,
            };
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
    fn water_that_ran_for_hours_and_stopped_is_an_alarm_once_and_what_ran_for_a_day_is_one_again() {
        for (hours, again) in [(8, false), (24, true)] {
            let mut house = House::new(1);
            (0..20 * 144).for_each(|_| assert_eq!(house.step(0.0), None));
            let runs = |house: &mut House| (0..hours * 6).filter(|_| house.step(60.0).is_some()).count() > 0;
            assert!(runs(&mut house));
            for _ in 0..2 * 144 {
                house.step(0.0);
            }
            assert_eq!(runs(&mut house), again, "{hours} hours");
        }
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

    /// A meter that counts whole litres and says so when it does; `flow` L/h leak beside baths and showers.
    fn whole_litres(flow: f32, days: usize, house: &mut (Flow, f32, usize, usize)) -> Option<(usize, Finding)> {
        let (meter, total, counted_so_far, since) = house;
        for step in 0..days * 144 {
            let time = step % 144;
            let shower = (42..45).contains(&time) || (110..113).contains(&time) && (step / 144) % 2 == 0;
            let sips = (60..130).contains(&time) && step % 7 == 0;
            *total += flow / 6.0 + if shower { 20.0 } else { 0.0 } + if sips { 2.0 } else { 0.0 };
            *since += 1;
            let ticks = *total as usize - *counted_so_far;
            let counted = (ticks > 0).then(|| (ticks as f32, *since as i64 * 600));
            if ticks > 0 {
                (*counted_so_far, *since) = (*total as usize, 0);
            }
            let found = meter.count(counted);
            if (step + 1).is_multiple_of(144) {
                meter.next_day();
            }
            if let Some(found) = found {
                return Some((step + 1, found));
            }
        }
        None
    }

    #[test]
    fn a_leak_of_five_litres_an_hour_is_told_by_a_meter_of_whole_litres_within_a_day() {
        let mut house = (Flow::new(), 0.0, 0, 0);
        assert_eq!(whole_litres(0.0, 20, &mut house), None);
        let (steps, found) = whole_litres(5.0, 3, &mut house).unwrap();
        assert!(steps <= 144 && found.kind == AnomalyKind::Leak, "{steps} {found:?}");
    }

    #[test]
    fn a_burst_that_was_told_is_no_more_than_ever_the_next_time() {
        let mut house = House::new(1);
        (0..10 * 144).for_each(|_| assert_eq!(house.step(0.0), None));
        let irrigation = |house: &mut House| (0..12).filter_map(|_| house.step(600.0)).count();
        assert!(irrigation(&mut house) > 0);
        for _ in 0..132 {
            house.step(0.0);
        }
        assert_eq!(irrigation(&mut house), 0);
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
