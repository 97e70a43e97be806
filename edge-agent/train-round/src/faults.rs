//! Copies of a home with faults in them.

use hearthwatch_evaluation::dataset::RecordedHome;
use hearthwatch_evaluation::evaluate::HomeTrace;
use hearthwatch_evaluation::inject::{Family, InjectionPlan, inject};

use crate::history::LocalHome;

/// Faulty copies of a home: as many as in [`RetrainConfig::release`](hearthwatch_training::RetrainConfig::release).
pub const COPIES: u64 = 3;

/// Seeds of a home's copies lie this many bits apart.
const COPY_SHIFT: u32 = 32;

/// The home as it was.
#[must_use]
pub fn clean(home: &LocalHome) -> HomeTrace {
    HomeTrace::extract_brief(&home.recorded, home.from)
}

/// Copy number `copy`, from 0, with so many faults of each sensor in a week. Readings of the copy are gone when it comes back.
#[must_use]
pub fn copy(home: &LocalHome, events_per_entity_week: f64, families: &[Family], seed: u64, copy: u64) -> HomeTrace {
    let seed = seed.wrapping_add(copy << COPY_SHIFT);
    let plan = InjectionPlan { seed, events_per_entity_week, families: families.to_vec() };
    let faulty: RecordedHome = inject(&home.recorded, &plan, home.from);
    HomeTrace::extract_brief(&faulty, home.from)
}
