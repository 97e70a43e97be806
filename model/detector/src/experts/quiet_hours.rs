//! Activity in hours that are otherwise still: somebody up at three at night, a door in a house that sleeps.
//!
//! Each ten minutes with activity is as surprising as that time of day is still (−ln of the share of its steps that ever
//! were active, shrunk towards the whole day's); an hour's sum is held against the last fortnight's hours.

use crate::experts::fortnight::Fortnight;
use crate::experts::time_in_state::DAILY_FADE;

/// Steps that are added up: one hour.
const HOUR_STEPS: usize = 6;
/// Weight of the whole day's share in each hour's, in steps: an hour's.
const HOUR_PRIOR: f32 = 6.0;

/// Learns and judges at what time of day a binary entity is active.
#[derive(Debug, Clone)]
pub(crate) struct QuietHours {
    active: [f32; 24],
    watched: [f32; 24],
    recent: [f32; HOUR_STEPS],
    at: usize,
    fortnight: Fortnight,
}

impl QuietHours {
    pub(crate) fn new() -> Self {
        Self { active: [0.0; 24], watched: [0.0; 24], recent: [0.0; HOUR_STEPS], at: 0, fortnight: Fortnight::new() }
    }

    /// Takes a step's switches. It is judged by what was known before it.
    pub(crate) fn step(&mut self, switches: u32, hour_of_week: usize) {
        let hour = hour_of_week % 24;
        self.at = (self.at + 1) % HOUR_STEPS;
        if self.at == 0 {
            self.fortnight.push(self.sum());
        }
        self.recent[self.at] = if switches > 0 { -self.share(hour).ln() } else { 0.0 };
        self.watched[hour] += 1.0;
        self.active[hour] += f32::from(u8::from(switches > 0));
    }

    /// Share of the steps around this time of day that were active, above 0 and at most 1.
    fn share(&self, hour: usize) -> f32 {
        let (active, watched): (f32, f32) = (self.active.iter().sum(), self.watched.iter().sum());
        let overall = (active + 0.5) / (watched + 1.0);
        let near = [(hour + 23) % 24, hour, (hour + 1) % 24];
        let (active, watched) =
            near.iter().fold((0.0, 0.0), |(a, w), hour| (a + self.active[*hour], w + self.watched[*hour]));
        ((active + HOUR_PRIOR * overall) / (watched + HOUR_PRIOR)).clamp(1e-4, 1.0)
    }

    fn sum(&self) -> f32 {
        self.recent.iter().sum()
    }

    /// Evidence: −ln of how often a week an hour is as surprising as the last one.
    pub(crate) fn evidence(&self) -> f32 {
        self.fortnight.evidence(self.sum())
    }

    pub(crate) fn next_day(&mut self) {
        self.fortnight.refit();
        for count in self.active.iter_mut().chain(&mut self.watched) {
            *count *= DAILY_FADE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Busy from 7 to 23 on an irregular beat, still at night.
    fn sleeper(days: usize) -> QuietHours {
        let mut hours = QuietHours::new();
        for step in 0..days * 144 {
            let hour = (step / 6) % 168;
            let awake = (7..23).contains(&(hour % 24));
            hours.step(u32::from(awake && (step * step) % 7 < 3), hour);
            if step % 144 == 143 {
                hours.next_day();
            }
        }
        hours
    }

    #[test]
    fn an_active_hour_at_night_is_noticed_and_the_same_by_day_is_not() {
        let evidence = |hour: usize| {
            let mut hours = sleeper(14);
            (0..6).for_each(|_| hours.step(2, hour));
            hours.evidence()
        };
        assert!(evidence(3) > 3.0, "{}", evidence(3));
        assert!(evidence(15) < 1.0, "{}", evidence(15));
    }

    #[test]
    fn nothing_is_said_in_the_first_days() {
        let mut hours = sleeper(1);
        (0..6).for_each(|_| hours.step(2, 3));
        assert!(hours.evidence() < 0.0);
    }
}
