//! Switching far more often than at this hour of the week: a loose contact, a leaking cistern.

use crate::experts::time_in_state::DAILY_FADE;

/// Steps that are counted together: one hour.
const HOUR_STEPS: usize = 6;
/// Weight of the overall rate in each hour's, in hours.
const HOUR_PRIOR: f32 = 2.0;
/// Hours watched before a rate means anything: three days.
const WATCHED_MIN: f32 = 70.0;
/// ln of the hours in a week.
const LN_HOURS_PER_WEEK: f32 = 5.124;

/// Learns and judges how often a binary entity switches.
#[derive(Debug, Clone)]
pub(crate) struct EventRate {
    recent: [u32; HOUR_STEPS],
    at: usize,
    hour_events: Box<[f32; 168]>,
    hour_watched: Box<[f32; 168]>,
    events: f32,
    watched: f32,
    /// Variance over mean of the hourly count, as far as it exceeds 1: people come in bursts.
    square: f32,
    /// The hour of the newest step.
    hour: usize,
}

impl EventRate {
    pub(crate) fn new() -> Self {
        Self {
            recent: [0; HOUR_STEPS],
            at: 0,
            hour_events: Box::new([0.0; 168]),
            hour_watched: Box::new([0.0; 168]),
            events: 0.0,
            watched: 0.0,
            square: 0.0,
            hour: 0,
        }
    }

    /// Takes a step's switches. What the step itself adds is learnt only after [`EventRate::evidence`] was asked for the
    /// next one, an hour later.
    pub(crate) fn step(&mut self, switches: u32, hour_of_week: usize) {
        self.hour = hour_of_week.min(167);
        self.at = (self.at + 1) % HOUR_STEPS;
        // The hour that leaves the count is learnt now.
        let count: f32 = self.recent.iter().sum::<u32>() as f32;
        if self.at == 0 {
            self.hour_events[self.hour] += count;
            self.hour_watched[self.hour] += 1.0;
            let expected = self.rate();
            self.events += count;
            self.watched += 1.0;
            if expected > 0.0 {
                self.square += ((count - expected).powi(2) / expected).min(100.0);
            }
        }
        self.recent[self.at] = switches;
    }

    fn rate(&self) -> f32 {
        let overall = if self.watched > 0.0 { self.events / self.watched } else { 0.0 };
        (self.hour_events[self.hour] + HOUR_PRIOR * overall) / (self.hour_watched[self.hour] + HOUR_PRIOR)
    }

    /// Switches in the last hour.
    pub(crate) fn last_hour(&self) -> u32 {
        self.recent.iter().sum()
    }

    /// Switches that an hour like this one usually has.
    pub(crate) fn usual(&self) -> f32 {
        self.rate()
    }

    /// Evidence: Chernoff's bound on the Poisson tail, tempered by the dispersion that was seen.
    pub(crate) fn evidence(&self) -> f32 {
        let count = self.last_hour() as f32;
        let expected = self.rate().max(0.02);
        if self.watched < WATCHED_MIN || count <= expected {
            return f32::NEG_INFINITY;
        }
        let dispersion = (self.square / self.watched).max(1.0);
        let surprise = count * (count / expected).ln() - (count - expected);
        surprise / dispersion - LN_HOURS_PER_WEEK
    }

    pub(crate) fn next_day(&mut self) {
        for count in self.hour_events.iter_mut().chain(self.hour_watched.iter_mut()) {
            *count *= DAILY_FADE;
        }
        self.events *= DAILY_FADE;
        self.watched *= DAILY_FADE;
        self.square *= DAILY_FADE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(rate.evidence() > 4.0);
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
    fn nothing_is_said_in_the_first_days() {
        let mut rate = calm(1);
        for _ in 0..6 {
            rate.step(50, 12);
        }
        assert!(rate.evidence() < 0.0);
    }
}
