//! Residents' commands over MQTT, parsed strictly: anything else is refused with its reason.

use hearthwatch_detector::alarm::{Severity, Verdict};
use hearthwatch_edge_core::alarm::Reason;
use hearthwatch_edge_core::preferences::{Change, DailyTime, HomeMode, QuietHours};
use hearthwatch_protocol::{AlarmId, IdError};
use serde::Deserialize;

use super::device::{BIRTH_TOPIC, Device, OFF, ONLINE};

/// Longest command. A JSON answer has about 100 bytes, and a reason and a name of 260 letters, escaped at six bytes each.
const COMMAND_BYTES_MAX: usize = 2048;

/// Longest name of a person that is kept, in characters.
const NAME_CHARS_MAX: usize = 60;

/// A command from Home Assistant or an automation.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// An answer; without an id, to the alarm that is shown.
    Answer {
        /// None: the alarm that is shown.
        alarm: Option<AlarmId>,
        /// The resident's answer.
        verdict: Verdict,
        /// Name of the person; empty when it is not known.
        by: String,
        /// In the person's own words; stays in this home.
        reason: Option<Reason>,
    },
    /// Suppress notices about the entity of an alarm for a while.
    Snooze {
        /// Id of the alarm whose entity is meant.
        alarm: AlarmId,
        /// From now on.
        hours: u16,
    },
    /// Change a preference.
    Preference(Change),
    /// Something was wrong, and there was no alarm.
    Miss {
        /// Home Assistant's id.
        entity_id: String,
        /// Unix seconds; none: now.
        at: Option<i64>,
    },
    /// Install the offered model.
    Install,
    /// Go back to the model before.
    RollBack,
    /// Home Assistant's own birth or will message.
    Birth {
        /// True for birth.
        online: bool,
    },
}

/// Why a message is not a command; the text goes into the log.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// More bytes than any command of ours has.
    #[error("has {0} bytes, more than {COMMAND_BYTES_MAX}")]
    TooLong(usize),
    /// The broker kept it from earlier: it was obeyed then, or nobody knows when it was meant.
    #[error("is retained; commands must not be")]
    Retained,
    /// No command has this topic.
    #[error("is on a topic that is not a command's")]
    Topic,
    /// Not one of the words for an answer.
    #[error("is none of confirmed, dismissed, expected, test")]
    Verdict,
    /// Not a value of this preference.
    #[error("is no wish that can be granted")]
    Preference,
    /// Not JSON of the form `{"alarm_id": …, "verdict": …}`.
    #[error("is not an answer: {0}")]
    Json(#[from] serde_json::Error),
    /// Not JSON of the form `{"entity_id": …, "at": …}`.
    #[error("is not a miss: {0}")]
    Miss(#[source] serde_json::Error),
    /// Not the form of an alarm's id.
    #[error("names no alarm: {0}")]
    Alarm(#[from] IdError),
}

/// The JSON answer, for automations: it names its alarm.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonAnswer {
    alarm_id: String,
    verdict: String,
    /// Name of the person.
    #[serde(default)]
    by: String,
    /// In the person's own words; stays in this home.
    #[serde(default)]
    reason: String,
}

/// A snooze as JSON, for automations.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonSnooze {
    alarm_id: String,
    hours: u16,
}

/// "Something was off here", for automations; `at` as RFC 3339, left out for now.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonMiss {
    entity_id: String,
    #[serde(default)]
    at: Option<jiff::Timestamp>,
}

impl Command {
    /// Reads a message.
    ///
    /// # Errors
    /// [`AnswerError`], which is for the log: nobody waits for an answer.
    pub fn read(device: &Device, topic: &str, payload: &[u8], retained: bool) -> Result<Self, AnswerError> {
        if payload.len() > COMMAND_BYTES_MAX {
            return Err(AnswerError::TooLong(payload.len()));
        }
        if topic == BIRTH_TOPIC {
            return Ok(Self::Birth { online: payload == ONLINE.as_bytes() });
        }
        if retained {
            return Err(AnswerError::Retained);
        }
        let own = device.topic("command/");
        match topic.strip_prefix(&own) {
            Some("verdict") => {
                Ok(Self::Answer { alarm: None, verdict: verdict(payload)?, by: String::new(), reason: None })
            }
            Some("answer") => {
                let answer: JsonAnswer = serde_json::from_slice(payload)?;
                let verdict = verdict(answer.verdict.as_bytes())?;
                let by = answer.by.chars().take(NAME_CHARS_MAX).collect();
                let reason = Reason::new(&answer.reason);
                Ok(Self::Answer { alarm: Some(AlarmId::new(answer.alarm_id)?), verdict, by, reason })
            }
            Some("snooze") => {
                let snooze: JsonSnooze = serde_json::from_slice(payload)?;
                Ok(Self::Snooze { alarm: AlarmId::new(snooze.alarm_id)?, hours: snooze.hours })
            }
            Some(setting @ ("house_mode" | "pause" | "budget" | "quiet_hours" | "brief")) => {
                let word = std::str::from_utf8(payload).map_err(|_| AnswerError::Preference)?;
                preference(setting, word).map(Self::Preference).ok_or(AnswerError::Preference)
            }
            Some("miss") => {
                let miss: JsonMiss = serde_json::from_slice(payload).map_err(AnswerError::Miss)?;
                Ok(Self::Miss { entity_id: miss.entity_id, at: miss.at.map(jiff::Timestamp::as_second) })
            }
            Some("install") => Ok(Self::Install),
            Some("roll_back") => Ok(Self::RollBack),
            _ => Err(AnswerError::Topic),
        }
    }
}

fn preference(what: &str, word: &str) -> Option<Change> {
    match (what, word) {
        ("house_mode", word) => HomeMode::parse(word).map(Change::Mode),
        ("pause", "ON") => Some(Change::Paused(true)),
        ("pause", "OFF") => Some(Change::Paused(false)),
        ("quiet_hours" | "brief", OFF) => {
            Some(if what == "brief" { Change::Brief(None) } else { Change::QuietHours(None) })
        }
        ("quiet_hours", hours) => {
            let (from, until) = hours.split_once('-')?;
            let (from, until) = (DailyTime::parse(from).ok()?, DailyTime::parse(until).ok()?);
            // At night only what is critical is worth a noise.
            Some(Change::QuietHours(Some(QuietHours { from, until, let_through: Severity::Critical })))
        }
        ("brief", time) => DailyTime::parse(time).ok().map(|time| Change::Brief(Some(time))),
        ("budget", number) => number.parse().ok().map(Change::Budget),
        _ => None,
    }
}

fn verdict(word: &[u8]) -> Result<Verdict, AnswerError> {
    match word {
        b"confirmed" => Ok(Verdict::Confirmed),
        b"dismissed" => Ok(Verdict::Dismissed),
        // "It was a test" is what a resident says of a detector that they tried out.
        b"expected" | b"test" => Ok(Verdict::Expected),
        _ => Err(AnswerError::Verdict),
    }
}
