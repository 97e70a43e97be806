//! An alarm in a resident's language: what and where, since when, observed against expected, how unusual, what else.

use hearthwatch_detector::alarm::{Alarm, Cause, Verdict};
use hearthwatch_detector::finding::AnomalyKind;
use hearthwatch_detector::unit::{DisplayUnit, number, numbers};
use jiff::tz::TimeZone;

use super::words::local;
use super::{Language, danger, finding};
use crate::alarm::Precedent;
use crate::alarm::StoredAlarm;

/// Up to so many times rarer than what raises an alarm, something is a little unusual.
const LITTLE: f32 = 1.5;
/// Up to so many times rarer, it is clearly unusual.
const CLEARLY: f32 = 10.0;
/// Up to so many times rarer, it is very unusual; beyond, nothing like it was seen: ten years of weeks.
const FAR: f32 = 520.0;

/// The text of an alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// A heading: the name of the entity, and in what way it is unusual.
    pub title: String,
    /// Two or three sentences, in the residents' language.
    pub message: String,
    /// How often something as unusual is expected; empty where the message says what is usual.
    pub how_unusual: String,
}

/// The text of `shown` in `language`; times are in `timezone`, the home's.
#[must_use]
pub fn sentence(shown: &StoredAlarm, timezone: &TimeZone, language: Language) -> Sentence {
    let alarm = &shown.alarm;
    let title = title(shown, language);
    let how_unusual = how_unusual(shown, language);
    let since = local(alarm.start, timezone, "%H:%M");
    let mut parts = if alarm.kind.is_danger() {
        vec![danger::message(shown, timezone, language)]
    } else {
        // A rule says in its own sentence what is usual.
        let comma = if how_unusual.is_empty() { "" } else { "; " };
        vec![what(shown, language), format!("{} {since}{comma}{how_unusual}.", language.pick("Since", "Sinds"))]
    };
    if !shown.moved_with.is_empty() {
        let also = language.pick("Also unusual", "Ook ongewoon");
        parts.push(format!("{also}: {}.", shown.moved_with.join(", ")));
    }
    parts.extend(common_cause(shown, language));
    parts.extend(shown.precedent.as_ref().map(|before| precedent(before, timezone, language)));
    if shown.asks {
        parts.push(language.pick("Was this real?", "Was dit echt?").to_owned());
    }
    Sentence { title, message: parts.join(" "), how_unusual }
}

/// A heading, for example `Freezer (Cellar): unusual value`. An area that the name contains is not repeated.
#[must_use]
pub fn title(shown: &StoredAlarm, language: Language) -> String {
    let (name, kind) = (shown.place.name_of(&shown.entity_id), shown.alarm.kind);
    let is_open = kind == AnomalyKind::Running && shown.class.opens();
    let manner = if is_open { language.pick("still open", "nog steeds open") } else { language.kind(kind) };
    match &shown.place.area {
        _ if kind.is_danger() => danger::title(shown, language),
        Some(area) if !name.to_lowercase().contains(&area.to_lowercase()) => {
            format!("{name} ({area}): {manner}")
        }
        _ => format!("{name}: {manner}"),
    }
}

/// A heading for an entity that still warns of danger after its alarm was answered as a test.
#[must_use]
pub fn still_warns(name: &str, language: Language) -> String {
    format!("{name}: {}", language.pick("still warns of danger", "waarschuwt nog steeds voor gevaar"))
}

/// The answer to an earlier alarm: “On 3 May Ann called one like this expected: “the boiler was serviced”.”
#[must_use]
pub fn precedent(before: &Precedent, timezone: &TimeZone, language: Language) -> String {
    let (day, reason) = (language.day(before.raised_at, timezone), before.reason.as_str());
    let by = if before.by.is_empty() { language.pick("somebody", "iemand") } else { &before.by };
    let (english, dutch) = match before.verdict {
        Verdict::Confirmed => ("real", "echt"),
        Verdict::Dismissed => ("a false alarm", "een vals alarm"),
        Verdict::Expected => ("expected", "verwacht"),
    };
    language.pick(
        format!("On {day} {by} called one like this {english}: “{reason}”."),
        format!("Op {day} noemde {by} er zo een {dutch}: “{reason}”."),
    )
}

