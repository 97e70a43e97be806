//! Text for residents by language: English is complete, Dutch proves that another one fits.
//!
//! Deterministic: the same alarm gives the same text, letter for letter. A language is one `impl` of sentences, not a
//! table of fragments, for word order differs; numbers keep their point and unit as the sensor gives them.

use hearthwatch_detector::finding::AnomalyKind;
use hearthwatch_protocol::ModelVersion;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::backtest::Backtest;

/// A language in which residents are written to; others get English.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// Also for every language that is not here.
    #[default]
    English,
    /// Tags that begin with `nl`.
    Dutch,
}

/// A day, for the brief: counts, each with the names of some.
#[derive(Debug, Clone, Copy)]
pub struct DayInBrief<'a> {
    /// How many entities are watched.
    pub watched: usize,
    /// Alarms of which residents were notified: how many, and their names, joined.
    pub shown: (usize, &'a str),
    /// Suppressed alarms: how many, and their names, joined.
    pub suppressed: (usize, &'a str),
    /// Findings that the budget held back: how many, and the names of their entities.
    pub withheld: (usize, &'a str),
    /// How many questions wait for an answer.
    pub questions: usize,
}

impl Language {
    /// The language of a tag such as `nl-BE`; English where it is not spoken here.
    #[must_use]
    pub fn of(tag: &str) -> Self {
        match tag.split(['-', '_']).next() {
            Some("nl") => Self::Dutch,
            _ => Self::English,
        }
    }

    /// The language tag for `<html lang>`, for example `nl`.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Dutch => "nl",
        }
    }

    /// A manner of being unusual, as a heading.
    #[must_use]
    pub fn kind(self, kind: AnomalyKind) -> &'static str {
        use AnomalyKind as K;
        match (self, kind) {
            (Self::English, K::Level) => "unusual value",
            (Self::English, K::Change) => "sudden change",
            (Self::English, K::Noise) => "restless",
            (Self::English, K::Peers) => "out of step",
            (Self::English, K::Flat) => "stuck",
            (Self::English, K::Silent) => "silent",
            (Self::English, K::Physics) => "impossible value",
            (Self::English, K::TimeInState) => "on or off for too long",
            (Self::English, K::Rate) => "switches too often",
            (Self::English, K::Alert) => "warning",
            (Self::English, K::Pattern) => "unusual pattern",
            (Self::English, K::Habit) => "broken habit",
            (Self::English, K::Running) => "still on",
            (Self::English, K::Stopped) => "does not start",
            (Self::English, K::Leak) => "water keeps running",
            (Self::English, K::Burst) => "very much water",
            (Self::English, K::Warm) => "too warm",
            (Self::English, K::Battery) => "battery nearly empty",
            (Self::English, K::FewReports) => "reports ever less",
            (Self::English, K::Production) => "makes less power than usual",
            (Self::English, K::QuietHour) => "active at an unusual hour",
            (Self::English, K::Damp) => "stays damp",
            (Self::English, K::Beyond) => "far more than ever",
            (Self::English, K::Offline) => "many sensors unavailable",
            (Self::English, K::Cold) => "gets cold though heating runs",
            (Self::Dutch, K::Running) => "nog steeds aan",
            (Self::Dutch, K::Stopped) => "start niet",
            (Self::Dutch, K::Leak) => "water blijft lopen",
            (Self::Dutch, K::Burst) => "heel veel water",
            (Self::Dutch, K::Warm) => "te warm",
            (Self::Dutch, K::Battery) => "batterij bijna leeg",
            (Self::Dutch, K::FewReports) => "meldt steeds minder",
            (Self::Dutch, K::Production) => "wekt minder op dan gewoonlijk",
            (Self::Dutch, K::QuietHour) => "actief op een ongewoon uur",
            (Self::Dutch, K::Damp) => "blijft vochtig",
            (Self::Dutch, K::Beyond) => "veel meer dan ooit",
            (Self::Dutch, K::Offline) => "veel sensoren niet beschikbaar",
            (Self::Dutch, K::Cold) => "wordt koud hoewel de verwarming draait",
            (Self::Dutch, K::Level) => "ongewone waarde",
            (Self::Dutch, K::Change) => "plotse verandering",
            (Self::Dutch, K::Noise) => "onrustig",
            (Self::Dutch, K::Peers) => "uit de pas",
            (Self::Dutch, K::Flat) => "blijft steken",
            (Self::Dutch, K::Silent) => "zwijgt",
            (Self::Dutch, K::Physics) => "onmogelijke waarde",
            (Self::Dutch, K::TimeInState) => "te lang aan of uit",
            (Self::Dutch, K::Rate) => "schakelt te vaak",
            (Self::Dutch, K::Alert) => "waarschuwing",
            (Self::Dutch, K::Pattern) => "ongewoon patroon",
            (Self::Dutch, K::Habit) => "verbroken gewoonte",
        }
    }

    /// The day of a moment, such as `3 May`; the year is clear to who lives there.
    #[must_use]
    pub fn day(self, at: i64, timezone: &TimeZone) -> String {
        const DUTCH: [&str; 12] = [
            "januari",
            "februari",
            "maart",
            "april",
            "mei",
            "juni",
            "juli",
            "augustus",
            "september",
            "oktober",
            "november",
            "december",
        ];
        let Ok(at) = Timestamp::from_second(at) else { return at.to_string() };
        let at = at.to_zoned(timezone.clone());
        match self {
            Self::English => at.strftime("%-d %B").to_string(),
            Self::Dutch => {
                let month = usize::try_from(at.month()).ok().and_then(|month| DUTCH.get(month - 1)).copied();
                format!("{} {}", at.day(), month.unwrap_or_default())
            }
        }
    }

    /// How many of this home's answers a model has learnt from.
    #[must_use]
    pub fn answers_in(self, version: ModelVersion, answers: u64) -> String {
        match (self, answers) {
            (Self::English, 1) => format!("Your 1 answer is in model {version}."),
            (Self::English, _) => format!("Your {answers} answers are in model {version}."),
            (Self::Dutch, 1) => format!("Uw ene antwoord zit in model {version}."),
            (Self::Dutch, _) => format!("Uw {answers} antwoorden zitten in model {version}."),
        }
    }

    /// What a model would have raised in the days that were compared, beside the one before.
    #[must_use]
    pub fn backtested(self, tried: &Backtest) -> String {
        let ((_, before), (version, after), days) = (tried.before, tried.after, tried.days());
        match self {
            Self::English => {
                let alarms = if after == 1 { "alarm" } else { "alarms" };
                let period = if days == 28 { "four weeks".to_owned() } else { format!("{days} days") };
                format!(
                    "On your home model {version} would have raised {after} {alarms} instead of {before} in the last {period}."
                )
            }
            Self::Dutch => {
                let alarms = if after == 1 { "alarm" } else { "alarmen" };
                let period = if days == 28 { "vier weken".to_owned() } else { format!("{days} dagen") };
                format!(
                    "Bij u thuis had model {version} de voorbije {period} {after} {alarms} gegeven in plaats van {before}."
                )
            }
        }
    }

    /// The daily brief: how many entities are watched; number and names of alarms of which residents were notified, and of those withheld; open
    /// questions.
    #[must_use]
    pub fn brief(self, day: &DayInBrief<'_>) -> String {
        let DayInBrief { watched, shown, suppressed, withheld, questions } = *day;
        let mut parts = Vec::new();
        match self {
            Self::English => {
                parts.push(match shown {
                    (0, _) => format!("Nothing unusual in the last day; {watched} sensors watched."),
                    (1, names) => format!("One alarm in the last day: {names}."),
                    (count, names) => format!("{count} alarms in the last day: {names}."),
                });
                if suppressed.0 > 0 {
                    parts.push(format!("Kept back: {} ({}).", suppressed.0, suppressed.1));
                }
                if withheld.0 > 0 {
                    parts.push(format!(
                        "Not told, since you have had all the alarms that you asked for: {} ({}).",
                        withheld.0, withheld.1
                    ));
                }
                match questions {
                    0 => {}
                    1 => parts.push("One question waits for your answer.".to_owned()),
                    count => parts.push(format!("{count} questions wait for your answer.")),
                }
            }
            Self::Dutch => {
                parts.push(match shown {
                    (0, _) => format!("Niets ongewoons de voorbije dag; {watched} sensoren in het oog gehouden."),
                    (1, names) => format!("Eén alarm de voorbije dag: {names}."),
                    (count, names) => format!("{count} alarmen de voorbije dag: {names}."),
                });
                if suppressed.0 > 0 {
                    parts.push(format!("Niet gemeld: {} ({}).", suppressed.0, suppressed.1));
                }
                if withheld.0 > 0 {
                    parts.push(format!(
                        "Niet gemeld omdat u al zoveel alarmen kreeg als u vroeg: {} ({}).",
                        withheld.0, withheld.1
                    ));
                }
                match questions {
                    0 => {}
                    1 => parts.push("Eén vraag wacht op een antwoord.".to_owned()),
                    count => parts.push(format!("{count} vragen wachten op een antwoord.")),
                }
            }
        }
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brief_says_what_was_not_told_and_why() {
        let day = DayInBrief {
            watched: 7,
            shown: (1, "Boiler"),
            suppressed: (0, ""),
            withheld: (2, "Oven, Fridge"),
            questions: 0,
        };
        assert_eq!(
            Language::English.brief(&day),
            "One alarm in the last day: Boiler. Not told, since you have had all the alarms that you asked for: 2 (Oven, Fridge)."
        );
    }
}
