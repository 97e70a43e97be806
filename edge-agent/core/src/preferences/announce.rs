//! Whether residents are notified of an alarm now, later or not at all: all preferences in one decision.

use hearthwatch_detector::alarm::{FAR_ABOVE, Severity};
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::finding::AnomalyKind;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{Preferences, allowed_in_a_week};

/// What is only worth a look must last for two more steps before residents are notified; of what matters more they are notified at once, for the
/// detector asks for sustained evidence already.
pub const DEBOUNCE_SECONDS: i64 = 1_200;

/// What the preferences need to know of an alarm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Subject<'a> {
    /// Home Assistant's id of the entity.
    pub entity_id: &'a str,
    /// Home Assistant's name of the area; none where the entity has none.
    pub area: Option<&'a str>,
    /// Device class of the entity.
    pub class: DeviceClass,
    /// In what way the entity is unusual.
    pub kind: AnomalyKind,
    /// True for more than usual, false for less.
    pub too_much: bool,
    /// Below critical, the budget and the debounce apply.
    pub severity: Severity,
    /// Score minus threshold.
    pub excess: f32,
    /// For how long it is known, in seconds.
    pub known_for: i64,
}

/// Why residents are not notified of an alarm. It is kept in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suppression {
    /// Residents paused all notices.
    Paused,
    /// The mode of the home explains the alarm.
    Mode,
    /// A mute or snooze covers it. Stored and shown as it always was.
    #[serde(rename = "hushed")]
    Muted,
    /// The budget of the last seven days is used up.
    Budget,
    /// It was over before it had lasted long enough, or before the quiet hours ended.
    Passed,
}

impl Suppression {
    /// The reason in one word, as published in attributes.
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

/// Whether and when residents are notified of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Announcement {
    /// Notify at once.
    Now,
    /// Notify at this time, Unix seconds, unless it is over or answered by then: after the quiet hours, or when it has lasted.
    Later(i64),
    /// Do not notify; keep it in the history.
    Suppression(Suppression),
}

impl Preferences {
    /// Decides on an alarm at `now`, Unix seconds. `shown` counts the alarms of the last seven days that are below critical, of which
    /// residents were notified, and that nobody confirmed; `budget` is in alarms a week.
    pub fn announce(
        &self,
        subject: &Subject<'_>,
        shown: usize,
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
        if !critical && !plain && shown >= allowed_in_a_week(budget) {
            return Announcement::Suppression(Suppression::Budget);
        }
        let quiet = self.quiet_hours.filter(|quiet| subject.severity < quiet.let_through);
        let morning = quiet.and_then(|quiet| quiet.end(now, timezone));
        let lasting = (subject.severity == Severity::Info && subject.known_for < DEBOUNCE_SECONDS)
            .then(|| now + DEBOUNCE_SECONDS - subject.known_for);
        morning.max(lasting).map_or(Announcement::Now, Announcement::Later)
    }
}
