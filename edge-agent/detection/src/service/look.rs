//! A copy of the detector service's state for the page, and what it takes beside answers to alarms: declared misses, backtests.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hearthwatch_detector::alarm::{DeciderMemory, Verdict, alarm_id};
use hearthwatch_detector::detector::{DetectorConfig, EntityScore, Model, NetworkRecords};
use hearthwatch_detector::reading::{EntityInfo, Value};
use hearthwatch_edge_core::backtest::Backtest;
use hearthwatch_edge_core::explain::friendly_name;
use hearthwatch_edge_core::preferences::Place;
use hearthwatch_edge_core::unit_doubt::UnitDoubt;
use hearthwatch_edge_store::history::StoredMiss;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::messages::Origin;

use super::feedback::{self, Declared};
use super::{DetectorService, ShownAlarm};
use crate::backtest::Moment;

/// Looks that may wait for their turn; one goes on at a time, so that the last of them waits a minute in a large home.
pub const LOOKS_MAX: usize = 16;

/// Results of looks that are kept until the next start; the page shows fewer.
const LOOKS_TOLD: usize = 2 * LOOKS_MAX;

/// Name of the note that holds the newest backtest; stored, so it stays as it was.
const BACKTEST_NOTE: &str = "rehearsal";

/// The state of the detector service at one moment, as far as the history on disk does not hold it.
#[derive(Debug, Clone)]
pub struct HomeDetail {
    /// Every entity, by the detector's number, with what the last step made of it.
    pub entities: Vec<(EntityInfo, Option<EntityScore>)>,
    /// The newest value of each, by number; none before its first reading, a gap while the entity is unavailable.
    pub newest: Vec<Option<Value>>,
    /// The model in use.
    pub model: Arc<Model>,
    /// Version of `model`.
    pub model_version: ModelVersion,
    /// Time zone, configured budget and salt.
    pub config: DetectorConfig,
    /// Alarms a week that hold now: chosen by residents, else configured.
    pub budget: f64,
    /// Remembered answers, open alarms and the offset.
    pub memory: DeciderMemory,
    /// Number of entities that share the budget.
    pub watched: usize,
    /// End of the last closed step, Unix seconds; none before the first one.
    pub closed: Option<i64>,
    /// Alarms that can be answered, oldest first.
    pub alarms: Vec<ShownAlarm>,
    /// What the newest model would have changed last month.
    pub backtest: Option<Backtest>,
    /// What people call the entities, by id.
    pub places: HashMap<String, Place>,
    /// Whether the last step was judged as it was lived: not before the first one after a start.
    pub judged: bool,
    /// Those of them that Home Assistant has no more.
    pub gone: BTreeSet<String>,
    /// Thermometers whose values fit another unit than the one that they report.
    pub unit_doubts: Vec<UnitDoubt>,
    /// What came of looking back at declared misses, oldest first, by the miss's id.
    pub looks: Vec<(String, LookBack)>,
}

impl HomeDetail {
    /// The entities that are there, by the detector's number.
    pub fn present(&self) -> impl Iterator<Item = &(EntityInfo, Option<EntityScore>)> {
        self.entities.iter().filter(|(info, _)| !self.gone.contains(&info.entity_id))
    }

    /// What came of looking back at a declared miss since the last start.
    #[must_use]
    pub fn look_back(&self, id: &str) -> Option<LookBack> {
        self.looks.iter().rev().find(|(of, _)| of == id).map(|(_, look)| *look)
    }

    /// The name that residents see; made from the id where Home Assistant gives none.
    #[must_use]
    pub fn name_of(&self, entity_id: &str) -> String {
        self.places.get(entity_id).map_or_else(|| friendly_name(entity_id), |place| place.name_of(entity_id))
    }
}

/// Where the look back at a declared miss stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LookBack {
    /// It goes on, or waits for its turn.
    Underway,
    /// The moment was judged again.
    Seen {
        /// The score; none where nothing was judged.
        score: Option<f32>,
        /// What the score was compared with.
        threshold: f32,
    },
    /// Too little is remembered of that time.
    Nothing,
}

/// "Something was off here": a place, a time, and what the detector saw there when it looked again.
#[derive(Debug, Clone, PartialEq)]
pub struct MissReport {
    /// Home Assistant's id.
    pub entity_id: String,
    /// Unix seconds.
    pub at: i64,
    /// None when the history has no full window there.
    pub moment: Option<Moment>,
}

