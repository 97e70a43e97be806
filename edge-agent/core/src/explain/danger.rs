//! A warning of danger in a resident's language: what, where and when, and nothing that has to be thought about.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::finding::AnomalyKind;
use hearthwatch_detector::unit::DisplayUnit;
use jiff::tz::TimeZone;

use super::Language;
use super::sentence::{hours, with_unit};
use super::words::local;
use crate::alarm::StoredAlarm;

/// What is found and where: "Water detected in Laundry", or "Water detected: Sink leak" where the area is not known.
pub(super) fn title(shown: &StoredAlarm, language: Language) -> String {
    if shown.alarm.kind == AnomalyKind::Warm {
        let name = shown.place.name_of(&shown.entity_id);
        return language.pick(format!("{name} is too warm"), format!("{name} is te warm"));
    }
    let what = what(shown.class, language);
    match &shown.place.area {
        Some(area) => format!("{what} in {area}"),
        None => format!("{what}: {}", shown.place.name_of(&shown.entity_id)),
    }
}

/// The title with the time of day, and the sensor by its name.
pub(super) fn message(shown: &StoredAlarm, timezone: &TimeZone, language: Language) -> String {
    if shown.alarm.kind == AnomalyKind::Warm {
        return warm(shown, language);
    }
    let (title, name) = (title(shown, language), shown.place.name_of(&shown.entity_id));
    let mut at = local(shown.alarm.start, timezone, "%H:%M");
    if let Some(value) = shown.alarm.observed.filter(|_| !shown.class.is_binary()) {
        at = format!("{at}: {}", with_unit(value, &DisplayUnit::of(shown.class, &shown.unit)));
    }
    if shown.place.area.is_none() {
        return format!("{title}, {at}.");
    }
    language.pick(format!("{title}, {at}. Reported by {name}."), format!("{title}, {at}. Gemeld door {name}."))
}

/// How warm, for how long, and what was usual.
fn warm(shown: &StoredAlarm, language: Language) -> String {
    let alarm = &shown.alarm;
    let unit = DisplayUnit::of(shown.class, &shown.unit);
    let value = alarm.observed.map(|value| with_unit(value, &unit)).unwrap_or_default();
    let (title, usual) = (title(shown, language), with_unit(alarm.usual, &unit));
    let lasted = hours(alarm.amount, language);
    language.pick(
        format!("{title}: {value}, for {lasted} now; usually {usual} at the most. Look at the food in it."),
        format!("{title}: {value}, al {lasted}; gewoonlijk hooguit {usual}. Kijk wat erin ligt."),
    )
}

fn what(class: DeviceClass, language: Language) -> &'static str {
    let (english, dutch) = match class {
        DeviceClass::Smoke => ("Smoke detected", "Rook gemeld"),
        DeviceClass::Moisture => ("Water detected", "Water gemeld"),
        DeviceClass::Heat => ("Heat detected", "Hitte gemeld"),
        DeviceClass::GasAlarm => ("Gas detected", "Gas gemeld"),
        DeviceClass::CarbonMonoxideAlarm | DeviceClass::CarbonMonoxide => {
            ("Carbon monoxide detected", "Koolmonoxide gemeld")
        }
        DeviceClass::Tamper => ("Tampering detected", "Sabotage gemeld"),
        _ => ("Unsafe state reported", "Onveilige toestand gemeld"),
    };
    language.pick(english, dutch)
}
