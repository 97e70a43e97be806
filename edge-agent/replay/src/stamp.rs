//! Times as people's files write them: besides RFC 3339 and Unix seconds also milliseconds to nanoseconds, times without
//! an offset, and days before months.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::moment::{Moment, MomentError};

/// Whole Unix times from here on are milliseconds, then microseconds, then nanoseconds: as seconds these are the years
/// after 5138.
const UNITS: [(u128, u32); 3] = [(100_000_000_000_000_000, 9), (100_000_000_000_000, 6), (100_000_000_000, 3)];

/// A time as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// With an offset, or in Unix time.
    At(Moment),
    /// Without an offset: the time that clocks showed somewhere.
    Clock(DateTime),
}

/// Reads `text`; a time without an offset is of `zone`, and an hour that its clocks show twice is the first of the two.
///
/// # Errors
/// [`MomentError`], whose text says what to write instead.
pub fn read(text: &str, zone: &TimeZone, order: DayOrder) -> Result<Moment, MomentError> {
    match parse(text, order)? {
        Stamp::At(moment) => Ok(moment),
        Stamp::Clock(civil) => in_zone(civil, zone).ok_or_else(|| MomentError::OutOfRange(text.trim().to_owned())),
    }
}

/// When the clocks of `zone` showed `civil` first. An hour that they skipped is the one after it.
#[must_use]
pub fn in_zone(civil: DateTime, zone: &TimeZone) -> Option<Moment> {
    Moment::parse(&civil.to_zoned(zone.clone()).ok()?.timestamp().to_string()).ok()
}

/// Reads `text`. Days with points are `31.01.2026`, as statistics are written by Home Assistant's tools; a comma before the
/// fraction of a second is a point; a number of the size of a spreadsheet's days is one. `order` separates the day from the
/// month where the date itself does not.
///
/// # Errors
/// [`MomentError`], whose text says what to write instead.
pub fn parse(text: &str, order: DayOrder) -> Result<Stamp, MomentError> {
    let text = text.trim();
    if text.len() > 11 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return scaled(text).map(Stamp::At).ok_or_else(|| MomentError::OutOfRange(text.to_owned()));
    }
    if let Some(civil) = spreadsheet_day(text) {
        return Ok(Stamp::Clock(civil));
    }
    let error = match Moment::parse(text) {
        Ok(moment) => return Ok(Stamp::At(moment)),
        Err(error) => error,
    };
    match error {
        MomentError::NoOffset(_) => text.parse().map(Stamp::Clock).map_err(|_| error),
        MomentError::Unreadable(_) => {
            if text.matches(',').count() == 1
                && let Ok(moment) = Moment::parse(&text.replace(',', "."))
            {
                return Ok(Stamp::At(moment));
            }
            if let Some((clock, offset)) = zone_word(text) {
                let Ok(Stamp::Clock(civil)) = parse(clock, order) else { return Err(error) };
                let moment = Moment::parse(&format!("{civil}{offset}"));
                return moment.map(Stamp::At).map_err(|_| error);
            }
            written(text, order).or_else(|| with_month_name(text)).map(Stamp::Clock).ok_or(error)
        }
        _ => Err(error),
    }
}

/// The note on times that were taken as those of `zone`.
#[must_use]
pub fn home_note(example: &str, zone: &TimeZone) -> String {
    let zone = zone.iana_name().unwrap_or("UTC");
    format!(
        "times without an offset (`{example}`) were taken as {zone}; name another place with --timezone, or write the offset behind \
         the times"
    )
}

/// The note on times that were taken as UTC because of their column.
#[must_use]
pub fn utc_note(example: &str) -> String {
    format!(
        "times without an offset (`{example}`) were taken as UTC, as Home Assistant's tables have them in columns of that name; call \
         the column `time` if they are of --timezone"
    )
}

/// Days since 1899-12-30 from 2005 to 2100: how spreadsheets keep times. As Unix seconds they would be the first hours of 1970.
const SPREADSHEET_DAYS: std::ops::Range<f64> = 38_353.0..73_051.0;

