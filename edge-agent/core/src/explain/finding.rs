//! What a rule for one fault, or a statistic of moves, found, in a resident's language: what is so now, and what was usual.

use hearthwatch_detector::alarm::Alarm;
use hearthwatch_detector::finding::AnomalyKind as Kind;
use hearthwatch_detector::unit::{DisplayUnit, number};

use super::Language;
use super::sentence::{hours, with_unit};

/// The sentence; none for a kind that is described by its value and the band that it left.
pub(super) fn what(alarm: &Alarm, unit: &DisplayUnit, language: Language) -> Option<String> {
    activity(alarm, language)
        .or_else(|| water(alarm, language))
        .or_else(|| sensor_health(alarm, language))
        .or_else(|| power(alarm, unit, language))
        .or_else(|| climate(alarm, unit, language))
        .or_else(|| movement(alarm, unit, language))
}

/// What runs too long or stays off, and activity at an unusual hour.
fn activity(alarm: &Alarm, language: Language) -> Option<String> {
    let (amount, usual) = (alarm.amount, alarm.usual);
    let (lasted, longest) = (hours(amount, language), hours(usual, language));
    Some(match (alarm.kind, language) {
        (Kind::Running, Language::English) => {
            format!("On for {lasted} now; in the last four weeks never for longer than {longest}.")
        }
        (Kind::Running, Language::Dutch) => {
            format!("Staat al {lasted} aan; in de laatste vier weken nooit langer dan {longest}.")
        }
        (Kind::Stopped, Language::English) => {
            format!("Has not started for {lasted}; in the last four weeks it never paused for longer than {longest}.")
        }
        (Kind::Stopped, Language::Dutch) => {
            format!("Is al {lasted} niet gestart; in de laatste vier weken stond het nooit langer stil dan {longest}.")
        }
        (Kind::QuietHour, Language::English) => "Active at an hour when it hardly ever is.".to_owned(),
        (Kind::QuietHour, Language::Dutch) => "Actief op een uur waarop dat bijna nooit zo is.".to_owned(),
        (Kind::Habit, Language::English) => format!(
            "Stayed off {amount:.0} times in a row; at such times it turns on in {:.0} of 10 cases.",
            10.0 * usual
        ),
        (Kind::Habit, Language::Dutch) => {
            format!(
                "Bleef {amount:.0} keer op rij uit; op zulke momenten gaat het in {:.0} van 10 gevallen aan.",
                10.0 * usual
            )
        }
        _ => return None,
    })
}

/// Water that runs without a pause, or too much of it at once.
fn water(alarm: &Alarm, language: Language) -> Option<String> {
    let (much, before) = (number(alarm.amount), number(alarm.usual));
    Some(match (alarm.kind, language) {
        (Kind::Leak, Language::English) => {
            format!("Water runs without a pause, at least {much} L an hour; in the last four weeks at most {before} L.")
        }
        (Kind::Leak, Language::Dutch) => {
            format!(
                "Het water loopt zonder pauze, minstens {much} L per uur; in de laatste vier weken hooguit {before} L."
            )
        }
        (Kind::Burst, Language::English) => {
            format!("{much} L of water in the last hour; in the last four weeks at most {before} L.")
        }
        (Kind::Burst, Language::Dutch) => {
            format!("{much} L water in het laatste uur; in de laatste vier weken hooguit {before} L.")
        }
        _ => return None,
    })
}

/// What keeps a sensor from reporting.
fn sensor_health(alarm: &Alarm, language: Language) -> Option<String> {
    let (amount, usual) = (alarm.amount, alarm.usual);
    let much = number(amount);
    Some(match (alarm.kind, language) {
        (Kind::Battery, Language::English) if usual > 0.0 => {
            format!("At {much} % and falling fast: empty in about {:.0} days.", usual.max(1.0))
        }
        (Kind::Battery, Language::Dutch) if usual > 0.0 => {
            format!("Nog {much} % en snel dalend: leeg over ongeveer {:.0} dagen.", usual.max(1.0))
        }
        (Kind::Battery, Language::English) => format!("At {much} %: change or charge it soon."),
        (Kind::Battery, Language::Dutch) => format!("Nog {much} %: vervang of laad de batterij binnenkort."),
        (Kind::FewReports, Language::English) => format!(
            "It reports ever less: in {amount:.0} of the 144 ten-minute parts of the last day, before in at least {usual:.0}. Often a \
             battery or a weak radio link."
        ),
        (Kind::FewReports, Language::Dutch) => format!(
            "Meldt steeds minder: in {amount:.0} van de 144 delen van tien minuten van de laatste dag, eerder in minstens {usual:.0}. Vaak \
             een batterij of een zwakke radioverbinding."
        ),
        (Kind::Offline, Language::English) => format!(
            "It and {:.0} other sensors became unavailable together. Look at what they have in common: a radio stick, a hub, a router, their \
             power.",
            amount - 1.0
        ),
        (Kind::Offline, Language::Dutch) => format!(
            "Deze en {:.0} andere sensoren werden tegelijk niet beschikbaar. Kijk naar wat ze gemeen hebben: een radiostick, een hub, een \
             router, hun stroom.",
            amount - 1.0
        ),
        _ => return None,
    })
}

