//! What the service writes down: each write that fails is one line in the log, and the home goes on.

use hearthwatch_edge_store::history::{History, HistoryError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::view::ShownAlarm;

/// The history on disk, and whether the last write to it failed.
pub(super) struct Memory {
    pub(super) history: History,
    /// The newest step was not written: the disk is full, or broken.
    pub(super) forgets: bool,
}

impl Memory {
    pub(super) fn new(history: History) -> Self {
        Self { history, forgets: false }
    }

    /// A note as it was kept; none where there is none, or where it does not read and was set aside.
    pub(super) fn note<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, HistoryError> {
        let Some(text) = self.history.note(name)? else { return Ok(None) };
        Ok(serde_json::from_str(&text).inspect_err(|error| self.history.set_note_aside(name, error, &text)).ok())
    }

    /// Keeps a note; `lost` is the log text where that fails.
    pub(super) fn keep_note(&mut self, name: &str, note: &impl Serialize, lost: &str) {
        let kept = serde_json::to_string(note)
            .map_err(|error| error.to_string())
            .and_then(|text| self.history.set_note(name, &text).map_err(|error| error.to_string()));
        if let Err(error) = kept {
            tracing::warn!(error, "{lost}");
        }
    }

    /// Writes an alarm, new or changed, and with `window` what the model saw.
    pub(super) fn save_alarm(&mut self, alarm: &ShownAlarm, window: Option<&[f32]>) {
        if let Err(error) = self.history.save_alarm(alarm, window) {
            tracing::error!(error = %error, alarm.id = alarm.alarm.id, "an alarm would not survive a restart");
        }
    }
}