/// `46266.0833`: a spreadsheet's number of a time, which is the one that clocks showed.
fn spreadsheet_day(text: &str) -> Option<DateTime> {
    let decimal = text.replacen(',', ".", 1);
    let (whole, fraction) = decimal.split_once('.')?;
    if whole.len() != 5
        || fraction.is_empty()
        || !(whole.bytes().chain(fraction.bytes())).all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let days: f64 = decimal.parse().ok()?;
    // Whole seconds, as spreadsheets show them; far below 2⁵³.
    let seconds = SPREADSHEET_DAYS.contains(&days).then(|| (days * 86_400.0).round() as i64)?;
    Date::constant(1899, 12, 30)
        .to_datetime(Time::midnight())
        .checked_add(jiff::SignedDuration::from_secs(seconds))
        .ok()
}

/// Words for an offset. Of those that two countries share, the European one.
const ZONE_WORDS: [(&str, &str); 16] = [
    ("UTC", "Z"),
    ("GMT", "Z"),
    ("WET", "Z"),
    ("WEST", "+01:00"),
    ("BST", "+01:00"),
    ("CET", "+01:00"),
    ("MEZ", "+01:00"),
    ("CEST", "+02:00"),
    ("MESZ", "+02:00"),
    ("EET", "+02:00"),
    ("EEST", "+03:00"),
    ("EST", "-05:00"),
    ("EDT", "-04:00"),
    ("PST", "-08:00"),
    ("PDT", "-07:00"),
    ("Z", "Z"),
];

/// A time with a word for its offset behind it, parted.
fn zone_word(text: &str) -> Option<(&str, &'static str)> {
    let start = text.rfind(|letter: char| !letter.is_ascii_alphabetic())? + 1;
    let (clock, word) = (text.get(..start)?, text.get(start..)?);
    ZONE_WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, offset)| (clock.trim_end(), *offset))
}

/// Beginnings of the months' names in English, German, French and Dutch.
const MONTHS: [&[&str]; 12] = [
    &["jan", "jän"],
    &["feb", "fév", "fev"],
    &["mar", "mär", "maa", "mrt", "mrz"],
    &["apr", "avr"],
    &["may", "mai", "mei"],
    &["jun", "juin"],
    &["jul", "juil"],
    &["aug", "aoû", "aou"],
    &["sep"],
    &["oct", "okt"],
    &["nov"],
    &["dec", "dez", "déc"],
];

/// `13. Sep. 2026 20:30`, `Sep 13, 2026 8:30 PM`, `Sun, 13 September 2026 20:30`.
fn with_month_name(text: &str) -> Option<DateTime> {
    let small = text.to_lowercase();
    let words: Vec<&str> = small.split([' ', ',', '-', '/']).filter(|word| !word.is_empty()).collect();
    let month_of = |word: &str| {
        let word = word.trim_end_matches('.');
        let letters = word.chars().count() >= 3 && word.chars().all(char::is_alphabetic);
        MONTHS.iter().position(|names| letters && names.iter().any(|name| word.starts_with(name)))
    };
    let at = words.iter().position(|word| month_of(word).is_some())?;
    let month = i8::try_from(month_of(words[at])? + 1).ok()?;
    let number = |word: &str| word.trim_end_matches(['.', ',']).parse::<i16>().ok();
    // The day stands before the month, else behind it.
    let (day, behind) = match at.checked_sub(1).and_then(|before| number(words[before])) {
        Some(day) => (day, at + 1),
        None => (number(words.get(at + 1)?)?, at + 2),
    };
    let year = number(words.get(behind)?).filter(|year| *year >= 1970)?;
    let date = Date::new(year, month, i8::try_from(day).ok()?).ok()?;
    Some(date.to_datetime(clock(&words[behind + 1..].join(" "))?))
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
    /// The order that a date alone shows: one of its numbers is no month, or its time is of twelve hours. None where it shows none.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let (first, second) = small_numbers(text)?;
        match (first > 12, second > 12) {
            (true, false) => Some(Self::DayFirst),
            (false, true) => Some(Self::MonthFirst),
            _ => text.to_ascii_lowercase().ends_with('m').then_some(Self::MonthFirst),
        }
    }

    /// The usual order at the place of `zone`.
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

/// Whether a time is written as Home Assistant's tables hold it and as databases write it: the year first.
#[must_use]
pub fn is_of_a_table(text: &str) -> bool {
    text.trim().parse::<DateTime>().is_ok()
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
    let text = text.trim();
    let text = text.strip_suffix("Uhr").or_else(|| text.strip_suffix("uhr")).unwrap_or(text);
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
#[path = "stamp_tests.rs"]
mod tests;
