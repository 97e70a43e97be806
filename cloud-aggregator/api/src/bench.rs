//! What the tests of HTTP have in common: an aggregator without a broker, in a temporary directory.

use std::ops::Deref;
use std::sync::Arc;

use hearthwatch_fleet::fixtures::Desk;
use hearthwatch_fleet::hook::NoRelease;
use hearthwatch_learning::training::{RunRequest, TrainingHandle, TrainingStatus};
use tokio::sync::{mpsc, watch};

use crate::http::state::AppState;
pub(crate) use hearthwatch_fleet::fixtures::{NOW, REPORT};

/// An aggregator without broker and trainer; the trainer's ends are here.
pub(crate) struct Bench {
    desk: Desk,
    pub app: AppState,
    pub requests: mpsc::Receiver<RunRequest>,
    pub status: watch::Sender<TrainingStatus>,
}

impl Bench {
    /// One that releases nothing.
    pub(crate) fn new() -> Self {
        let desk = Desk::new(Arc::new(NoRelease));
        let (training, requests, status) = TrainingHandle::channel(desk.store.clone(), desk.clock.clone());
        let app = AppState {
            store: desk.store.clone(),
            metrics: desk.metrics.clone(),
            clock: desk.clock.clone(),
            training,
            releases: desk.releases.clone(),
            director: None,
            health: Arc::default(),
            repository: None,
            trusted_proxies: Arc::default(),
        };
        Self { desk, app, requests, status }
    }
}

impl Deref for Bench {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.desk
    }
}
