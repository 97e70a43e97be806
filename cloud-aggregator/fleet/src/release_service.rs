//! From a promoted model to a told fleet: sign, remember, announce, in that order.

use std::sync::Arc;

use async_trait::async_trait;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::messages::ReleaseNotice;
use hearthwatch_store::artifact_store::ArtifactStore;
use hearthwatch_store::clock::Clock;
use hearthwatch_store::release::{AGAIN, ReleaseError, Releases, origin};
use hearthwatch_store::{ModelRow, ModelState, NewModel, ReleaseRow, RunState, Store, StoreError, blocking};
use hearthwatch_telemetry::event::Event;
use hearthwatch_telemetry::metrics::Metrics;
use tokio::sync::watch;

use crate::event::ModelReleased;
use crate::hook::{Promoted, ReleaseHook};

/// Lets models out, one at a time. The link keeps the newest notice retained at the broker, and says it again after
/// every reconnect, so an announcement is never lost.
#[derive(Clone)]
pub struct ReleaseService {
    hook: Arc<dyn ReleaseHook>,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    artifact_store: ArtifactStore,
    turn: Arc<tokio::sync::Mutex<()>>,
    notice: watch::Sender<Option<ReleaseNotice>>,
}

impl ReleaseService {
    /// A desk that releases through `hook` what lies on `artifact_store`.
    #[must_use]
    pub fn new(
        hook: Arc<dyn ReleaseHook>,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        artifact_store: ArtifactStore,
    ) -> Self {
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        Self { hook, store, metrics, clock, artifact_store, turn, notice: watch::Sender::new(None) }
    }

    /// Releases a model that has a version: signs, stores, announces. A model that is out already is announced again
    /// and nothing else. `by` is `auto` or an [`Actor`](hearthwatch_store::Actor).
    ///
    /// # Errors
    /// [`ReleaseError`]; then nothing was announced and the champion is who it was.
    pub async fn release(&self, version: ModelVersion, by: &str) -> Result<ReleaseRow, ReleaseError> {
        let _turn = self.turn.lock().await;
        let releases = blocking(&self.store, |store| store.releases()).await?;
        if let Some(row) = releases.into_iter().find(|row| row.model_version == version) {
            self.announce_latest().await?;
            return Ok(row);
        }
        let model = blocking(&self.store, move |store| store.model(version)).await?;
        let model = model.ok_or(StoreError::NotFound { noun: "model", id: version.to_string() })?;
        let promoted = self.promoted(model.clone(), by).await?;
        let released = self.hook.release(promoted).await;
        if matches!(released, Err(ReleaseError::AwaitingSignature(_))) && model.state != ModelState::AwaitingSignature {
            // Seen by everybody who looks; the next attempt finds the word, or waits on.
            blocking(&self.store, move |store| store.set_model_state(&model, ModelState::AwaitingSignature)).await?;
        }
        let row = released?;
        let stored = row.clone();
        blocking(&self.store, move |store| store.put_release(&stored)).await?;
        ModelReleased(&row).emit(&self.metrics);
        self.announce(&row);
        Ok(row)
    }

    /// Puts an older model in charge again: under a new version, because an agent never goes back to a lower one.
    /// The champion is marked withdrawn.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub async fn roll_back(&self, to: ModelVersion, by: &str) -> Result<ReleaseRow, ReleaseError> {
        let at = self.clock.now();
        let (again, withdrawn) = blocking(&self.store, move |store| {
            let not_found = || StoreError::NotFound { noun: "model", id: to.to_string() };
            let old = store.model(to)?.ok_or_else(not_found)?;
            let withdrawn = store.champion()?.map(|model| model.version);
            let ModelRow { sha256, length, weights_id, run, .. } = old;
            // The origin is kept, so that the gate's verdict on these very weights is found again.
            let run = format!("{AGAIN}{}:{at}", origin(&run));
            Ok((store.add_model(&NewModel { sha256, length, weights_id, run, at })?, withdrawn))
        })
        .await?;
        let row = self.release(again.version, by).await?;
        if let Some(version) = withdrawn {
            let withdraw = move |store: &dyn Store| match store.model(version)? {
                Some(model) => store.set_model_state(&model, ModelState::Withdrawn),
                None => Ok(()),
            };
            blocking(&self.store, withdraw).await?;
        }
        Ok(row)
    }

    /// Releases the newest model that the gate let through and that never went out, if there is one: what a signer or
    /// a disk that was away left behind.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub async fn release_pending(&self, by: &str) -> Result<Option<ReleaseRow>, ReleaseError> {
        let newest = blocking(&self.store, |store| Ok(store.models_before(None, 1)?.pop())).await?;
        match newest {
            Some(model) if matches!(model.state, ModelState::Approved | ModelState::AwaitingSignature) => {
                self.release(model.version, by).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Where models are remembered.
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Where their files lie.
    pub fn artifact_store(&self) -> &ArtifactStore {
        &self.artifact_store
    }

    /// The time by the service's clock.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    async fn promoted(&self, model: ModelRow, by: &str) -> Result<Promoted, ReleaseError> {
        let (by, at) = (by.to_owned(), self.clock.now());
        let artifact_store = self.artifact_store.clone();
        blocking(&self.store, move |store| {
            let origin = origin(&model.run);
            let run = store.run(origin)?.filter(|run| run.state == RunState::Promoted);
            let report = run.and_then(|run| run.report);
            let report = report.ok_or(StoreError::NotFound { noun: "promoted run", id: origin.to_owned() })?;
            let artifact = artifact_store
                .model(&model.sha256)
                .map_err(|error| StoreError::Engine { action: "read artifact", cause: error.to_string() })?;
            Ok(Promoted {
                version: model.version,
                artifact: artifact.into(),
                sha256: model.sha256,
                weights_id: model.weights_id,
                report,
                run: origin.to_owned(),
                by,
                at,
            })
        })
        .await
        .map_err(ReleaseError::Store)
    }

    /// Announces the newest release that the store knows: what an aggregator does when it starts.
    ///
    /// # Errors
    /// [`ReleaseError::Store`].
    pub async fn announce_latest(&self) -> Result<(), ReleaseError> {
        let newest = blocking(&self.store, |store| Ok(store.releases_before(None, 1)?.pop())).await?;
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
}

#[async_trait]
impl Releases for ReleaseService {
    async fn release(&self, version: ModelVersion, by: &str) -> Result<ReleaseRow, ReleaseError> {
        Self::release(self, version, by).await
    }

    async fn release_pending(&self, by: &str) -> Result<Option<ReleaseRow>, ReleaseError> {
        Self::release_pending(self, by).await
    }
}
