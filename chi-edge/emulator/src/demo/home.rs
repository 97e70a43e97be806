//! One simulated home: a recording with faults in it, the agent's detector, and the people who answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use hearthwatch_detector::alarm::{Alarm, AlarmEvent, Verdict};
use hearthwatch_detector::detector::{AlarmMode, DetectorConfig, HomeDetector, Model, NetworkRecords};
use hearthwatch_detector::grid::{STEP_SECONDS, step_of};
use hearthwatch_edge_detection::service::{ToFleet, announcement};
use hearthwatch_edge_store::history::KEPT_SECONDS;
use hearthwatch_evaluation::dataset::RecordedHome;
use hearthwatch_protocol::messages::{Announcement, FeatureWindow, FeedbackRecord, Origin};
use hearthwatch_protocol::{AlarmId, HomeId, ModelVersion, Sequence};
use sha2::{Digest, Sha256};

use super::resident::{self, Habits};
use super::tally;

/// Alarms a week that every household asks for.
pub const BUDGET_PER_WEEK: f64 = 1.0;

/// Steps between two calls of the progress callback: a virtual day.
const PROGRESS_STEPS: u64 = 144;

/// A home that lives through its recording.
#[derive(Debug)]
pub struct SimulatedHome {
    /// Its pseudonym in the fleet.
    pub id: HomeId,
    /// The recording, with the faults in it, moved to the virtual epoch.
    pub recording: RecordedHome,
    /// Everything that was raised by the model in charge.
    pub alarms: Vec<Alarm>,
    /// Everything that the baseline detector would have raised on the same readings.
    pub twin_alarms: Vec<Alarm>,
    detector: HomeDetector,
    twin: HomeDetector,
    config: DetectorConfig,
    version: ModelVersion,
    habits: Habits,
    seed: u64,
    speaks_from: i64,
    start: i64,
    step: i64,
    cursor: usize,
    pending: BTreeMap<i64, Vec<(String, Verdict)>>,
    /// The last answer to each alarm, and when it was given.
    answered: BTreeMap<String, (Verdict, i64)>,
    /// What was announced of each alarm when it was raised.
    announced: BTreeMap<String, Announcement>,
}

impl SimulatedHome {
    /// Moves in at `start`, knowing the entities and nothing else; learns quietly and speaks from `speaks_from` on.
    #[must_use]
    pub fn new(id: HomeId, recording: RecordedHome, habits: Habits, seed: u64, start: i64, speaks_from: i64) -> Self {
        // The real agent draws its salt at set-up; here it comes from the seed, so that ids are the same in every run.
        let salt = Sha256::digest([&seed.to_le_bytes()[..], id.as_str().as_bytes()].concat()).to_vec();
        let config = DetectorConfig { timezone: jiff::tz::TimeZone::UTC, budget_per_week: BUDGET_PER_WEEK, salt };
        let detector = || {
            let mut detector = HomeDetector::new(config.clone(), Arc::new(Model::baseline()));
            for entity in &recording.entities {
                detector.add_entity(entity.clone());
            }
            detector
        };
        Self {
            detector: detector(),
            twin: detector(),
            config,
            id,
            recording,
            alarms: Vec::new(),
            twin_alarms: Vec::new(),
            version: ModelVersion::ROUTINE,
            habits,
            seed,
            speaks_from,
            start,
            step: start,
            cursor: 0,
            pending: BTreeMap::new(),
            answered: BTreeMap::new(),
            announced: BTreeMap::new(),
        }
    }

    /// The model in charge.
    #[must_use]
    pub fn version(&self) -> ModelVersion {
        self.version
    }

    /// The agent's detector, for the proof that an update must give on the home's own windows.
    #[must_use]
    pub fn detector(&self) -> &HomeDetector {
        &self.detector
    }

    /// When it moved in and the end of its last step, Unix seconds.
    #[must_use]
    pub fn lived(&self) -> (i64, i64) {
        (self.start, self.step)
    }

    /// What residents answered to an alarm, and when.
    #[must_use]
    pub fn answer_to(&self, alarm_id: &str) -> Option<(Verdict, i64)> {
        self.answered.get(alarm_id).copied()
    }

    /// Another model takes charge; histories and answers stay. What it says of the home's last weeks is looked at, as the agent does.
    pub fn install(&mut self, version: ModelVersion, model: Arc<Model>) {
        self.version = version;
        self.detector.replace_model(Arc::clone(&model));
        self.detector.take_records(&self.heard(model));
    }

    /// What `model` says of what an agent remembers.
    fn heard(&self, model: Arc<Model>) -> NetworkRecords {
        let mut detector = HomeDetector::new(self.config.clone(), model);
        self.recording.entities.iter().for_each(|entity| {
            detector.add_entity(entity.clone());
        });
        let heard = &self.recording.readings[..self.cursor];
        let from = heard.partition_point(|reading| reading.at <= self.step - KEPT_SECONDS);
        let mut step = heard.get(from).map_or(self.step, |reading| step_of(reading.at));
        for reading in &heard[from..] {
            while reading.at > step {
                detector.close_step(step, AlarmMode::LearnOnly);
                step += STEP_SECONDS;
            }
            detector.observe(reading);
        }
        while step <= self.step {
            detector.close_step(step, AlarmMode::LearnOnly);
            step += STEP_SECONDS;
        }
        detector.records()
    }

