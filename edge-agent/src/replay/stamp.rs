//! Times as people's files write them: besides RFC 3339 and Unix seconds also milliseconds to nanoseconds, times without
//! an offset, and days before months.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::moment::{Moment, MomentError};

/// Whole Unix times from here on are milliseconds, then microseconds, then nanoseconds: as seconds these are the years
/// after 5138.
const UNITS: [(u128, u32); 3] = [(100_000_000_000_000_000, 9), (100_000_000_000_000, 6), (100_000_000_000, 3)];

/// Reads `text`; a time without an offset is of `zone`. Days with points are `31.01.2026`, as statistics are written by
/// Home Assistant's tools; a comma before the fraction of a second is a point. `order` tells the day from the month where the date itself
/// does not.
///
/// # Errors
/// [`MomentError`], whose text says what to write instead.
pub fn read(text: &str, zone: &TimeZone, order: DayOrder) -> Result<Moment, MomentError> {
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
        MomentError::Unreadable(_) => written(text, order),
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

/// Which of two small numbers of a date is the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayOrder {
    /// `31/01/2026`.
    DayFirst,
    /// `01/31/2026`.
    MonthFirst,
}

impl DayOrder {
    /// What a date by itself says: one of its numbers is no month, or its time is of twelve hours. None where it says nothing.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let (first, second) = small_numbers(text)?;
        match (first > 12, second > 12) {
            (true, false) => Some(Self::DayFirst),
            (false, true) => Some(Self::MonthFirst),
            _ => text.to_ascii_lowercase().ends_with('m').then_some(Self::MonthFirst),
        }
    }

    /// What people of a place write.
    #[must_use]
    pub fn usual_in(zone: &TimeZone) -> Self {
        let american = zone.iana_name().is_some_and(|name| name.starts_with("America/") || name.starts_with("US/"));
        if american { Self::MonthFirst } else { Self::DayFirst }
    }
}

/// The first two numbers of a date whose year stands last and that are parted by strokes.
fn small_numbers(text: &str) -> Option<(u8, u8)> {
    let mut parts = text.trim().split(['/', '-']);
    let (first, second, year) = (parts.next()?, parts.next()?, parts.next()?);
    let year: String = year.chars().take_while(char::is_ascii_digit).collect();
    (year.len() == 4 || year.len() == 2).then_some(())?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

/// Whether a time is written as Home Assistant's tables hold it, in UTC: `2026-01-31 08:30:00.123456`. Spreadsheets write no fractions.
#[must_use]
pub fn is_of_a_table(text: &str) -> bool {
    text.parse::<DateTime>().is_ok() && text.contains('.')
}

/// Whether a date needs a [`DayOrder`] to be read.
#[must_use]
pub fn is_ambiguous(text: &str) -> bool {
    small_numbers(text).is_some() && DayOrder::of(text).is_none()
}

/// `31.01.2026 08:30`, `31/01/2026, 08:30:15`, `1/31/2026 8:30 PM`, `2026/01/31`, and years of two digits.
fn written(text: &str, order: DayOrder) -> Option<DateTime> {
    let (date, time) = match text.find([' ', 'T', ',']) {
        Some(at) => (&text[..at], text[at + 1..].trim_start_matches([' ', ','])),
        None => (text, ""),
    };
    let separator = date.chars().find(|letter| !letter.is_ascii_digit()).filter(|letter| "./-".contains(*letter))?;
    let parts: Vec<&str> = date.split(separator).collect();
    let [first, second, third] = parts[..] else { return None };
    let number = |part: &str| part.parse::<i16>().ok().filter(|_| part.len() <= 4);
    let (year, month, day) = if first.len() == 4 {
        (number(first)?, number(second)?, number(third)?)
    } else {
        let year = match third.len() {
            2 => 2000 + number(third)?,
            4 => number(third)?,
            _ => return None,
        };
        let order = if separator == '.' { DayOrder::DayFirst } else { DayOrder::of(text).unwrap_or(order) };
        match order {
            DayOrder::DayFirst => (year, number(second)?, number(first)?),
            DayOrder::MonthFirst => (year, number(first)?, number(second)?),
        }
    };
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    Some(date.to_datetime(clock(time)?))
}

/// `8:30`, `08:30:15.5`, `8:30 PM`; midnight where nothing is written.
fn clock(text: &str) -> Option<Time> {
    let lower = text.trim().to_ascii_lowercase().replace('.', ":");
    if lower.is_empty() {
        return Some(Time::midnight());
    }
    let (digits, half) = match (lower.strip_suffix("am"), lower.strip_suffix("pm")) {
        (Some(digits), _) => (digits.trim(), Some(0)),
        (_, Some(digits)) => (digits.trim(), Some(12)),
        _ => (lower.as_str(), None),
    };
    let mut parts = digits.split(':').map(|part| part.parse::<i8>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    let hour = match half {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        Some(_) => return None,
        None => hour,
    };
    Time::new(hour, minute, second, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_may_be_milliseconds_to_nanoseconds() {
        let expected = Moment::parse("1769848200.5");
        for text in ["1769848200500", "1769848200500000", "1769848200500000000", "1769848200,5"] {
            assert_eq!(read(text, &TimeZone::UTC, DayOrder::DayFirst), expected, "{text}");
        }
    }

    #[test]
    fn a_time_without_an_offset_is_of_the_homes_zone() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for text in ["31.01.2026 09:30", "31.01.2026 09:30:00", "2026-01-31 09:30:00", "2026-01-31T08:30:00Z"] {
            assert_eq!(read(text, &zone, DayOrder::DayFirst), Moment::parse("1769848200"), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_to_write() {
        assert_eq!(
            read("32.01.2026 09:30", &TimeZone::UTC, DayOrder::DayFirst),
            Err(MomentError::Unreadable("32.01.2026 09:30".into()))
        );
        assert_eq!(read("", &TimeZone::UTC, DayOrder::DayFirst), Err(MomentError::Empty));
        assert_eq!(
            read("99999999999999999999999", &TimeZone::UTC, DayOrder::DayFirst),
            Err(MomentError::OutOfRange("99999999999999999999999".into()))
        );
    }

    #[test]
    fn dates_as_spreadsheets_write_them_are_read_in_the_order_that_they_show() {
        let eight = Moment::parse("2026-10-13T20:30:00Z");
        let read_in = |text: &str, order| read(text, &TimeZone::UTC, order);
        for text in [
            "13/10/2026 20:30",
            "10/13/2026 8:30 PM",
            "13-10-2026 20:30:00",
            "2026/10/13 20:30",
            "13.10.26 20:30",
            "13.10.2026, 20:30",
        ] {
            for order in [DayOrder::DayFirst, DayOrder::MonthFirst] {
                assert_eq!(read_in(text, order), eight, "{text}");
            }
        }
        assert_eq!(read_in("09/10/2026 00:00", DayOrder::DayFirst), Moment::parse("2026-10-09T00:00:00Z"));
        assert_eq!(read_in("09/10/2026 12:00 AM", DayOrder::MonthFirst), Moment::parse("2026-09-10T00:00:00Z"));
        assert!(is_ambiguous("09/10/2026 05:00") && !is_ambiguous("13/10/2026") && !is_ambiguous("2026-01-02"));
        assert!(read_in("13/13/2026", DayOrder::DayFirst).is_err());
    }
}
