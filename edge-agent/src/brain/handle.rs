//! The brain's thread, and the handle that the rest of the agent holds.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hearthwatch_model::alarm::Verdict;
use hearthwatch_model::class::DeviceClass;
use hearthwatch_model::detector::{Model, NetworkRecords};
use hearthwatch_model::reading::{EntityInfo, Reading};
use hearthwatch_protocol::ModelVersion;
use hearthwatch_supervision::Strikes;
use jiff::tz::TimeZone;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

use super::health::DetectorHealth;
use super::{AlarmPicture, Brain, HomeDetail, MissReport, Moves, RecordedState, Relearning, Tally};
use crate::explain::Language;
use crate::history::{Reason, StoredMiss};
use crate::house::{Change, ChangeError, Place};
use crate::miss::LOOKS_MAX;
use crate::backtest::Backtest;
use crate::update::TrialWindows;

/// Commands that may wait. The largest is a slice of history, at most 4 MiB; slices come one at a time.
const COMMANDS_MAX: usize = 64;

/// What the brain can be told or asked.
pub enum BrainCommand {
    /// [`Brain::set_timezone`].
    Timezone(TimeZone),
    /// [`Brain::add_entities`].
    AddEntities(Vec<EntityInfo>, oneshot::Sender<Vec<u32>>),
    /// [`Brain::known_classes`].
    KnownClasses(oneshot::Sender<HashMap<String, DeviceClass>>),
    /// [`Brain::recall`].
    Recall(i64, oneshot::Sender<Option<i64>>),
    /// [`Brain::learn`]; answered when done, so that slices do not pile up.
    Learn(Vec<Reading>, i64, oneshot::Sender<()>),
    /// [`Brain::set_listening`].
    Listening(bool, i64),
    /// [`Brain::hear`].
    Hear(Vec<Reading>),
    /// [`Brain::tick`].
    Tick(i64),
    /// [`Brain::answer`].
    Answer {
        /// Which alarm; none: the one that is shown.
        alarm: Option<String>,
        /// What is said of it.
        verdict: Verdict,
        /// Who says so; empty when nobody knows.
        by: String,
        /// Why, in their own words; it stays in this home.
        reason: Option<Reason>,
        /// When.
        at: i64,
    },
    /// [`Brain::change`].
    Change(Change, i64, oneshot::Sender<Result<(), ChangeError>>),
    /// [`Brain::snooze`].
    Snooze(String, i64, i64),
    /// [`Brain::register`].
    Register(HashMap<String, Place>, BTreeMap<String, String>, i64, oneshot::Sender<Moves>),
    /// [`Brain::depart`].
    Depart(Vec<String>),
    /// [`Brain::backfill`]; answered when done.
    Backfill(Vec<Reading>, oneshot::Sender<()>),
    /// [`Brain::relearn`].
    Relearn,
    /// [`Brain::take_over`]; what is spent is given back.
    TakeOver(Box<Relearning>, oneshot::Sender<Box<Relearning>>),
    /// [`Brain::set_language`].
    Language(Language),
    /// [`Brain::picture`].
    Picture(String, oneshot::Sender<Option<AlarmPicture>>),
    /// [`Brain::replace_model`].
    ReplaceModel(Arc<Model>, ModelVersion, oneshot::Sender<()>),
    /// [`Brain::look`].
    Look(oneshot::Sender<Box<HomeDetail>>),
    /// [`Brain::note_miss`].
    NoteMiss {
        /// Where.
        entity_id: String,
        /// When, in Unix seconds.
        at: i64,
        /// When it is said.
        now: i64,
        /// Takes what is kept.
        reply: oneshot::Sender<StoredMiss>,
    },
    /// [`Brain::declare_miss`].
    DeclareMiss(Box<MissReport>, i64, oneshot::Sender<StoredMiss>),
    /// [`Brain::keep_backtest`].
    KeepBacktest(Backtest, NetworkRecords),
    /// [`Brain::recover`].
    Recover(Vec<RecordedState>, i64),
    /// [`Brain::tally`].
    Tally(i64, oneshot::Sender<Tally>),
    /// [`Brain::trial_windows`].
    TrialWindows(i64, oneshot::Sender<TrialWindows>),
}

