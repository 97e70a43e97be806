//! Changes that a person or a background task decides on what it read: applied against that very version, with their line of
//! the audit log in the same transaction.

use std::collections::BTreeSet;

use hearthwatch_protocol::HomeId;
use serde_json::Value;

use super::Actor;
use super::rollouts::{AssignmentRow, ExclusionRow, RolloutRow};

/// What is to be changed. Where a row has a version, the change carries the one that was read, and
/// [`StoreError::Conflict`](super::StoreError::Conflict) says that somebody else wrote since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The rollout as it is to be; its `row_version` is the one that was read.
    Rollout(RolloutRow),
    /// The same, and with it the orders that lead homes back, the model withdrawn and the one before in charge again.
    RollBack {
        /// The rollout as it is to be.
        row: RolloutRow,
        /// Signed orders to the release before.
        orders: Vec<AssignmentRow>,
    },
    /// Shuts a home out. One that is out already keeps the time of that.
    RevokeHome {
        /// The home; [`StoreError::NotFound`](crate::StoreError::NotFound) if it never was let in.
        home: HomeId,
        /// Since when it is out, Unix seconds.
        at: i64,
    },
    /// Lets a home in again.
    RestoreHome {
        /// The home; one that is in stays in, and one that never was let in is not found.
        home: HomeId,
    },
    /// Gives a home these tags and no others.
    TagHome {
        /// The home; one that never was let in is not found.
        home: HomeId,
        /// At most [`TAGS_MAX`](crate::lists::TAGS_MAX), each checked by the caller.
        tags: BTreeSet<String>,
    },
    /// Keeps a home's answers from being learned from; a conflict if that is so already.
    ExcludeHome(ExclusionRow),
    /// Learns from a home again, and forgets what earlier rounds said against it.
    IncludeHome {
        /// The home; [`StoreError::NotFound`](crate::StoreError::NotFound) if it is not excluded and no round remembers it.
        home: HomeId,
        /// Who lifts the exclusion.
        by: Actor,
        /// When the exclusion ends, Unix seconds.
        at: i64,
    },
}

/// What the line of the audit log says besides what the change itself tells (subject, states and versions before and after).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// When the line is written, Unix seconds.
    pub at: i64,
    /// Who asked for the change.
    pub actor: Actor,
    /// What was done, e.g. `home.revoke`.
    pub action: String,
    /// A JSON object, its fields up to the action; what was before and after is added to it.
    pub detail: Value,
}

impl Note {
    /// A note that gives a reason.
    #[must_use]
    pub fn because(at: i64, actor: Actor, action: &str, reason: &str) -> Self {
        Self { at, actor, action: action.to_owned(), detail: serde_json::json!({ "reason": reason }) }
    }
}
