//! The part of the agent that trains in rounds: in homes whose fleet has a director, from the moment at which they have joined it.

use std::path::PathBuf;
use std::sync::Arc;

use hearthwatch_edge_cloud::uplink::UplinkHandle;
use hearthwatch_edge_rounds::RoundsView;
use hearthwatch_edge_rounds::service::{self, RoundsError, RoundsParts};
use hearthwatch_edge_ui::RoundsPage;
use tokio::sync::watch;

use super::super::fleet::directors;
use super::super::unix_now;
use super::parts::{Shared, Wiring};
use super::{ROUNDS_FILE, StartError};

/// Folder of models and of what is trained, in the state directory.
const FOLDER: &str = "rounds";

/// Pause after a run that crashed, in seconds: whatever took the machine's memory may have ended by then.
const REST_SECONDS: i64 = 300;

/// Why this part ended before its time.
#[derive(Debug, thiserror::Error)]
enum PartError {
    /// The director's keys cannot be read.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The part itself.
    #[error(transparent)]
    Rounds(#[from] RoundsError),
}

impl Wiring<'_> {
    /// Starts the part, and returns what the page shows of it; none where this home's fleet has no director who could plan rounds.
    pub(super) fn rounds(&self, shared: &Shared, uplink: Option<&UplinkHandle>) -> Option<RoundsPage> {
        let (uplink, cloud) = (uplink?, self.config.cloud.as_ref()?);
        let (mqtt, updates) = (cloud.mqtt.as_ref()?, cloud.updates.as_ref()?);
        let director_file = updates.director_file.clone()?;
        let (show, view) = watch::channel(RoundsView::default());
        let page = RoundsPage { state: self.state.file(ROUNDS_FILE), view };
        let parts = RoundsParts {
            home: cloud.home.clone(),
            config: self.config.rounds.clone(),
            // Read when the home has joined its fleet: a home without a disk has no such file before.
            directors: Vec::new(),
            key_file: mqtt.key_file.clone(),
            repository: updates.url.clone(),
            ca_file: updates.ca_file.clone(),
            history: shared.history.clone(),
            state: page.state.clone(),
            folder: self.state.file(FOLDER),
            channels: uplink.rounds(),
            detection: shared.detection.clone(),
            view: shared.view.clone(),
            show,
            clock: Arc::new(unix_now),
            seed: self.seed,
            system: PathBuf::from("/"),
            rest_seconds: REST_SECONDS,
        };
        let (joined, stop) = (self.joined.clone(), self.stop());
        self.parts.optional("rounds", move || {
            let (parts, director_file) = (parts.clone(), director_file.clone());
            let (joined, stop, detection) = (joined.clone(), stop.clone(), parts.detection.clone());
            async move {
                if stop.run_until_cancelled(joined.cancelled()).await.is_none() {
                    return Ok::<(), PartError>(());
                }
                let parts = RoundsParts { directors: directors(&director_file)?, ..parts };
                let ended = service::run(parts, stop.clone()).await;
                // Where the detector has ended, its own failure is the one to report.
                if detection.is_gone() {
                    stop.cancelled().await;
                    return Ok(());
                }
                Ok(ended?)
            }
        });
        Some(page)
    }
}