    /// Lives until `until`. Returns what the home tells the fleet, in order of time: alarms, and what the residents answered;
    /// `progress` hears of steps done.
    pub fn live_until(&mut self, until: i64, progress: &mut dyn FnMut(u64)) -> Vec<ToFleet> {
        let mut words = Vec::new();
        let mut told = 0;
        while self.step + STEP_SECONDS <= until {
            self.step += STEP_SECONDS;
            let voice = if self.step > self.speaks_from { AlarmMode::Raise } else { AlarmMode::LearnOnly };
            self.answer_due(&mut words);
            self.read(voice, &mut words);
            let report = self.detector.close_step(self.step, voice);
            let twin = self.twin.close_step(self.step, voice);
            self.hear(report.events, &mut words);
            collect(&mut self.twin_alarms, twin.events);
            told += 1;
            if told == PROGRESS_STEPS {
                progress(told);
                told = 0;
            }
        }
        progress(told);
        words
    }

    /// Hands both detectors the readings of the current step.
    fn read(&mut self, voice: AlarmMode, words: &mut Vec<ToFleet>) {
        while let Some(reading) = self.recording.readings.get(self.cursor).filter(|reading| reading.at <= self.step) {
            let (events, twin) = (self.detector.observe(reading), self.twin.observe(reading));
            self.cursor += 1;
            if voice == AlarmMode::Raise {
                self.hear(events, words);
                collect(&mut self.twin_alarms, twin);
            }
        }
    }

    /// Notes alarms, announces new ones and asks the residents about them.
    fn hear(&mut self, events: Vec<AlarmEvent>, words: &mut Vec<ToFleet>) {
        for event in &events {
            if let AlarmEvent::Raised(alarm) = event {
                let window = self.detector.window_of(&alarm.id);
                let announced = announcement(self.id.clone(), &alarm.id, self.version, window, alarm.raised_at);
                // Before there is a full window, there is nothing to announce and nothing to learn from.
                if let Ok(announcement) = announced {
                    words.push(ToFleet::Announcement(announcement.clone()));
                    self.announced.insert(alarm.id.clone(), announcement);
                }
                let really = tally::truth(alarm, &self.recording.labels).is_some();
                let home = self.id.as_str();
                let answer = resident::answer(&self.habits, self.seed, home, &alarm.id, alarm.raised_at, really);
                if let Some(answer) = answer {
                    self.pending.entry(answer.at).or_default().push((alarm.id.clone(), answer.verdict));
                }
            }
        }
        collect(&mut self.alarms, events);
    }

    /// Lets residents answer whose time has come: the answer acts at once in the home, and becomes a record.
    fn answer_due(&mut self, words: &mut Vec<ToFleet>) {
        while let Some(entry) = self.pending.first_entry().filter(|entry| *entry.key() <= self.step) {
            let (at, answers) = entry.remove_entry();
            for (alarm_id, verdict) in answers {
                // The agent's list of alarms is bounded: what it has forgotten can no longer be answered.
                if self.detector.answer(&alarm_id, verdict, at).is_ok()
                    && self.answered.insert(alarm_id.clone(), (verdict, at)).is_none()
                    && let Some(record) = self.record(&alarm_id, verdict, at)
                {
                    words.push(ToFleet::Answer(record));
                }
            }
        }
    }

    fn record(&self, alarm_id: &str, verdict: Verdict, at: i64) -> Option<FeedbackRecord> {
        let alarm = self.alarms.iter().find(|alarm| alarm.id == alarm_id)?;
        let entity = self.recording.entities.get(usize::try_from(alarm.entity).ok()?)?;
        let announced = self.announced.get(alarm_id)?;
        let values = self.detector.window_of(alarm_id)?.to_vec();
        Some(FeedbackRecord {
            home: self.id.clone(),
            // The outbox gives the true number when it takes the record.
            sequence: Sequence::default(),
            alarm: AlarmId::new(alarm_id).ok()?,
            device_class: entity.class.as_str().to_owned(),
            model_version: announced.model_version,
            feature_schema: hearthwatch_detector::grid::FEATURE_SCHEMA,
            window: FeatureWindow {
                steps: u16::try_from(hearthwatch_detector::grid::WINDOW_STEPS).ok()?,
                features: u16::try_from(hearthwatch_detector::grid::FEATURES).ok()?,
                values,
            },
            score: alarm.score,
            threshold: alarm.threshold,
            verdict: wire(verdict),
            origin: Origin::Alarm,
            raised_at: alarm.raised_at,
            answered_at: at,
        })
    }
}

/// The verdict in the words of the wire.
fn wire(verdict: Verdict) -> hearthwatch_protocol::messages::Verdict {
    match verdict {
        Verdict::Confirmed => hearthwatch_protocol::messages::Verdict::Confirmed,
        Verdict::Dismissed => hearthwatch_protocol::messages::Verdict::Dismissed,
        Verdict::Expected => hearthwatch_protocol::messages::Verdict::Expected,
    }
}

/// Keeps the newest form of every alarm, in the order in which they were raised.
fn collect(alarms: &mut Vec<Alarm>, events: Vec<AlarmEvent>) {
    for event in events {
        match event {
            AlarmEvent::Raised(alarm) => alarms.push(alarm),
            AlarmEvent::Changed(alarm) | AlarmEvent::Ended(alarm) => {
                if let Some(known) = alarms.iter_mut().rev().find(|known| known.id == alarm.id) {
                    *known = alarm;
                }
            }
        }
    }
}
