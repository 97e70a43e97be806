//! Switching far more often than at this hour of the week: a loose contact, a leaking cistern.
//!
//! People come in bursts, so a Poisson tail would cry out every evening: an hour's count is compared with what this hour
//! of the week usually has (square roots, which even out the spread), and the difference with the last fortnight's.

use crate::experts::fortnight::Fortnight;
use crate::experts::time_in_state::DAILY_FADE;
use crate::statistics::daily_max::DailyMax;

/// Steps that are counted together: one hour.
const HOUR_STEPS: usize = 6;
/// Steps that are kept: two hours.
const KEPT_STEPS: usize = 2 * HOUR_STEPS;
/// Fewer switches in an hour are never too many, …
const BUSY_MIN: u32 = 10;
/// … nor fewer than this many times the busiest hour of the last four weeks.
const BUSY_FACTOR: f32 = 1.5;
/// A contact that switches so often in each of two hours chatters, …
const CHATTER_MIN: u32 = 20;
/// … where that is so many times more than in the busiest hour of the last four weeks, …
const CHATTER_FACTOR: f32 = 1.5;
/// … of which so many days are known. …
const CHATTER_DAYS: usize = 7;
/// After so many hours of it, it is what the entity does.
const CHATTER_HOURS_MAX: u32 = 48;
/// Weight of the overall rate in each hour's, in hours.
const HOUR_PRIOR: f32 = 2.0;

/// Learns and judges how often a binary entity switches.
#[derive(Debug, Clone)]
pub(crate) struct EventRate {
    recent: [u32; KEPT_STEPS],
    at: usize,
    hour_events: Box<[f32; 168]>,
    hour_watched: Box<[f32; 168]>,
    events: f32,
    watched: f32,
    /// Excesses of the last fortnight's hours.
    excesses: Fortnight,
    /// The hour of the newest step.
    hour: usize,
    /// The busiest whole hour of each day, an hour late: two busy ones are held against those before both.
    busiest: DailyMax,
    /// Whole hours that it has chattered for.
    chattered: u32,
}

impl EventRate {
    pub(crate) fn new() -> Self {
        Self {
            recent: [0; KEPT_STEPS],
            at: 0,
            hour_events: Box::new([0.0; 168]),
            hour_watched: Box::new([0.0; 168]),
            events: 0.0,
            watched: 0.0,
            excesses: Fortnight::new(),
            hour: 0,
            busiest: DailyMax::new(),
            chattered: 0,
        }
    }

    /// Takes a step's switches. An hour is learnt when it is complete.
    pub(crate) fn step(&mut self, switches: u32, hour_of_week: usize) {
        let next = (self.at + 1) % KEPT_STEPS;
        if next.is_multiple_of(HOUR_STEPS) {
            self.learn_hour();
        }
        self.at = next;
        self.hour = hour_of_week.min(167);
        self.recent[self.at] = switches;
    }

    fn learn_hour(&mut self) {
        let (count, excess) = (self.last_hour() as f32, self.excess());
        self.excesses.push(excess);
        self.chattered = if self.chatters() { self.chattered.saturating_add(1) } else { 0 };
        if self.chattered == 0 || self.chattered > CHATTER_HOURS_MAX {
            self.busiest.take(self.hour_before() as f32);
        }
        self.hour_events[self.hour] += count;
        self.hour_watched[self.hour] += 1.0;
        self.events += count;
        self.watched += 1.0;
    }

    /// Switches that an hour like this one usually has.
    pub(crate) fn usual(&self) -> f32 {
        let overall = if self.watched > 0.0 { self.events / self.watched } else { 0.0 };
        (self.hour_events[self.hour] + HOUR_PRIOR * overall) / (self.hour_watched[self.hour] + HOUR_PRIOR)
    }

    fn excess(&self) -> f32 {
        2.0 * ((self.last_hour() as f32).sqrt() - self.usual().sqrt()).max(0.0)
    }

    /// Switches in the last hour.
    pub(crate) fn last_hour(&self) -> u32 {
        self.newest(0..HOUR_STEPS)
    }

    /// Switches in the hour before the last one.
    fn hour_before(&self) -> u32 {
        self.newest(HOUR_STEPS..KEPT_STEPS)
    }

