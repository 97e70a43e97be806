//! Numbers, times and kinds of anomaly in words, as the page shows them.

use hearthwatch_detector::alarm::{RememberedAnswer, Verdict};
use hearthwatch_detector::finding::AnomalyKind;
use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_detector::unit::{self, DisplayUnit};
use hearthwatch_edge_core::alarm::StoredAlarm;
use hearthwatch_edge_core::explain;
use hearthwatch_edge_detection::service::{LookBack, unusual_percent};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `at` in the home's time, by jiff's `strftime` letters.
pub(super) fn local(at: i64, timezone: &TimeZone, format: &str) -> String {
    Timestamp::from_second(at)
        .map_or_else(|_| at.to_string(), |at| at.to_zoned(timezone.clone()).strftime(format).to_string())
}

/// The day and the time of day.
pub(super) fn moment(at: i64, timezone: &TimeZone) -> String {
    local(at, timezone, "%a %-d %b, %H:%M")
}

/// RFC 3339, for `<time datetime>`.
pub(super) fn machine(at: i64) -> String {
    Timestamp::from_second(at).map_or_else(|_| String::new(), |at| at.to_string())
}

/// Three significant digits, and no more than a household sensor can mean.
pub(super) fn number(value: f32) -> String {
    trimmed(unit::number(value))
}

