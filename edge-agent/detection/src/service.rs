//! One thread owns the home's detector, its memory and its alarms; everybody else sends it commands.
//!
//! The detector service knows no clock: time comes with each command. It never waits for a broker or for Home Assistant. What it
//! publishes goes into a view (only the newest counts) and into notices (each counts, and is dropped when the queue is full).

mod alarms;
mod brief;
mod clock;
mod counts;
mod delivery;
mod faults;
mod feedback;
mod handle;
mod health;
mod look;
mod memory;
mod publish;
mod questions;
mod readiness;
mod recover;
mod register;
mod relearn;
mod replay_past;
mod residents;
mod step;
#[cfg(test)]
mod tests;
mod units;
mod view;

use std::sync::Arc;
use std::time::Instant;

use hearthwatch_detector::alarm::AlarmEvent;
use hearthwatch_detector::detector::{AlarmMode, DetectorConfig, HomeDetector, Model};
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_detector::reading::{EntityInfo, Reading};
use hearthwatch_edge_core::trial::TrialWindows;
use hearthwatch_edge_store::history::{History, HistoryError};
use hearthwatch_protocol::{HomeId, ModelVersion};
use jiff::tz::TimeZone;
use tokio::sync::{mpsc, watch};

use alarms::Alarms;
pub use alarms::Tally;
pub use clock::SetBack;
pub use counts::DetectorCounts;
use delivery::Delivery;
pub use feedback::{ToFleet, announcement, feedback_record};
pub use handle::{DetectorCommand, DetectorGone, DetectorHandle, DetectorThread, prepare, start};
pub use health::DetectorHealth;
pub use look::{HomeDetail, LOOKS_MAX, LookBack, MissReport};
use memory::Memory;
pub use readiness::{EntityReadiness, LEARNING_DAYS, Readiness, whole_days};
pub use recover::{RECOVERED_SECONDS, RecordedState, recovered};
pub use register::Moves;
use register::Registry;
use relearn::RelearningState;
pub use replay_past::Relearning;
pub use residents::AlarmPicture;
use residents::Residents;
use step::Steps;
pub use step::remembered;
pub use view::{Brief, HomeView, Month, MostUnusual, Notice, NoticeKind, ShownAlarm, unusual_percent, verdict_name};

/// How much of the past is learned from at a start: the four weeks that rules look back on and the network is held to. The detector's
/// statistics hold the last fortnight of them.
pub const WARM_UP_SECONDS: i64 = 28 * 86_400;

/// A step is closed this long after its end, so that readings that are on their way from Home Assistant still count.
pub const CLOSING_GRACE_SECONDS: i64 = 5;

/// Name of the note that holds the detector's answers and alarms.
const DECIDER_NOTE: &str = "decider";

/// Takes announcements and labels for the fleet: true where the outbox keeps the record, false where it does not (a resident may share
/// nothing), or an error in one line.
pub type FeedbackSink = Box<dyn FnMut(ToFleet) -> Result<bool, String> + Send>;

/// What [`DetectorService::new`] needs.
pub struct DetectorParts {
    /// The model in use at the start.
    pub model: Arc<Model>,
    /// Version of `model`; stands in each alarm.
    pub model_version: ModelVersion,
    /// Opened for writing; this thread is its only writer.
    pub history: History,
    /// Secret of this home that enters the ids of its alarms, so that nobody outside can guess them.
    pub salt: Vec<u8>,
    /// Alarms a week, where residents have not chosen another number.
    pub budget: f64,
    /// The configured one; without it Home Assistant's is used.
    pub timezone: Option<TimeZone>,
    /// The home's pseudonym and where records go; none without a fleet: answers then stay in this home.
    pub feedback: Option<(HomeId, FeedbackSink)>,
}

/// The detector with its model and configuration.
struct Judging {
    detector: HomeDetector,
    config: DetectorConfig,
    timezone_configured: bool,
    model: Arc<Model>,
    model_version: ModelVersion,
}

