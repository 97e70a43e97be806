//! "Something was off here": a place and a time, from the page or by an automation, becomes an example to learn from.
//!
//! It is noted at once. What the detector saw then takes a replay of a fortnight, seconds in a large home, so that is looked up
//! aside: neither the resident nor the detector service waits for it.

use std::path::{Path, PathBuf};

use hearthwatch_edge_store::history::{History, HistoryError, StoredMiss};
use hearthwatch_protocol::limits::TEXT_BYTES_MAX;

use crate::backtest;
use crate::service::LOOKS_MAX;
use crate::service::{DetectorCommand, DetectorGone, DetectorHandle, MissReport};

/// A miss further back than this is not declared: the memory that it is judged by reaches two weeks further.
pub const MISS_SECONDS_MAX: i64 = 20 * 86_400;

/// Why a miss is not taken.
#[derive(Debug, thiserror::Error)]
pub enum MissError {
    /// The id is not that of a watched entity.
    #[error("there is no watched entity of that name")]
    Entity,
    /// Too long ago, or yet to come.
    #[error("only the last {} days can be looked at again", MISS_SECONDS_MAX / 86_400)]
    Time,
    /// [`LOOKS_MAX`] looks wait or go on.
    #[error("{LOOKS_MAX} others are still being looked up; say it again in a minute")]
    Busy,
    /// The agent is stopping.
    #[error(transparent)]
    DetectorService(#[from] DetectorGone),
}

/// Keeps the miss at once. The moment `at` is then looked at again aside, and a record of it handed to the fleet as far as the
/// resident shares.
///
/// # Errors
/// [`MissError`]; then nothing was kept.
pub async fn declare(
    detection: &DetectorHandle,
    history: &Path,
    entity_id: String,
    at: i64,
    now: i64,
) -> Result<StoredMiss, MissError> {
    if !(now - MISS_SECONDS_MAX..=now).contains(&at) {
        return Err(MissError::Time);
    }
    let detail = detection.request(DetectorCommand::Look).await?;
    let watched = detail.present().any(|(info, _)| info.entity_id == entity_id);
    if !watched || entity_id.len() > TEXT_BYTES_MAX {
        return Err(MissError::Entity);
    }
    let place = detection.miss_looks().clone().try_acquire_owned().map_err(|_| MissError::Busy)?;
    let noted = detection.request(|reply| DetectorCommand::NoteMiss { entity_id, at, now, reply }).await?;
    let (detection, history, miss) = (detection.clone(), history.to_owned(), noted.clone());
    tokio::spawn(async move {
        let _place = place;
        if look(&detection, history, miss, now).await.is_err() {
            tracing::debug!("the agent stops before a declared miss is looked up");
        }
    });
    Ok(noted)
}

/// Looks up what the detector saw, and sends it to the detector service; also where nothing was found, so that nobody waits for it.
async fn look(detection: &DetectorHandle, history: PathBuf, miss: StoredMiss, now: i64) -> Result<(), DetectorGone> {
    let _turn = detection.miss_turn().lock().await;
    let detail = detection.request(DetectorCommand::Look).await?;
    let (entity_id, at) = (miss.entity_id.clone(), miss.at);
    let look = move || -> Result<_, HistoryError> {
        backtest::moment(&mut History::open_to_read(&history)?, &detail, &entity_id, at)
    };
    let moment = match tokio::task::spawn_blocking(look).await {
        Ok(Ok(moment)) => moment,
        Ok(Err(error)) => {
            tracing::warn!(error = %error, "a declared miss is kept, but own memory does not tell what was seen then");
            None
        }
        Err(error) => {
            tracing::error!(error = %error, "a declared miss is kept, but the look at what was seen then did not end well");
            None
        }
    };
    let report = MissReport { entity_id: miss.entity_id, at, moment };
    detection.request(|reply| DetectorCommand::DeclareMiss(Box::new(report), now, reply)).await?;
    Ok(())
}
