//! `hearthwatch-cloud serve`: the aggregator, its HTTP server and its repository, wired together.

use std::sync::Arc;

use hearthwatch_provision::enrol::Enroller;
use hearthwatch_provision::layout::Layout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::aggregator::{Aggregator, Options, StartError};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::http::Http;
use crate::http::server::{Bound, ServerError};
use crate::release::{Publisher, RemoteSigner, RepositoryError};
use crate::state::ReleaseHook;
use crate::training::{Corpora, ModelLearner};

/// Why the program did not start, or ended badly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The aggregator itself.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The HTTP server.
    #[error("[http]: {0}")]
    Http(#[from] ServerError),
    /// The enrolment desk's files.
    #[error("enrolment: {0}")]
    Enrolment(String),
    /// The signed repository.
    #[error("[release]: {0}")]
    Repository(#[from] RepositoryError),
}

/// Runs everything that `config` asks for until `stop`, then drains.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(config: Config, stop: CancellationToken) -> Result<(), ServeError> {
    // The socket first: an address in use is the commonest fault, and nothing has been touched yet.
    let bound = match &config.http {
        Some(http) => Some(Bound::bind(http)?),
        None => None,
    };
    let enroller = config.enrolment.as_ref().map(|directory| {
        Enroller::load(&Layout::new(directory), config.certificate_days)
            .map_err(|error| ServeError::Enrolment(error.to_string()))
    });
    let enroller = enroller.transpose()?;

    let metrics = Arc::new(crate::metrics::Metrics::new());
    let publisher = match &config.release {
        None => None,
        Some(release) => {
            let signer = Arc::new(RemoteSigner::new(&release.signer_socket));
            Some(Publisher::open(release, signer, &metrics).await?)
        }
    };
    let corpora = Corpora::Directory(config.training.corpus.clone());
    let options = Options {
        clock: Arc::new(SystemClock),
        learner: Arc::new(ModelLearner::new(corpora).with_seed(config.training.seed).on(config.training.device)),
        hook: publisher.clone().map(|publisher| publisher as Arc<dyn ReleaseHook>),
    };
    let aggregator = Aggregator::start_with(config, options, metrics).await?;

    let mut tasks = tokio::task::JoinSet::new();
    if let Some(publisher) = publisher {
        let stop = stop.clone();
        tasks.spawn(async move { publisher.keep_fresh(stop).await });
    }
    if let Some(bound) = bound {
        let scheme = if bound.tls() { "https" } else { "http" };
        info!(url = format!("{scheme}://{}/", bound.address()), "page and admin API");
        let http = Http::new(aggregator.state().clone(), bound.tls());
        let http = match enroller {
            Some(enroller) => http.with_enroller(enroller),
            None => http,
        };
        let stop = stop.clone();
        tasks.spawn(async move {
            if let Err(error) = bound.serve(http, stop.clone().cancelled_owned()).await {
                // Without its page and repository the program is no use: better seen to be down.
                error!(%error, "the HTTP server ended");
                stop.cancel();
            }
        });
    }
    info!("running; Ctrl-C stops");
    stop.cancelled().await;
    info!("stopping: what is in hand is finished first; Ctrl-C again stops at once");
    aggregator.shutdown().await;
    while tasks.join_next().await.is_some() {}
    Ok(())
}
