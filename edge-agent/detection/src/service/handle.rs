//! The detector service's thread, and the handle that the rest of the agent holds.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hearthwatch_detector::alarm::Verdict;
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::detector::{Model, NetworkRecords};
use hearthwatch_detector::reading::{EntityInfo, Reading};
use hearthwatch_edge_core::alarm::Reason;
use hearthwatch_edge_core::backtest::Backtest;
use hearthwatch_edge_core::explain::Language;
use hearthwatch_edge_core::preferences::{Change, ChangeError, Place};
use hearthwatch_edge_core::trial::TrialWindows;
use hearthwatch_edge_store::history::StoredMiss;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_supervision::Strikes;
use jiff::tz::TimeZone;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

use super::health::DetectorHealth;
use super::look::LOOKS_MAX;
use super::{AlarmPicture, DetectorService, HomeDetail, MissReport, Moves, RecordedState, Relearning, Tally};

/// Commands that may wait. The largest is a slice of history, at most 4 MiB; slices come one at a time.
const COMMANDS_MAX: usize = 64;

/// A command to the detector service; a `Sender` takes the reply. Each variant names the method that carries it out.
pub enum DetectorCommand {
    /// [`DetectorService::set_timezone`].
    Timezone(TimeZone),
    /// [`DetectorService::add_entities`].
    AddEntities(Vec<EntityInfo>, oneshot::Sender<Vec<u32>>),
    /// [`DetectorService::known_classes`].
    KnownClasses(oneshot::Sender<HashMap<String, DeviceClass>>),
    /// [`DetectorService::recall`].
    Recall(i64, oneshot::Sender<Option<i64>>),
    /// [`DetectorService::learn`]; answered when done, so that slices do not pile up.
    Learn(Vec<Reading>, i64, oneshot::Sender<()>),
    /// [`DetectorService::set_listening`].
    Listening(bool, i64),
    /// [`DetectorService::ingest`].
    Ingest(Vec<Reading>),
    /// [`DetectorService::tick`].
    Tick(i64),
    /// [`DetectorService::answer`].
    Answer {
        /// Which alarm; none: the one that is shown.
        alarm: Option<String>,
        /// Stored with the alarm, and sent to the fleet as far as the home shares.
        verdict: Verdict,
        /// Name of the person; empty when it is not known.
        by: String,
        /// Stays in this home.
        reason: Option<Reason>,
        /// Unix seconds.
        at: i64,
    },
    /// [`DetectorService::change`].
    Change(Change, i64, oneshot::Sender<Result<(), ChangeError>>),
    /// [`DetectorService::snooze`].
    Snooze(String, i64, i64),
    /// [`DetectorService::register`].
    Register(HashMap<String, Place>, BTreeMap<String, String>, i64, oneshot::Sender<Moves>),
    /// [`DetectorService::depart`].
    Depart(Vec<String>),
    /// [`DetectorService::backfill`]; answered when done.
    Backfill(Vec<Reading>, oneshot::Sender<()>),
    /// [`DetectorService::relearn`].
    Relearn,
    /// [`DetectorService::take_over`]; what is spent is given back.
    TakeOver(Box<Relearning>, oneshot::Sender<Box<Relearning>>),
    /// [`DetectorService::set_language`].
    Language(Language),
    /// [`DetectorService::picture`].
    Picture(String, oneshot::Sender<Option<AlarmPicture>>),
    /// [`DetectorService::replace_model`].
    ReplaceModel(Arc<Model>, ModelVersion, oneshot::Sender<()>),
    /// [`DetectorService::look`].
    Look(oneshot::Sender<Box<HomeDetail>>),
    /// [`DetectorService::note_miss`].
    NoteMiss {
        /// Id of a watched entity.
        entity_id: String,
        /// When something was missed, Unix seconds.
        at: i64,
        /// Unix seconds.
        now: i64,
        /// Gets the miss as it was stored.
        reply: oneshot::Sender<StoredMiss>,
    },
    /// [`DetectorService::declare_miss`].
    DeclareMiss(Box<MissReport>, i64, oneshot::Sender<StoredMiss>),
    /// [`DetectorService::keep_backtest`].
    KeepBacktest(Backtest, NetworkRecords),
    /// [`DetectorService::recover`].
    Recover(Vec<RecordedState>, i64),
    /// [`DetectorService::tally`].
    Tally(i64, oneshot::Sender<Tally>),
    /// [`DetectorService::trial_windows`].
    TrialWindows(i64, oneshot::Sender<TrialWindows>),
}

