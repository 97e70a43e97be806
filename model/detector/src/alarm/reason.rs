//! Why, in one sentence with numbers and units.

use crate::alarm::Evidence;
use crate::class::DeviceClass;
use crate::finding::AnomalyKind;
use crate::reading::EntityInfo;
use crate::unit::{DisplayUnit, number, numbers};

/// The sentence that goes with an alarm.
#[must_use]
pub fn reason(info: &EntityInfo, evidence: &Evidence) -> String {
    let said = Said::of(info, evidence);
    match evidence.kind {
        AnomalyKind::Level | AnomalyKind::Change | AnomalyKind::Noise | AnomalyKind::Peers | AnomalyKind::Pattern => {
            said.by_statistics(info, evidence)
        }
        AnomalyKind::Flat
        | AnomalyKind::Silent
        | AnomalyKind::Physics
        | AnomalyKind::FewReports
        | AnomalyKind::Battery
        | AnomalyKind::Offline => said.by_report(info, evidence),
        AnomalyKind::TimeInState
        | AnomalyKind::Rate
        | AnomalyKind::QuietHour
        | AnomalyKind::Habit
        | AnomalyKind::Alert
        | AnomalyKind::Running
        | AnomalyKind::Stopped => said.by_state(info, evidence),
        AnomalyKind::Leak
        | AnomalyKind::Burst
        | AnomalyKind::Warm
        | AnomalyKind::Production
        | AnomalyKind::Damp
        | AnomalyKind::Cold
        | AnomalyKind::Beyond => said.by_amount(info, evidence),
    }
}

/// What every sentence is made of, as it is shown.
struct Said<'a> {
    /// The entity's id.
    name: &'a str,
    /// The value with its unit.
    value: String,
    /// From where to where it usually is; none without an expectation.
    usual: Option<String>,
    unit: DisplayUnit,
}

impl<'a> Said<'a> {
    fn of(info: &'a EntityInfo, evidence: &Evidence) -> Self {
        let unit = DisplayUnit::of(info.class, &info.shown_unit());
        let bare = |value: f32| number(unit.convert(value));
        let (value, usual) = match (evidence.observed, evidence.band) {
            (Some(value), Some(band)) => {
                let [value, low, high] = numbers([value, band.low, band.high].map(|value| unit.convert(value)));
                (named(value, &unit), Some(format!("{low} to {}", named(high, &unit))))
            }
            (Some(value), None) => (with_unit(value, info), None),
            (None, band) => {
                let usual = band.map(|band| format!("{} to {}", bare(band.low), with_unit(band.high, info)));
                ("unknown".to_owned(), usual)
            }
        };
        Self { name: &info.entity_id, value, usual, unit }
    }

    /// Of statistics and the network: against what is usual of the value.
    fn by_statistics(&self, info: &EntityInfo, evidence: &Evidence) -> String {
        let Self { name, value, .. } = self;
        let usual = self.usual.as_deref();
        match evidence.kind {
            AnomalyKind::Level => match (usual, evidence.direction()) {
                (Some(usual), 1) => format!("{name} is {value}, high for this time of day: {usual} is usual."),
                (Some(usual), _) => format!("{name} is {value}, low for this time of day: {usual} is usual."),
                (None, _) => format!("{name} is {value}, unusual for this time of day."),
            },
            AnomalyKind::Change => {
                format!(
                    "{name} is {value} after a move of {} within 30 minutes, which the hours before did not announce.",
                    signed(evidence.amount, info)
                )
            }
            AnomalyKind::Noise => {
                let (now, then) = (step_size(evidence.amount, info), step_size(evidence.usual, info));
                format!(
                    "{name} has been restless for 3 hours: it moves by {now} every 10 minutes, usually by less than {then}; it is {value}."
                )
            }
            AnomalyKind::Peers => {
                let band = usual.map_or_else(String::new, |usual| format!(" ({usual} is usual at this time)"));
                format!("{name} is {value}{band}, out of step with the entities that it usually follows.")
            }
            _ => match usual {
                Some(usual) => format!("{name} is {value} and moves in an unusual way; {usual} was expected."),
                None => format!("{name} is {value} and moves in an unusual way."),
            },
        }
    }

