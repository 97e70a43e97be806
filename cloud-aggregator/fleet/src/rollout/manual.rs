//! What an operator may do to a rollout. Each changes one row, against the version that was read; the
//! director does the rest.

use hearthwatch_protocol::ModelVersion;
use hearthwatch_store::rollouts::{RolloutRow, RolloutState};
use hearthwatch_store::{Actor, Change, Note, Store, StoreError};

use super::Director;

/// What may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
pub enum RolloutAction {
    /// Stop the clock: no further home gets the release until it goes on.
    #[strum(serialize = "paused")]
    Pause,
    /// Let a paused rollout go on; the pause does not count as time.
    #[strum(serialize = "resumed")]
    Resume,
    /// Open every wave now.
    #[strum(serialize = "promoted")]
    Promote,
    /// Stop for good; homes that have the release keep it.
    #[strum(serialize = "halted")]
    Halt,
    /// Stop for good, and order the homes that have the release back to the one before.
    #[strum(serialize = "rolled back")]
    RollBack,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum ManualError {
    /// There is no such rollout.
    #[error("no rollout of version {0}")]
    Unknown(ModelVersion),
    /// It is in a state in which this makes no sense.
    #[error("the rollout of version {version} is {state}: it cannot be {action}")]
    State {
        /// Version of the release.
        version: ModelVersion,
        /// Its state, in one word.
        state: &'static str,
        /// What it was to become: `paused`, `halted`, ….
        action: &'static str,
    },
    /// There is nothing to go back to.
    #[error("nothing was released before version {0}")]
    NothingBefore(ModelVersion),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RolloutAction {
    /// What it makes of a rollout.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The row after `action`. Pure. For [`RolloutAction::RollBack`] the orders are still to be signed.
///
/// # Errors
/// [`ManualError::State`] or [`ManualError::NothingBefore`].
pub fn decide(row: &RolloutRow, action: RolloutAction, reason: &str, now: i64) -> Result<RolloutRow, ManualError> {
    use RolloutState::{Complete, Halted, Paused, Running};
    let (row, reason) = (row.clone(), reason.to_owned());
    let refused =
        || ManualError::State { version: row.model_version, state: row.state.as_str(), action: action.as_str() };
    match (action, row.state) {
        (RolloutAction::Pause, Running) => Ok(RolloutRow { state: Paused, paused_at: Some(now), reason, ..row }),
        (RolloutAction::Resume, Paused) => {
            let paused_seconds = row.paused_seconds + row.paused_at.map_or(0, |since| (now - since).max(0));
            Ok(RolloutRow { state: Running, paused_at: None, paused_seconds, reason, ..row })
        }
        (RolloutAction::Promote, Running) => Ok(RolloutRow { forced: true, reason, ..row }),
        (RolloutAction::Halt, Running | Paused) => Ok(RolloutRow { state: Halted, ended_at: Some(now), reason, ..row }),
        (RolloutAction::RollBack, Running | Paused | Halted | Complete) if row.previous.is_none() => {
            Err(ManualError::NothingBefore(row.model_version))
        }
        (RolloutAction::RollBack, Running | Paused | Halted | Complete) => Ok(row),
        _ => Err(refused()),
    }
}

/// How often a stop is decided anew when somebody else wrote meanwhile: it must not be lost to a harmless write.
const ATTEMPTS: usize = 8;

/// What is asked for, by whom, and of what.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// The rollout of the release of this version.
    pub version: ModelVersion,
    /// What is to be done.
    pub action: RolloutAction,
    /// The asker's reason, kept in the row and in the audit log.
    pub reason: &'a str,
    /// Who is named in the audit log.
    pub actor: Actor,
    /// The row's version that the asker looked at, where it says so: the wish is then for that row and no other.
    pub row_version: Option<u64>,
    /// The time now, Unix seconds.
    pub now: i64,
}

/// Does it, with its line in the audit log. Blocks.
///
/// # Errors
/// [`ManualError`]; [`StoreError::Conflict`] when somebody wrote meanwhile. Then nothing was changed.
pub fn act(director: &Director, store: &dyn Store, asked: &Asked<'_>) -> Result<(), ManualError> {
    // A stop is decided anew on what is there now; everything else is for its asker to look at again.
    let stops = matches!(asked.action, RolloutAction::Halt | RolloutAction::RollBack) && asked.row_version.is_none();
    let attempts = if stops { ATTEMPTS } else { 1 };
    let mut done = attempt(director, store, asked);
    for _ in 1..attempts {
        if !matches!(done, Err(ManualError::Store(StoreError::Conflict { .. }))) {
            break;
        }
        done = attempt(director, store, asked);
    }
    done?;
    director.wake();
    Ok(())
}

fn attempt(director: &Director, store: &dyn Store, asked: &Asked<'_>) -> Result<(), ManualError> {
    let row = read(store, asked)?;
    write(director, store, asked, &row)
}

/// Reads the row that the wish is about.
pub(super) fn read(store: &dyn Store, asked: &Asked<'_>) -> Result<RolloutRow, ManualError> {
    let row = store.rollout(asked.version)?.ok_or(ManualError::Unknown(asked.version))?;
    if asked.row_version.is_some_and(|seen| seen != row.row_version) {
        let (noun, id, present) = ("rollout", row.model_version.to_string(), row.state.as_str().to_owned());
        return Err(StoreError::Conflict { noun, id, present, row_version: row.row_version }.into());
    }
    Ok(row)
}

/// Writes what the wish makes of the row, against the version that was read.
pub(super) fn write(
    director: &Director,
    store: &dyn Store,
    asked: &Asked<'_>,
    seen: &RolloutRow,
) -> Result<(), ManualError> {
    let row = decide(seen, asked.action, asked.reason, asked.now)?;
    let action = format!("rollout.{}", asked.action.as_str().replace(' ', "_"));
    let note = Note::because(asked.now, asked.actor.clone(), &action, asked.reason);
    match asked.action {
        RolloutAction::RollBack => director.roll_back(store, &row, &note, asked.reason)?,
        _ => store.change(&Change::Rollout(row), &note).map(drop)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hearthwatch_store::fixtures::rollout;

    use super::*;

    fn row(state: RolloutState) -> RolloutRow {
        let paused_at = (state == RolloutState::Paused).then_some(150);
        RolloutRow { state, paused_at, paused_seconds: 7, row_version: 1, ..rollout(ModelVersion(3)) }
    }

    #[test]
    fn a_pause_is_counted_when_it_ends() {
        let resumed = decide(&row(RolloutState::Paused), RolloutAction::Resume, "seen", 200).unwrap();
        assert_eq!((resumed.state, resumed.paused_seconds, resumed.paused_at), (RolloutState::Running, 57, None));
    }

    #[test]
    fn what_is_over_is_not_taken_up_again() {
        for action in [RolloutAction::Pause, RolloutAction::Resume, RolloutAction::Promote, RolloutAction::Halt] {
            let refused = decide(&row(RolloutState::RolledBack), action, "", 200).unwrap_err().to_string();
            assert!(refused.starts_with("the rollout of version 3 is rolled_back: it cannot be "), "{refused}");
        }
    }

    #[test]
    fn the_first_release_cannot_be_rolled_back() {
        let refused = decide(&row(RolloutState::Halted), RolloutAction::RollBack, "", 200).unwrap_err();
        assert_eq!(refused.to_string(), "nothing was released before version 3");
    }
}
