//! The whole program as a value: started, asked, shut down. `main` wraps it, and so do programs that carry it inside.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hearthwatch_api::http::state::AppState;
use hearthwatch_fleet::hook::{NoRelease, ReleaseHook};
use hearthwatch_fleet::release_service::ReleaseService;
use hearthwatch_fleet::rollout::Director;
use hearthwatch_ingest::{BatchTaker, Intake, MessagePublisher, Progress};
use hearthwatch_learning::training::mlflow::Tracker;
use hearthwatch_learning::training::{Job, Learner, Trainer, TrainingError, TrainingHandle, TrainingStatus};
use hearthwatch_link::{LinkConfig, LinkError, TlsFiles};
use hearthwatch_metrics::register_parts;
use hearthwatch_protocol::seal::SigningKey;
use hearthwatch_protocol::{HomeId, Sequence};
use hearthwatch_provision::files::FileError;
use hearthwatch_rounds::{AnswerIntake, CertifiedKeys, Parts as RoundParts, RoundDirector, RoundFiles, RoundTrainer};
use hearthwatch_store::artifact_store::ArtifactStore;
use hearthwatch_store::clock::{Clock, SystemClock};
use hearthwatch_store::files::private_data;
use hearthwatch_store::release::ReleaseError;
use hearthwatch_store::{RunRow, RunTrigger, SqliteStore, Store, StoreError, StoreResult, blocking};
use hearthwatch_supervision::{FaultPlan, PartFailed, Supervisor};
use hearthwatch_telemetry::metrics::Metrics;
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::{Config, MqttConfig, RetentionConfig, RolloutConfig, shown};
use crate::counts::Counts;
use crate::data_lock::{DataLock, DataLockError};
use crate::health::{self, Checks};
use crate::retention;
use crate::webhooks::Sender;

/// Name of the database in the data directory.
pub const DATABASE_FILE: &str = "aggregator.db";

/// How long the parts get to finish what they are at; then they are cut off.
pub const DRAIN_SECONDS: u64 = 5;

/// What the configuration file cannot say.
pub struct Options {
    /// The time for everything in the aggregator; a test's own stands still.
    pub clock: Arc<dyn Clock>,
    /// Trains and judges candidates.
    pub learner: Arc<dyn Learner>,
    /// Signs and publishes; without it a promoted model waits.
    pub hook: Option<Arc<dyn ReleaseHook>>,
    /// How rounds are held; without it there are none.
    pub rounds: Option<RoundOptions>,
}

/// What rounds need beside their configuration.
pub struct RoundOptions {
    /// Trains and judges on recordings.
    pub trainer: Arc<dyn RoundTrainer>,
    /// The one that homes hold plans against: the machine's, except where homes are replayed.
    pub clock: Arc<dyn Clock>,
    /// Whether no round opens before [`Aggregator::hold_rounds`].
    pub wait: bool,
}

impl RoundOptions {
    /// By the machine's clock, from the start on.
    #[must_use]
    pub fn new(trainer: Arc<dyn RoundTrainer>) -> Self {
        Self { trainer, clock: Arc::new(SystemClock), wait: false }
    }
}

impl Options {
    /// The machine's clock, and nothing that signs.
    #[must_use]
    pub fn new(learner: Arc<dyn Learner>) -> Self {
        Self { clock: Arc::new(SystemClock), learner, hook: None, rounds: None }
    }
}