/// Owns the detector and everything that depends on its state. Each field has a file of its own.
pub struct DetectorService {
    judging: Judging,
    /// The open step and the times of the last ones.
    steps: Steps,
    /// Names, areas and units from Home Assistant's registries.
    registry: Registry,
    alarms: Alarms,
    /// Preferences and language of the residents.
    residents: Residents,
    /// Whether the past is to be learnt anew.
    relearning: RelearningState,
    /// What came of looking back at declared misses, oldest first.
    looks: Vec<(String, LookBack)>,
    /// What is written to disk.
    memory: Memory,
    /// What is published and sent to the fleet.
    delivery: Delivery,
    health: Arc<DetectorHealth>,
}

impl DetectorService {
    /// A detector service without entities, with the alarms that the history holds.
    ///
    /// # Errors
    /// [`HistoryError`] when the memory cannot be read.
    pub fn new(
        parts: DetectorParts,
        view: watch::Sender<HomeView>,
        notices: mpsc::Sender<Notice>,
    ) -> Result<Self, HistoryError> {
        let DetectorParts { model, model_version, history, salt, budget, timezone, feedback } = parts;
        let timezone_configured = timezone.is_some();
        let config = DetectorConfig { timezone: timezone.unwrap_or(TimeZone::UTC), budget_per_week: budget, salt };
        let alarms = Alarms::remember(&history)?;
        let memory = Memory::new(history);
        let residents = Residents::remember(&memory, budget)?;
        let mut detector = HomeDetector::new(config.clone(), Arc::clone(&model));
        detector.set_budget(residents.budget());
        let mut service = Self {
            judging: Judging { detector, config, timezone_configured, model, model_version },
            steps: Steps::default(),
            registry: Registry::default(),
            alarms,
            residents,
            relearning: RelearningState::default(),
            looks: Vec::new(),
            memory,
            delivery: Delivery::new(view, notices, feedback),
            health: Arc::default(),
        };
        let backtest = service.backtest();
        service.delivery.view.send_modify(|view| view.backtest = backtest);
        service.show(None);
        Ok(service)
    }

    /// Takes the home's time zone, unless one is configured. What is usual at which time of day is then learnt anew, for days that
    /// begin elsewhere.
    pub fn set_timezone(&mut self, timezone: TimeZone) {
        if self.judging.timezone_configured || self.judging.config.timezone == timezone {
            return;
        }
        tracing::info!(timezone = timezone.iana_name().unwrap_or("without a name"), "the home's time zone is another");
        self.judging.config.timezone = timezone;
        self.residents.next_brief = None;
        if self.steps.closed.is_some() {
            self.relearn();
        } else {
            let entities = self.judging.detector.entities().to_vec();
            self.judging.detector = HomeDetector::new(self.judging.config.clone(), Arc::clone(&self.judging.model));
            self.judging.detector.set_budget(self.residents.budget());
            for info in entities {
                self.judging.detector.add_entity(info);
            }
        }
        self.show(None);
    }

    /// Adds entities and returns their numbers. One that reports in another unit of the same quantity than it is remembered
    /// in goes on in that one. What was remembered of one that means something else now is forgotten.
    pub fn add_entities(&mut self, infos: Vec<EntityInfo>) -> Vec<u32> {
        let kept = self.in_known_units(infos);
        let infos: Vec<EntityInfo> = kept.iter().map(|(info, _)| info.clone()).collect();
        self.forget_other_units(&infos);
        let numbers = kept.into_iter().map(|(info, way)| {
            self.registry.gone.remove(&info.entity_id);
            let number = self.judging.detector.add_entity(info.clone());
            if let Err(error) = self.memory.history.know(number, &info) {
                tracing::warn!(error = %error, "an entity's values will not be remembered");
            }
            let place = number as usize;
            if self.registry.conversions.len() <= place {
                self.registry.conversions.resize(place + 1, None);
                self.steps.newest.resize(place + 1, None);
            }
            self.registry.conversions[place] = way;
            number
        });
        numbers.collect()
    }

