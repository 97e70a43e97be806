//! "Something was off here": a place and a time, from the page or by an automation, becomes an example to learn from.

use std::path::Path;

use hearthwatch_protocol::limits::TEXT_BYTES_MAX;

use crate::brain::{BrainCommand, BrainGone, BrainHandle, MissReport};
use crate::history::{HistoryError, HistoryReader, StoredMiss};
use crate::rehearse;

/// A miss further back than this is not declared: the memory that it is judged by reaches two weeks further.
pub const MISS_SECONDS_MAX: i64 = 20 * 86_400;

/// Why a miss is not taken.
#[derive(Debug, thiserror::Error)]
pub enum MissError {
    /// Not watched.
    #[error("there is no watched entity of that name")]
    Entity,
    /// Too long ago, or yet to come.
    #[error("only the last {} days can be looked at again", MISS_SECONDS_MAX / 86_400)]
    Time,
    /// The agent is stopping.
    #[error(transparent)]
    Brain(#[from] BrainGone),
    /// The memory.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A thread that panicked.
    #[error("the look at the memory did not end well")]
    Task,
}

/// Looks at the moment `at` again, keeps the miss, and hands a record of it to the fleet as far as the resident shares.
///
/// # Errors
/// [`MissError`]; then nothing was kept.
pub async fn declare(
    brain: &BrainHandle,
    history: &Path,
    entity_id: String,
    at: i64,
    now: i64,
) -> Result<StoredMiss, MissError> {
    if !(now - MISS_SECONDS_MAX..=now).contains(&at) {
        return Err(MissError::Time);
    }
    let detail = brain.ask(BrainCommand::Look).await?;
    let watched = detail.entities.iter().any(|(info, _)| info.entity_id == entity_id);
    if !watched || entity_id.len() > TEXT_BYTES_MAX {
        return Err(MissError::Entity);
    }
    let path = history.to_owned();
    let look = move || -> Result<MissReport, HistoryError> {
        let moment = rehearse::moment(&mut HistoryReader::open(&path)?, &detail, &entity_id, at)?;
        Ok(MissReport { entity_id, at, moment })
    };
    let report = tokio::task::spawn_blocking(look).await.map_err(|_| MissError::Task)??;
    Ok(brain.ask(|reply| BrainCommand::DeclareMiss(Box::new(report), now, reply)).await?)
}
