//! One thread owns the home's detector, its memory and its alarms; everybody else sends it commands.
//!
//! The brain knows no clock: time comes with each command. It never waits for a broker or for Home Assistant; what it
//! has to tell goes into a view (the newest counts) and into notices (each counts, as long as somebody listens).

mod alarms;
mod handle;
mod step;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use hearthwatch_model::alarm::{AlarmEvent, Verdict};
use hearthwatch_model::class::DeviceClass;
use hearthwatch_model::detector::{DetectorConfig, HomeDetector, Model, Voice};
use hearthwatch_model::grid::STEP_SECONDS;
use hearthwatch_model::reading::{EntityInfo, Reading};
use hearthwatch_protocol::messages::FeedbackRecord;
use hearthwatch_protocol::{HomeId, ModelVersion};
use jiff::tz::TimeZone;
use tokio::sync::{mpsc, watch};

use crate::history::{History, HistoryError};
use alarms::Alarms;
pub use handle::{BrainCommand, BrainGone, BrainHandle, start};
use step::OpenStep;
pub use view::{HomeView, Loudest, Notice, NoticeKind, ShownAlarm, verdict_word};

/// How much of the past is learned from at a start: what the detector's histories hold.
pub const WARM_UP_SECONDS: i64 = 14 * 86_400;

/// A step is closed this long after its end, so that what Home Assistant is about to tell still counts.
pub const CLOSING_GRACE_SECONDS: i64 = 5;

/// Name of the note that holds the detector's answers and alarms.
const DECIDER_NOTE: &str = "decider";

/// Where answers go that are to teach the fleet: it says what became of the record. None: answers stay here.
pub type FeedbackSink = Box<dyn FnMut(FeedbackRecord) -> Result<(), String> + Send>;

/// What a brain is made of.
pub struct BrainParts {
    /// What scores at first.
    pub model: Arc<Model>,
    /// Its version.
    pub model_version: ModelVersion,
    /// Own memory.
    pub history: History,
    /// The home's secret in its alarms' ids.
    pub salt: Vec<u8>,
    /// Alarms a week.
    pub budget: f64,
    /// Configured; without it Home Assistant's is taken.
    pub timezone: Option<TimeZone>,
    /// Who we are to the fleet, and where answers go.
    pub feedback: Option<(HomeId, FeedbackSink)>,
}

/// The owner of everything that must not be shared.
pub struct Brain {
    detector: HomeDetector,
    config: DetectorConfig,
    timezone_configured: bool,
    model: Arc<Model>,
    model_version: ModelVersion,
    history: History,
    alarms: Alarms,
    feedback: Option<(HomeId, FeedbackSink)>,
    open: OpenStep,
    /// End of the last closed step; none before the first.
    closed: Option<i64>,
    /// Whether what is heard now may be judged.
    listening: bool,
    /// Own memory was gone through.
    recalled: bool,
    /// The detector has back what it knew before the last stop.
    restored: bool,
    view: watch::Sender<HomeView>,
    notices: mpsc::Sender<Notice>,
}

impl Brain {
    /// A brain that knows no entity yet, but its alarms of before.
    ///
    /// # Errors
    /// [`HistoryError`] when the memory cannot be read.
    pub fn new(
        parts: BrainParts,
        view: watch::Sender<HomeView>,
        notices: mpsc::Sender<Notice>,
    ) -> Result<Self, HistoryError> {
        let BrainParts { model, model_version, history, salt, budget, timezone, feedback } = parts;
        let timezone_configured = timezone.is_some();
        let config = DetectorConfig { timezone: timezone.unwrap_or(TimeZone::UTC), budget_per_week: budget, salt };
        let alarms = Alarms::remember(&history)?;
        let mut brain = Self {
            detector: HomeDetector::new(config.clone(), Arc::clone(&model)),
            config,
            timezone_configured,
            model,
            model_version,
            history,
            alarms,
            feedback,
            open: OpenStep::default(),
            closed: None,
            listening: false,
            recalled: false,
            restored: false,
            view,
            notices,
        };
        brain.show(None);
        Ok(brain)
    }

