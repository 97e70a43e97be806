//! Draws an alarm so that a resident understands it on a phone: what it is about, what was measured, what was usual
//! then, and the stretch in question, in local time.
//!
//! The drawing is an SVG 360 units wide. As a file of its own it follows the viewer's light or dark preference
//! ([`Theme::Auto`]); rasterised it needs one theme ([`png()`]), with the font that is carried along, so that it looks the
//! same on a machine without any.

mod chart;
mod danger;
mod finding;
mod language;
mod palette;
mod png;
mod sentence;
mod ticks;
mod timeline;
mod words;

use hearthwatch_detector::finding::Band;
use hearthwatch_detector::reading::EntityInfo;
use jiff::tz::TimeZone;

use crate::alarm::StoredAlarm;
pub use language::{DayInBrief, Language};
pub use palette::Theme;
pub use png::{DrawError, png};
pub use sentence::{Sentence, precedent, sentence, still_warns, title};
pub use words::{friendly_name, on_off_is_judged_by, state_words};

/// One step of an entity in a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// End of the step, Unix seconds.
    pub at: i64,
    /// The value, in the unit that is shown; none in a gap.
    pub observed: Option<f32>,
    /// The expected range; none during warm-up.
    pub band: Option<Band>,
}

impl Point {
    /// The same point in another unit: all values multiplied by `factor`.
    #[must_use]
    pub fn times(self, factor: f32) -> Self {
        let band =
            |band: Band| Band { low: band.low * factor, expected: band.expected * factor, high: band.high * factor };
        Self { observed: self.observed.map(|value| value * factor), band: self.band.map(band), ..self }
    }
}

/// An alarm and what led to it.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// The alarm, with the name and the place of its entity.
    pub shown: &'a StoredAlarm,
    /// The entity of the alarm.
    pub info: &'a EntityInfo,
    /// Of all text in the picture.
    pub language: Language,
    /// The steps around it, oldest first; [`svg`] shows only those near the alarm.
    pub points: &'a [Point],
    /// For the marks of the time axis.
    pub timezone: &'a TimeZone,
}

/// The picture as an SVG document.
#[must_use]
pub fn svg(picture: &Picture<'_>, theme: Theme) -> String {
    chart::draw(picture, theme)
}

/// Round numbers within `low..=high`, about `count` of them, and how many decimals tell them apart.
#[must_use]
pub fn round_numbers(low: f64, high: f64, count: usize) -> (Vec<f64>, usize) {
    ticks::numbers(low, high, count)
}

/// Lowest and highest of what `points` show. The usual range counts as far as it does not flatten the values.
#[must_use]
pub fn scale(points: &[Point]) -> (f64, f64) {
    chart::range(points)
}

#[cfg(test)]
mod tests;