    /// Of the sensor itself: what it reports, and whether.
    fn by_report(&self, info: &EntityInfo, evidence: &Evidence) -> String {
        let Self { name, value, .. } = self;
        let bare = |value: f32| number(self.unit.convert(value));
        match evidence.kind {
            AnomalyKind::Flat => format!(
                "{name} has stood at {value} for {}; in the last two weeks it never did for longer than {}.",
                duration(evidence.amount),
                duration(evidence.usual)
            ),
            AnomalyKind::Silent => format!(
                "{name} has not reported for {}; in the last two weeks its longest pause was {}.",
                duration(evidence.amount),
                duration(evidence.usual)
            ),
            AnomalyKind::Physics => {
                let limits = info.possible().map_or_else(
                    || "no number that can be measured".to_owned(),
                    |(low, high)| format!("{} to {} is possible", bare(low as f32), with_unit(high as f32, info)),
                );
                format!("{name} reports {}, which cannot be: {limits}.", with_unit(evidence.amount, info))
            }
            AnomalyKind::FewReports => format!(
                "{name} reported in {:.0} of the 144 ten-minute steps of the last day; in the last two weeks it did in {:.0} at least.",
                evidence.amount, evidence.usual
            ),
            AnomalyKind::Battery if evidence.usual > 0.0 => format!(
                "{name} is at {} % and falls fast: empty in about {:.0} days.",
                number(evidence.amount),
                evidence.usual.max(1.0)
            ),
            AnomalyKind::Battery => format!("{name} is at {} %: nearly empty.", number(evidence.amount)),
            _ => {
                format!(
                    "{name} and {:.0} others became unavailable together {} ago.",
                    evidence.amount - 1.0,
                    duration(evidence.usual / 60.0)
                )
            }
        }
    }

    /// Of what is on or off.
    fn by_state(&self, info: &EntityInfo, evidence: &Evidence) -> String {
        let Self { name, value, .. } = self;
        match evidence.kind {
            AnomalyKind::TimeInState => {
                let state = if evidence.observed.is_some_and(|share| share > 0.5) { "on" } else { "off" };
                format!("{name} has been {state} for {}, long for this hour of the week.", duration(evidence.amount))
            }
            AnomalyKind::Rate => format!(
                "{name} switched {} times in the last hour; {} times is usual for this hour of the week.",
                number(evidence.amount),
                number(evidence.usual)
            ),
            AnomalyKind::QuietHour => format!(
                "{name} switched {} times in the last hour, at a time when it hardly ever does.",
                number(evidence.amount)
            ),
            AnomalyKind::Habit => format!(
                "{name} stayed off on {} occasions in a row; on {:.0} % of such occasions it turns on within half an hour.",
                evidence.amount,
                100.0 * evidence.usual
            ),
            AnomalyKind::Alert if !info.class.is_binary() => format!("{name}: {}, {value}.", danger(info.class)),
            AnomalyKind::Alert => format!("{name}: {}.", danger(info.class)),
            AnomalyKind::Running => format!(
                "{name} has been {} for {}; in the last four weeks it never was for longer than {}.",
                if info.class.opens() { "open" } else { "on" },
                duration(evidence.amount),
                duration(evidence.usual)
            ),
            _ => format!(
                "{name} has not started for {}; in the last four weeks it never paused for longer than {}.",
                duration(evidence.amount),
                duration(evidence.usual)
            ),
        }
    }

    /// Of rules for one quantity.
    fn by_amount(&self, info: &EntityInfo, evidence: &Evidence) -> String {
        let Self { name, value, .. } = self;
        match evidence.kind {
            AnomalyKind::Leak => format!(
                "{name}: at least {} L/h flow without a pause; in the last four weeks it was {} L/h at the most.",
                number(evidence.amount),
                number(evidence.usual)
            ),
            AnomalyKind::Burst => format!(
                "{name}: {} L in the last hour; in the last four weeks it was {} L at the most.",
                number(evidence.amount),
                number(evidence.usual)
            ),
            AnomalyKind::Warm => format!(
                "{name} is {value} and has been warm for {}; {} at the most was usual.",
                duration(evidence.amount),
                with_unit(evidence.usual, info)
            ),
            AnomalyKind::Production => format!(
                "{name} makes {} W at the most where days like these brought {} W or more.",
                number(evidence.amount),
                number(evidence.usual)
            ),
            AnomalyKind::Damp => format!(
                "{name} is {value} and has been high for {}; in the last four weeks it never was for longer than {}.",
                duration(evidence.amount),
                duration(evidence.usual)
            ),
            AnomalyKind::Cold => format!(
                "{name} is {value} and falls though the heating runs; in the last four weeks it never was below {}.",
                with_unit(evidence.usual, info)
            ),
            AnomalyKind::Beyond if evidence.usual > 0.0 => {
                format!(
                    "{name} is {value}, far more than ever: {} was the most before.",
                    with_unit(evidence.usual, info)
                )
            }
            _ => format!("{name} is {value} at an hour at which it never makes power."),
        }
    }
}