/// The brain's thread has ended: the agent is stopping, or is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the agent's brain has stopped")]
pub struct BrainGone;

/// Sends commands to the brain. Cheap to clone; when all handles are dropped, the brain's thread ends.
#[derive(Debug, Clone)]
pub struct BrainHandle {
    commands: mpsc::Sender<BrainCommand>,
    health: Arc<DetectorHealth>,
    /// Places for looks at declared misses, …
    miss_looks: Arc<Semaphore>,
    /// … of which one goes on at a time: each takes as much memory as the detector.
    miss_turn: Arc<Mutex<()>>,
}

/// What the brain's thread does.
pub struct BrainThread {
    brain: Brain,
    received: mpsc::Receiver<BrainCommand>,
    /// A strong one would keep the thread from ending with the last handle.
    own: mpsc::WeakSender<BrainCommand>,
    health: Arc<DetectorHealth>,
}

/// A handle, and what is to be [run](BrainThread::run) on a thread of its own.
#[must_use]
pub fn prepare(brain: Brain) -> (BrainHandle, BrainThread) {
    let (commands, received) = mpsc::channel(COMMANDS_MAX);
    let health = Arc::new(DetectorHealth::default());
    let own = commands.downgrade();
    let (miss_looks, miss_turn) = (Arc::new(Semaphore::new(LOOKS_MAX)), Arc::default());
    let handle = BrainHandle { commands, health: Arc::clone(&health), miss_looks, miss_turn };
    (handle, BrainThread { brain, received, own, health })
}

/// Starts the thread, without a supervisor.
///
/// # Errors
/// When the system has no thread to give.
pub fn start(brain: Brain) -> std::io::Result<(BrainHandle, std::thread::JoinHandle<()>)> {
    let (handle, thread) = prepare(brain);
    let run = move || {
        // No fault is ordered, and there is no other error.
        let _ = thread.run(&Strikes::none());
    };
    Ok((handle, std::thread::Builder::new().name("brain".to_owned()).spawn(run)?))
}

impl BrainThread {
    /// Obeys until every handle is gone.
    ///
    /// # Errors
    /// What `strikes` orders.
    pub fn run(self, strikes: &Strikes) -> Result<(), String> {
        let Self { mut brain, mut received, own, health } = self;
        while let Some(command) = received.blocking_recv() {
            if strikes.look()? {
                return Ok(());
            }
            health.begins();
            let before = brain.stage();
            brain.obey(command);
            health.obeyed(brain.closed, brain.listening, brain.forgets);
            if brain.stage() != before {
                // A few times an hour: what was needed once, or long ago, need not be held.
                hearthwatch_footprint::let_go_of_program();
            }
            if let Some(relearning) = brain.due_relearning() {
                // A second detector grows now: the most that the agent ever holds.
                hearthwatch_footprint::let_go_of_program();
                if let Err(error) = study_aside(relearning, own.clone()) {
                    tracing::warn!(error = %error, "no thread to learn anew on; tried again later");
                    brain.put_off_relearning();
                }
            }
        }
        Ok(())
    }
}

/// Goes through the past on a thread of its own, which ends early when the brain has gone.
pub(super) fn study_aside(
    mut relearning: Box<Relearning>,
    brain: mpsc::WeakSender<BrainCommand>,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let study = move || {
        relearning.study(|| brain.strong_count() > 0);
        let Some(brain) = brain.upgrade() else { return };
        let (reply, spent) = oneshot::channel();
        // Refused only by a brain that has gone.
        let _ = brain.blocking_send(BrainCommand::TakeOver(relearning, reply));
        // Who waits for an answer must not be who keeps the brain from ending.
        drop(brain);
        // Freed where it was allocated: what another thread frees stays in that one's store of small pieces, and each of them keeps
        // all that lies below it in this thread's heap. An error means that it is studied on.
        drop(spent.blocking_recv());
    };
    std::thread::Builder::new().name("relearning".to_owned()).spawn(study)
}

impl Brain {
    /// What changes when the warm start is over, when a step is closed and when learning anew begins and ends; during a warm start
    /// nothing does.
    fn stage(&self) -> Option<(Option<i64>, bool)> {
        self.listening.then_some((self.closed, self.is_relearning()))
    }

