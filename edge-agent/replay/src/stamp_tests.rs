//! Times in every form that is read.

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
fn words_for_an_offset_and_names_of_months_are_read() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let expected = Moment::parse("2026-09-13T18:30:00Z");
    for text in [
        "2026-09-13 18:30:00 UTC",
        "13.09.2026 20:30:00 CEST",
        "2026-09-13 19:30 CET",
        "13.09.2026 18:30Z",
        "13. Sep. 2026 20:30:00",
        "13. September 2026, 20:30 Uhr",
        "Sep 13, 2026 8:30:00 PM",
        "Sun, 13 Sep 2026 20:30",
        "46278.854166667",
        "46278,854166667",
    ] {
        assert_eq!(read(text, &zone, DayOrder::DayFirst), expected, "{text}");
    }
    assert_eq!(read("3. Mai 2026", &TimeZone::UTC, DayOrder::DayFirst), Moment::parse("2026-05-03T00:00:00Z"));
    assert!(read("13. Nonsense 2026 20:30", &zone, DayOrder::DayFirst).is_err());
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
