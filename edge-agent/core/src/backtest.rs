//! What another model would have changed in this home's last weeks.

use hearthwatch_protocol::ModelVersion;
use serde::{Deserialize, Serialize};

/// What a backtest found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backtest {
    /// Begin of the compared time, Unix seconds.
    pub from: i64,
    /// Its end, Unix seconds.
    pub until: i64,
    /// The model that was replaced, and how many alarms it would have raised with today's answers.
    pub before: (ModelVersion, u32),
    /// The new model, and how many alarms it would have raised with the same answers.
    pub after: (ModelVersion, u32),
}

impl Backtest {
    /// How many days were compared, to the nearest.
    #[must_use]
    pub fn days(&self) -> u32 {
        u32::try_from((self.until - self.from + 43_200) / 86_400).unwrap_or(0)
    }
}