    /// Carries out one command. Who asked may have gone: then the answer is dropped.
    fn obey(&mut self, command: BrainCommand) {
        match command {
            BrainCommand::Timezone(timezone) => self.set_timezone(timezone),
            BrainCommand::AddEntities(infos, reply) => {
                let _ = reply.send(self.add_entities(infos));
            }
            BrainCommand::KnownClasses(reply) => {
                let _ = reply.send(self.known_classes());
            }
            BrainCommand::Recall(now, reply) => {
                let _ = reply.send(self.recall(now));
            }
            BrainCommand::Learn(readings, until, reply) => {
                self.learn(&readings, until);
                let _ = reply.send(());
            }
            BrainCommand::Listening(listening, now) => self.set_listening(listening, now),
            BrainCommand::Hear(readings) => self.hear(&readings),
            BrainCommand::Tick(now) => self.tick(now),
            BrainCommand::Answer { alarm, verdict, by, reason, at } => {
                self.answer(alarm.as_deref(), verdict, &by, reason.as_ref(), at);
            }
            BrainCommand::Change(change, now, reply) => {
                let _ = reply.send(self.change(change, now));
            }
            BrainCommand::Snooze(alarm, until, now) => self.snooze(&alarm, until, now),
            BrainCommand::Register(places, ids, now, reply) => {
                let _ = reply.send(self.register(places, &ids, now));
            }
            BrainCommand::Depart(entity_ids) => self.depart(entity_ids),
            BrainCommand::Backfill(readings, reply) => {
                self.backfill(&readings);
                let _ = reply.send(());
            }
            BrainCommand::Relearn => self.relearn(),
            BrainCommand::TakeOver(relearning, reply) => {
                if let Some(spent) = self.take_over(relearning) {
                    let _ = reply.send(spent);
                }
            }
            BrainCommand::Language(language) => self.set_language(language),
            BrainCommand::Picture(alarm_id, reply) => {
                let _ = reply.send(self.picture(&alarm_id));
            }
            BrainCommand::ReplaceModel(model, version, reply) => {
                self.replace_model(model, version);
                let _ = reply.send(());
            }
            BrainCommand::Recover(rows, now) => self.recover(&rows, now),
            BrainCommand::Tally(since, reply) => {
                let _ = reply.send(self.tally(since));
            }
            BrainCommand::TrialWindows(now, reply) => {
                let _ = reply.send(self.trial_windows(now));
            }
            BrainCommand::Look(reply) => {
                let _ = reply.send(Box::new(self.look()));
            }
            BrainCommand::NoteMiss { entity_id, at, now, reply } => {
                let _ = reply.send(self.note_miss(&entity_id, at, now));
            }
            BrainCommand::DeclareMiss(report, now, reply) => {
                let _ = reply.send(self.declare_miss(&report, now));
            }
            BrainCommand::KeepBacktest(backtest, records) => self.keep_backtest(&backtest, &records),
        }
    }
}

impl BrainHandle {
    /// How the thread is doing.
    #[must_use]
    pub fn health(&self) -> &Arc<DetectorHealth> {
        &self.health
    }

    /// Places for looks at declared misses.
    pub(crate) fn miss_looks(&self) -> &Arc<Semaphore> {
        &self.miss_looks
    }

    /// Held by the look that goes on.
    pub(crate) fn miss_turn(&self) -> &Mutex<()> {
        &self.miss_turn
    }

    /// Whether the thread has ended.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.commands.is_closed()
    }

    /// Tells the brain something; waits while it is far behind.
    ///
    /// # Errors
    /// [`BrainGone`].
    pub async fn tell(&self, command: BrainCommand) -> Result<(), BrainGone> {
        self.commands.send(command).await.map_err(|_| BrainGone)
    }

    /// Asks the brain something: `question` wraps the sender of the answer.
    ///
    /// # Errors
    /// [`BrainGone`].
    pub async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> BrainCommand) -> Result<T, BrainGone> {
        let (reply, answer) = oneshot::channel();
        self.tell(question(reply)).await?;
        answer.await.map_err(|_| BrainGone)
    }
}
