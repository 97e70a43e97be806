//! One figure a day, for the last weeks.

/// Days that are remembered.
pub(crate) const DAYS: usize = 28;

/// The largest value of each day.
#[derive(Debug, Clone)]
pub(crate) struct DailyMax {
    /// Ring by day; the day that lasts is at `today`. NaN where nothing was seen.
    days: [f32; DAYS],
    today: usize,
}

impl DailyMax {
    pub(crate) fn new() -> Self {
        Self { days: [f32::NAN; DAYS], today: 0 }
    }

    /// Takes a value of today.
    pub(crate) fn take(&mut self, value: f32) {
        let today = &mut self.days[self.today];
        if today.is_nan() || value > *today {
            *today = value;
        }
    }

    /// The largest of all remembered days, today included; none before there is one.
    pub(crate) fn largest(&self) -> Option<f32> {
        self.days.iter().copied().filter(|day| !day.is_nan()).reduce(f32::max)
    }

    /// Days with a value, today included.
    pub(crate) fn known(&self) -> usize {
        self.days.iter().filter(|day| !day.is_nan()).count()
    }

    /// Today's value; none before there is one.
    pub(crate) fn today(&self) -> Option<f32> {
        Some(self.days[self.today]).filter(|day| !day.is_nan())
    }

    /// The values of earlier days, newest first; none where nothing was seen.
    pub(crate) fn before_today(&self) -> impl Iterator<Item = Option<f32>> + '_ {
        (1..DAYS).map(|back| Some(self.days[(self.today + DAYS - back) % DAYS]).filter(|day| !day.is_nan()))
    }

    /// Puts a value in the place of what was seen so many days ago, 0 is today; a day on which nothing was seen stays that.
    pub(crate) fn replace(&mut self, back: usize, value: f32) {
        let day = &mut self.days[(self.today + DAYS - back % DAYS) % DAYS];
        if back < DAYS && !day.is_nan() {
            *day = value;
        }
    }

    /// The day is over; the oldest is forgotten.
    pub(crate) fn next_day(&mut self) {
        self.today = (self.today + 1) % DAYS;
        self.days[self.today] = f32::NAN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_forgotten_after_four_weeks() {
        let mut daily = DailyMax::new();
        daily.take(9.0);
        daily.take(3.0);
        assert_eq!((daily.largest(), daily.known()), (Some(9.0), 1));
        for _ in 0..DAYS {
            daily.next_day();
            daily.take(1.0);
        }
        assert_eq!((daily.largest(), daily.known()), (Some(1.0), DAYS));
    }

    #[test]
    fn what_was_seen_on_a_day_is_replaced_and_nothing_on_one_that_saw_nothing() {
        let mut daily = DailyMax::new();
        daily.take(9.0);
        daily.next_day();
        daily.next_day();
        daily.take(1.0);
        daily.replace(DAYS, 5.0);
        daily.replace(1, 5.0);
        daily.replace(2, 0.5);
        assert_eq!((daily.largest(), daily.known()), (Some(1.0), 2));
    }

    #[test]
    fn earlier_days_come_newest_first() {
        let mut daily = DailyMax::new();
        for value in [1.0, 2.0] {
            daily.take(value);
            daily.next_day();
        }
        assert_eq!(daily.before_today().take(3).collect::<Vec<_>>(), [Some(2.0), Some(1.0), None]);
    }
}
