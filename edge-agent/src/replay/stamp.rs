//! Times as people's files write them: besides RFC 3339 and Unix seconds also milliseconds to nanoseconds, times without
//! an offset, and days before months.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::moment::{Moment, MomentError};

/// Whole Unix times from here on are milliseconds, then microseconds, then nanoseconds: as seconds these are the years
/// after 5138.
const UNITS: [(u128, u32); 3] = [(100_000_000_000_000_000, 9), (100_000_000_000_000, 6), (100_000_000_000, 3)];

/// Reads `text`; a time without an offset is of `zone`. Days with points are `31.01.2026`, as statistics are written by
/// Home Assistant's tools; a comma before the fraction of a second is a point.
///
/// # Errors
/// [`MomentError`], whose text says what to write instead.
pub fn read(text: &str, zone: &TimeZone) -> Result<Moment, MomentError> {
    let text = text.trim();
    if text.len() > 11 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return scaled(text).ok_or_else(|| MomentError::OutOfRange(text.to_owned()));
    }
    let error = match Moment::parse(text) {
        Ok(moment) => return Ok(moment),
        Err(error) => error,
    };
    if let MomentError::Unreadable(_) = error
        && text.matches(',').count() == 1
        && let Ok(moment) = Moment::parse(&text.replace(',', "."))
    {
        return Ok(moment);
    }
    let civil = match error {
        MomentError::NoOffset(_) => text.parse::<DateTime>().ok(),
        MomentError::Unreadable(_) => day_first(text),
        _ => None,
    };
    let Some(civil) = civil else { return Err(error) };
    // An hour that the clocks skipped or told twice is taken as clocks show it first.
    let Ok(zoned) = civil.to_zoned(zone.clone()) else { return Err(error) };
    Moment::parse(&zoned.timestamp().to_string())
}

/// Digits that are too many for seconds.
fn scaled(digits: &str) -> Option<Moment> {
    let number: u128 = digits.parse().ok()?;
    let places = UNITS.iter().find(|(from, _)| number >= *from)?.1;
    let unit = 10_u128.pow(places);
    Moment::parse(&format!("{}.{:0width$}", number / unit, number % unit, width = places as usize)).ok()
}

/// `31.01.2026 08:30` or `31.01.2026 08:30:15`, and the same without a time.
fn day_first(text: &str) -> Option<DateTime> {
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00"));
    let mut parts = date.split('.');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    let date = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
    let time: Time = time.trim().parse().ok()?;
    Some(date.to_datetime(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_may_be_milliseconds_to_nanoseconds() {
        let expected = Moment::parse("1769848200.5");
        for text in ["1769848200500", "1769848200500000", "1769848200500000000", "1769848200,5"] {
            assert_eq!(read(text, &TimeZone::UTC), expected, "{text}");
        }
    }

    #[test]
    fn a_time_without_an_offset_is_of_the_homes_zone() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for text in ["31.01.2026 09:30", "31.01.2026 09:30:00", "2026-01-31 09:30:00", "2026-01-31T08:30:00Z"] {
            assert_eq!(read(text, &zone), Moment::parse("1769848200"), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_to_write() {
        assert_eq!(read("32.01.2026 09:30", &TimeZone::UTC), Err(MomentError::Unreadable("32.01.2026 09:30".into())));
        assert_eq!(read("", &TimeZone::UTC), Err(MomentError::Empty));
        assert_eq!(
            read("99999999999999999999999", &TimeZone::UTC),
            Err(MomentError::OutOfRange("99999999999999999999999".into()))
        );
    }
}