/// Too little power made, and power far beyond all that was seen before.
fn power(alarm: &Alarm, unit: &DisplayUnit, language: Language) -> Option<String> {
    let usual = alarm.usual;
    let (much, before) = (number(alarm.amount), number(usual));
    let value = alarm.observed.map(|value| with_unit(value, unit));
    Some(match (alarm.kind, language) {
        (Kind::Production, Language::English) => {
            format!("At most {much} W, where days like these brought {before} W or more.")
        }
        (Kind::Production, Language::Dutch) => {
            format!("Hooguit {much} W, waar zulke dagen minstens {before} W brachten.")
        }
        (Kind::Beyond, Language::English) if usual > 0.0 => {
            format!("{}, far more than ever; {} was the most in the last four weeks.", value?, with_unit(usual, unit))
        }
        (Kind::Beyond, Language::Dutch) if usual > 0.0 => {
            format!(
                "{}, veel meer dan ooit; {} was het meeste in de laatste vier weken.",
                value?,
                with_unit(usual, unit)
            )
        }
        (Kind::Beyond, Language::English) => format!("{} at an hour at which it never makes power.", value?),
        (Kind::Beyond, Language::Dutch) => format!("{} op een uur waarop het nooit stroom opwekt.", value?),
        _ => return None,
    })
}

/// Damp and cold rooms; none without an observed value.
fn climate(alarm: &Alarm, unit: &DisplayUnit, language: Language) -> Option<String> {
    let usual = alarm.usual;
    let (lasted, longest) = (hours(alarm.amount, language), hours(usual, language));
    let value = alarm.observed.map(|value| with_unit(value, unit));
    Some(match (alarm.kind, language) {
        (Kind::Damp, Language::English) => {
            format!(
                "{}, high for {lasted} now; in the last four weeks never for longer than {longest}. Let air in.",
                value?
            )
        }
        (Kind::Damp, Language::Dutch) => {
            format!(
                "{}, al {lasted} hoog; in de laatste vier weken nooit langer dan {longest}. Laat lucht binnen.",
                value?
            )
        }
        (Kind::Cold, Language::English) => format!(
            "{} and falling though the heating runs; in the last four weeks never below {}.",
            value?,
            with_unit(usual, unit)
        ),
        (Kind::Cold, Language::Dutch) => format!(
            "{} en dalend hoewel de verwarming draait; in de laatste vier weken nooit onder {}.",
            value?,
            with_unit(usual, unit)
        ),
        _ => return None,
    })
}

/// How a value moves; none without an observed value.
fn movement(alarm: &Alarm, unit: &DisplayUnit, language: Language) -> Option<String> {
    let amount = alarm.amount;
    let value = alarm.observed.map(|value| with_unit(value, unit));
    Some(match (alarm.kind, language) {
        (Kind::Change, Language::English) => {
            let moved = with_unit(amount.abs(), unit);
            let way = if amount < 0.0 { "fell" } else { "rose" };
            format!("{}: it {way} by {moved} within half an hour, more than the hours before announced.", value?)
        }
        (Kind::Change, Language::Dutch) => {
            let moved = with_unit(amount.abs(), unit);
            let way = if amount < 0.0 { "daalde" } else { "steeg" };
            format!("{}: het {way} {moved} binnen een half uur, meer dan de uren ervoor aankondigden.", value?)
        }
        (Kind::Noise, Language::English) => {
            format!("{}: it has gone up and down for three hours, more than it ever does.", value?)
        }
        (Kind::Noise, Language::Dutch) => format!("{}: het gaat al drie uur op en neer, meer dan ooit.", value?),
        (Kind::Peers, Language::English) => {
            format!("{}: it does not follow the sensors that it usually follows.", value?)
        }
        (Kind::Peers, Language::Dutch) => format!("{}: het volgt de sensoren niet die het anders volgt.", value?),
        (Kind::Pattern, Language::English) => format!("{}: it moves in an unusual way.", value?),
        (Kind::Pattern, Language::Dutch) => format!("{}: het beweegt op een ongewone manier.", value?),
        _ => return None,
    })
}