    /// Switches in these steps, counted back from the newest.
    fn newest(&self, back: std::ops::Range<usize>) -> u32 {
        back.map(|back| self.recent[(self.at + KEPT_STEPS - back) % KEPT_STEPS]).sum()
    }

    /// Whether it switches all the time, for two hours on end, as it never did: a loose contact, whatever the home's budget.
    pub(crate) fn chatters(&self) -> bool {
        let calmer = self.last_hour().min(self.hour_before());
        let busiest = self.busiest.largest().unwrap_or(0.0);
        self.busiest.known() >= CHATTER_DAYS && calmer >= CHATTER_MIN && calmer as f32 > CHATTER_FACTOR * busiest
    }

    /// Evidence: −ln of how often a week an hour as busy as this is expected.
    pub(crate) fn evidence(&self) -> f32 {
        self.excesses.evidence(self.excess())
    }

    /// Whether the last hour is far busier than any.
    pub(crate) fn is_busy(&self) -> bool {
        let busiest = self.busiest.largest().unwrap_or(0.0);
        self.last_hour() >= BUSY_MIN && self.last_hour() as f32 > BUSY_FACTOR * busiest
    }

    pub(crate) fn next_day(&mut self) {
        self.busiest.next_day();
        self.excesses.refit();
        for count in self.hour_events.iter_mut().chain(self.hour_watched.iter_mut()) {
            *count *= DAILY_FADE;
        }
        self.events *= DAILY_FADE;
        self.watched *= DAILY_FADE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loose_contact_is_told_after_two_hours_and_for_as_long_as_it_lasts_but_not_for_ever() {
        let mut rate = calm(14);
        let mut found = Vec::new();
        for _ in 0..60 * 6 {
            rate.step(6, 3);
            found.push(rate.chatters());
        }
        let first = found.iter().position(|found| *found);
        assert!(first.is_some_and(|step| (6..12).contains(&step)), "{first:?}");
        assert!(found[12..48 * 6].iter().all(|found| *found));
        assert!(!found[59 * 6]);
    }

    #[test]
    fn a_busy_evening_that_is_busier_than_any_is_no_loose_contact() {
        let mut rate = EventRate::new();
        for step in 0..14 * 144 {
            let hour = (step / 6) % 168;
            let party = hour % 24 == 20;
            rate.step(if party { 4 } else { 0 }, hour);
            if step % 144 == 143 {
                rate.next_day();
            }
        }
        (0..12).for_each(|_| rate.step(5, 20));
        assert!(!rate.chatters());
    }

    fn calm(days: usize) -> EventRate {
        let mut rate = EventRate::new();
        for step in 0..days * 144 {
            let hour = (step / 6) % 168;
            let awake = (7..23).contains(&(hour % 24));
            rate.step(u32::from(awake && step % 5 == 0), hour);
            if step % 144 == 143 {
                rate.next_day();
            }
        }
        rate
    }

    #[test]
    fn a_switch_that_flutters_is_noticed() {
        let mut rate = calm(14);
        for _ in 0..6 {
            rate.step(8, 12);
        }
        assert!(rate.evidence() > 4.0, "{}", rate.evidence());
    }

    #[test]
    fn an_ordinary_hour_is_not() {
        let mut rate = calm(14);
        let mut worst = f32::NEG_INFINITY;
        for step in 0..144 {
            rate.step(u32::from(step % 5 == 0), 12);
            worst = worst.max(rate.evidence());
        }
        assert!(worst < 0.0, "{worst}");
    }

    #[test]
    fn who_comes_in_bursts_is_allowed_a_burst() {
        let mut rate = EventRate::new();
        for step in 0..14 * 144usize {
            rate.step(if step % 97 < 6 { 9 } else { 0 }, (step / 6) % 168);
            if step % 144 == 143 {
                rate.next_day();
            }
        }
        for _ in 0..6 {
            rate.step(9, 12);
        }
        assert!(rate.evidence() < 1.0, "{}", rate.evidence());
    }

    #[test]
    fn nothing_is_said_in_the_first_days() {
        let mut rate = calm(1);
        for _ in 0..6 {
            rate.step(50, 12);
        }
        assert!(rate.evidence() < 0.0);
    }
}
