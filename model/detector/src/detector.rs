//! A home's detector: features, model and decisions in one value.

mod carbon_monoxide;
mod danger;
mod go_back;
mod model;
mod network;
mod offline;
mod trial;
mod trust;
mod warn;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::alarm::audit_sample::{self, AuditSample, Candidate};
use crate::alarm::{
    Adapts, Alarm, AlarmEvent, Decider, DeciderConfig, DeciderMemory, Evidence, Learnt, UnknownAlarm, Verdict,
    VerdictMemory, Withheld,
};
use crate::class::DeviceClass;
pub use crate::features::Knowledge;
use crate::features::PHYSICS_SCORE;
pub use crate::features::TrialWindow;
use crate::features::{EntityStep, FeatureExtractor, LeftOut, LocalTime};
use crate::finding::{AnomalyKind, Band, BaselineScore};
use crate::grid::STEP_SECONDS;
use crate::network::NetworkOutput;
use crate::reading::{EntityInfo, Reading, Value};
use carbon_monoxide::CarbonMonoxide;
use danger::DangerStates;
pub use model::{Model, SHIPPED_VERSION};
use offline::Offline;
pub use trial::Margin;
pub use trust::NetworkRecords;
pub use trust::{NetworkRecord, gain};

/// Feature windows of alarms that are kept: 128 × 7.5 KiB are under 1 MiB, at an alarm a day four months' worth.
const WINDOWS_MAX: usize = 128;
/// A reading further ahead of the last step, or a warning of danger further behind it, has a wrong time: a day.
const AHEAD_SECONDS_MAX: i64 = 86_400;
const DAY_SECONDS: i64 = 86_400;
/// Baseline evidence above this (once a week) gives a network's alarm its name; below, it is a pattern.
const NAMING_SCORE: f32 = 0.0;

/// What a home sets.
#[derive(Debug, Clone)]
pub struct DetectorConfig {
    /// For the time of day.
    pub timezone: jiff::tz::TimeZone,
    /// Alarms a week, for the whole home.
    pub budget_per_week: f64,
    /// The home's secret in the alarms' ids.
    pub salt: Vec<u8>,
}

/// Whether a step may raise alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmMode {
    /// Judge, and raise alarms.
    Raise,
    /// Learn, and raise nothing: warm-up, or a past that is gone through again.
    LearnOnly,
}

/// One entity's score in one step.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityScore {
    /// Index in the home's list.
    pub entity: u32,
    /// The step's end, in Unix seconds.
    pub at: i64,
    /// The value, in the unit that is shown.
    pub observed: Option<f32>,
    /// The score; none in warm-up, and while the entity is too new to be judged.
    pub score: Option<f32>,
    /// What it is held against: calibration, the home's offset and its answers together.
    pub threshold: f32,
    /// None while nothing is expected: too little history, or an on/off entity.
    pub band: Option<Band>,
    /// How rare the score is after the home's offset and its answers, whatever gave it
    /// ([`CalibrationCurve::rarity`](crate::alarm::CalibrationCurve::rarity)); none while the entity is too new to be judged. In
    /// warm-up too: what would have been said, had anybody listened.
    pub rarity: Option<f32>,
    /// Whether it is said without a second step and whatever the budget: an impossible value, a warning of danger, a rule's finding.
    pub immediate: bool,
}

/// What a step brought.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepReport {
    /// One for each entity, in order.
    pub scores: Vec<EntityScore>,
    /// What happened to alarms.
    pub events: Vec<AlarmEvent>,
}

/// Watches one home: readings in, a report a step out.
#[derive(Debug, Clone)]
pub struct HomeDetector {
    timezone: jiff::tz::TimeZone,
    extractor: FeatureExtractor,
    model: Arc<Model>,
    decider: Decider,
    entities: Vec<EntityInfo>,
    /// Whether an entity ever had a value: only those share the budget.
    seen: Vec<bool>,
    /// What the baseline detector said of each entity in the last step; none while it is not ready.
    baseline: Vec<Option<BaselineScore>>,
    windows: VecDeque<(String, Vec<f32>)>,
    dangers: DangerStates,
    carbon_monoxide: CarbonMonoxide,
    offline: Offline,
    /// What the network said of each entity lately.
    records: Vec<NetworkRecord>,
    /// As the last step was closed; before the first, nothing is said.
    mode: AlarmMode,
}