    /// Goes through the history once, and returns until when the detector knows the past; none when it knows nothing
    /// of the last [`WARM_UP_SECONDS`].
    pub fn recall(&mut self, now: i64) -> Option<i64> {
        let from = step_before(now - WARM_UP_SECONDS);
        if !self.relearning.recalled {
            self.relearning.recalled = true;
            match self.recall_history(from, now) {
                Ok(scores) => self.steps.last_scores = scores,
                Err(error) => {
                    tracing::warn!(error = %error, "own memory not read; learning from Home Assistant's instead");
                }
            }
        }
        self.steps.open.newest().max(self.steps.closed).filter(|known| *known > from)
    }

    /// Learns from the past without alarms: `readings` sorted by time, complete up to `until`.
    pub fn learn(&mut self, readings: &[Reading], until: i64) {
        for reading in readings {
            let first = step_before(reading.at);
            let closed = *self.steps.closed.get_or_insert(first);
            if reading.at <= closed {
                continue;
            }
            self.close_through(step_before(reading.at - 1), AlarmMode::LearnOnly);
            self.take(reading);
        }
        if self.steps.closed.is_some() {
            self.close_through(step_before(until), AlarmMode::LearnOnly);
        }
    }

    /// Whether what comes now may be judged: Home Assistant is up and everything before is learned.
    pub fn set_listening(&mut self, listening: bool, now: i64) {
        self.steps.listening = listening;
        self.steps.now = now;
        let closed = self.steps.closed.unwrap_or_else(|| step_before(now));
        if listening {
            self.steps.closed = Some(closed);
            self.restore();
            // Closing a step again changes nothing but the alarm mode: impossible values raise alarms from now on, not only from the
            // end of the step.
            self.judging.detector.close_step(closed, AlarmMode::Raise);
            self.agree_with_detector(now);
            self.weigh_units();
            let unheard = self.judging.detector.raise_unheard_dangers(now);
            self.publish_events(unheard, now, &[]);
            let readiness = self.readiness();
            self.delivery.view.send_modify(|view| view.readiness = readiness);
        }
        self.show(None);
    }

    /// Gives the detector back, once, what it knew before the last stop.
    fn restore(&mut self) {
        if std::mem::replace(&mut self.relearning.restored, true) {
            return;
        }
        match self.memory.note(DECIDER_NOTE) {
            Ok(Some(memory)) => self.judging.detector.restore(memory),
            Ok(None) => {}
            Err(error) => tracing::warn!(error = %error, "what answers taught before the last stop is not read"),
        }
    }

    /// Says the alarms that only the detector has, and ends those that only the screen has.
    fn agree_with_detector(&mut self, now: i64) {
        let lasting: Vec<_> =
            self.judging.detector.alarms().iter().filter(|alarm| alarm.end.is_none()).cloned().collect();
        let followed: Vec<&str> = lasting.iter().map(|alarm| alarm.id.as_str()).collect();
        for alarm in self.alarms.end_unfollowed(&followed, now) {
            self.memory.save_alarm(&alarm, None);
            self.delivery.notify(NoticeKind::Ended, alarm);
        }
        let unpublished = lasting.into_iter().filter(|alarm| !self.alarms.was_published(&alarm.id));
        let unpublished = unpublished.map(AlarmEvent::Raised).collect();
        self.publish_events(unpublished, now, &[]);
    }

    /// Takes readings of now; where one is enough to raise an alarm, residents are notified at once.
    pub fn ingest(&mut self, readings: &[Reading]) {
        let warned = self.judging.detector.warning();
        for reading in readings {
            self.health.counts.heard(reading.at);
            let events = self.take(reading);
            // Before anything may be judged, the detector learns only.
            if self.steps.listening {
                self.publish_events(events, reading.at, &[]);
            }
        }
        // Also where no alarm began or ended by it: what was answered as a test is off again.
        if self.steps.listening && self.judging.detector.warning() != warned {
            self.show(None);
        }
    }

