//! The home's side of rounds at work: takes plans, asks the machine for the next step, carries it out, and writes down each before it
//! counts.
//!
//! What the disk refuses ends this part with its reason, and its supervisor starts it again: the next start goes on with what is on disk.

mod answer;
mod consent;
mod exchange;
mod incoming;
#[cfg(test)]
mod masked_tests;
#[cfg(test)]
mod tests;
mod training;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hearthwatch_edge_cloud::off_the_workers;
use hearthwatch_edge_cloud::pinned::{PinnedError, https_client};
use hearthwatch_edge_cloud::uplink::{Clock, RoundChannels};
use hearthwatch_edge_detection::service::{DetectorGone, DetectorHandle, HomeView};
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::messages::RoundRequest;
use hearthwatch_protocol::round::{PlanSeen, SignedRoundPlan};
use hearthwatch_protocol::seal::PublicKey;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::conditions::{Machine, Unfit};
use crate::config::RoundsConfig;
use crate::fetch::{self, FetchError};
use crate::machine::{Around, Next, Retry, Stage, Waits, Work, next};
use crate::process;
use crate::state::{RoundState, StateError};
use crate::view::{Doing, RoundsView};
use consent::Offered;
pub use consent::parting;
use hearthwatch_edge_cloud::identity::sign::SignError;

/// A moment that is far away is looked at again after this: clocks are set, machines sleep.
const LOOK_MAX: Duration = Duration::from_secs(600);

/// What this part is made of.
#[derive(Clone)]
pub struct RoundsParts {
    /// Plans for other homes are refused.
    pub home: HomeId,
    /// What the owner allows.
    pub config: RoundsConfig,
    /// One signature by any of these keys makes a plan.
    pub directors: Vec<PublicKey>,
    /// The key of the home's certificate, PEM.
    pub key_file: PathBuf,
    /// The fleet's repository; models are at `rounds/HASH` below it.
    pub repository: Url,
    /// The authority of its server; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// The home's history, for the program that trains.
    pub history: PathBuf,
    /// File of [`RoundState`].
    pub state: PathBuf,
    /// Folder for models and for what is trained, emptied when a round ends.
    pub folder: PathBuf,
    /// To and from the fleet.
    pub channels: RoundChannels,
    /// Knows the home's entities.
    pub detection: DetectorHandle,
    /// Its newest view, for the time zone and for how far entities are learnt.
    pub view: watch::Receiver<HomeView>,
    /// Shows how rounds stand.
    pub show: watch::Sender<RoundsView>,
    /// The time.
    pub clock: Clock,
    /// This home's own.
    pub seed: u64,
    /// Where the machine's sensors are: `/` but for tests.
    pub system: PathBuf,
    /// How long a machine is left alone on which a run has crashed: the system may be short of memory.
    pub rest_seconds: i64,
}

