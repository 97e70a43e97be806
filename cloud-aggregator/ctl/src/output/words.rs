//! Numbers and times as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A whole number with separators: `1,234,567`.
#[must_use]
pub fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// So many of them: `1 home`, `2 homes`.
#[must_use]
pub fn many(number: i64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", count(number))
}

/// A number with a fraction, with as many digits as say something: `0.667`, `12.5`, `0.00001`.
#[must_use]
pub fn figure(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e9).contains(&number.abs()) {
        return format!("{number:.2e}");
    }
    let text = if number.abs() < 0.1 { format!("{number:.5}") } else { format!("{number:.3}") };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A share as a percentage: `35 %`; of nothing, `-`.
#[must_use]
pub fn percent(part: u64, all: u64) -> String {
    if all == 0 { "-".to_owned() } else { format!("{:.0} %", 100.0 * part as f64 / all as f64) }
}

/// How long, in its largest unit that says something: `40 s`, `5 min`, `3 h`, `12 d`, `4 months`, `2 years`.
#[must_use]
pub fn duration(seconds: i64) -> String {
    let seconds = seconds.unsigned_abs();
    match seconds {
        0..=89 => format!("{seconds} s"),
        90..=5_399 => format!("{} min", seconds / 60),
        5_400..=129_599 => format!("{} h", seconds / 3_600),
        129_600..=5_183_999 => format!("{} d", seconds / 86_400),
        5_184_000..=63_071_999 => format!("{} months", seconds / 2_592_000),
        _ => format!("{} years", seconds / 31_536_000),
    }
}

/// A time against now: `5 min ago`, `in 3 d`.
#[must_use]
pub fn relative(at: i64, now: i64) -> String {
    match now.saturating_sub(at) {
        0 => "now".to_owned(),
        past if past > 0 => format!("{} ago", duration(past)),
        future => format!("in {}", duration(future)),
    }
}

/// A time of the zone: `2026-12-01 09:01`; the number itself where no calendar reaches.
#[must_use]
pub fn local(at: i64, zone: &TimeZone) -> String {
    match Timestamp::from_second(at) {
        Ok(time) => time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => at.to_string(),
    }
}

/// Both: `2026-12-01 09:01 (5 min ago)`.
#[must_use]
pub fn time(at: i64, now: i64, zone: &TimeZone) -> String {
    format!("{} ({})", local(at, zone), relative(at, now))
}

/// Text of others, so that nothing in it steers the terminal: control characters and those that turn the direction of writing are shown
/// by their numbers.
#[must_use]
pub fn clean(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(steers) {
        return text.to_owned();
    }
    text.chars().map(|c| if steers(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators_and_no_more_digits_than_they_say() {
        assert_eq!([0, 999, 1_000, -1_234_567].map(count), ["0", "999", "1,000", "-1,234,567"]);
        assert_eq!([0.0, 0.6666, 12.5, 0.00001, 3e12].map(figure), ["0", "0.667", "12.5", "1.00e-5", "3.00e12"]);
        assert_eq!((many(1, "home"), many(2_000, "home")), ("1 home".to_owned(), "2,000 homes".to_owned()));
        assert_eq!((percent(1, 3), percent(0, 0)), ("33 %".to_owned(), "-".to_owned()));
    }

    #[test]
    fn a_time_is_told_on_the_readers_clock_and_against_now() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(time(1_796_115_600, 1_796_115_900, &zone), "2026-12-01 11:00 (5 min ago)");
        let cases = [(0, "now"), (40, "40 s ago"), (7_200, "2 h ago"), (200_000, "2 d ago"), (-300, "in 5 min")];
        for (past, words) in cases {
            assert_eq!(relative(1_000_000 - past, 1_000_000), words);
        }
        assert_eq!(relative(0, 86_400 * 365 * 3), "3 years ago");
        assert_eq!(local(i64::MAX, &TimeZone::UTC), i64::MAX.to_string());
    }

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\u{202e}"), "a\\u{1b}[2Jb\\u{202e}");
        assert_eq!(clean("größer"), "größer");
    }
}