    /// Closes what can be closed at `now`.
    pub fn tick(&mut self, now: i64) {
        self.steps.now = now;
        if self.steps.listening {
            self.close_until(now);
        }
        self.publish_due(now);
        self.keep_time(now);
        self.keep_routine(now);
    }

    /// Uses another model from now on; statistics and alarms stay.
    pub fn replace_model(&mut self, model: Arc<Model>, version: ModelVersion) {
        self.judging.detector.replace_model(Arc::clone(&model));
        self.judging.model = model;
        self.judging.model_version = version;
        self.show(None);
    }

    /// What residents made of the alarms raised since then.
    #[must_use]
    pub fn tally(&self, since: i64) -> Tally {
        self.alarms.tally(since)
    }

    /// What a new model is tried on; each hour other entities are checked.
    #[must_use]
    pub fn trial_windows(&self, now: i64) -> TrialWindows {
        let turn = now.div_euclid(3_600).unsigned_abs();
        TrialWindows {
            recent: self.judging.detector.recent_windows(),
            fault_checks: self.judging.detector.synthetic_faults(turn),
            share: self.judging.detector.share(),
        }
    }

    fn take(&mut self, reading: &Reading) -> Vec<AlarmEvent> {
        let reading = &self.converted(reading);
        let class = self.judging.detector.entities().get(reading.entity as usize).map(|info| info.class);
        if let Some(class) = class {
            self.steps.open.take(reading, class);
        }
        if let Some(newest) = self.steps.newest.get_mut(reading.entity as usize)
            && newest.is_none_or(|(at, _)| at <= reading.at)
        {
            *newest = Some((reading.at, reading.value));
        }
        self.judging.detector.observe(reading)
    }

    /// Closes every step up to the one that ends at `last`.
    fn close_through(&mut self, last: i64, mode: AlarmMode) {
        while let Some(step_end) = self.steps.closed.map(|closed| closed + STEP_SECONDS).filter(|end| *end <= last) {
            let began = Instant::now();
            let report = self.judging.detector.close_step(step_end, mode);
            if mode == AlarmMode::Raise {
                self.health.counts.judged(report.scores.len(), began.elapsed());
            }
            let (rows, changes) = self.steps.open.close(step_end, &report.scores);
            let saved = self.memory.history.save_step(step_end, &rows, &changes);
            self.memory.forgets = saved.is_err();
            if let Err(error) = saved {
                tracing::warn!(error = %error, step = step_end, "a step is not remembered");
            }
            self.steps.closed = Some(step_end);
            self.steps.judged = mode == AlarmMode::Raise;
            match mode {
                AlarmMode::Raise => {
                    self.draw_question(&report);
                    self.publish_events(report.events, step_end, &report.scores);
                    self.show(Some((step_end, &report.scores)));
                    self.steps.last_scores = report.scores;
                    self.weigh_units();
                    self.leave_faults(step_end);
                    if self.judging.detector.alarms().iter().any(|alarm| alarm.end.is_none()) {
                        // A restart must know how long ago there was evidence, to go on with what lasts.
                        self.keep_decider();
                    }
                }
                // What ended while nobody listened has ended all the same.
                AlarmMode::LearnOnly => {
                    let ended = |event: &AlarmEvent| matches!(event, AlarmEvent::Ended(_));
                    self.publish_events(report.events.into_iter().filter(ended).collect(), step_end, &[]);
                    self.steps.last_scores = report.scores;
                }
            }
        }
    }
}

/// The last multiple of a step that is not after `at`.
fn step_before(at: i64) -> i64 {
    at.div_euclid(STEP_SECONDS) * STEP_SECONDS
}
