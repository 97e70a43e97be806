//! The part that takes part in rounds: in homes whose fleet has a director, from the moment at which they are in it.

use std::path::PathBuf;
use std::sync::Arc;

use hearthwatch_edge_cloud::uplink::UplinkHandle;
use hearthwatch_edge_rounds::RoundsView;
use hearthwatch_edge_rounds::service::{self, RoundsError, RoundsParts};
use tokio::sync::watch;

use super::super::fleet::directors;
use super::super::unix_now;
use super::parts::{Shared, Wiring};
use super::{ROUNDS_FILE, StartError};

/// Folder of models and of what is trained, in the state directory.
const FOLDER: &str = "rounds";

/// How long a machine is left alone after a run that crashed, in seconds: what took its memory may be over by then.
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
    /// Starts the part, and returns whether this home's fleet has a director who could plan rounds.
    pub(super) fn rounds(
        &self,
        shared: &Shared,
        uplink: Option<&UplinkHandle>,
        show: watch::Sender<RoundsView>,
    ) -> bool {
        let Some(cloud) = &self.config.cloud else { return false };
        let (Some(uplink), Some(mqtt), Some(updates)) = (uplink, &cloud.mqtt, &cloud.updates) else { return false };
        let Some(director_file) = updates.director_file.clone() else { return false };
        let parts = RoundsParts {
            home: cloud.home.clone(),
            config: self.config.rounds.clone(),
            // Read when the home is in its fleet: a home without a disk has no such file before.
            directors: Vec::new(),
            key_file: mqtt.key_file.clone(),
            repository: updates.url.clone(),
            ca_file: updates.ca_file.clone(),
            history: shared.history.clone(),
            state: self.state.file(ROUNDS_FILE),
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
                // When the detector is gone, that is the failure to report.
                if detection.is_gone() {
                    stop.cancelled().await;
                    return Ok(());
                }
                Ok(ended?)
            }
        });
        true
    }
}
