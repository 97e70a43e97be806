//! `[ingest]`: what is asked of answers before they come in.

use hearthwatch_configuration::{Faults, Section};
use hearthwatch_ingest::admission::QUOTA_RECORDS;
use hearthwatch_ingest::labels::LabelPolicy;

/// Most unannounced answers a day that can be asked for: a fifth of the usual daily quota.
const UNANNOUNCED_MAX: u64 = 1_000;
/// Highest daily quota that can be asked for: ten a second.
const RECORDS_MAX: u64 = 864_000;

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

pub(super) fn read(mut section: Section<'_>, faults: &mut Faults) -> IngestConfig {
    let usual = IngestConfig::default();
    let require_announced = section.flag("require_announced", faults).unwrap_or(usual.labels.require_announced);
    let unannounced_per_day = section.whole("unannounced_per_day", 0..=UNANNOUNCED_MAX, faults);
    let records_per_day = section.whole("records_per_day", 1..=RECORDS_MAX, faults);
    section.finish(faults);
    IngestConfig {
        labels: LabelPolicy {
            require_announced,
            unannounced_per_day: unannounced_per_day.unwrap_or(usual.labels.unannounced_per_day),
        },
        records_per_day: records_per_day.unwrap_or(usual.records_per_day),
    }
}
