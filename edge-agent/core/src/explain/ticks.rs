//! Where the axes are marked: round numbers, round local times.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Distances between marks of time, in hours.
const HOURS: [i64; 9] = [1, 2, 3, 6, 12, 24, 48, 96, 192];

/// Round numbers within `low..=high`, about `count` of them, and how many decimals tell them apart.
pub(super) fn numbers(low: f64, high: f64, count: usize) -> (Vec<f64>, usize) {
    let span = high - low;
    if !span.is_finite() || span <= 0.0 {
        return (vec![low], 1);
    }
    let rough = span / count.max(1) as f64;
    let magnitude = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * magnitude);
    let decimals = if step >= 1.0 { 0 } else { (-step.log10().floor()).clamp(0.0, 9.0) as usize };
    let first = (low / step).ceil();
    let marks = (0..=2 * count).map(|mark| (first + mark as f64) * step).take_while(|mark| *mark <= high + step * 1e-9);
    // −0 would be written with its sign.
    (marks.map(|mark| if mark.abs() < step * 1e-9 { 0.0 } else { mark }).collect(), decimals)
}

/// A mark on the time axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TimeMark {
    /// Unix seconds.
    pub at: i64,
    /// `14:00`, or the day where a day begins.
    pub label: String,
    /// Whether it is midnight in the home's time zone.
    pub midnight: bool,
}

/// Round local times within `from..=to`, at most `count` of them.
pub(super) fn times(from: i64, to: i64, timezone: &TimeZone, count: i64) -> Vec<TimeMark> {
    let hours = HOURS.into_iter().find(|hours| (to - from) / (hours * 3_600) <= count).unwrap_or(384);
    let Ok(first) = Timestamp::from_second(from) else { return Vec::new() };
    let Ok(mut mark) = first.to_zoned(timezone.clone()).start_of_day() else { return Vec::new() };
    let mut marks = Vec::new();
    // From the local midnight before `from`: so marks stay on round local hours through a change of clocks.
    let day = mark.date();
    for index in 0.. {
        let hour = index * hours;
        let Some(next) = i32::try_from(hour / 24)
            .ok()
            .and_then(|days| day.checked_add(jiff::Span::new().days(days)).ok())
            .and_then(|date| date.at((hour % 24) as i8, 0, 0, 0).to_zoned(timezone.clone()).ok())
        else {
            break;
        };
        mark = next;
        let at = mark.timestamp().as_second();
        if at > to {
            break;
        }
        if at >= from {
            let midnight = mark.hour() == 0;
            let label = mark.strftime(if midnight { "%a %-d" } else { "%H:%M" }).to_string();
            marks.push(TimeMark { at, label, midnight });
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_round_and_written_with_as_many_decimals_as_they_need() {
        assert_eq!(numbers(18.2, 24.9, 4), (vec![20.0, 22.0, 24.0], 0));
        assert_eq!(numbers(-0.2, 0.9, 4), (vec![0.0, 0.5], 1));
        assert_eq!(numbers(3.0, 3.0, 4), (vec![3.0], 1));
    }

    #[test]
    fn times_stay_on_round_local_hours_through_a_change_of_clocks() {
        let zone = TimeZone::get("Europe/London").unwrap();
        let from = 1_774_710_000; // 2026-03-28T15:00:00Z; the clocks go forward the night after.
        let labels: Vec<String> = times(from, from + 86_400, &zone, 5).into_iter().map(|mark| mark.label).collect();
        assert_eq!(labels, ["18:00", "Sun 29", "06:00", "12:00"]);
    }
}
