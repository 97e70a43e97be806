//! `[retention]`: how long things are kept.

use hearthwatch_configuration::{Faults, Section};

/// Longest time that can be asked for, days: a hundred years.
const DAYS_MAX: u64 = 36_500;

/// Days that things are kept; none keeps them for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetentionConfig {
    /// Answers, announcements, and the files of data sets.
    pub answers_days: Option<u64>,
    /// What was refused.
    pub quarantine_days: Option<u64>,
}

pub(super) fn read(mut section: Section<'_>, faults: &mut Faults) -> RetentionConfig {
    let [answers_days, quarantine_days] =
        ["answers_days", "quarantine_days"].map(|key| section.whole(key, 1..=DAYS_MAX, faults));
    section.finish(faults);
    RetentionConfig { answers_days, quarantine_days }
}
