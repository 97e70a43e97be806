//! What residents say to the agent over MQTT, read strictly: anything else is refused with its reason.

use hearthwatch_detector::alarm::{Severity, Verdict};
use hearthwatch_edge_core::alarm::Reason;
use hearthwatch_edge_core::preferences::{Change, DailyTime, HomeMode, QuietHours};
use hearthwatch_protocol::{AlarmId, IdError};
use serde::Deserialize;

use super::device::{BIRTH_TOPIC, Device, OFF, ONLINE};

/// Longest command. A JSON answer has about 100 bytes, and a reason and a name of 260 letters, escaped at six bytes each.
const COMMAND_BYTES_MAX: usize = 2048;

/// Longest name of who answers that is kept.
const NAME_CHARS_MAX: usize = 60;

/// Something that was said to the agent.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// An answer; without an id, to the alarm that is shown.
    Answer {
        /// Which alarm.
        alarm: Option<AlarmId>,
        /// What the resident says of it.
        verdict: Verdict,
        /// Who says so; empty when nobody knows.
        by: String,
        /// Why, in their own words.
        reason: Option<Reason>,
    },
    /// Do not mention the entity of an alarm for a while.
    Snooze {
        /// Which alarm.
        alarm: AlarmId,
        /// For how long.
        hours: u16,
    },
    /// A wish about the house.
    Wish(Change),
    /// Something was off, and nobody said so.
    Miss {
        /// Where.
        entity_id: String,
        /// When, in Unix seconds; none: now.
        at: Option<i64>,
    },
    /// Install the newest model now.
    Install,
    /// Go back to the model before.
    RollBack,
    /// Home Assistant is there, or has gone.
    Birth {
        /// Which of both.
        online: bool,
    },
}

/// Why something that was said is not a command.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Too long to be honest.
    #[error("has {0} bytes, more than {COMMAND_BYTES_MAX}")]
    TooLong(usize),
    /// The broker kept it from earlier: it was obeyed then, or nobody knows when it was meant.
    #[error("is retained; commands must not be")]
    Retained,
    /// No such command.
    #[error("is on a topic that is not a command's")]
    Topic,
    /// Not one of the words for an answer.
    #[error("is none of confirmed, dismissed, expected, test")]
    Verdict,
    /// Not a mode, a switch position or a number.
    #[error("is no wish that can be granted")]
    Wish,
    /// Not `{"alarm_id": …, "verdict": …}`.
    #[error("is not an answer: {0}")]
    Json(#[from] serde_json::Error),
    /// Not `{"entity_id": …, "at": …}`.
    #[error("is not a miss: {0}")]
    Miss(#[source] serde_json::Error),
    /// Not an alarm's id.
    #[error("names no alarm: {0}")]
    Alarm(#[from] IdError),
}

/// The JSON answer, for automations: it names its alarm.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonAnswer {
    alarm_id: String,
    verdict: String,
    /// Who answers.
    #[serde(default)]
    by: String,
    /// Why, for those who live here.
    #[serde(default)]
    reason: String,
}

/// A snooze, for automations.
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
            Some(wish @ ("house_mode" | "pause" | "budget" | "quiet_hours" | "brief")) => {
                let word = std::str::from_utf8(payload).map_err(|_| AnswerError::Wish)?;
                wished(wish, word).map(Self::Wish).ok_or(AnswerError::Wish)
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

fn wished(what: &str, word: &str) -> Option<Change> {
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