impl HomeDetector {
    /// A detector of a home without entities.
    #[must_use]
    pub fn new(config: DetectorConfig, model: Arc<Model>) -> Self {
        let decider = Decider::new(DeciderConfig {
            budget_per_week: config.budget_per_week,
            salt: config.salt,
            adapts: Adapts::Fully,
        });
        Self {
            extractor: FeatureExtractor::new(config.timezone.clone()),
            timezone: config.timezone,
            model,
            decider,
            entities: Vec::new(),
            seen: Vec::new(),
            baseline: Vec::new(),
            windows: VecDeque::new(),
            dangers: DangerStates::default(),
            carbon_monoxide: CarbonMonoxide::default(),
            offline: Offline::default(),
            records: Vec::new(),
            mode: AlarmMode::LearnOnly,
        }
    }

    /// Adds an entity and returns its index; the same id again returns the index it has. With another class or unit it is
    /// learnt anew.
    pub fn add_entity(&mut self, info: EntityInfo) -> u32 {
        let index = self.extractor.add_entity(info.clone());
        if let Some(known) = self.entities.get_mut(index as usize)
            && *known != info
        {
            // Its numbers mean something else from now on.
            self.extractor.replace_entity(index, info.clone());
            self.decider.replace_entity(index, info.clone());
            self.dangers.forget(index);
            self.carbon_monoxide.forget(index);
            self.offline.forget(index);
            *known = info;
            self.seen[index as usize] = false;
            self.baseline[index as usize] = None;
            self.records[index as usize] = NetworkRecord::new();
        } else if index as usize == self.entities.len() {
            self.decider.add_entity(info.clone());
            self.entities.push(info);
            self.seen.push(false);
            self.baseline.push(None);
            self.records.push(NetworkRecord::new());
        }
        index
    }

    /// Takes a reading. What needs no second sample speaks at once: a value that the quantity cannot have, a sensor that
    /// warns of danger. Nothing speaks at once before the first [`AlarmMode::Raise`] step.
    pub fn observe(&mut self, reading: &Reading) -> Vec<AlarmEvent> {
        let class = self.entities.get(reading.entity as usize).map(|info| info.class);
        let events = match class {
            Some(class) if class.warns_of_danger() => {
                let turn = self.dangers.take(reading.entity, reading.value);
                self.judge_danger(reading, turn)
            }
            Some(DeviceClass::CarbonMonoxide) if !self.extractor.is_broken(reading.entity, reading.value) => {
                let unit = &self.entities[reading.entity as usize].unit;
                let turn = self.carbon_monoxide.take(reading.entity, reading.at, reading.value, unit);
                self.judge_danger(reading, turn)
            }
            _ => self.judge_at_once(reading).into_iter().collect(),
        };
        self.offline.take(reading.entity, reading.at, reading.value);
        self.extractor.observe(reading);
        self.capture(&events);
        events
    }

    fn judge_at_once(&mut self, reading: &Reading) -> Option<AlarmEvent> {
        let closed = self.extractor.closed()?;
        let on_time = reading.at > closed && reading.at <= closed.saturating_add(AHEAD_SECONDS_MAX);
        if self.mode == AlarmMode::LearnOnly || !on_time || self.extractor.is_new(reading.entity, reading.at) {
            return None;
        }
        if !self.extractor.is_broken(reading.entity, reading.value) {
            return None;
        }
        let Value::Number(number) = reading.value else { return None };
        let amount = number.clamp(-1e30, 1e30) as f32;
        let class = self.entities.get(reading.entity as usize)?.class;
        let evidence = Evidence {
            entity: reading.entity,
            score: Some(PHYSICS_SCORE),
            threshold: self.model.baseline_calibration().threshold(class, self.share()),
            kind: AnomalyKind::Physics,
            amount,
            usual: 0.0,
            observed: Some(amount),
            band: None,
        };
        self.decider.decide_at_once(reading.at, LocalTime::at(reading.at, &self.timezone).hour_of_day(), &evidence)
    }