/// Why this part ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum RoundsError {
    /// The memory of rounds cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// Nothing can be signed.
    #[error("nothing can be signed: {0}")]
    Sign(#[from] SignError),
    /// No HTTPS client could be made.
    #[error(transparent)]
    Client(#[from] PinnedError),
    /// The detector service has ended.
    #[error(transparent)]
    Detector(#[from] DetectorGone),
    /// The uplink has ended.
    #[error("the uplink has ended")]
    Uplink,
}

/// Runs until `stop`. What is in hand then is in hand at the next start. In a home that never took part nothing is opened or made.
///
/// # Errors
/// [`RoundsError`].
pub async fn run(mut parts: RoundsParts, stop: CancellationToken) -> Result<(), RoundsError> {
    if !parts.state.exists() {
        let agreed = parts.channels.sharing.wait_for(|level| level.takes_part_in_rounds());
        match stop.run_until_cancelled(agreed).await {
            None => return Ok(()),
            Some(Err(_)) => return Err(RoundsError::Uplink),
            Some(Ok(_)) => {}
        }
    }
    let mut service = Service::open(parts).await?;
    let ended = stop.run_until_cancelled(service.live()).await;
    // A run that is ended because the agent stops was none that crashed.
    let forgotten = service.forget_unfinished().await;
    match ended {
        None => forgotten,
        Some(Err(error)) => Err(error),
        Some(Ok(never)) => match never {},
    }
}

struct Service {
    parts: RoundsParts,
    state: Arc<Mutex<RoundState>>,
    client: reqwest::Client,
    seen: Option<PlanSeen>,
    work: Option<Work>,
    /// A plan that came and is not decided upon, and when it opens.
    pending: Option<SignedRoundPlan>,
    /// A request of a masked round that came and is not decided upon.
    asked: Option<RoundRequest>,
    opens_at: i64,
    /// Of the round in hand, since this start.
    fetching: Retry,
    sending: Retry,
    rested_at: i64,
    /// Parts that had left when the answer in hand was first sent.
    left_before: Option<u64>,
    /// The run that is going on is one of this round's.
    running: Option<u64>,
    offered: Option<Offered>,
}

impl Service {
    async fn open(mut parts: RoundsParts) -> Result<Self, RoundsError> {
        let client = https_client(parts.ca_file.as_deref())?;
        let (file, home, directors, now) =
            (parts.state.clone(), parts.home.clone(), parts.directors.clone(), (parts.clock)());
        let opened = off_the_workers(move || -> Result<_, StateError> {
            let mut state = RoundState::open(&file)?;
            let (seen, work) = (state.seen()?, state.work(&home, &directors, now)?);
            Ok((state, seen, work))
        });
        let (state, seen, work) = opened.await?;
        // What came before this start of the part counts as new.
        parts.channels.plan.mark_changed();
        parts.channels.receipt.mark_changed();
        parts.channels.request.mark_changed();
        Ok(Self {
            parts,
            state: Arc::new(Mutex::new(state)),
            client,
            seen,
            work,
            pending: None,
            asked: None,
            opens_at: 0,
            fetching: Retry::default(),
            sending: Retry::default(),
            rested_at: 0,
            left_before: None,
            running: None,
            offered: None,
        })
    }

    async fn live(&mut self) -> Result<Infallible, RoundsError> {
        loop {
            // Seen before anything is decided by it: what is read meanwhile wakes the wait below at once.
            let learns = self.learns();
            self.keep_offer().await?;
            self.take_plan().await?;
            self.take_receipt().await?;
            self.take_request().await?;
            self.note_leaving().await?;
            let around = self.around().await;
            let step = next(self.work.as_ref(), &around, self.now());
            self.show(step);
            match step {
                Next::Rest => self.news(LOOK_MAX, learns).await?,
                Next::Wait(until, _) => self.news(self.until(until), learns).await?,
                Next::Fetch => self.fetch().await?,
                Next::Train(seconds) => self.train(seconds).await?,
                Next::Send => self.send(),
                Next::Decline(reason) => self.decline(reason, "").await?,
                Next::End(outcome) => self.end_in_hand(outcome, None).await?,
            }
        }
    }

    /// How long it is until `at`; [`LOOK_MAX`] at most.
    fn until(&self, at: i64) -> Duration {
        Duration::from_secs(u64::try_from(at.saturating_sub(self.now())).unwrap_or(0)).min(LOOK_MAX)
    }

    fn now(&self) -> i64 {
        (self.parts.clock)()
    }

    /// Whether residents agree, and there is a program that trains.
    fn is_willing(&self) -> bool {
        self.agrees() && self.program().is_some()
    }

    fn agrees(&self) -> bool {
        self.parts.channels.sharing.borrow().takes_part_in_rounds()
    }

    fn program(&self) -> Option<PathBuf> {
        process::find(self.parts.config.program.as_deref())
    }

    /// Does something with the memory of rounds, on a thread that may wait for the disk.
    async fn with_state<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut RoundState) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let state = Arc::clone(&self.state);
        // A panic while holding the lock leaves at most an open transaction, which SQLite rolls back.
        off_the_workers(move || work(&mut state.lock().unwrap_or_else(PoisonError::into_inner))).await
    }

    /// Waits until something changes, and for `longest` at most; where the home `learns`, until a first history is read.
    async fn news(&mut self, longest: Duration, learns: bool) -> Result<(), RoundsError> {
        let longest = if self.pending.is_some() { longest.min(self.until(self.opens_at)) } else { longest };
        // What waits for the first history goes on as soon as that is read, not when something else happens.
        let RoundsParts { channels, view, .. } = &mut self.parts;
        let RoundChannels { sharing, plan, receipt, request, left, .. } = channels;
        let changed = tokio::select! {
            learnt = view.wait_for(|view| view.readiness.learnt() > 0), if learns => learnt.map(drop),
            changed = sharing.changed() => changed,
            changed = plan.changed() => {
                plan.mark_changed();
                changed
            }
            changed = receipt.changed() => {
                receipt.mark_changed();
                changed
            }
            changed = request.changed() => {
                request.mark_changed();
                changed
            }
            changed = left.changed() => changed,
            () = tokio::time::sleep(longest) => Ok(()),
        };
        changed.map_err(|_| RoundsError::Uplink)
    }

    /// Whether no sensor's history was read yet, since this start or ever.
    fn learns(&self) -> bool {
        self.parts.view.borrow().readiness.learnt() == 0
    }

    /// What is the case now.
    async fn around(&self) -> Around {
        let now = self.now();
        let quiet = Around {
            willing: self.agrees(),
            fetched: false,
            fetching: self.fetching,
            unfit: None,
            rested_at: self.rested_at,
            sending: self.sending,
        };
        // Sensors and files are read only where a run may begin.
        let Some(Work { plan, stage: Stage::Planned { .. }, .. }) = &self.work else { return quiet };
        let (files, folder, system) =
            (fetch::files_of(&plan.work), self.parts.folder.clone(), self.parts.system.clone());
        let (fetched, machine) =
            off_the_workers(move || (files.iter().all(|file| fetch::is_here(&folder, file)), Machine::read(&system)))
                .await;
        let forbidden = self.parts.config.limits.forbid_begin(&machine, now, &self.parts.view.borrow().timezone);
        let unfit = forbidden.or_else(|| self.learns().then_some(Unfit::Learning));
        Around { fetched, unfit, ..quiet }
    }

    /// Whether the machine is too warm, or on a battery, for a run to go on.
    async fn is_unfit(&self) -> Option<Unfit> {
        let system = self.parts.system.clone();
        let machine = off_the_workers(move || Machine::read(&system)).await;
        self.parts.config.limits.forbid_going_on(&machine)
    }

    async fn fetch(&mut self) -> Result<(), RoundsError> {
        let Some(work) = &self.work else { return Ok(()) };
        let files = fetch::files_of(&work.plan.work);
        let (client, repository, folder) =
            (self.client.clone(), self.parts.repository.clone(), self.parts.folder.clone());
        let all = async move {
            for file in files.iter().filter(|file| !fetch::is_here(&folder, file)) {
                fetch::fetch(&client, &repository, file, &folder).await?;
            }
            Ok::<(), FetchError>(())
        };
        let fetched = tokio::select! {
            fetched = all => fetched,
            // A round that is taken back or superseded is not fetched for; what came is kept.
            changed = self.parts.channels.sharing.changed() => return changed.map_err(|_| RoundsError::Uplink),
            changed = self.parts.channels.plan.changed() => {
                self.parts.channels.plan.mark_changed();
                return changed.map_err(|_| RoundsError::Uplink);
            }
        };
        if let Err(error) = fetched {
            tracing::warn!(%error, "a round's models are not here yet");
            self.fetching = self.fetching.after_fetch(self.now());
        }
        Ok(())
    }

    /// Forgets what belongs to the round before, on disk too.
    async fn clear(&mut self) {
        (self.fetching, self.sending) = (Retry::default(), Retry::default());
        (self.rested_at, self.left_before) = (0, None);
        self.parts.channels.delivery.send_if_modified(|delivery| delivery.take().is_some());
        let folder = self.parts.folder.clone();
        let emptied = off_the_workers(move || std::fs::remove_dir_all(&folder)).await;
        if let Err(error) = emptied
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the folder of rounds is not emptied; it is tried again after the next one");
        }
    }

    fn show(&self, step: Next) {
        let doing = match step {
            Next::Wait(until, waits) => Doing::Waiting(waits, until),
            Next::Fetch => Doing::Fetching,
            Next::Train(_) => Doing::Training,
            Next::Send => Doing::Waiting(Waits::Receipt, self.now()),
            _ if !self.agrees() => Doing::Nothing,
            _ if self.program().is_none() => Doing::NoProgram,
            _ => Doing::Idle,
        };
        self.parts.show.send_if_modified(|view| std::mem::replace(&mut view.doing, doing) != doing);
    }
}
