//! What another model would have changed in this home's last weeks.

use hearthwatch_protocol::ModelVersion;
use serde::{Deserialize, Serialize};

/// What a new model would have changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backtest {
    /// From when.
    pub from: i64,
    /// Until when.
    pub until: i64,
    /// The model before, and the alarms that it would have raised with today's answers.
    pub before: (ModelVersion, u32),
    /// The same of the new model.
    pub after: (ModelVersion, u32),
}

impl Backtest {
    /// How many days were compared, to the nearest.
    #[must_use]
    pub fn days(&self) -> u32 {
        u32::try_from((self.until - self.from + 43_200) / 86_400).unwrap_or(0)
    }
}