/// Where to look first when several alarms have one cause.
fn common_cause(shown: &StoredAlarm, language: Language) -> Option<String> {
    let count = u32::from(shown.merged_count) + 1;
    let (english, dutch) = match (shown.cause?, &shown.place.device) {
        (Cause::Connection, _) => (
            format!("{count} sensors went quiet together: look first at what connects them."),
            format!("{count} sensoren vielen samen stil: kijk eerst naar wat ze verbindt."),
        ),
        (Cause::Device, Some(device)) => {
            (format!("All {count} belong to {device}."), format!("Alle {count} horen bij {device}."))
        }
        _ => return None,
    };
    Some(language.pick(english, dutch))
}

/// What was seen, beside what was expected.
fn what(shown: &StoredAlarm, language: Language) -> String {
    let alarm = &shown.alarm;
    let unit = &DisplayUnit::of(shown.class, &shown.unit);
    let (lasted, usual) = (hours(alarm.amount, language), hours(alarm.usual, language));
    let (english, dutch) = match (alarm.kind, alarm.observed) {
        (AnomalyKind::Running, _) if shown.class.opens() => (
            format!("Open for {lasted} now; in the last four weeks never for longer than {usual}."),
            format!("Staat al {lasted} open; in de laatste vier weken nooit langer dan {usual}."),
        ),
        (AnomalyKind::Physics, Some(observed)) => {
            let value = with_unit(observed, unit);
            (
                format!("{value}, which cannot be: the sensor is broken or badly connected."),
                format!("{value}, wat niet kan: de sensor is stuk of slecht verbonden."),
            )
        }
        (AnomalyKind::Silent, _) => (
            format!("No report for {lasted}, usually at most {usual}."),
            format!("Geen bericht sinds {lasted}, anders hooguit {usual}."),
        ),
        (AnomalyKind::Flat, _) => (
            format!("Has not moved for {lasted}, usually at most {usual}."),
            format!("Beweegt al {lasted} niet, anders hooguit {usual}."),
        ),
        (AnomalyKind::TimeInState, observed) if alarm.amount > 0.0 => {
            let (state, toestand) =
                if observed.is_some_and(|share| share > 0.5) { ("On", "aan") } else { ("Off", "uit") };
            (
                format!("{state} for {lasted}, long for this hour of the week."),
                format!("Al {lasted} {toestand}, lang voor dit uur van de week."),
            )
        }
        (AnomalyKind::Rate, _) => (
            format!("{:.0} times in an hour, usually {:.0}.", alarm.amount, alarm.usual),
            format!("{:.0} keer in een uur, gewoonlijk {:.0}.", alarm.amount, alarm.usual),
        ),
        _ => {
            let found = finding::what(alarm, unit, language);
            return found.unwrap_or_else(|| beside_band(alarm, unit, language));
        }
    };
    language.pick(english, dutch)
}

/// The observed value beside the band in which it was expected; the kind alone where nothing was observed.
fn beside_band(alarm: &Alarm, unit: &DisplayUnit, language: Language) -> String {
    match (alarm.observed, alarm.band) {
        (Some(observed), Some(band)) => {
            let [value, low, high] = numbers([observed, band.low, band.high].map(|value| unit.convert(value)));
            let (value, high) = (named(value, unit), named(high, unit));
            language.pick(format!("{value}, expected {low} to {high}."), format!("{value}, verwacht {low} tot {high}."))
        }
        (Some(observed), None) => format!("{}.", with_unit(observed, unit)),
        (None, _) => format!("{}.", language.kind(alarm.kind)),
    }
}

