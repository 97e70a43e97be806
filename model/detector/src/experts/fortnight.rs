//! The last fortnight's hourly values of one statistic, and how unusual another one is among them.

use crate::statistics::tail::Tail;

/// Hours of a fortnight.
const HOURS: usize = 14 * 24;
/// ln of the hours in a week.
const LN_HOURS_PER_WEEK: f32 = 5.124;

/// Learns one value an hour.
#[derive(Debug, Clone)]
pub(crate) struct Fortnight {
    /// A ring of at most [`HOURS`].
    values: Vec<f32>,
    oldest: usize,
    tail: Tail,
}

impl Fortnight {
    pub(crate) fn new() -> Self {
        Self { values: Vec::new(), oldest: 0, tail: Tail::unknown() }
    }

    /// Takes an hour's value.
    pub(crate) fn push(&mut self, value: f32) {
        if self.values.len() < HOURS {
            self.values.push(value);
        } else {
            self.values[self.oldest] = value;
            self.oldest = (self.oldest + 1) % HOURS;
        }
    }

    /// Fits to what was taken: once a day is often enough.
    pub(crate) fn refit(&mut self) {
        self.tail = Tail::fit(&mut self.values.clone());
    }

    /// Evidence: −ln of how often a week an hour has a value as high as this.
    pub(crate) fn evidence(&self, value: f32) -> f32 {
        if value <= 0.0 || self.tail.usual_limit().is_none() {
            return f32::NEG_INFINITY;
        }
        self.tail.surprise(value) - LN_HOURS_PER_WEEK
    }
}
