//! `hearthwatch-cloud serve`: the aggregator, its HTTP server and its repository, wired together.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hearthwatch_api::http::Http;
use hearthwatch_api::http::config::HttpConfig;
use hearthwatch_api::login::{Provider, ProviderError};
use hearthwatch_api::server::{Bound, ServerError};
use hearthwatch_fleet::hook::ReleaseHook;
use hearthwatch_fleet::release::{Publisher, RemoteSigner, RepositoryError};
use hearthwatch_learning::training::{Corpora, ModelLearner};
use hearthwatch_provision::enrol::Enroller;
use hearthwatch_provision::layout::Layout;
use hearthwatch_rounds::ModelTrainer;
use hearthwatch_store::clock::SystemClock;
use hearthwatch_supervision::{EXIT_PART, FaultPlan, PartFailed, Supervisor};
use hearthwatch_telemetry::metrics::Metrics;
use hearthwatch_training::RetrainConfig;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::aggregator::{Aggregator, Options, RoundOptions, StartError};
use crate::config::Config;
use crate::health;

/// Why the program did not start, or ended badly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A part of the aggregator could not be put together.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The admin API cannot listen, or its certificate cannot be used.
    #[error("[http]: {0}")]
    Http(#[from] ServerError),
    /// The identity provider cannot be set up.
    #[error(transparent)]
    Login(#[from] ProviderError),
    /// The enrolment desk's files.
    #[error("enrolment: {0}")]
    Enrolment(String),
    /// The signed repository cannot be read, or does not verify from its root.
    #[error("[release]: {0}")]
    Repository(#[from] RepositoryError),
    /// A part ended before its time; this has been logged.
    #[error(transparent)]
    Part(#[from] PartFailed),
}

/// Time for blocking jobs after everything else has ended. A training thread may not have come to a place where it can stop; its run is
/// taken up again at the next start.
const LEFTOVERS: Duration = Duration::from_millis(100);

/// `hearthwatch-cloud serve`: until Ctrl-C or a termination signal; a second one ends at once. `faults` are for tests of what becomes of
/// a part that ends.
pub fn main(config: Config, faults: FaultPlan) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let stop = CancellationToken::new();
    runtime.spawn(stop_on_signals(stop.clone()));
    let result = runtime.block_on(serve_under(config, Supervisor::new(stop, faults)));
    runtime.shutdown_timeout(LEFTOVERS);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(ServeError::Part(_)) => ExitCode::from(EXIT_PART),
        Err(error) => {
            eprintln!("error: {:#}", anyhow::Error::from(error));
            ExitCode::FAILURE
        }
    }
}

/// The first signal asks, the second one ends.
async fn stop_on_signals(stop: CancellationToken) {
    signal().await;
    stop.cancel();
    signal().await;
    std::process::exit(130);
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    // An error means that signals cannot be heard at all; then there is nothing to wait for.
    let _ = tokio::signal::ctrl_c().await;
}

/// Runs everything that `config` asks for until `stop`, then drains.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(config: Config, stop: CancellationToken) -> Result<(), ServeError> {
    serve_under(config, Supervisor::new(stop, FaultPlan::default())).await
}

/// The same, every part owned by `parts`.
///
/// # Errors
/// [`ServeError`].
pub async fn serve_under(config: Config, parts: Supervisor) -> Result<(), ServeError> {
    let stop = parts.stop().clone();
    // The socket first: an address in use is the commonest fault, and nothing has been touched yet.
    let bound = match &config.http {
        Some(http) => Some(Bound::bind(http)?),
        None => None,
    };
    let access = config.http.clone();
    let enroller = config.enrolment.as_ref().map(|directory| {
        Enroller::load(&Layout::new(directory), config.certificate_days)
            .map_err(|error| ServeError::Enrolment(error.to_string()))
    });
    let enroller = enroller.transpose()?;

    let metrics = Arc::new(Metrics::new());
    let publisher = match &config.release {
        None => None,
        Some(release) => {
            let signer = Arc::new(RemoteSigner::new(&release.signer_socket));
            Some(Publisher::open(release, signer, &metrics).await?)
        }
    };
    let corpora = Corpora::Directory(config.training.corpus.clone());
    let training = RetrainConfig {
        seed: config.training.seed,
        device: config.training.device.as_str().to_owned(),
        ..RetrainConfig::default()
    };
    let options = Options {
        clock: Arc::new(SystemClock),
        learner: Arc::new(
            ModelLearner::new(corpora.clone()).with_seed(config.training.seed).on(config.training.device),
        ),
        hook: publisher.clone().map(|publisher| publisher as Arc<dyn ReleaseHook>),
        rounds: Some(RoundOptions::new(Arc::new(ModelTrainer::new(corpora, training)))),
    };
    let aggregator = Aggregator::start_under(config, options, metrics, parts.clone()).await?;

    if let Some(publisher) = publisher {
        health::repository(parts.board(), &publisher);
        let stop = stop.clone();
        parts.vital("repository", async move { publisher.keep_fresh(stop).await });
    }
    if let Some(bound) = bound {
        let scheme = if bound.tls() { "https" } else { "http" };
        info!(url = format!("{scheme}://{}/", bound.address()), "page and admin API");
        let mut http = Http::new(aggregator.state().clone(), bound.tls());
        if let Some(HttpConfig { calls_per_minute, lifetime, second_person, login, .. }) = access {
            http =
                http.with_calls_per_minute(calls_per_minute).with_lifetime(lifetime).with_second_person(&second_person);
            if let Some(login) = login {
                http = http.with_provider(Provider::new(login)?);
            }
        }
        let http = match enroller {
            Some(enroller) => http.with_enroller(enroller),
            None => http,
        };
        // Vital: without its page and repository the program is no use, better seen to be down.
        parts.vital("http", bound.serve(http, stop.clone().cancelled_owned()));
    }
    info!("running; Ctrl-C stops");
    stop.cancelled().await;
    info!("stopping: what is in hand is finished first; Ctrl-C again stops at once");
    aggregator.shutdown().await;
    parts.failure().map_or(Ok(()), |failed| Err(failed.into()))
}
