//! Mutes and snoozes: which notices are suppressed, until when, and which can never be suppressed for good.
//!
//! What is muted is still watched, remembered and shown in the history; only its notices are suppressed.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::finding::AnomalyKind;
use serde::{Deserialize, Serialize};

use super::Subject;

/// Most that are kept at once: a list that a person can still read.
pub const MUTES_MAX: usize = 100;
/// A snooze is over after at most a month; what lasts longer is a mute and is guarded as one.
pub const SNOOZE_SECONDS_MAX: i64 = 31 * 86_400;
/// Longest name of an area or entity in a scope; Home Assistant's own bound on entity ids is 255.
const NAME_CHARS_MAX: usize = 255;

/// What a mute covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "covers")]
pub enum Scope {
    /// Everything; only with an end.
    Home,
    /// All entities of an area; only with an end.
    Area {
        /// Home Assistant's name of the area.
        area: String,
    },
    /// One entity, in all kinds or in one.
    Entity {
        /// Home Assistant's id.
        entity_id: String,
        /// None covers all kinds.
        #[serde(default)]
        kind: Option<AnomalyKind>,
    },
}

/// Something of which residents want no notice, for a time (a snooze) or for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    /// Given by this home, from 1 on; names the mute when it is taken back.
    pub id: u64,
    /// What it covers.
    pub scope: Scope,
    /// Unix seconds.
    pub since: i64,
    /// Unix seconds; none for good.
    pub until: Option<i64>,
}

impl Mute {
    /// Whether it is in force at `now`, Unix seconds.
    #[must_use]
    pub fn holds(&self, now: i64) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether it covers `subject`. A warning of danger is never covered, and a mute for good covers no entity that exists to give one.
    #[must_use]
    pub fn covers(&self, subject: &Subject<'_>) -> bool {
        if subject.kind.is_danger() {
            return false;
        }
        if self.until.is_none() && must_stay_watched(subject.class) {
            return false;
        }
        match &self.scope {
            Scope::Home => true,
            Scope::Area { area } => subject.area == Some(area.as_str()),
            Scope::Entity { entity_id, kind } => {
                subject.entity_id == entity_id && kind.is_none_or(|kind| kind == subject.kind)
            }
        }
    }
}

/// Why a mute or snooze is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MuteError {
    /// Silencing the whole home, or a whole area, for good.
    #[error("only one entity can be kept quiet for good; keep the rest quiet for some hours, or pause")]
    TooWide,
    /// It would be over before it began.
    #[error("what is kept quiet is so until later than now")]
    Past,
    /// A snooze of more than [`SNOOZE_SECONDS_MAX`].
    #[error("something is kept quiet for at most {} days; keep the entity quiet for good if that is meant", SNOOZE_SECONDS_MAX / 86_400)]
    TooLong,
    /// [`MUTES_MAX`] are in force already.
    #[error("{MUTES_MAX} things are kept quiet already; lift one first")]
    TooMany,
    /// No name, or one that cannot be.
    #[error("what is kept quiet is named by an entity or an area")]
    Name,
}

/// Whether such a mute is allowed.
pub(super) fn check(scope: &Scope, until: Option<i64>, now: i64) -> Result<(), MuteError> {
    let name = match scope {
        Scope::Home => "home",
        Scope::Area { area } => area,
        Scope::Entity { entity_id, .. } => entity_id,
    };
    if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(MuteError::Name);
    }
    match until {
        None if !matches!(scope, Scope::Entity { .. }) => Err(MuteError::TooWide),
        Some(until) if until <= now => Err(MuteError::Past),
        Some(until) if until - now > SNOOZE_SECONDS_MAX => Err(MuteError::TooLong),
        _ => Ok(()),
    }
}

/// What is never muted for good: sensors that exist for the worst day.
fn must_stay_watched(class: DeviceClass) -> bool {
    class.warns_of_danger() || class == DeviceClass::CarbonMonoxide
}