fn trimmed(text: String) -> String {
    let is_plain = text.contains('.') && !text.contains('e');
    if is_plain { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A value of an entity with its unit; of two states, the one that it is in.
pub(super) fn value(info: &EntityInfo, value: Option<f32>) -> String {
    match value.filter(|value| value.is_finite()) {
        None => "–".to_owned(),
        Some(share) if info.class.is_binary() => {
            let (off, on) = explain::state_words(info.class);
            if share >= 0.5 { on } else { off }.to_owned()
        }
        Some(number_of) => {
            let unit = DisplayUnit::of(info.class, &info.shown_unit());
            named(&number(unit.convert(number_of)), &unit)
        }
    }
}

/// What is usual: both ends of a range, the unit once.
pub(super) fn range(info: &EntityInfo, low: f32, high: f32) -> String {
    let unit = DisplayUnit::of(info.class, &info.shown_unit());
    let [low, high] = unit::numbers([low, high].map(|value| unit.convert(value))).map(trimmed);
    format!("{low} to {}", named(&high, &unit))
}

fn named(number: &str, unit: &DisplayUnit) -> String {
    let joint = if unit.name.is_empty() || unit.name == "%" { "" } else { "\u{a0}" };
    format!("{number}{joint}{}", unit.name)
}

/// For example `1.2 KiB`.
pub(super) fn bytes(count: usize) -> String {
    if count < 1024 {
        return format!("{count} bytes");
    }
    #[expect(clippy::cast_precision_loss, reason = "some kilobytes")]
    let kilo = count as f64 / 1024.0;
    format!("{kilo:.1} KiB")
}

/// A rate without needless zeros.
pub(super) fn rate(per_week: f64) -> String {
    let text = format!("{per_week:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `1 alarm a week`, `0.5 alarms a week`.
pub(super) fn alarms_a_week(per_week: f64) -> String {
    let rate = rate(per_week);
    let alarms = if rate == "1" { "alarm" } else { "alarms" };
    format!("{rate} {alarms} a week")
}

/// `1 alarm`, `2 alarms`.
pub(super) fn count(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// An alarm's reason under its entity's name.
pub(super) fn reason(alarm: &StoredAlarm) -> String {
    if alarm.alarm.kind == AnomalyKind::Physics {
        return impossible(alarm);
    }
    match alarm.alarm.reason.strip_prefix(&alarm.entity_id) {
        Some(rest) => format!("It{rest}"),
        None => alarm.alarm.reason.clone(),
    }
}

/// A value that cannot be, with what can.
fn impossible(alarm: &StoredAlarm) -> String {
    let info = EntityInfo { entity_id: alarm.entity_id.clone(), class: alarm.class, unit: alarm.unit.clone() };
    #[expect(clippy::cast_possible_truncation, reason = "limits have few digits")]
    let limits = info
        .possible()
        .map_or_else(String::new, |(low, high)| format!(": {} is possible", range(&info, low as f32, high as f32)));
    let value = value(&info, alarm.alarm.observed);
    format!("It reports {value}, which cannot be{limits}. The sensor is broken or badly connected.")
}

/// An answer, as the resident gave it.
pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Confirmed => "Real",
        Verdict::Dismissed => "False alarm",
        Verdict::Expected => "Expected",
    }
}

/// An answer to an alarm of this kind: who expects a detector to warn tries it out.
pub(super) fn verdict_on(kind: AnomalyKind, given: Verdict) -> &'static str {
    if kind == AnomalyKind::Alert && given == Verdict::Expected { "It was a test" } else { verdict(given) }
}

/// What an answer changed, in one sentence.
pub(super) fn effect(answer: &RememberedAnswer) -> String {
    let way = match answer.context.direction {
        1 => "above what is usual",
        -1 => "below what is usual",
        _ => manner(answer.context.kind),
    };
    match answer.verdict {
        Verdict::Confirmed => format!("Never quietened: {way}, at any hour."),
        Verdict::Expected => "Taught nothing, as you wished.".to_owned(),
        Verdict::Dismissed => {
            // The hour lies in [0, 24).
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes of a day")]
            let minutes = (answer.context.hour * 60.0).round() as u32 % 1440;
            let (hour, minute) = (minutes / 60, minutes % 60);
            match answer.context.kind {
                kind if kind.is_rule() => format!("Quieter: {way}, at any hour."),
                _ => format!("Quieter: {way}, around {hour:02}:{minute:02}. Something plainly bigger still speaks."),
            }
        }
    }
}

/// What came of the look back at a declared miss.
pub(super) fn look_back(look: LookBack) -> String {
    match look {
        LookBack::Underway => "what was seen then is being looked up".to_owned(),
        LookBack::Nothing => "too little is remembered of that time to say what was seen".to_owned(),
        LookBack::Seen { score: None, .. } => "nothing was judged then".to_owned(),
        LookBack::Seen { score: Some(score), threshold } => {
            format!("seen then: {:.0} of 100 unusual; what is told begins at 50", unusual_percent(score, threshold))
        }
    }
}

pub(super) fn manner(kind: AnomalyKind) -> &'static str {
    match kind {
        AnomalyKind::Level => "an unusual value",
        AnomalyKind::Change => "a sudden move",
        AnomalyKind::Noise => "restlessness",
        AnomalyKind::Peers => "out of step with the others",
        AnomalyKind::Flat => "a value that does not move",
        AnomalyKind::Silent => "silence",
        AnomalyKind::Physics => "an impossible value",
        AnomalyKind::TimeInState => "on or off for long",
        AnomalyKind::Rate => "switching often",
        AnomalyKind::Habit => "a habit that was broken",
        AnomalyKind::Alert => "a warning sensor that warns",
        AnomalyKind::Pattern => "an unusual pattern",
        AnomalyKind::Running => "on for longer than ever",
        AnomalyKind::Stopped => "an appliance that does not start",
        AnomalyKind::Leak => "water that never stops",
        AnomalyKind::Burst => "an hour of very much water",
        AnomalyKind::Warm => "a freezer or fridge that gets warm",
        AnomalyKind::Battery => "a battery that runs out",
        AnomalyKind::FewReports => "ever fewer reports",
        AnomalyKind::Production => "too little solar power",
        AnomalyKind::QuietHour => "activity at an unusual hour",
        AnomalyKind::Damp => "a room that stays damp",
        AnomalyKind::Cold => "a room that gets cold though heating runs",
        AnomalyKind::Beyond => "far more than ever",
        AnomalyKind::Offline => "many sensors unavailable together",
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_detector::alarm::Alarm;
    use hearthwatch_detector::class::DeviceClass;
    use hearthwatch_edge_core::fixtures;

    use super::*;

    #[test]
    fn numbers_say_no_more_than_a_sensor_means() {
        assert_eq!(
            ["21.5", "0.25", "1234", "-3", "0"],
            [21.52, 0.25, 1234.4, -3.0, 0.0].map(number).each_ref().map(String::as_str)
        );
    }

    #[test]
    fn a_value_comes_with_its_unit_or_as_its_state() {
        let (warm, door) =
            (fixtures::thermometer("sensor.t"), fixtures::info("binary_sensor.d", DeviceClass::Door, ""));
        assert_eq!(value(&warm, Some(21.52)), "21.5\u{a0}°C");
        assert_eq!((value(&door, Some(1.0)), value(&door, None)), ("open".to_owned(), "–".to_owned()));
    }

    #[test]
    fn an_impossible_value_is_told_with_what_can_be() {
        let of = |class, unit: &str, observed| {
            let alarm = Alarm { kind: AnomalyKind::Physics, observed: Some(observed), ..fixtures::alarm("1", 600) };
            reason(&fixtures::stored(alarm, &fixtures::info("sensor.t", class, unit)))
        };
        assert_eq!(
            of(DeviceClass::Humidity, "%", 140.0),
            "It reports 140%, which cannot be: 0 to 100% is possible. The sensor is broken or badly connected."
        );
        assert_eq!(
            of(DeviceClass::Temperature, "°C", 230.0),
            "It reports 230\u{a0}°C, which cannot be: -60 to 150\u{a0}°C is possible. The sensor is broken or badly connected."
        );
    }

    #[test]
    fn what_was_seen_at_a_miss_is_told_on_the_scale_of_the_page() {
        let seen = |score| look_back(LookBack::Seen { score, threshold: 3.0 });
        assert_eq!(seen(Some(3.0)), "seen then: 50 of 100 unusual; what is told begins at 50");
        assert_eq!(seen(None), "nothing was judged then");
    }
}