    /// Takes the home's time zone, unless one is configured. Once something was learned, it no longer changes.
    pub fn set_timezone(&mut self, timezone: TimeZone) {
        if !self.timezone_configured && self.closed.is_none() && self.config.timezone != timezone {
            self.config.timezone = timezone;
            let entities = self.detector.entities().to_vec();
            self.detector = HomeDetector::new(self.config.clone(), Arc::clone(&self.model));
            for info in entities {
                self.detector.add_entity(info);
            }
        }
    }

    /// Makes entities known and tells their numbers.
    pub fn add_entities(&mut self, infos: Vec<EntityInfo>) -> Vec<u32> {
        let numbers = infos.into_iter().map(|info| {
            let number = self.detector.add_entity(info.clone());
            if let Err(error) = self.history.know(number, &info) {
                tracing::warn!(error = %error, "an entity's values will not be remembered");
            }
            number
        });
        numbers.collect()
    }

    /// Goes through the own memory once, and tells until when the detector knows the past; none when it knows nothing
    /// of the last [`WARM_UP_SECONDS`].
    pub fn recall(&mut self, now: i64) -> Option<i64> {
        let from = step_before(now - WARM_UP_SECONDS);
        if !self.recalled {
            self.recalled = true;
            if let Err(error) = self.recall_history(from, now) {
                tracing::warn!(error = %error, "own memory not read; learning from Home Assistant's instead");
            }
        }
        self.open.newest().max(self.closed).filter(|known| *known > from)
    }

    fn recall_history(&mut self, from: i64, now: i64) -> Result<(), HistoryError> {
        let mut before = None;
        for step_end in self.history.steps(from, now)? {
            // Steps that nobody saw are gaps of knowledge, not of the sensors: close them silently.
            let mut missed = before.map_or(step_end, |before| before + STEP_SECONDS);
            while missed < step_end {
                self.detector.close_step(missed, Voice::Quiet);
                missed += STEP_SECONDS;
            }
            for reading in self.history.readings(step_end, step_end - STEP_SECONDS)? {
                let reading = Reading { at: reading.at, entity: reading.entity, value: reading.value };
                self.detector.observe(&reading);
            }
            self.detector.close_step(step_end, Voice::Quiet);
            self.closed = Some(step_end);
            before = Some(step_end);
        }
        Ok(())
    }

    /// Learns from the past without a word: `readings` sorted by time, complete up to `until`.
    pub fn learn(&mut self, readings: &[Reading], until: i64) {
        for reading in readings {
            let first = step_before(reading.at);
            let closed = *self.closed.get_or_insert(first);
            if reading.at <= closed {
                continue;
            }
            self.close_through(step_before(reading.at - 1), Voice::Quiet);
            self.take(reading);
        }
        if self.closed.is_some() {
            self.close_through(step_before(until), Voice::Quiet);
        }
    }

    /// Whether what comes now may be judged: Home Assistant is up and everything before is learned.
    pub fn set_listening(&mut self, listening: bool, now: i64) {
        self.listening = listening;
        let closed = self.closed.unwrap_or_else(|| step_before(now));
        if listening {
            self.closed = Some(closed);
            self.restore();
            // Closing a step again changes nothing but the voice: what cannot be is said from now on, not only from the
            // end of the step.
            self.detector.close_step(closed, Voice::Live);
            self.agree_with_detector(now);
        }
        self.show(None);
    }

    /// Gives the detector back, once, what it knew before the last stop.
    fn restore(&mut self) {
        if std::mem::replace(&mut self.restored, true) {
            return;
        }
        match self.history.note(DECIDER_NOTE) {
            Ok(None) => {}
            Ok(Some(text)) => match serde_json::from_str(&text) {
                Ok(memory) => self.detector.restore(memory),
                Err(error) => tracing::warn!(error = %error, "what answers taught before the last stop is lost"),
            },
            Err(error) => tracing::warn!(error = %error, "what answers taught before the last stop is not read"),
        }
    }