/// How rare it is, in words, from the score: minus the logarithm of how often a week it is to be expected.
fn how_unusual(shown: &StoredAlarm, language: Language) -> String {
    let weeks = (shown.alarm.score - shown.alarm.threshold).max(0.0).exp();
    let certain = shown.alarm.kind == AnomalyKind::Physics;
    if certain || (shown.alarm.kind.has_own_threshold() && !shown.alarm.kind.is_danger()) {
        return String::new();
    }
    let (english, dutch) = if shown.alarm.kind.is_danger() {
        ("this sensor warns of danger", "deze sensor waarschuwt voor gevaar")
    } else if weeks < LITTLE {
        ("a little beyond what is usual here", "iets buiten het gewone hier")
    } else if weeks < CLEARLY {
        ("clearly unusual here", "duidelijk ongewoon hier")
    } else if weeks < FAR {
        ("very unusual here", "heel ongewoon hier")
    } else {
        ("unlike anything seen here", "anders dan alles wat hier gezien is")
    };
    language.pick(english, dutch).to_owned()
}

pub(super) fn hours(hours: f32, language: Language) -> String {
    let (long, days) = language.pick(("h", "days"), ("uur", "dagen"));
    if hours < 1.0 {
        format!("{:.0} min", hours * 60.0)
    } else if hours < 48.0 {
        format!("{hours:.1} {long}")
    } else {
        format!("{:.1} {days}", hours / 24.0)
    }
}

/// `value`, which is scored, in the unit that people read.
pub(super) fn with_unit(value: f32, unit: &DisplayUnit) -> String {
    named(number(unit.convert(value)), unit)
}

fn named(number: String, unit: &DisplayUnit) -> String {
    if unit.name.is_empty() { number } else { format!("{number} {}", unit.name) }
}

#[cfg(test)]
mod tests {
    use crate::alarm::Reason;
    use hearthwatch_detector::alarm::{Alarm, Severity};
    use hearthwatch_detector::class::DeviceClass;
    use hearthwatch_detector::finding::Band;

    use super::*;
    use crate::fixtures;
    use crate::preferences::Place;

    fn freezer(kind: AnomalyKind, amount: f32, usual: f32) -> StoredAlarm {
        let alarm = Alarm {
            start: 1_690_887_600, // 2023-08-01T11:00:00Z
            score: 5.0,
            observed: Some(-8.24),
            band: Some(Band { low: -20.0, expected: -18.0, high: -16.5 }),
            kind,
            amount,
            usual,
            ..fixtures::alarm("00d1", 1_690_888_800)
        };
        let place = Place { name: Some("Freezer".into()), area: Some("Cellar".into()), device: None };
        StoredAlarm { place, ..fixtures::stored(alarm, &fixtures::thermometer("sensor.f")) }
    }

    fn said(alarm: &StoredAlarm, language: Language) -> (String, String) {
        let said = sentence(alarm, &TimeZone::get("Europe/Brussels").unwrap(), language);
        (said.title, said.message)
    }

    #[test]
    fn an_alarm_says_what_where_since_when_how_unusual_and_what_else() {
        let mut alarm = freezer(AnomalyKind::Level, -8.24, 0.0);
        alarm.moved_with.push("Cellar door".into());
        alarm.asks = true;
        let (title, message) = said(&alarm, Language::English);
        assert_eq!(title, "Freezer (Cellar): unusual value");
        assert_eq!(
            message,
            "-8.24 °C, expected -20.0 to -16.5 °C. Since 13:00; clearly unusual here. \
             Also unusual: Cellar door. Was this real?"
        );
    }

    #[test]
    fn a_door_is_open_and_an_oven_is_on() {
        let info = fixtures::info("binary_sensor.d", DeviceClass::Door, "");
        let alarm = Alarm { observed: Some(1.0), band: None, ..freezer(AnomalyKind::Running, 1.5, 1.0 / 6.0).alarm };
        let place = Place { name: Some("Fridge door".into()), area: None, device: None };
        let door = StoredAlarm { place, ..fixtures::stored(alarm, &info) };
        let words = "Open for 1.5 h now; in the last four weeks never for longer than 10 min. Since 13:00.";
        assert_eq!(said(&door, Language::English), ("Fridge door: still open".to_owned(), words.to_owned()));
        let words = "Staat al 1.5 uur open; in de laatste vier weken nooit langer dan 10 min. Sinds 13:00.";
        assert_eq!(said(&door, Language::Dutch), ("Fridge door: nog steeds open".to_owned(), words.to_owned()));
        let oven = freezer(AnomalyKind::Running, 1.5, 1.0 / 6.0);
        assert!(said(&oven, Language::English).1.starts_with("On for 1.5 h now;"));
    }