/// What a sensor of this class warns of.
fn danger(class: DeviceClass) -> &'static str {
    match class {
        DeviceClass::Smoke => "smoke detected",
        DeviceClass::Moisture => "water detected",
        DeviceClass::Heat => "heat detected",
        DeviceClass::GasAlarm => "gas detected",
        DeviceClass::CarbonMonoxideAlarm | DeviceClass::CarbonMonoxide => "carbon monoxide detected",
        DeviceClass::Tamper => "tampering detected",
        _ => "an unsafe state is reported",
    }
}

fn with_unit(value: f32, info: &EntityInfo) -> String {
    let unit = DisplayUnit::of(info.class, &info.shown_unit());
    named(number(unit.convert(value)), &unit)
}

fn named(number: String, unit: &DisplayUnit) -> String {
    if unit.name.is_empty() { number } else { format!("{number} {}", unit.name) }
}

fn signed(value: f32, info: &EntityInfo) -> String {
    let plus = if value > 0.0 { "+" } else { "" };
    format!("{plus}{}", with_unit(value, info))
}

/// A typical move from step to step; a share of the value where values are read through a logarithm.
fn step_size(value: f32, info: &EntityInfo) -> String {
    if info.class.heavy_tailed() { format!("{} %", number(value.exp_m1() * 100.0)) } else { with_unit(value, info) }
}

fn duration(hours: f32) -> String {
    if hours < 1.0 {
        format!("{:.0} min", hours * 60.0)
    } else if hours < 48.0 {
        format!("{hours:.1} h")
    } else {
        format!("{:.1} days", hours / 24.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Band;

    fn say(kind: AnomalyKind, amount: f32, usual: f32) -> String {
        let info =
            EntityInfo { entity_id: "sensor.cellar".into(), class: DeviceClass::Temperature, unit: "°C".into() };
        let band = Some(Band { low: 17.9, expected: 19.0, high: 21.53 });
        let evidence =
            Evidence { entity: 0, score: Some(5.0), threshold: 2.0, kind, amount, usual, observed: Some(27.41), band };
        reason(&info, &evidence)
    }

    #[test]
    fn a_level_is_given_with_what_is_usual() {
        assert_eq!(
            say(AnomalyKind::Level, 27.41, 0.0),
            "sensor.cellar is 27.4 °C, high for this time of day: 17.9 to 21.5 °C is usual."
        );
    }

    #[test]
    fn a_change_is_given_with_the_move_itself() {
        assert_eq!(
            say(AnomalyKind::Change, 3.0, 0.0),
            "sensor.cellar is 27.4 °C after a move of +3.00 °C within 30 minutes, which the hours before did not announce."
        );
    }

    #[test]
    fn silence_is_given_in_hours() {
        assert_eq!(
            say(AnomalyKind::Silent, 5.25, 0.5),
            "sensor.cellar has not reported for 5.2 h; in the last two weeks its longest pause was 30 min."
        );
    }

    #[test]
    fn an_impossible_value_is_given_with_the_limits() {
        assert_eq!(
            say(AnomalyKind::Physics, -127.0, 0.0),
            "sensor.cellar reports -127 °C, which cannot be: -60.0 to 150 °C is possible."
        );
    }

    #[test]
    fn a_broken_habit_is_given_with_how_often_it_was_kept() {
        assert_eq!(
            say(AnomalyKind::Habit, 4.0, 0.92),
            "sensor.cellar stayed off on 4 occasions in a row; on 92 % of such occasions it turns on within half an hour."
        );
    }

    #[test]
    fn nought_is_said_without_digits_or_sign() {
        assert_eq!(number(-0.0001), "0");
    }
}
