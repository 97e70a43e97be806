//! `[ingest]`: what is asked of answers before they come in.

use hearthwatch_ingest::admission::QUOTA_RECORDS;
use hearthwatch_ingest::labels::{LabelPolicy, UNANNOUNCED_PER_DAY};

use super::section::Section;

/// Most unannounced answers a day that can be asked for: a fifth of the usual daily quota.
const UNANNOUNCED_MAX: i64 = 1_000;
/// Highest daily quota that can be asked for: ten a second.
const RECORDS_MAX: i64 = 864_000;

/// What is asked of answers, and how many may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestConfig {
    /// What an answer must rest on.
    pub labels: LabelPolicy,
    /// Records, and announcements, that a home may send within a day.
    pub records_per_day: u64,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self { labels: LabelPolicy::default(), records_per_day: QUOTA_RECORDS }
    }
}

pub(super) fn read(mut section: Section<'_>) -> IngestConfig {
    let usual = i64::try_from(UNANNOUNCED_PER_DAY).unwrap_or(UNANNOUNCED_MAX);
    let labels = LabelPolicy {
        require_announced: section.flag("require_announced", true),
        unannounced_per_day: section.number("unannounced_per_day", 0..=UNANNOUNCED_MAX, usual).unsigned_abs(),
    };
    let usual = i64::try_from(QUOTA_RECORDS).unwrap_or(RECORDS_MAX);
    let records_per_day = section.number("records_per_day", 1..=RECORDS_MAX, usual).unsigned_abs();
    section.finish();
    IngestConfig { labels, records_per_day }
}