    /// Says the alarms that only the detector has, and ends those that only the screen has.
    fn agree_with_detector(&mut self, now: i64) {
        let lasting: Vec<_> = self.detector.alarms().iter().filter(|alarm| alarm.end.is_none()).cloned().collect();
        let followed: Vec<&str> = lasting.iter().map(|alarm| alarm.id.as_str()).collect();
        for alarm in self.alarms.end_unfollowed(&followed, now) {
            self.save(&alarm, None);
            self.notify(NoticeKind::Ended, alarm);
        }
        let unsaid = lasting.into_iter().filter(|alarm| !self.alarms.was_told(&alarm.id));
        let unsaid = unsaid.map(AlarmEvent::Raised).collect();
        self.tell(unsaid);
    }

    /// Takes what was just heard; what no second look is needed for is said at once.
    pub fn hear(&mut self, readings: &[Reading]) {
        for reading in readings {
            let events = self.take(reading);
            // Before anything may be judged, the detector learns only.
            if self.listening {
                self.tell(events);
            }
        }
    }

    /// Closes what can be closed at `now`.
    pub fn tick(&mut self, now: i64) {
        if self.listening && self.closed.is_some() {
            self.close_through(step_before(now - CLOSING_GRACE_SECONDS), Voice::Live);
        }
    }

    /// Takes a resident's answer. Without an id, the alarm that is shown is meant.
    pub fn answer(&mut self, alarm_id: Option<&str>, verdict: Verdict, now: i64) {
        let Some(alarm) = self.alarms.answer(alarm_id, verdict, now) else {
            tracing::info!(
                alarm.id = alarm_id.unwrap_or(""),
                "an answer to an alarm that is not remembered is ignored"
            );
            return;
        };
        // The detector's list is shorter than ours: the answer then still counts for the fleet and on the screen.
        if let Err(error) = self.detector.answer(&alarm.alarm.id, verdict, now) {
            tracing::debug!(error = %error, "an answer that teaches the detector nothing");
        }
        self.keep_decider();
        self.save(&alarm, None);
        self.send_feedback(&alarm, verdict, now);
        self.notify(NoticeKind::Answered(verdict), alarm);
        self.show(None);
    }

    /// Puts another model in charge.
    pub fn replace_model(&mut self, model: Arc<Model>, version: ModelVersion) {
        self.detector.replace_model(Arc::clone(&model));
        self.model = model;
        self.model_version = version;
        self.show(None);
    }

    /// What a new model is tried on.
    #[must_use]
    pub fn recent_windows(&self) -> Vec<(DeviceClass, Vec<f32>)> {
        self.detector.recent_windows()
    }

    fn take(&mut self, reading: &Reading) -> Vec<AlarmEvent> {
        let class = self.detector.entities().get(reading.entity as usize).map(|info| info.class);
        if let Some(class) = class {
            self.open.take(reading, class);
        }
        self.detector.observe(reading)
    }

    /// Closes every step up to the one that ends at `last`.
    fn close_through(&mut self, last: i64, voice: Voice) {
        while let Some(step_end) = self.closed.map(|closed| closed + STEP_SECONDS).filter(|end| *end <= last) {
            let report = self.detector.close_step(step_end, voice);
            let (rows, changes) = self.open.close(step_end, &report.scores);
            if let Err(error) = self.history.save_step(step_end, &rows, &changes) {
                tracing::warn!(error = %error, step = step_end, "a step is not remembered");
            }
            self.closed = Some(step_end);
            match voice {
                Voice::Live => {
                    self.tell(report.events);
                    self.show(Some((step_end, &report.scores)));
                }
                // What ended while nobody listened has ended all the same.
                Voice::Quiet => {
                    let ended = |event: &AlarmEvent| matches!(event, AlarmEvent::Ended(_));
                    self.tell(report.events.into_iter().filter(ended).collect());
                }
            }
        }
    }

