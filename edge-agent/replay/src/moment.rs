//! A recorded moment: nanoseconds since 1970, so that rows keep their order, and whole seconds for the grid.

use jiff::Timestamp;

/// Nanoseconds of a second.
const NANOS: i64 = 1_000_000_000;
/// Rows after this moment (2200-01-01) are taken for milliseconds or nonsense, not for time.
const SECONDS_MAX: i64 = 7_258_118_400;

/// When something was recorded, in nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

/// Why a text or number is not a moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MomentError {
    /// The field is empty.
    #[error("the timestamp is empty")]
    Empty,
    /// A date and time without a zone.
    #[error("the timestamp `{0}` has no offset; write Z for UTC or an offset such as +01:00 behind it")]
    NoOffset(String),
    /// Neither form.
    #[error(
        "the timestamp `{0}` is neither RFC 3339 nor Unix seconds; write 2026-01-31T08:30:00Z or 1769848200, with or \
         without a fraction"
    )]
    Unreadable(String),
    /// Before 1970 or after 2200.
    #[error(
        "the timestamp `{0}` lies outside the years 1970 to 2200; Unix times are in seconds (divide milliseconds by 1000)"
    )]
    OutOfRange(String),
}

impl Moment {
    /// Reads RFC 3339 (`2026-01-31T08:30:00Z`, also with a space instead of `T`) or Unix seconds with an optional
    /// fraction.
    ///
    /// # Errors
    /// [`MomentError`], whose text says what to write instead.
    pub fn parse(text: &str) -> Result<Self, MomentError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(MomentError::Empty);
        }
        if let Some(moment) = Self::parse_decimal(text) {
            return moment.ok_or_else(|| MomentError::OutOfRange(text.to_owned()));
        }
        match text.parse::<Timestamp>() {
            Ok(timestamp) => i64::try_from(timestamp.as_nanosecond())
                .ok()
                .and_then(Self::checked)
                .ok_or_else(|| MomentError::OutOfRange(text.to_owned())),
            Err(_) if text.parse::<jiff::civil::DateTime>().is_ok() => Err(MomentError::NoOffset(text.to_owned())),
            Err(_) => Err(MomentError::Unreadable(text.to_owned())),
        }
    }

    /// Reads Home Assistant's own column of seconds as a 64-bit float; microseconds are what it means.
    #[must_use]
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        if !seconds.is_finite() || !(0.0..=7_258_118_400.0).contains(&seconds) {
            return None;
        }
        // In range by the line above; rounding to microseconds undoes the float's last bits.
        Self::checked((seconds * 1e6).round() as i64 * 1000)
    }

    /// Reads a date and time that is known to be UTC although it has no offset, as in Home Assistant's tables of old.
    #[must_use]
    pub fn from_naive_utc(text: &str) -> Option<Self> {
        let timestamp = text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
        i64::try_from(timestamp.as_nanosecond()).ok().and_then(Self::checked)
    }

    /// The first whole second at or after the moment. A step covers `(end - 600 s, end]`, so rounding up never moves a
    /// row into an earlier step.
    #[must_use]
    pub fn second(self) -> i64 {
        self.0.div_euclid(NANOS) + i64::from(self.0.rem_euclid(NANOS) != 0)
    }

    /// The moment `seconds` after this one; none beyond what a moment can be.
    #[must_use]
    pub fn later(self, seconds: i64) -> Option<Self> {
        seconds.checked_mul(NANOS).and_then(|nanos| self.0.checked_add(nanos)).and_then(Self::checked)
    }

    fn checked(nanos: i64) -> Option<Self> {
        (0..=SECONDS_MAX * NANOS).contains(&nanos).then_some(Self(nanos))
    }

    /// `None`: not a decimal number; `Some(None)`: one that is out of range. Exact, where a float would lose the order
    /// of rows within a microsecond.
    fn parse_decimal(text: &str) -> Option<Option<Self>> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.strip_prefix('-').is_some_and(|rest| !rest.is_empty() && digits(rest) && digits(fraction)) {
            return Some(None);
        }
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            // `1.7e9` is what some programs make of seconds; `nan` and `inf` are not moments.
            let scientific = text.contains(['e', 'E']) && text.starts_with(|first: char| first.is_ascii_digit());
            return scientific.then(|| text.parse().ok()).flatten().map(Self::from_seconds);
        }
        let Ok(seconds) = whole.parse::<i64>() else { return Some(None) };
        let mut nanos = 0;
        for place in 0..9 {
            nanos = nanos * 10 + i64::from(fraction.as_bytes().get(place).map_or(0, |byte| byte - b'0'));
        }
        Some(seconds.checked_mul(NANOS).and_then(|whole| whole.checked_add(nanos)).and_then(Self::checked))
    }
}

/// Writes whole seconds as RFC 3339 UTC (`2026-01-01T00:10:00Z`), the form of every file written here.
#[must_use]
pub fn rfc3339(at: i64) -> String {
    Timestamp::from_second(at).map_or_else(|_| at.to_string(), |timestamp| timestamp.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_and_unix_seconds_name_the_same_moment() {
        let expected = Moment::parse("1769848200").unwrap();
        for text in ["2026-01-31T08:30:00Z", "2026-01-31 08:30:00+00:00", "2026-01-31T09:30:00+01:00", "1769848200.0"] {
            assert_eq!(Moment::parse(text), Ok(expected), "{text}");
        }
        assert_eq!(rfc3339(expected.second()), "2026-01-31T08:30:00Z");
    }

    #[test]
    fn a_fraction_rounds_up_so_that_no_row_enters_an_earlier_step() {
        assert_eq!(Moment::parse("600.000001").unwrap().second(), 601);
        assert_eq!(Moment::parse("600").unwrap().second(), 600);
        assert_eq!(Moment::parse("1970-01-01T00:09:59.5Z").unwrap().second(), 600);
    }

    #[test]
    fn home_assistants_float_seconds_keep_their_microseconds() {
        assert_eq!(Moment::from_seconds(1_769_848_200.123_456), Moment::parse("1769848200.123456").ok());
        assert_eq!(Moment::from_seconds(f64::NAN), None);
    }

    #[test]
    fn every_fault_says_what_to_write_instead() {
        let text = |input| Moment::parse(input).unwrap_err().to_string();
        assert_eq!(text(" "), "the timestamp is empty");
        assert_eq!(
            text("2026-01-31 08:30:00"),
            "the timestamp `2026-01-31 08:30:00` has no offset; write Z for UTC or an offset such as +01:00 behind it"
        );
        assert_eq!(
            text("yesterday"),
            "the timestamp `yesterday` is neither RFC 3339 nor Unix seconds; write 2026-01-31T08:30:00Z or 1769848200, \
             with or without a fraction"
        );
        assert_eq!(
            text("1769848200000"),
            "the timestamp `1769848200000` lies outside the years 1970 to 2200; Unix times are in seconds (divide \
             milliseconds by 1000)"
        );
        assert!(matches!(Moment::parse("-5"), Err(MomentError::OutOfRange(_))));
        assert!(matches!(Moment::parse("nan"), Err(MomentError::Unreadable(_))));
    }
}