    /// Closes the step that ends at `step_end`: scores every entity and decides. Empty for a step that is closed already.
    pub fn close_step(&mut self, step_end: i64, mode: AlarmMode) -> StepReport {
        self.mode = mode;
        let steps = self.extractor.close_step(step_end);
        let Some(at) = steps.first().map(|step| step.at) else { return StepReport::default() };
        for step in &steps {
            self.seen[step.entity as usize] |= step.observed.is_some();
            self.baseline[step.entity as usize] = step.ready.then_some(step.baseline);
        }
        let outputs = self.ask_network(&steps);
        let share = self.share();
        self.note_network(&steps, &outputs, share);
        self.try_faults(share);
        let (mut evidence, by_network): (Vec<Evidence>, Vec<bool>) =
            steps.iter().zip(&outputs).map(|(step, output)| self.weigh(step, output.as_ref(), share)).unzip();
        self.offline.step(at, &self.entities);
        self.offline.speak(at, &mut evidence);
        // Gas that has stood for long enough is a danger, though its sensor reports nothing new.
        self.carbon_monoxide.tick(at);
        for entity in self.carbon_monoxide.warning() {
            let danger = self.danger_of(entity);
            if let (Some(one), Some(danger)) = (evidence.iter_mut().find(|one| one.entity == entity), danger) {
                *one = danger;
            }
        }
        let hour = LocalTime::at(at, &self.timezone).hour_of_day();
        let live = mode == AlarmMode::Raise;
        let decision = self.decider.decide(at, hour, &evidence, live);
        self.capture(&decision.events);
        let scores = evidence
            .iter()
            .zip(&decision.thresholds)
            .zip(by_network)
            .zip(&steps)
            .map(|(((one, threshold), by_network), step)| EntityScore {
                entity: one.entity,
                at,
                observed: step.observed,
                score: one.score.filter(|_| live),
                threshold: *threshold,
                band: step.band,
                rarity: one.score.map(|score| self.rarity(one, score - threshold, share, by_network)),
                immediate: one.kind.immediate()
                    || (one.kind.has_own_threshold() && one.score.is_some_and(|score| score >= *threshold)),
            })
            .collect();
        StepReport { scores, events: decision.events }
    }

    /// The rarity of evidence that lies by `margin` above all that is asked of it here: the fleet's threshold for this share of
    /// the budget, what this home's offset and answers add, what a young entity's or an unproven network's score lacks.
    fn rarity(&self, evidence: &Evidence, margin: f32, share: f32, by_network: bool) -> f32 {
        let class = self.entities[evidence.entity as usize].class;
        let calibration = match &*self.model {
            Model::Network { calibration, .. } if by_network => calibration,
            model => model.baseline_calibration(),
        };
        calibration.rarity(class, calibration.threshold(class, share) + margin)
    }

    /// One entity's evidence: the network's where it has one, but a rule that exceeds its threshold by more goes first. The second value
    /// tells whether it is the network's.
    fn weigh(&self, step: &EntityStep, output: Option<&NetworkOutput>, share: f32) -> (Evidence, bool) {
        let info = &self.entities[step.entity as usize];
        let class = info.class;
        let baseline = &step.baseline;
        let judged = step.ready || baseline.score > BaselineScore::FLOOR;
        let by_baseline = Evidence {
            entity: step.entity,
            score: judged.then_some(baseline.score),
            threshold: self.model.baseline_threshold(class, baseline.kind, share),
            kind: baseline.kind,
            amount: baseline.amount,
            usual: baseline.usual,
            // A value that cannot be is never taken in: the step carries on the last good one, which nobody asks about.
            observed: if baseline.kind == AnomalyKind::Physics { Some(baseline.amount) } else { step.observed },
            // The hours' band says nothing of what is held against weeks.
            band: step.band.filter(|_| baseline.kind != AnomalyKind::Beyond),
        };
        let lift = self.records[step.entity as usize].lift();
        let judgement = self.model.judgement(class, baseline, output.filter(|_| lift.is_some()), share, lift);
        if !judgement.by_network {
            return (Evidence { threshold: judgement.threshold, ..by_baseline }, false);
        }
        let named = baseline.score > NAMING_SCORE && !baseline.kind.is_rule();
        // The usual band is what is shown: a pattern of hours may end in a value that is usual, and then no band is claimed.
        // By enough that the numbers, as they are shown, say so too.
        let outside = |band: &Band| {
            step.observed.is_some_and(|value| {
                let least = info.noticeable().from(value).max(0.01 * value.abs());
                value < band.low - least || value > band.high + least
            })
        };
        let beside_band = step.band.filter(outside);
        let by_network = Evidence {
            score: Some(judgement.score),
            threshold: judgement.threshold,
            // What lies outside of the band is called that, whoever noticed: it is the plainer word.
            kind: match beside_band {
                _ if named => baseline.kind,
                Some(_) => AnomalyKind::Level,
                None => AnomalyKind::Pattern,
            },
            band: if named { step.band } else { beside_band },
            ..by_baseline
        };
        (by_network, true)
    }

    /// An entity's share of the budget, in alarms a week.
    #[must_use]
    pub fn share(&self) -> f32 {
        let watched = self.watched().max(1);
        (self.decider.budget().max(0.0) / watched as f64) as f32
    }

