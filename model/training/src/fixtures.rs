//! A home for the tests of this crate.

use hearthwatch_evaluation::evaluate::HomePair;
use hearthwatch_evaluation::fixtures::home::made_home;
use hearthwatch_evaluation::inject::{Family, InjectionPlan};

/// Four weeks of a made home, the first two of them warm-up, and as many copies with level shifts.
pub(crate) fn pair(copies: u64) -> HomePair {
    let home = made_home(3, 28);
    let from = home.span().unwrap().0 + 14 * 86_400;
    let plan =
        |copy: u64| InjectionPlan { seed: 1 + copy, events_per_entity_week: 2.0, families: vec![Family::LevelShift] };
    HomePair::extract(&home, from, (0..copies).map(plan))
}
