//! What the tests of HTTP have in common: an aggregator without a broker, in a temporary directory.

use std::ops::Deref;
use std::sync::Arc;

use hearthwatch_fleet::fixtures::Releaser;
use hearthwatch_fleet::hook::NoRelease;
use hearthwatch_learning::training::{RunRequest, TrainingHandle, TrainingStatus};
use tokio::sync::{mpsc, watch};

use crate::http::state::AppState;
pub(crate) use hearthwatch_fleet::fixtures::{NOW, REPORT};

/// An aggregator without broker and trainer; the trainer's ends are here.
pub(crate) struct Bench {
    releaser: Releaser,
    pub app: AppState,
    pub requests: mpsc::Receiver<RunRequest>,
    pub status: watch::Sender<TrainingStatus>,
}

impl Bench {
    /// One that releases nothing.
    pub(crate) fn new() -> Self {
        let releaser = Releaser::new(Arc::new(NoRelease));
        let (training, requests, status) = TrainingHandle::channel(releaser.store.clone(), releaser.clock.clone());
        let app = AppState {
            store: releaser.store.clone(),
            metrics: releaser.metrics.clone(),
            clock: releaser.clock.clone(),
            training,
            releases: releaser.releases.clone(),
            director: None,
            health: Arc::default(),
            repository: None,
            settings: Arc::default(),
            trusted_proxies: Arc::default(),
        };
        Self { releaser, app, requests, status }
    }
}

impl Deref for Bench {
    type Target = Releaser;

    fn deref(&self) -> &Releaser {
        &self.releaser
    }
}