    /// Keeps the window of each alarm that is new.
    fn capture<'a>(&mut self, events: impl IntoIterator<Item = &'a AlarmEvent>) {
        for event in events {
            if let AlarmEvent::Raised(alarm) = event
                && let Some(window) = self.extractor.window(alarm.entity)
            {
                if self.windows.len() >= WINDOWS_MAX {
                    self.windows.pop_front();
                }
                self.windows.push_back((alarm.id.clone(), window));
            }
        }
    }

    /// Takes a resident's answer; the last one about an alarm counts. Returns the end of a warning of danger that was a test
    /// ([`Decider::answer`]).
    ///
    /// # Errors
    /// [`UnknownAlarm`] when no such alarm is remembered.
    pub fn answer(&mut self, alarm_id: &str, verdict: Verdict, at: i64) -> Result<Option<AlarmEvent>, UnknownAlarm> {
        let ended = self.decider.answer(alarm_id, verdict, at)?;
        self.leave_confirmed();
        Ok(ended)
    }

    /// What readings were not used so far, and why.
    #[must_use]
    pub fn left_out(&self) -> LeftOut {
        self.extractor.left_out()
    }

    /// Takes a resident's answer back, as if it had never been given. False when there was none.
    pub fn take_back(&mut self, alarm_id: &str) -> bool {
        self.decider.take_back(alarm_id)
    }

    /// The question that is drawn at random in this step, if one is, with the window that goes with it. `report` is what
    /// closing the step gave. Entities with an alarm that lasts, or without a full window, are not asked about.
    #[must_use]
    pub fn audit_sample(&self, report: &StepReport) -> Option<(AuditSample, Vec<f32>)> {
        let at = report.scores.first()?.at;
        let day = at.div_euclid(DAY_SECONDS);
        let step = usize::try_from(at.rem_euclid(DAY_SECONDS) / STEP_SECONDS).ok()?;
        let alarmed: Vec<u32> =
            self.alarms().iter().filter(|alarm| alarm.end.is_none()).map(|alarm| alarm.entity).collect();
        let candidates: Vec<Candidate> = report
            .scores
            .iter()
            .filter(|score| !alarmed.contains(&score.entity) && self.extractor.has_window(score.entity))
            .filter_map(|score| Some(Candidate { entity: score.entity, margin: score.score? - score.threshold }))
            .collect();
        let sample = audit_sample::draw(self.decider.salt(), day, step, self.decider.budget(), &candidates)?;
        Some((sample, self.extractor.window(sample.entity)?))
    }

    /// What the home's allowance held back lately, oldest first.
    #[must_use]
    pub fn withheld(&self) -> &[Withheld] {
        self.decider.withheld()
    }

    /// What was learnt from which answer, newest first: for the resident to see, and to take back.
    #[must_use]
    pub fn learnt(&self) -> Vec<Learnt> {
        self.decider.learnt()
    }

    /// Calls an entity otherwise: what was learnt of it, its alarms and its answers go on under the new id. Whoever had that id
    /// gets the old one.
    pub fn rename_entity(&mut self, index: u32, entity_id: &str) {
        let Some(before) = self.entities.get(index as usize).map(|info| info.entity_id.clone()) else { return };
        let holder = self.entities.iter().position(|info| info.entity_id == entity_id);
        let holder = holder.and_then(|holder| u32::try_from(holder).ok());
        for (index, entity_id) in holder.map(|holder| (holder, before.as_str())).into_iter().chain([(index, entity_id)])
        {
            entity_id.clone_into(&mut self.entities[index as usize].entity_id);
            self.extractor.rename_entity(index, entity_id);
            self.decider.rename_entity(index, entity_id);
        }
    }

    /// Takes over what `relearnt` has learnt of the same entities, in the place of what was learnt here: histories, experts, time
    /// zone. Alarms, the evidence for them, answers, the model and what it has said stay. Entities that came meanwhile begin anew; those that are
    /// called otherwise, or go on in another unit, are here as they are now. `open` is what was received in the open step. `relearnt` is of no
    /// use afterwards.
    pub fn adopt_history<'a>(&mut self, relearnt: &mut Self, open: impl IntoIterator<Item = &'a Reading>) {
        for (index, info) in (0u32..).zip(&self.entities) {
            relearnt.rename_entity(index, &info.entity_id);
            relearnt.add_entity(info.clone());
        }
        open.into_iter().for_each(|reading| relearnt.extractor.observe(reading));
        // A copy: all that was allocated while it learnt goes with it.
        self.extractor.copy_from(&relearnt.extractor);
        self.timezone.clone_from(&relearnt.timezone);
        self.seen.clone_from(&relearnt.seen);
        // What the network foresaw is in the scale of before.
    }

    /// Goes on with another model; histories and answers stay. The baseline detector judges until the network was observed here, or somebody
    /// who went through the past with it tells ([`Self::take_records`]).
    pub fn replace_model(&mut self, model: Arc<Model>) {
        self.model = model;
        self.records.iter_mut().for_each(|record| *record = NetworkRecord::new());
    }

    /// What the network has said of each entity.
    #[must_use]
    pub fn records(&self) -> NetworkRecords {
        let ids = self.entities.iter().map(|info| info.entity_id.clone());
        NetworkRecords { model: Arc::clone(&self.model), entities: ids.zip(self.records.iter().cloned()).collect() }
    }

    /// Takes what another detector recorded of the same network of the same entities; of another network it says nothing.
    pub fn take_records(&mut self, other: &NetworkRecords) {
        if !Arc::ptr_eq(&other.model, &self.model) {
            return;
        }
        for (info, record) in self.entities.iter().zip(&mut self.records) {
            if let Some(known) = other.entities.get(&info.entity_id) {
                record.clone_from(known);
            }
        }
        self.leave_confirmed();
    }

    /// Sets the stretches of time, as (entity, from, until] in Unix seconds, that are judged and not learnt from: faults must not
    /// become what is usual. Replaces what was set before.
    pub fn exclude_from_learning(&mut self, spans: impl IntoIterator<Item = (u32, i64, i64)>) {
        self.extractor.exclude_from_learning(spans);
    }

    /// The model in use.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// The recent alarms, oldest first.
    #[must_use]
    pub fn alarms(&self) -> &[Alarm] {
        self.decider.alarms()
    }

    /// The feature window captured when an alarm was raised; none when it was too early for one, or too long ago.
    #[must_use]
    pub fn window_of(&self, alarm_id: &str) -> Option<&[f32]> {
        self.windows.iter().rev().find(|(id, _)| id == alarm_id).map(|(_, window)| window.as_slice())
    }

    /// The newest window of every number that is ready and has a full one, for a model's probation; of all classes, since two
    /// models need not judge the same.
    #[must_use]
    pub fn recent_windows(&self) -> Vec<TrialWindow> {
        (0u32..)
            .zip(self.entities.iter().zip(&self.baseline))
            .filter(|(_, (info, _))| !info.class.is_binary())
            .filter_map(|(entity, (info, baseline))| {
                let values = self.extractor.window(entity)?;
                Some(TrialWindow { class: info.class, values, baseline: (*baseline)? })
            })
            .collect()
    }

    /// What is known of each entity, and watched with that, in order.
    pub fn knowledge(&self) -> impl Iterator<Item = Knowledge> {
        self.extractor.knowledge()
    }

    /// An entity's newest window; none before it is full.
    #[must_use]
    pub fn window_now(&self, entity: u32) -> Option<Vec<f32>> {
        self.extractor.window(entity)
    }

    /// How many entities share the budget: those that ever had a value.
    #[must_use]
    pub fn watched(&self) -> usize {
        self.seen.iter().filter(|seen| **seen).count()
    }

    /// How many alarms a week the home wants.
    #[must_use]
    pub fn budget(&self) -> f64 {
        self.decider.budget()
    }

    /// Windows with a known fault at their end, put into copies of the home's own recent stream: what a model must notice.
    /// `turn` chooses the entities; empty in a home that is too young.
    #[must_use]
    pub fn synthetic_faults(&self, turn: u64) -> Vec<TrialWindow> {
        self.extractor.synthetic_faults(turn)
    }

    /// Sets how many alarms a week the home wants.
    pub fn set_budget(&mut self, budget_per_week: f64) {
        self.decider.set_budget(budget_per_week);
    }

    /// The entities, by index.
    #[must_use]
    pub fn entities(&self) -> &[EntityInfo] {
        &self.entities
    }

    /// The answers that count: what is quietened, and why.
    #[must_use]
    pub fn answers(&self) -> &VerdictMemory {
        self.decider.answers()
    }

    /// What outlives a restart besides the histories, which are read again.
    #[must_use]
    pub fn memory(&self) -> DeciderMemory {
        self.decider.memory()
    }

    /// Takes back what outlived a restart, after the entities were added.
    pub fn restore(&mut self, memory: DeciderMemory) {
        self.decider.restore(memory);
    }
}

#[cfg(test)]
mod tests;