/// Why the aggregator did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory cannot be made, or others could look into it.
    #[error("data: {0}")]
    Data(#[from] FileError),
    /// Another aggregator has the data directory.
    #[error(transparent)]
    Lock(#[from] DataLockError),
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The link's files or options are wrong.
    #[error("[mqtt]: {0}")]
    Link(#[from] LinkError),
    /// The director's key cannot be used.
    #[error("[rollout]: {path}: {cause}")]
    Director {
        /// The key file, as configured in `director_key`.
        path: std::path::PathBuf,
        /// What is wrong with it; never its content.
        cause: String,
    },
    /// Rounds are asked for, and something that they need is not there.
    #[error(
        "[rounds] needs [rollout], [release], and recordings to train on: write them, or set rounds.enabled = false"
    )]
    Rounds,
    /// The newest release could not be looked up.
    #[error(transparent)]
    Release(#[from] ReleaseError),
}

/// A running aggregator. All of its parts are vital: the program is to be started again when one of them ends.
pub struct Aggregator {
    config: Config,
    state: AppState,
    progress: watch::Receiver<Progress>,
    link: Option<hearthwatch_link::LinkHandle>,
    parts: Supervisor,
    /// Wakes whoever holds rounds.
    round_wake: Arc<Notify>,
    /// No round opens before it.
    rounds_begin: CancellationToken,
    /// The data directory is held as long as this is there.
    _lock: DataLock,
    /// Nobody is left to ask for the end when this value is gone.
    _ends: DropGuard,
}

impl Aggregator {
    /// Opens the store, connects, and starts to take in and to learn. Returns before the broker is reached. The admin
    /// API is not started here: it is built from [`Aggregator::state`].
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config, options: Options) -> Result<Self, StartError> {
        Self::start_with(config, options, Arc::new(Metrics::new())).await
    }

    /// The same, counting in `metrics`, in which the release hook's own numbers may be already.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_with(config: Config, options: Options, metrics: Arc<Metrics>) -> Result<Self, StartError> {
        let parts = Supervisor::new(CancellationToken::new(), FaultPlan::default());
        Self::start_under(config, options, metrics, parts).await
    }

    /// The same, its parts owned by `parts`, which may own others too.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_under(
        config: Config,
        options: Options,
        metrics: Arc<Metrics>,
        parts: Supervisor,
    ) -> Result<Self, StartError> {
        let Options { clock, learner, hook, rounds: round_options } = options;
        let database = private_data(&config.data, DATABASE_FILE)?;
        let lock = DataLock::take(&config.data).await?;
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&database)?);
        let artifact_store = ArtifactStore::new(&config.data);
        let hook = hook.unwrap_or_else(|| Arc::new(NoRelease));
        let releases = ReleaseService::new(
            hook,
            Arc::clone(&store),
            Arc::clone(&metrics),
            Arc::clone(&clock),
            artifact_store.clone(),
        );
        // Set by each release; a process that has just started has seen none.
        let champion = blocking(&store, |store| store.champion()).await?;
        let version = champion.map_or(0, |model| i64::try_from(model.version.0).unwrap_or(i64::MAX));
        metrics.champion_version.set(version);
        let before = blocking(&store, |store| Ok(store.releases_before(None, 2)?.into_iter().nth(1))).await?;
        let version = before.map_or(0, |release| i64::try_from(release.model_version.0).unwrap_or(i64::MAX));
        metrics.previous_version.set(version);
        hearthwatch_ingest::event::begin_counters(&metrics);
        hearthwatch_learning::event::begin_counters(&metrics);
        hearthwatch_rounds::event::begin_counters(&metrics);
        metrics.register(|registry| register_parts(registry, parts.board()));
        let (training, requests, status) = TrainingHandle::channel(Arc::clone(&store), Arc::clone(&clock));
        let (stop, health) = (parts.stop().clone(), Arc::clone(parts.board()));
        let progress = watch::Sender::new(heard(&store).await?);
        let seen = progress.subscribe();

        let job = Job {
            store: Arc::clone(&store),
            artifact_store: artifact_store.clone(),
            learner,
            tracker: config.training.mlflow.clone().map(Tracker::new),
            clock: Arc::clone(&clock),
            metrics: Arc::clone(&metrics),
            status,
            stop: stop.clone(),
            cancellations: training.cancellations(),
        };
        let left_open = blocking(&store, |store| store.open_run_requests()).await?;
        let trainer = Trainer {
            job,
            config: config.training.clone(),
            releases: Arc::new(releases.clone()),
            left_open,
            withheld: None,
            reference: None,
        };
        parts.vital("trainer", trainer.run(requests, progress.subscribe()));
        let signer = config.release.as_ref().map(|release| release.signer_socket.as_path());
        let counts = Counts::new(&store, &metrics, &clock, config.enrolment.as_deref());
        let checks = Checks::new(&health, training.status(), &config.data, signer).with_counts(counts);
        parts.vital("checks", checks.run(stop.clone()));

        if config.retention != RetentionConfig::default() {
            let (store, data, clock, stop) =
                (Arc::clone(&store), config.data.clone(), Arc::clone(&clock), stop.clone());
            let config = config.retention;
            parts.optional("retention", move || {
                retention::run(Arc::clone(&store), data.clone(), config, Arc::clone(&clock), stop.clone())
            });
        }
        for webhook in &config.webhooks {
            let (webhook, store, stop) = (webhook.clone(), Arc::clone(&store), stop.clone());
            parts.optional("webhooks", move || {
                Sender::new(webhook.clone(), Arc::clone(&store), Arc::new(SystemClock)).run(stop.clone())
            });
        }

        let director = director(&config, &store, &metrics)?;
        // Offers are kept also where no rounds are held: a home sends one only now and then.
        let keys = Arc::new(CertifiedKeys::of(config.enrolment.as_deref()));
        let round_clock: Arc<dyn Clock> =
            round_options.as_ref().map_or_else(|| Arc::new(SystemClock) as _, |options| Arc::clone(&options.clock));
        let answers = Arc::new(AnswerIntake::new(keys, Arc::clone(&round_clock), Arc::clone(&metrics)));
        let (round_wake, rounds_begin) = (answers.wake(), CancellationToken::new());
        if !round_options.as_ref().is_some_and(|options| options.wait) {
            rounds_begin.cancel();
        }
        let round_trainer = round_options.map(|options| options.trainer);
        let rounds = rounds(&config, round_trainer, |trainer, key, repository| RoundParts {
            store: Arc::clone(&store),
            metrics: Arc::clone(&metrics),
            clock: round_clock,
            key: Arc::new(key),
            trainer,
            files: RoundFiles::new(artifact_store, repository),
            releases: Arc::new(releases.clone()),
            wake: answers.wake(),
        })?;
        let (mut link, mut publisher, mut connections) = (None, None, watch::channel(0).1);
        if let Some(mqtt) = &config.mqtt {
            let (handle, events) = hearthwatch_link::open(link_config(mqtt))?;
            let taker = BatchTaker::new(Arc::clone(&store), Arc::clone(&metrics))
                .with_labels(config.ingest.labels)
                .with_quota(config.ingest.records_per_day)
                .with_rounds(answers);
            let spoken: Arc<dyn MessagePublisher> = Arc::new(handle.clone());
            let (clock, metrics, counted) = (Arc::clone(&clock), Arc::clone(&metrics), Arc::clone(&metrics));
            let intake = Intake::new(taker, clock, metrics, Arc::clone(&spoken), releases.notices(), progress);
            connections = intake.connections();
            health::intake(&health, intake.health());
            parts.vital("intake", intake.run(events, stop.clone()));
            health::broker(&health, &counted);
            (link, publisher) = (Some(handle), Some(spoken));
        }
        releases.announce_latest().await?;
        if let Some(rounds) = rounds {
            let looks = Arc::default();
            health::rounds(&health, Arc::clone(&looks));
            let (begin, stop, publisher) = (rounds_begin.clone(), stop.clone(), publisher.clone());
            let connections = connections.clone();
            parts.vital("rounds", async move {
                if stop.run_until_cancelled(begin.cancelled()).await.is_some() {
                    rounds.run(publisher, connections, looks, stop).await;
                }
            });
        }
        if let Some(director) = director.clone() {
            let looks = Arc::default();
            health::director(&health, Arc::clone(&looks));
            parts.vital("director", director.run(publisher, connections, releases.notices(), looks, stop.clone()));
        }
        let repository = config.release.as_ref().map(|release| release.repository.as_path().into());
        let trusted_proxies =
            config.http.as_ref().map_or_else(Arc::default, |http| http.trusted_proxies.as_slice().into());
        let settings = Arc::new(shown::settings(&config));
        let state = AppState {
            store,
            metrics,
            clock,
            training,
            releases,
            director,
            health,
            repository,
            settings,
            trusted_proxies,
        };
        let _ends = stop.drop_guard();
        Ok(Self { config, state, progress: seen, link, parts, round_wake, rounds_begin, _lock: lock, _ends })
    }

    /// The configuration that it was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the admin API is built from.
    #[must_use]
    pub fn state(&self) -> &AppState {
        &self.state
    }

    /// Lets a home in. Returns false if it was in already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enrol(&self, home: &HomeId) -> StoreResult<bool> {
        let (home, at) = (home.clone(), self.state.clock.now());
        blocking(&self.state.store, move |store| store.enrol_home(&home, at)).await
    }

    /// Waits until every home in `wanted` has been heard up to its sequence: what it sent is stored, or refused.
    /// Returns false when the aggregator is shut down before.
    pub async fn heard(&self, wanted: &BTreeMap<HomeId, Sequence>) -> bool {
        let mut progress = self.progress.clone();
        let reached = |progress: &Progress| {
            let through = |home| progress.get(home).copied().unwrap_or_default();
            wanted.iter().all(|(home, sequence)| through(home) >= *sequence)
        };
        progress.wait_for(reached).await.is_ok()
    }

    /// Retrains on everything stored so far and waits for the verdict; with `auto_release` also for the release.
    ///
    /// # Errors
    /// [`TrainingError`].
    pub async fn retrain_now(&self) -> Result<RunRow, TrainingError> {
        self.state.training.run(RunTrigger::Hand).await
    }

    /// Lets rounds begin where [`RoundOptions::wait`] holds them, and has whoever holds them look now: for programs that turn the clock
    /// of rounds themselves.
    pub fn hold_rounds(&self) {
        self.rounds_begin.cancel();
        self.round_wake.notify_one();
    }

    /// What the trainer is doing, now and from now on.
    #[must_use]
    pub fn training_status(&self) -> watch::Receiver<TrainingStatus> {
        self.state.training.status()
    }

    /// Waits until a part has ended before its time; for ever where none does.
    pub async fn failed(&self) -> PartFailed {
        self.parts.failed().await
    }

    /// Stops taking in, finishes what is in hand, says farewell to the broker; cuts off after [`DRAIN_SECONDS`].
    pub async fn shutdown(self) {
        let limit = Duration::from_secs(DRAIN_SECONDS);
        let drain = async {
            let late = self.parts.drain(limit).await;
            if let Some(link) = self.link {
                link.close().await;
            }
            late
        };
        match tokio::time::timeout(limit, drain).await {
            Ok(late) if late.is_empty() => {}
            late => {
                let parts = late.unwrap_or_default();
                tracing::warn!(
                    limit_s = DRAIN_SECONDS,
                    ?parts,
                    "drain cut off; a run in hand is taken up again at the next start"
                );
            }
        }
    }
}

