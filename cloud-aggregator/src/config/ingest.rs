//! `[ingest]`: what is asked of answers before they come in.

use super::section::Section;
use crate::ingest::labels::{LabelPolicy, UNANNOUNCED_PER_DAY};

/// Most unannounced answers a day that can be asked for: a fifth of the daily quota.
const UNANNOUNCED_MAX: i64 = 1_000;

pub(super) fn read(mut section: Section<'_>) -> LabelPolicy {
    let usual = i64::try_from(UNANNOUNCED_PER_DAY).unwrap_or(UNANNOUNCED_MAX);
    let policy = LabelPolicy {
        require_announced: section.flag("require_announced", true),
        unannounced_per_day: section.number("unannounced_per_day", 0..=UNANNOUNCED_MAX, usual).unsigned_abs(),
    };
    section.finish();
    policy
}
