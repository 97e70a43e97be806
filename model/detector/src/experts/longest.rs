//! The longest of something that ever lasted in the last fortnight, day by day.

/// Days that are remembered.
const DAYS: usize = 14;

/// Daily maxima of durations, in steps, each with the value that held meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct Longest {
    days: [(u32, f32); DAYS],
    today: usize,
    /// How many were completed, over all time.
    completed: u32,
}

impl Longest {
    pub(crate) fn new() -> Self {
        Self { days: [(0, f32::NAN); DAYS], today: 0, completed: 0 }
    }

    /// A duration is over. Only completed ones count: one that lasts must not vouch for itself.
    pub(crate) fn complete(&mut self, steps: u32, value: f32) {
        self.completed = self.completed.saturating_add(1);
        let today = &mut self.days[self.today];
        if steps > today.0 {
            *today = (steps, value);
        }
    }

    /// The day is over; the oldest is forgotten.
    pub(crate) fn next_day(&mut self) {
        self.today = (self.today + 1) % DAYS;
        self.days[self.today] = (0, f32::NAN);
    }

    /// The longest and the value that held; 0 when nothing was completed.
    pub(crate) fn longest(&self) -> (u32, f32) {
        self.days.iter().fold((0, f32::NAN), |best, day| if day.0 > best.0 { *day } else { best })
    }

    pub(crate) fn completed(&self) -> u32 {
        self.completed
    }
}

/// The evidence of lasting `ratio` times as long as ever, on the baseline score's scale: as long as ever is nothing,
/// twice is worth a look, four times is plain.
pub(crate) fn evidence(ratio: f32) -> f32 {
    if ratio <= 1.0 { f32::NEG_INFINITY } else { (4.0 * ratio.log2() - 2.0).min(EVIDENCE_MAX) }
}

/// The most that a duration can say.
const EVIDENCE_MAX: f32 = 12.0;

/// How rare it is to last `ratio` times as long as ever in a fortnight, on the baseline score's scale: what was measured of healthy
/// sensors at a ratio just above 1, and how much rarer each doubling is.
pub(crate) fn rarity(ratio: f32, at_one: f32, doubling: f32) -> f32 {
    if ratio <= 1.0 { f32::NEG_INFINITY } else { (at_one + doubling * ratio.log2()).min(EVIDENCE_MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_is_forgotten_after_a_fortnight() {
        let mut longest = Longest::new();
        longest.complete(50, 1.0);
        longest.complete(9, 2.0);
        assert_eq!(longest.longest(), (50, 1.0));
        for _ in 0..14 {
            longest.next_day();
            longest.complete(7, 3.0);
        }
        assert_eq!(longest.longest(), (7, 3.0));
        assert_eq!(longest.completed(), 16);
    }

    #[test]
    fn evidence_begins_where_the_longest_ends() {
        assert!(evidence(1.0) < -10.0);
        assert!((evidence(2.0) - 2.0).abs() < 1e-6);
        assert!((evidence(4.0) - 6.0).abs() < 1e-6);
    }
}