    /// Says what became of alarms: to the memory, to the screen, to whoever listens.
    fn tell(&mut self, events: Vec<AlarmEvent>) {
        if events.is_empty() {
            return;
        }
        for event in events {
            let Some(info) = self.detector.entities().get(event.alarm().entity as usize).cloned() else { continue };
            let Some((kind, alarm)) = self.alarms.tell(event, &info, self.model_version) else { continue };
            let window = match kind {
                NoticeKind::Raised => self.detector.window_of(&alarm.alarm.id).map(<[f32]>::to_vec),
                _ => None,
            };
            self.save(&alarm, window.as_deref());
            self.notify(kind, alarm);
        }
        self.keep_decider();
        self.show(None);
    }

    /// Keeps what the detector must not forget over a restart.
    fn keep_decider(&mut self) {
        let kept = serde_json::to_string(&self.detector.memory())
            .map_err(|error| error.to_string())
            .and_then(|text| self.history.set_note(DECIDER_NOTE, &text).map_err(|error| error.to_string()));
        if let Err(error) = kept {
            tracing::warn!(error, "what answers taught would not survive a restart");
        }
    }

    fn save(&mut self, alarm: &ShownAlarm, window: Option<&[f32]>) {
        if let Err(error) = self.history.save_alarm(alarm, window) {
            tracing::error!(error = %error, alarm.id = alarm.alarm.id, "an alarm would not survive a restart");
        }
    }

    fn send_feedback(&mut self, alarm: &ShownAlarm, verdict: Verdict, now: i64) {
        let Some((home, sink)) = &mut self.feedback else { return };
        let window = match self.history.window_of(&alarm.alarm.id) {
            Ok(window) => window,
            Err(error) => {
                tracing::error!(error = %error, alarm.id = alarm.alarm.id, "an answer stays here: its window is lost");
                return;
            }
        };
        match alarms::feedback_record(home.clone(), alarm, window, verdict, now) {
            Ok(record) => match sink(record) {
                Ok(()) => tracing::info!(alarm.id = alarm.alarm.id, "answer kept for the fleet"),
                Err(error) => tracing::error!(error, alarm.id = alarm.alarm.id, "an answer is not kept for the fleet"),
            },
            Err(why) => tracing::info!(alarm.id = alarm.alarm.id, "an answer stays here: {why}"),
        }
    }

    fn notify(&self, kind: NoticeKind, alarm: ShownAlarm) {
        tracing::info!(
            alarm.id = alarm.alarm.id,
            alarm.severity = alarm.alarm.severity.as_str(),
            "alarm {}",
            kind.as_str()
        );
        // Nobody listening, or far behind: the view and the memory still hold the alarm.
        let _ = self.notices.try_send(Notice { kind, alarm });
    }

    /// Renews the view; `scores` when a step was closed.
    fn show(&mut self, scores: Option<(i64, &[hearthwatch_model::detector::EntityScore])>) {
        let loudest = scores.map(|(at, scores)| Loudest::of(at, scores, self.detector.entities()));
        let (shown, open) = (self.alarms.shown().cloned(), self.alarms.open_count());
        let network = self.model.version().is_some();
        let (model, entities, listening) = (self.model_version, self.detector.entities().len(), self.listening);
        self.view.send_modify(|view| {
            view.shown = shown;
            view.open = open;
            view.model = model;
            view.network = network;
            view.entities = entities;
            view.listening = listening;
            if let Some(loudest) = loudest {
                view.loudest = loudest;
            }
        });
    }
}

/// The last multiple of a step that is not after `at`.
fn step_before(at: i64) -> i64 {
    at.div_euclid(STEP_SECONDS) * STEP_SECONDS
}