impl DetectorService {
    /// Copies the state; about as large as the names of all entities.
    #[must_use]
    pub fn look(&self) -> HomeDetail {
        let scores = &self.steps.last_scores;
        let of = |number: usize| scores.get(number).filter(|score| score.entity as usize == number).cloned();
        let entities = self.judging.detector.entities().iter().cloned().enumerate();
        HomeDetail {
            entities: entities.map(|(number, info)| (info, of(number))).collect(),
            newest: self.steps.newest.iter().map(|newest| newest.map(|(_, value)| value)).collect(),
            model: Arc::clone(&self.judging.model),
            model_version: self.judging.model_version,
            config: self.judging.config.clone(),
            budget: self.judging.detector.budget(),
            memory: self.judging.detector.memory(),
            watched: self.judging.detector.watched(),
            closed: self.steps.closed,
            alarms: self.alarms.list().to_vec(),
            backtest: self.backtest(),
            places: self.registry.places.clone(),
            judged: self.steps.judged,
            gone: self.registry.gone.clone(),
            unit_doubts: self.registry.unit_doubts.clone(),
            looks: self.looks.clone(),
        }
    }

    /// Keeps a declared miss of which nobody has looked up yet what was seen then.
    pub fn note_miss(&mut self, entity_id: &str, at: i64, now: i64) -> StoredMiss {
        let id = self.miss_id(entity_id, at);
        tracing::info!(alarm.id = id, "a resident says that something was missed");
        let miss = StoredMiss { id, entity_id: entity_id.to_owned(), at, reported_at: now, shared: false };
        self.keep_miss(&miss);
        self.remember_look(&miss.id, LookBack::Underway);
        miss
    }

    fn miss_id(&self, entity_id: &str, at: i64) -> String {
        alarm_id(&self.judging.config.salt, &format!("miss|{entity_id}"), at)
    }

    fn keep_miss(&mut self, miss: &StoredMiss) {
        if let Err(error) = self.memory.history.save_miss(miss) {
            tracing::error!(error = %error, "a declared miss would not survive a restart");
        }
    }

    fn remember_look(&mut self, id: &str, look: LookBack) {
        self.looks.retain(|(of, _)| of != id);
        if self.looks.len() >= LOOKS_TOLD {
            self.looks.remove(0);
        }
        self.looks.push((id.to_owned(), look));
    }

    /// Takes what was seen at a declared miss, and puts a label into the outbox as far as the resident shares.
    pub fn declare_miss(&mut self, report: &MissReport, now: i64) -> StoredMiss {
        let id = self.miss_id(&report.entity_id, report.at);
        let seen = |moment: &Moment| LookBack::Seen { score: moment.score, threshold: moment.threshold };
        self.remember_look(&id, report.moment.as_ref().map_or(LookBack::Nothing, seen));
        let shared = self.share_miss(&id, report, now);
        let miss = StoredMiss { id, entity_id: report.entity_id.clone(), at: report.at, reported_at: now, shared };
        tracing::info!(alarm.id = miss.id, miss.shared = shared, "a declared miss is looked up");
        self.keep_miss(&miss);
        miss
    }

    fn share_miss(&mut self, id: &str, report: &MissReport, now: i64) -> bool {
        let class = self.judging.detector.entities().iter().find(|info| info.entity_id == report.entity_id);
        let Some(class) = class.map(|info| info.class) else { return false };
        let Some(moment) = &report.moment else { return false };
        let declared = Declared {
            id,
            class,
            model_version: self.judging.model_version,
            score: moment.score.unwrap_or(moment.threshold),
            threshold: moment.threshold,
            raised_at: report.at,
            origin: Origin::Miss,
        };
        let window = Some(moment.window.clone());
        self.delivery.share(id, |home| feedback::record(home, &declared, window, Verdict::Confirmed, now))
    }

    /// What the newest model would have changed.
    pub(super) fn backtest(&self) -> Option<Backtest> {
        self.memory.note(BACKTEST_NOTE).ok().flatten()
    }

    /// Keeps what a new model would have changed, and shows it. The network's records of the way there let it judge at once.
    pub fn keep_backtest(&mut self, backtest: &Backtest, records: &NetworkRecords) {
        self.judging.detector.take_records(records);
        self.delivery.view.send_modify(|view| view.backtest = Some(backtest.clone()));
        self.memory.keep_note(BACKTEST_NOTE, backtest, "what the new model would have changed is forgotten");
    }
}