    #[test]
    fn a_warning_of_danger_says_what_where_and_when() {
        let info = fixtures::info("binary_sensor.leak", DeviceClass::Moisture, "");
        let alarm =
            Alarm { severity: Severity::Critical, observed: Some(1.0), ..freezer(AnomalyKind::Alert, 1.0, 0.0).alarm };
        let place = Place { name: Some("Laundry leak".into()), area: Some("Laundry".into()), device: None };
        let mut leak = StoredAlarm { place, ..fixtures::stored(alarm, &info) };
        let words = ("Water detected in Laundry", "Water detected in Laundry, 13:00. Reported by Laundry leak.");
        assert_eq!(said(&leak, Language::English), (words.0.to_owned(), words.1.to_owned()));
        leak.place.area = None;
        let words = ("Water gemeld: Laundry leak", "Water gemeld: Laundry leak, 13:00.");
        assert_eq!(said(&leak, Language::Dutch), (words.0.to_owned(), words.1.to_owned()));
    }

    #[test]
    fn what_was_said_of_one_like_it_is_told_with_who_when_and_why() {
        let mut alarm = freezer(AnomalyKind::Level, -8.24, 0.0);
        let reason = Reason::new("the freezer was defrosted").unwrap();
        let before = Precedent { raised_at: 1_683_122_400, by: "Ann".into(), verdict: Verdict::Expected, reason };
        alarm.precedent = Some(before.clone());
        let (_, message) = said(&alarm, Language::English);
        let words = "On 3 May Ann called one like this expected: “the freezer was defrosted”.";
        assert!(message.ends_with(words), "{message}");
        alarm.precedent = Some(Precedent { by: String::new(), ..before });
        let words = "Op 3 mei noemde iemand er zo een verwacht: “the freezer was defrosted”.";
        assert!(said(&alarm, Language::Dutch).1.ends_with(words));
    }

    #[test]
    fn what_several_alarms_have_in_common_is_where_to_look_first() {
        let mut alarm = freezer(AnomalyKind::Silent, 5.25, 0.5);
        (alarm.merged_count, alarm.cause) = (9, Some(Cause::Connection));
        let (_, message) = said(&alarm, Language::English);
        assert!(message.ends_with("10 sensors went quiet together: look first at what connects them."), "{message}");
        (alarm.cause, alarm.place.device) = (Some(Cause::Device), Some("Hub".to_owned()));
        assert!(said(&alarm, Language::Dutch).1.ends_with("Alle 10 horen bij Hub."));
        alarm.cause = Some(Cause::Mixed);
        assert!(said(&alarm, Language::English).1.ends_with("unusual here."));
    }

    #[test]
    fn a_second_language_says_the_same() {
        let (title, message) = said(&freezer(AnomalyKind::Silent, 5.25, 0.5), Language::of("nl-BE"));
        assert_eq!(title, "Freezer (Cellar): zwijgt");
        assert_eq!(message, "Geen bericht sinds 5.2 uur, anders hooguit 30 min. Sinds 13:00; duidelijk ongewoon hier.");
        assert_eq!(Language::of("fi"), Language::English);
    }

    #[test]
    fn an_impossible_value_is_said_as_such() {
        let mut alarm = freezer(AnomalyKind::Physics, 5_000.0, 0.0);
        (alarm.alarm.observed, alarm.alarm.band) = (Some(5_000.0), None);
        let (_, message) = said(&alarm, Language::English);
        assert_eq!(message, "5000 °C, which cannot be: the sensor is broken or badly connected. Since 13:00.");
    }
}