/// The detector service's thread has ended: the agent is stopping, or is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the agent's detector service has stopped")]
pub struct DetectorGone;

/// Sends commands to the detector service. Cheap to clone; when all handles are dropped, the detector service's thread ends.
#[derive(Debug, Clone)]
pub struct DetectorHandle {
    commands: mpsc::Sender<DetectorCommand>,
    health: Arc<DetectorHealth>,
    /// Places for looks at declared misses, …
    miss_looks: Arc<Semaphore>,
    /// … of which one goes on at a time: each takes as much memory as the detector.
    miss_turn: Arc<Mutex<()>>,
}

/// Runs the commands of one detector service until all handles are dropped.
pub struct DetectorThread {
    detection: DetectorService,
    received: mpsc::Receiver<DetectorCommand>,
    /// A strong one would keep the thread from ending with the last handle.
    own: mpsc::WeakSender<DetectorCommand>,
    health: Arc<DetectorHealth>,
}

/// A handle, and what is to be [run](DetectorThread::run) on a thread of its own.
#[must_use]
pub fn prepare(detection: DetectorService) -> (DetectorHandle, DetectorThread) {
    let (commands, received) = mpsc::channel(COMMANDS_MAX);
    let health = Arc::clone(&detection.health);
    let own = commands.downgrade();
    let (miss_looks, miss_turn) = (Arc::new(Semaphore::new(LOOKS_MAX)), Arc::default());
    let handle = DetectorHandle { commands, health: Arc::clone(&health), miss_looks, miss_turn };
    (handle, DetectorThread { detection, received, own, health })
}

/// Starts the thread, without a supervisor.
///
/// # Errors
/// When the system has no thread to give.
pub fn start(detection: DetectorService) -> std::io::Result<(DetectorHandle, std::thread::JoinHandle<()>)> {
    let (handle, thread) = prepare(detection);
    let run = move || {
        // No fault is ordered, and there is no other error.
        let _ = thread.run(&Strikes::none());
    };
    Ok((handle, std::thread::Builder::new().name("detector".to_owned()).spawn(run)?))
}

impl DetectorThread {
    /// Obeys until every handle is gone.
    ///
    /// # Errors
    /// What `strikes` orders.
    pub fn run(self, strikes: &Strikes) -> Result<(), String> {
        let Self { mut detection, mut received, own, health } = self;
        while let Some(command) = received.blocking_recv() {
            if strikes.look()? {
                return Ok(());
            }
            health.begins();
            let before = detection.stage();
            detection.obey(command);
            health.obeyed(detection.steps.closed, detection.steps.listening, detection.memory.forgets);
            if detection.stage() != before {
                // A few times an hour: what was needed once, or long ago, need not be held.
                hearthwatch_footprint::let_go_of_program();
            }
            if let Some(relearning) = detection.due_relearning() {
                // A second detector grows now: the most that the agent ever holds.
                hearthwatch_footprint::let_go_of_program();
                if let Err(error) = relearn_on_thread(relearning, own.clone()) {
                    tracing::warn!(error = %error, "no thread to learn anew on; tried again later");
                    detection.put_off_relearning();
                }
            }
        }
        Ok(())
    }
}

/// Goes through the past on a thread of its own, which ends early when the detector service has gone.
pub(super) fn relearn_on_thread(
    mut relearning: Box<Relearning>,
    detection: mpsc::WeakSender<DetectorCommand>,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let study = move || {
        relearning.run(|| detection.strong_count() > 0);
        let Some(detection) = detection.upgrade() else { return };
        let (reply, spent) = oneshot::channel();
        // Refused only by a detector service that has gone.
        let _ = detection.blocking_send(DetectorCommand::TakeOver(relearning, reply));
        // Who waits for an answer must not be who keeps the detector service from ending.
        drop(detection);
        // Freed where it was allocated: what another thread frees stays in that one's store of small pieces, and each of them keeps
        // all that lies below it in this thread's heap. An error means that it is studied on.
        drop(spent.blocking_recv());
    };
    std::thread::Builder::new().name("relearning".to_owned()).spawn(study)
}

