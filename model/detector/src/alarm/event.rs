//! An alarm, what happens to it, and what a resident can answer.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::finding::{AnomalyKind, Band};

/// Hexadecimal digits of an alarm's id: 64 bits, so that a home with 10⁵ alarms has a collision with p < 10⁻⁹.
const ID_DIGITS: usize = 16;

/// An alarm that comes back this soon is the same episode: six hours.
pub const MERGE_SECONDS: i64 = 6 * 3600;

/// How much an alarm matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth a look when there is time.
    Info,
    /// Worth a look today.
    Warning,
    /// Worth a look now.
    Critical,
}

impl Severity {
    /// The severity in a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Something unusual, from its first sign to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// `[a-z0-9-]`, made by [`alarm_id`]: it tells nothing about the entity to who does not hold the salt.
    pub id: String,
    /// Index in the home's list of entities.
    pub entity: u32,
    /// Start of the unusual stretch, in Unix seconds.
    pub start: i64,
    /// Its end; none while it lasts.
    pub end: Option<i64>,
    /// When it was said. Never before `start`.
    pub raised_at: i64,
    /// How much it matters.
    pub severity: Severity,
    /// The highest score so far.
    pub score: f32,
    /// The threshold that it crossed.
    pub threshold: f32,
    /// The value when the score was highest, in the unit that is shown.
    pub observed: Option<f32>,
    /// What was expected then.
    pub band: Option<Band>,
    /// In what way it is unusual.
    pub kind: AnomalyKind,
    /// The figure behind `kind`, as in [`BaselineScore::amount`](crate::finding::BaselineScore::amount).
    #[serde(default)]
    pub amount: f32,
    /// What that figure usually stays below; 0 where the kind needs none.
    #[serde(default)]
    pub usual: f32,
    /// One sentence with numbers and units.
    pub reason: String,
}

/// What became of an alarm in a step or on a reading.
#[derive(Debug, Clone, PartialEq)]
pub enum AlarmEvent {
    /// It is new.
    Raised(Alarm),
    /// It grew: a higher severity, or another kind.
    Changed(Alarm),
    /// It is over.
    Ended(Alarm),
}

impl AlarmEvent {
    /// The alarm that this is about.
    #[must_use]
    pub fn alarm(&self) -> &Alarm {
        match self {
            Self::Raised(alarm) | Self::Changed(alarm) | Self::Ended(alarm) => alarm,
        }
    }
}

/// A resident's answer, as it is stored and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A fault: never quietened, and a positive example.
    Confirmed,
    /// It was a nuisance.
    Dismissed,
    /// It was real and no surprise: guests, a holiday. Teaches nothing.
    Expected,
}

/// No alarm with this id is remembered: it never was, or the bounded list has let it go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no alarm {0:?} is remembered")]
pub struct UnknownAlarm(pub String);

/// The id of the alarm of `entity_id` that starts at `start`: the first 16 hexadecimal digits of
/// SHA-256(salt | entity id | start), so the same history gives the same ids.
#[must_use]
pub fn alarm_id(salt: &[u8], entity_id: &str, start: i64) -> String {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(b"|");
    hash.update(entity_id.as_bytes());
    hash.update(b"|");
    hash.update(start.to_be_bytes());
    let mut text = hex::encode(hash.finalize());
    text.truncate(ID_DIGITS);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_salt_entity_and_start() {
        let id = alarm_id(b"salt", "sensor.a", 600);
        assert_eq!(id.len(), ID_DIGITS);
        assert_eq!(id, alarm_id(b"salt", "sensor.a", 600));
        assert_ne!(id, alarm_id(b"other", "sensor.a", 600));
        assert_ne!(id, alarm_id(b"salt", "sensor.b", 600));
        assert_ne!(id, alarm_id(b"salt", "sensor.a", 1200));
    }
}
