//! What a rule for one fault, or a statistic of moves, found, in a resident's language: what is so now, and what was usual.

use hearthwatch_detector::alarm::Alarm;
use hearthwatch_detector::finding::AnomalyKind as Kind;
use hearthwatch_detector::unit::{DisplayUnit, number};

use super::Language;
use super::sentence::{hours, with_unit};

/// The sentence; none for a kind that is described by its value and the band that it left.
pub(super) fn what(alarm: &Alarm, unit: &DisplayUnit, language: Language) -> Option<String> {
    activity(alarm, language)
        .or_else(|| rate(alarm, language))
        .or_else(|| sensor_health(alarm, language))
        .or_else(|| value(alarm, unit, language))
}

/// What runs too long or stays off, and activity at an unusual hour.
fn activity(alarm: &Alarm, language: Language) -> Option<String> {
    let (amount, cases) = (alarm.amount, 10.0 * alarm.usual);
    let (lasted, longest) = (hours(amount, language), hours(alarm.usual, language));
    let (english, dutch) = match alarm.kind {
        Kind::Running => (
            format!("On for {lasted} now; in the last four weeks never for longer than {longest}."),
            format!("Staat al {lasted} aan; in de laatste vier weken nooit langer dan {longest}."),
        ),
        Kind::Stopped => (
            format!("Has not started for {lasted}; in the last four weeks it never paused for longer than {longest}."),
            format!("Is al {lasted} niet gestart; in de laatste vier weken stond het nooit langer stil dan {longest}."),
        ),
        Kind::QuietHour => (
            "Active at an hour when it hardly ever is.".to_owned(),
            "Actief op een uur waarop dat bijna nooit zo is.".to_owned(),
        ),
        Kind::Habit => (
            format!("Stayed off {amount:.0} times in a row; at such times it turns on in {cases:.0} of 10 cases."),
            format!("Bleef {amount:.0} keer op rij uit; op zulke momenten gaat het in {cases:.0} van 10 gevallen aan."),
        ),
        _ => return None,
    };
    Some(language.pick(english, dutch))
}

/// Too much water, or too little power made: an amount against the most or the least of before.
fn rate(alarm: &Alarm, language: Language) -> Option<String> {
    let (much, before) = (number(alarm.amount), number(alarm.usual));
    let (english, dutch) = match alarm.kind {
        Kind::Leak => (
            format!(
                "Water runs without a pause, at least {much} L an hour; in the last four weeks at most {before} L."
            ),
            format!(
                "Het water loopt zonder pauze, minstens {much} L per uur; in de laatste vier weken hooguit {before} L."
            ),
        ),
        Kind::Burst => (
            format!("{much} L of water in the last hour; in the last four weeks at most {before} L."),
            format!("{much} L water in het laatste uur; in de laatste vier weken hooguit {before} L."),
        ),
        Kind::Production => (
            format!("At most {much} W, where days like these brought {before} W or more."),
            format!("Hooguit {much} W, waar zulke dagen minstens {before} W brachten."),
        ),
        _ => return None,
    };
    Some(language.pick(english, dutch))
}

/// What keeps a sensor from reporting.
fn sensor_health(alarm: &Alarm, language: Language) -> Option<String> {
    let (amount, usual) = (alarm.amount, alarm.usual);
    let (much, days, others) = (number(amount), usual.max(1.0), amount - 1.0);
    let (english, dutch) = match alarm.kind {
        Kind::Battery if usual > 0.0 => (
            format!("At {much} % and falling fast: empty in about {days:.0} days."),
            format!("Nog {much} % en snel dalend: leeg over ongeveer {days:.0} dagen."),
        ),
        Kind::Battery => (
            format!("At {much} %: change or charge it soon."),
            format!("Nog {much} %: vervang of laad de batterij binnenkort."),
        ),
        Kind::FewReports => (
            format!(
                "It reports ever less: in {amount:.0} of the 144 ten-minute parts of the last day, before in at least {usual:.0}. \
                 Often a battery or a weak radio link."
            ),
            format!(
                "Meldt steeds minder: in {amount:.0} van de 144 delen van tien minuten van de laatste dag, eerder in minstens \
                 {usual:.0}. Vaak een batterij of een zwakke radioverbinding."
            ),
        ),
        Kind::Offline => (
            format!(
                "It and {others:.0} other sensors became unavailable together. Look at what they have in common: a radio stick, a \
                 hub, a router, their power."
            ),
            format!(
                "Deze en {others:.0} andere sensoren werden tegelijk niet beschikbaar. Kijk naar wat ze gemeen hebben: een \
                 radiostick, een hub, een router, hun stroom."
            ),
        ),
        _ => return None,
    };
    Some(language.pick(english, dutch))
}

/// Where a value is and how it moves: damp and cold rooms, power beyond all that was seen before; none without an observed value.
fn value(alarm: &Alarm, unit: &DisplayUnit, language: Language) -> Option<String> {
    let (value, usual) = (with_unit(alarm.observed?, unit), with_unit(alarm.usual, unit));
    let (lasted, longest) = (hours(alarm.amount, language), hours(alarm.usual, language));
    let moved = with_unit(alarm.amount.abs(), unit);
    let (way, manier) = if alarm.amount < 0.0 { ("fell", "daalde") } else { ("rose", "steeg") };
    let (english, dutch) = match alarm.kind {
        Kind::Beyond if alarm.usual > 0.0 => (
            format!("{value}, far more than ever; {usual} was the most in the last four weeks."),
            format!("{value}, veel meer dan ooit; {usual} was het meeste in de laatste vier weken."),
        ),
        Kind::Beyond => (
            format!("{value} at an hour at which it never makes power."),
            format!("{value} op een uur waarop het nooit stroom opwekt."),
        ),
        Kind::Damp => (
            format!(
                "{value}, high for {lasted} now; in the last four weeks never for longer than {longest}. Let air in."
            ),
            format!(
                "{value}, al {lasted} hoog; in de laatste vier weken nooit langer dan {longest}. Laat lucht binnen."
            ),
        ),
        Kind::Cold => (
            format!("{value} and falling though the heating runs; in the last four weeks never below {usual}."),
            format!("{value} en dalend hoewel de verwarming draait; in de laatste vier weken nooit onder {usual}."),
        ),
        Kind::Change => (
            format!("{value}: it {way} by {moved} within half an hour, more than the hours before announced."),
            format!("{value}: het {manier} {moved} binnen een half uur, meer dan de uren ervoor aankondigden."),
        ),
        Kind::Noise => (
            format!("{value}: it has gone up and down for three hours, more than it ever does."),
            format!("{value}: het gaat al drie uur op en neer, meer dan ooit."),
        ),
        Kind::Peers => (
            format!("{value}: it does not follow the sensors that it usually follows."),
            format!("{value}: het volgt de sensoren niet die het anders volgt."),
        ),
        Kind::Pattern => {
            (format!("{value}: it moves in an unusual way."), format!("{value}: het beweegt op een ongewone manier."))
        }
        _ => return None,
    };
    Some(language.pick(english, dutch))
}
