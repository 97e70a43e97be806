//! What the allowance held back: counted and shown, never lost in silence.

use serde::{Deserialize, Serialize};

use crate::alarm::{Evidence, SPAN_SECONDS};
use crate::finding::AnomalyKind;

/// That are remembered; one a day in the span would be 28.
const WITHHELD_MAX: usize = 64;
/// Evidence of the same entity this soon after is the same: six hours, as alarms are merged.
const SAME_SECONDS: i64 = super::event::MERGE_SECONDS;

/// One stretch of evidence above its threshold that was not told, since the home had its share of alarms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Withheld {
    /// Index in the home's list of entities.
    pub entity: u32,
    /// When it was first held back, Unix seconds.
    pub from: i64,
    /// When it was last.
    pub until: i64,
    /// In what way it was unusual.
    pub kind: AnomalyKind,
    /// How far it lay above its threshold at the most.
    pub excess: f32,
}

/// The last of them, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct WithheldList {
    all: Vec<Withheld>,
}

impl WithheldList {
    pub(crate) fn note(&mut self, at: i64, evidence: &Evidence, excess: f32) {
        let same = self.all.iter_mut().rev().find(|one| one.entity == evidence.entity);
        if let Some(one) = same.filter(|one| at.saturating_sub(one.until) <= SAME_SECONDS) {
            one.until = one.until.max(at);
            if excess > one.excess {
                (one.excess, one.kind) = (excess, evidence.kind);
            }
            return;
        }
        self.all.retain(|one| at.saturating_sub(one.until) < SPAN_SECONDS);
        self.push(Withheld { entity: evidence.entity, from: at, until: at, kind: evidence.kind, excess });
    }

    pub(crate) fn push(&mut self, withheld: Withheld) {
        if self.all.len() >= WITHHELD_MAX {
            self.all.remove(0);
        }
        self.all.push(withheld);
    }

    pub(crate) fn all(&self) -> &[Withheld] {
        &self.all
    }
}
