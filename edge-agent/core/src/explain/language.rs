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
        self.pick("en", "nl")
    }

    /// Of the same in both languages, the one in this language.
    #[must_use]
    pub fn pick<T>(self, english: T, dutch: T) -> T {
        match self {
            Self::English => english,
            Self::Dutch => dutch,
        }
    }

    /// A manner of being unusual, as a heading.
    #[must_use]
    pub fn kind(self, kind: AnomalyKind) -> &'static str {
        use AnomalyKind as K;
        let (english, dutch) = match kind {
            K::Level => ("unusual value", "ongewone waarde"),
            K::Change => ("sudden change", "plotse verandering"),
            K::Noise => ("restless", "onrustig"),
            K::Peers => ("out of step", "uit de pas"),
            K::Flat => ("stuck", "blijft steken"),
            K::Silent => ("silent", "zwijgt"),
            K::Physics => ("impossible value", "onmogelijke waarde"),
            K::TimeInState => ("on or off for too long", "te lang aan of uit"),
            K::Rate => ("switches too often", "schakelt te vaak"),
            K::Alert => ("warning", "waarschuwing"),
            K::Pattern => ("unusual pattern", "ongewoon patroon"),
            K::Habit => ("broken habit", "verbroken gewoonte"),
            K::Running => ("still on", "nog steeds aan"),
            K::Stopped => ("does not start", "start niet"),
            K::Leak => ("water keeps running", "water blijft lopen"),
            K::Burst => ("very much water", "heel veel water"),
            K::Warm => ("too warm", "te warm"),
            K::Battery => ("battery nearly empty", "batterij bijna leeg"),
            K::FewReports => ("reports ever less", "meldt steeds minder"),
            K::Production => ("makes less power than usual", "wekt minder op dan gewoonlijk"),
            K::QuietHour => ("active at an unusual hour", "actief op een ongewoon uur"),
            K::Damp => ("stays damp", "blijft vochtig"),
            K::Beyond => ("far more than ever", "veel meer dan ooit"),
            K::Offline => ("many sensors unavailable", "veel sensoren niet beschikbaar"),
            K::Cold => ("gets cold though heating runs", "wordt koud hoewel de verwarming draait"),
        };
        self.pick(english, dutch)
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
        let mut parts = vec![match shown {
            (0, _) => self.pick(
                format!("Nothing unusual in the last day; {watched} sensors watched."),
                format!("Niets ongewoons de voorbije dag; {watched} sensoren in het oog gehouden."),
            ),
            (1, names) => self
                .pick(format!("One alarm in the last day: {names}."), format!("Eén alarm de voorbije dag: {names}.")),
            (count, names) => self.pick(
                format!("{count} alarms in the last day: {names}."),
                format!("{count} alarmen de voorbije dag: {names}."),
            ),
        }];
        if suppressed.0 > 0 {
            let kept = self.pick("Kept back", "Niet gemeld");
            parts.push(format!("{kept}: {} ({}).", suppressed.0, suppressed.1));
        }
        if withheld.0 > 0 {
            let why = self.pick(
                "Not told, since you have had all the alarms that you asked for",
                "Niet gemeld omdat u al zoveel alarmen kreeg als u vroeg",
            );
            parts.push(format!("{why}: {} ({}).", withheld.0, withheld.1));
        }
        match questions {
            0 => {}
            1 => parts
                .push(self.pick("One question waits for your answer.", "Eén vraag wacht op een antwoord.").to_owned()),
            count => parts.push(self.pick(
                format!("{count} questions wait for your answer."),
                format!("{count} vragen wachten op een antwoord."),
            )),
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
