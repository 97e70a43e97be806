//! From a promoted model to a told fleet: sign, remember, announce, in that order.

use std::sync::Arc;

use hearthwatch_protocol::messages::ReleaseNotice;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::event::{Event, ModelReleased};
use crate::metrics::Metrics;
use crate::state::{Promoted, ReleaseError, ReleaseHook};
use crate::store::{ReleaseRow, Store, blocking};

/// Lets models out, one at a time. The link keeps the newest notice retained at the broker, and says it again after
/// every reconnect, so an announcement is never lost.
#[derive(Clone)]
pub struct ReleaseDesk {
    hook: Arc<dyn ReleaseHook>,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    turn: Arc<tokio::sync::Mutex<()>>,
    notice: watch::Sender<Option<ReleaseNotice>>,
}

impl ReleaseDesk {
    /// A desk that releases through `hook`.
    #[must_use]
    pub fn new(
        hook: Arc<dyn ReleaseHook>,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        Self { hook, store, metrics, clock, turn, notice: watch::Sender::new(None) }
    }

    /// Signs, stores, announces.
    ///
    /// # Errors
    /// [`ReleaseError`]; then nothing was announced and the champion is who it was.
    pub async fn release(&self, promoted: Promoted) -> Result<ReleaseRow, ReleaseError> {
        let _turn = self.turn.lock().await;
        let row = self.hook.release(promoted).await?;
        let stored = row.clone();
        blocking(&self.store, move |store| store.put_release(&stored)).await?;
        ModelReleased(&row).emit(&self.metrics);
        self.announce(&row);
        Ok(row)
    }

    /// Announces the newest release that the store knows: what an aggregator does when it starts.
    ///
    /// # Errors
    /// [`ReleaseError::Store`].
    pub async fn announce_latest(&self) -> Result<(), ReleaseError> {
        let newest = blocking(&self.store, |store| Ok(store.releases()?.into_iter().next())).await?;
        if let Some(row) = newest {
            self.announce(&row);
        }
        Ok(())
    }

    fn announce(&self, row: &ReleaseRow) {
        let notice =
            ReleaseNotice { model_version: row.model_version, target: row.target.clone(), at: row.released_at };
        self.notice.send_replace(Some(notice));
    }

    /// The newest notice, for the link.
    #[must_use]
    pub fn notices(&self) -> watch::Receiver<Option<ReleaseNotice>> {
        self.notice.subscribe()
    }

    /// The time by which releases are stamped.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.clock.now()
    }
}
