//! Lets go what is older than it may be, once a day.
//!
//! What is deleted is overwritten in the database's file, counted off in all sums, and noted in both chains: the lineage has each row
//! that went, the audit log how many.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hearthwatch_store::artifact_store::ArtifactStore;
use hearthwatch_store::clock::Clock;
use hearthwatch_store::erasure::KeptSince;
use hearthwatch_store::{Actor, AuditEntry, Store, blocking};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::config::RetentionConfig;

const DAY_SECONDS: i64 = 86_400;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(86_400);

/// Rows of one transaction: some 20 MB of answers, a tenth of a second in which intake waits.
const AT_ONCE: usize = 2_000;

/// Why something old is still there; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// The database does not let go of it.
    #[error(transparent)]
    Store(#[from] hearthwatch_store::StoreError),
    /// A file does not go.
    #[error(transparent)]
    File(#[from] hearthwatch_store::artifact_store::ArtifactStoreError),
}

/// From when on things are kept at `now`, Unix seconds. Pure.
#[must_use]
pub fn since(config: RetentionConfig, now: i64) -> KeptSince {
    let of = |days: Option<u64>| {
        days.map(|days| now.saturating_sub(i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY_SECONDS)))
    };
    KeptSince { answers: of(config.answers_days), quarantine: of(config.quarantine_days) }
}

/// Lets go what is too old at `now`; how many rows and files went.
///
/// # Errors
/// [`RetentionError`]; what went before it is gone.
pub fn run_once(store: &dyn Store, data: &Path, config: RetentionConfig, now: i64) -> Result<u64, RetentionError> {
    let (since, artifacts) = (since(config, now), ArtifactStore::new(data));
    let mut rows = std::collections::BTreeMap::<String, u64>::new();
    let snapshots = loop {
        let forgotten = store.forget_older(since, AT_ONCE)?;
        for (table, count) in forgotten.rows {
            *rows.entry(table).or_default() += count;
        }
        if !forgotten.more {
            break forgotten.snapshots;
        }
    };
    let files = artifacts.remove_snapshots(&snapshots)?;
    let gone = rows.values().sum::<u64>() + files;
    if gone > 0 {
        let detail = json!({
            "rows": rows, "files": files, "answers_days": config.answers_days, "quarantine_days": config.quarantine_days,
        });
        store.append_audit(&AuditEntry {
            at: now,
            actor: Actor::System,
            action: "retention.run".to_owned(),
            subject: String::new(),
            detail: detail.to_string(),
        })?;
        tracing::info!(gone, "what was too old is gone");
    }
    Ok(gone)
}

/// Looks once a day until `stop`.
pub(crate) async fn run(
    store: Arc<dyn Store>,
    data: std::path::PathBuf,
    config: RetentionConfig,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    loop {
        let (data, now) = (data.clone(), clock.now());
        let done = blocking(&store, move |store| Ok(run_once(store, &data, config, now))).await;
        match done {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "what is too old is still there; tried again in a day"),
            Err(error) => tracing::error!(%error, "what is too old is still there; tried again in a day"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_limit_is_kept_for_good() {
        assert_eq!(since(RetentionConfig::default(), 1_000_000), KeptSince::default());
        let config = RetentionConfig { answers_days: Some(10), quarantine_days: None };
        assert_eq!(since(config, 1_000_000), KeptSince { answers: Some(136_000), quarantine: None });
    }
}
