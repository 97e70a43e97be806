//! An alarm or a question, said before anybody answered it: what a later answer is held against.

use serde::{Deserialize, Serialize};

use crate::id::{AlarmId, HomeId, ModelVersion, RecordKey, Sequence};

/// Travels on the feedback topic, under the numbers of the same outbox: it is resent, covered by receipts and taken back
/// like an answer. Said only by a home that shares windows; of an alarm that is never answered the fleet learns this and
/// no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Whose it is; must equal the topic's home.
    pub home: HomeId,
    /// Position in the home's outbox.
    pub sequence: Sequence,
    /// The alarm or the question.
    pub alarm: AlarmId,
    /// The model that raised it.
    pub model_version: ModelVersion,
    /// [`FeatureWindow::digest`](super::FeatureWindow::digest) of what the model saw; the window itself stays at home until
    /// the resident answers.
    #[serde(with = "crate::bytes::fixed_bytes")]
    pub window_sha256: [u8; 32],
    /// The beginning, in UTC, of the day on which it was raised, Unix seconds: the hour is told by an answer only.
    pub raised_on: i64,
}

impl Announcement {
    /// What makes it unique.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        RecordKey { home: self.home.clone(), sequence: self.sequence }
    }
}