/// The one who signs orders, if the configuration names a key. By the machine's clock, which is what homes hold orders
/// against, even where the rest of the program replays recorded years.
fn director(config: &Config, store: &Arc<dyn Store>, metrics: &Arc<Metrics>) -> Result<Option<Director>, StartError> {
    let Some(rollout) = &config.rollout else { return Ok(None) };
    let signing = director_key(rollout)?;
    let (store, metrics, clock) = (Arc::clone(store), Arc::clone(metrics), Arc::new(SystemClock));
    Ok(Some(Director::new(store, metrics, clock, signing, rollout.policy.clone(), config.enrolment.as_deref())))
}

fn director_key(rollout: &RolloutConfig) -> Result<SigningKey, StartError> {
    let key = |cause: String| StartError::Director { path: rollout.director_key.clone(), cause };
    let bytes =
        hearthwatch_provision::files::read_private(&rollout.director_key).map_err(|error| key(error.to_string()))?;
    SigningKey::from_pkcs8(&bytes).map_err(|error| key(error.to_string()))
}

/// Who holds rounds, if the configuration asks for them: `parts` puts together what it is given.
fn rounds(
    config: &Config,
    trainer: Option<Arc<dyn RoundTrainer>>,
    parts: impl FnOnce(Arc<dyn RoundTrainer>, SigningKey, &Path) -> RoundParts,
) -> Result<Option<RoundDirector>, StartError> {
    if !config.rounds.enabled {
        return Ok(None);
    }
    let (Some(rollout), Some(release), Some(trainer)) = (&config.rollout, &config.release, trainer) else {
        return Err(StartError::Rounds);
    };
    let parts = parts(trainer, director_key(rollout)?, &release.repository);
    Ok(Some(RoundDirector::new(parts, config.rounds.clone())))
}

/// How far each home had been heard when the program ended last.
async fn heard(store: &Arc<dyn Store>) -> StoreResult<Progress> {
    let homes = blocking(store, |store| store.homes()).await?;
    Ok(homes.into_iter().map(|home| (home.home, home.through)).collect())
}

fn link_config(mqtt: &MqttConfig) -> LinkConfig {
    let tls = mqtt.tls.as_ref().map(|files| TlsFiles {
        ca: files.ca_file.clone(),
        cert: Some(files.cert_file.clone()),
        key: Some(files.key_file.clone()),
    });
    LinkConfig {
        tls,
        // The broker keeps what comes while we restart.
        clean_start: false,
        subscriptions: vec![mqtt.group.filter()],
        forgotten: mqtt.group.former_filters(),
        ..LinkConfig::new(&mqtt.host, mqtt.port, &mqtt.client_id)
    }
}

#[cfg(test)]
mod tests;
