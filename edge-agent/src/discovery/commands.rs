//! What residents say to the agent over MQTT, read strictly: anything else is refused with its reason.

use hearthwatch_model::alarm::Verdict;
use hearthwatch_protocol::{AlarmId, IdError};
use serde::Deserialize;

use super::device::{BIRTH_TOPIC, Device, ONLINE};

/// Longest command. A JSON answer has about 70 bytes.
const COMMAND_BYTES_MAX: usize = 1024;

/// Something that was said to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// An answer; without an id, to the alarm that is shown.
    Answer {
        /// Which alarm.
        alarm: Option<AlarmId>,
        /// What the resident says of it.
        verdict: Verdict,
    },
    /// Install the newest model now.
    Install,
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
    /// Not one of the three verdicts.
    #[error("is none of confirmed, dismissed, expected")]
    Verdict,
    /// Not `{"alarm_id": …, "verdict": …}`.
    #[error("is not an answer: {0}")]
    Json(#[from] serde_json::Error),
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
            Some("verdict") => Ok(Self::Answer { alarm: None, verdict: verdict(payload)? }),
            Some("answer") => {
                let answer: JsonAnswer = serde_json::from_slice(payload)?;
                let verdict = verdict(answer.verdict.as_bytes())?;
                Ok(Self::Answer { alarm: Some(AlarmId::new(answer.alarm_id)?), verdict })
            }
            Some("install") => Ok(Self::Install),
            _ => Err(AnswerError::Topic),
        }
    }
}

fn verdict(word: &[u8]) -> Result<Verdict, AnswerError> {
    match word {
        b"confirmed" => Ok(Verdict::Confirmed),
        b"dismissed" => Ok(Verdict::Dismissed),
        b"expected" => Ok(Verdict::Expected),
        _ => Err(AnswerError::Verdict),
    }
}
