//! Rules for what costs money or does harm: each looks for one fault and says nothing of anything else.
//!
//! The statistics of the baseline detector ask how rare a step is; a slow fault is rare in no single step. Each rule here holds what
//! lasts (a run, a flow, a fall of charge) against the most that this entity did in its own last weeks, and needs no network. A rule
//! speaks under a threshold of its own ([`RULE_THRESHOLD`]), outside of the home's budget: it is made to be wrong less than once in
//! ten weeks of a home, which `cargo xtask bench homes` counts.
//!
//! | rule | finds | needs |
//! |---|---|---|
//! | `running` | an appliance, a light or a door that stays on longer than it ever did; a compressor that never starts | a week, 5 runs |
//! | `flow` | water that never stops; an hour of more water than ever | a week |
//! | `cold_store` | a freezer or a fridge that gets warm | a day |
//! | `cold_room` | a room that gets cold where heating runs | two weeks, a boiler's power or state |
//! | `damp` | humidity that does not fall after a shower | 5 damp stretches |
//! | `battery` | a battery that will be empty within a week | 3 days |
//! | `reports` | a sensor that reports ever less | a week |
//! | `beyond` | a plug or a roof far beyond the most of its last weeks | two weeks |
//! | `night` | a roof that makes power at night | a week |
//! | `production` | a solar roof that makes less than these days allow, by its own past or by a light sensor (`sunlight`) | two weeks |

pub(crate) mod battery;
mod beyond;
pub(crate) mod cold_room;
pub(crate) mod cold_store;
mod damp;
mod entity_rules;
pub(crate) mod flow;
mod night;
pub mod production;
pub(crate) mod reports;
pub(crate) mod running;
mod sunlight;

pub(crate) use entity_rules::{EntityRules, RuleInput};

use crate::finding::{BaselineScore, Finding};

/// The score of a rule that has found something.
pub const RULE_SCORE: f32 = 12.0;
/// What a rule's score is held against, whatever the home's budget: a rule says yes or no.
pub const RULE_THRESHOLD: f32 = 8.0;

impl Finding {
    pub(crate) fn score(self) -> BaselineScore {
        BaselineScore { score: RULE_SCORE, kind: self.kind, amount: self.amount, usual: self.usual }
    }
}
