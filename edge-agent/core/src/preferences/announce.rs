//! Whether an alarm is said now, later or not at all: every wish of the residents in one decision.

use hearthwatch_detector::alarm::{FAR_ABOVE, Severity};
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::finding::AnomalyKind;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{Preferences, allowed_in_a_week};

/// What is only worth a look must last for two more steps before it is said; what matters more is said at once, for the
/// detector asks for sustained evidence already.
pub const DEBOUNCE_SECONDS: i64 = 1_200;

/// What an alarm is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Subject<'a> {
    /// Home Assistant's id.
    pub entity_id: &'a str,
    /// Home Assistant's name of the area, where it has one.
    pub area: Option<&'a str>,
    /// What is measured.
    pub class: DeviceClass,
    /// In what way it is unusual.
    pub kind: AnomalyKind,
    /// More than usual, rather than less.
    pub too_much: bool,
    /// How much it matters.
    pub severity: Severity,
    /// By how much its score exceeds its threshold.
    pub excess: f32,
    /// For how long it is known, in seconds.
    pub known_for: i64,
}

/// Why an alarm is kept but not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suppression {
    /// Everything is paused.
    Paused,
    /// The mode of the house explains it.
    Mode,
    /// A mute or snooze covers it. Stored and shown as it always was.
    #[serde(rename = "hushed")]
    Muted,
    /// The week has had its alarms.
    Budget,
    /// It was over before it mattered, or before the quiet hours were.
    Passed,
}

impl Suppression {
    /// The reason in a word, as in attributes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Mode => "mode",
            Self::Muted => "hushed",
            Self::Budget => "budget",
            Self::Passed => "passed",
        }
    }
}

/// What becomes of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Announcement {
    /// It is said.
    Now,
    /// It is said then, unless it is over or answered by then: after the quiet hours, or when it has lasted.
    Later(i64),
    /// It is remembered, not said.
    Suppression(Suppression),
}

impl Preferences {
    /// Decides on an alarm at `now`. `said` is how many alarms below critical the last seven days have had that nobody
    /// confirmed; `budget` is how many a week the home bears.
    pub fn announce(
        &self,
        subject: &Subject<'_>,
        said: usize,
        budget: f64,
        now: i64,
        timezone: &TimeZone,
    ) -> Announcement {
        let critical = subject.severity == Severity::Critical;
        let danger = subject.kind.is_danger();
        if self.paused && !danger {
            return Announcement::Suppression(Suppression::Paused);
        }
        if self.mutes.iter().any(|mute| mute.holds(now) && mute.covers(subject)) {
            return Announcement::Suppression(Suppression::Muted);
        }
        if danger {
            return Announcement::Now;
        }
        if !critical && self.mode.explains(subject.class, subject.kind, subject.too_much) {
            return Announcement::Suppression(Suppression::Mode);
        }
        // A budget is for what may be nothing, and for sensors that are plainly broken: those are a nuisance.
        let plain =
            subject.kind.has_own_threshold() || (subject.excess >= FAR_ABOVE && subject.kind != AnomalyKind::Physics);
        if !critical && !plain && said >= allowed_in_a_week(budget) {
            return Announcement::Suppression(Suppression::Budget);
        }
        let quiet = self.quiet_hours.filter(|quiet| subject.severity < quiet.let_through);
        let morning = quiet.and_then(|quiet| quiet.end(now, timezone));
        let lasting = (subject.severity == Severity::Info && subject.known_for < DEBOUNCE_SECONDS)
            .then(|| now + DEBOUNCE_SECONDS - subject.known_for);
        morning.max(lasting).map_or(Announcement::Now, Announcement::Later)
    }
}