impl DetectorService {
    /// What changes when the warm start is over, when a step is closed and when learning anew begins and ends; during a warm start
    /// nothing does.
    fn stage(&self) -> Option<(Option<i64>, bool)> {
        self.steps.listening.then_some((self.steps.closed, self.is_relearning()))
    }

    /// Carries out one command.
    fn obey(&mut self, command: DetectorCommand) {
        use DetectorCommand as C;
        match command {
            C::Timezone(timezone) => self.set_timezone(timezone),
            C::AddEntities(infos, reply) => give(reply, self.add_entities(infos)),
            C::KnownClasses(reply) => give(reply, self.known_classes()),
            C::Recall(now, reply) => give(reply, self.recall(now)),
            C::Learn(readings, until, reply) => {
                self.learn(&readings, until);
                give(reply, ());
            }
            C::Listening(listening, now) => self.set_listening(listening, now),
            C::Ingest(readings) => self.ingest(&readings),
            C::Tick(now) => self.tick(now),
            C::Answer { alarm, verdict, by, reason, at } => {
                self.answer(alarm.as_deref(), verdict, &by, reason.as_ref(), at);
            }
            C::Change(change, now, reply) => give(reply, self.change(change, now)),
            C::Snooze(alarm, until, now) => self.snooze(&alarm, until, now),
            C::Register(places, ids, now, reply) => give(reply, self.register(places, &ids, now)),
            C::Depart(entity_ids) => self.depart(entity_ids),
            C::Backfill(readings, reply) => {
                self.backfill(&readings);
                give(reply, ());
            }
            C::Relearn => self.relearn(),
            C::TakeOver(relearning, reply) => {
                if let Some(spent) = self.take_over(relearning) {
                    give(reply, spent);
                }
            }
            C::Language(language) => self.set_language(language),
            C::Picture(alarm_id, reply) => give(reply, self.picture(&alarm_id)),
            C::ReplaceModel(model, version, reply) => {
                self.replace_model(model, version);
                give(reply, ());
            }
            C::Recover(rows, now) => self.recover(&rows, now),
            C::Tally(since, reply) => give(reply, self.tally(since)),
            C::TrialWindows(now, reply) => give(reply, self.trial_windows(now)),
            C::Look(reply) => give(reply, Box::new(self.look())),
            C::NoteMiss { entity_id, at, now, reply } => give(reply, self.note_miss(&entity_id, at, now)),
            C::DeclareMiss(report, now, reply) => give(reply, self.declare_miss(&report, now)),
            C::KeepBacktest(backtest, records) => self.keep_backtest(&backtest, &records),
        }
    }
}

/// Answers a command. Who asked may have gone: then the answer is dropped.
fn give<T>(reply: oneshot::Sender<T>, answer: T) {
    let _ = reply.send(answer);
}

impl DetectorHandle {
    /// Times of the newest command and step, for the probes.
    #[must_use]
    pub fn health(&self) -> &Arc<DetectorHealth> {
        &self.health
    }

    /// [`LOOKS_MAX`] permits for looks at declared misses.
    pub fn miss_looks(&self) -> &Arc<Semaphore> {
        &self.miss_looks
    }

    /// Suppression by the look that goes on.
    pub fn miss_turn(&self) -> &Mutex<()> {
        &self.miss_turn
    }

    /// Whether the thread has ended; it does not start again.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.commands.is_closed()
    }

    /// Tells the detector service something; waits while it is far behind.
    ///
    /// # Errors
    /// [`DetectorGone`].
    pub async fn send(&self, command: DetectorCommand) -> Result<(), DetectorGone> {
        self.commands.send(command).await.map_err(|_| DetectorGone)
    }

    /// Asks the detector service something: `question` wraps the sender of the answer.
    ///
    /// # Errors
    /// [`DetectorGone`].
    pub async fn request<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> DetectorCommand,
    ) -> Result<T, DetectorGone> {
        let (reply, answer) = oneshot::channel();
        self.send(question(reply)).await?;
        answer.await.map_err(|_| DetectorGone)
    }
}
