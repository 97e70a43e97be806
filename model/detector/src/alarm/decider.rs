//! When to speak: sustained evidence, episodes, the home's offset and its answers. Pure: time comes in with each step.

mod config;
mod go_back;

pub use config::{Adapts, DeciderConfig};

use crate::alarm::event::MERGE_SECONDS;
use crate::alarm::evidence::Sustained;
use crate::alarm::learnt::{Learnt, learnt};
use crate::alarm::memory::{Context, RememberedAnswer, VerdictMemory};
use crate::alarm::withheld::{Withheld, WithheldList};
use crate::alarm::{
    Alarm, AlarmEvent, Evidence, LASTING_SECONDS_MAX, OFFSET_MAX, OFFSET_MIN, UnknownAlarm, Verdict, alarm_id,
    may_raise, next_offset, reason, severity,
};
use crate::finding::AnomalyKind;
use crate::grid::STEP_SECONDS;
use crate::reading::EntityInfo;

/// Alarms that are remembered: at an alarm a day well over a year's; at about 400 bytes each 200 KiB.
pub const ALARMS_MAX: usize = 512;
/// An alarm without evidence for this long is over: one hour.
pub const QUIET_SECONDS: i64 = 3600;
/// Evidence holds an alarm down to this far below the threshold: no fluttering at the edge.
pub const HOLD_MARGIN: f32 = 1.0;
/// A sensor that warns of danger more often than this within [`FLAPS_SECONDS`] flaps: its last alarm goes on, instead of one
/// more, unless that one was answered. A resident who tries a detector out presses its button two or three times.
const FLAPS_MAX: usize = 6;
const FLAPS_SECONDS: i64 = 3600;
/// What lies this far above its threshold is told whatever the allowance says: as rare again as one in e^4.
pub const FAR_ABOVE: f32 = 4.0;
/// Unless the same entity was told as strong within this time: a week. What happens every day is no news each day.
const AGAIN_SECONDS: i64 = 7 * DAY_SECONDS;
/// A higher peak is told again when it is this much higher.
const CHANGE_SCORE: f32 = 3.0;
const DAY_SECONDS: i64 = 86_400;
/// Days without a step that still move the offset.
const OFFSET_DAYS_MAX: i64 = 7;

/// What a step led to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    /// The threshold that each piece of evidence was held against, in the order of the evidence.
    pub thresholds: Vec<f32>,
    /// What happened to alarms.
    pub events: Vec<AlarmEvent>,
}

/// What of a decider outlives a restart.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct DeciderMemory {
    /// Names of the entities that the indices below mean.
    pub entity_ids: Vec<String>,
    /// The alarms with their circumstances, oldest first.
    pub alarms: Vec<(Alarm, Context)>,
    /// Of all alarms, those included that are no longer kept.
    pub answers: VerdictMemory,
    /// Added to every threshold of the home, within `OFFSET_MIN..=OFFSET_MAX`.
    pub offset: f32,
    /// When there was evidence last, in the order of `entity_ids`; none in what older versions wrote.
    #[serde(default)]
    pub last_over: Vec<i64>,
    /// What was not told; none in what older versions wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Withheld>,
}

/// Decides for one home.
#[derive(Debug, Clone)]
pub struct Decider {
    config: DeciderConfig,
    tracks: Vec<Track>,
    alarms: Vec<Alarm>,
    /// Circumstances of `alarms`, by the same index.
    contexts: Vec<Context>,
    answers: VerdictMemory,
    offset: f32,
    day: Option<i64>,
    raised_today: u32,
    withheld: WithheldList,
}

#[derive(Debug, Clone)]
struct Track {
    info: EntityInfo,
    sustained: Sustained,
    /// The alarm that lasts, or the last one that ended.
    alarm: Option<String>,
    lasting: bool,
    /// Whether `alarm` was answered: who answered one warning of danger must hear of the next. True after a restart, which does not
    /// know.
    answered: bool,
    /// A resident said that the warning of danger that lasts is a test: nothing more of it until the sensor was off.
    tested: bool,
    /// When there was evidence last.
    last_over: i64,
    told_score: f32,
    /// Its last alarm ended since it had lasted for long enough, and what it was about goes on.
    outlived: bool,
}

impl Decider {
    /// A decider without entities.
    #[must_use]
    pub fn new(config: DeciderConfig) -> Self {
        Self {
            config,
            tracks: Vec::new(),
            alarms: Vec::new(),
            contexts: Vec::new(),
            answers: VerdictMemory::default(),
            offset: 0.0,
            day: None,
            raised_today: 0,
            withheld: WithheldList::default(),
        }
    }

    /// What was not told, and when; oldest first.
    #[must_use]
    pub fn withheld(&self) -> &[Withheld] {
        self.withheld.all()
    }

    /// Adds an entity; its index is the number of those added before.
    pub fn add_entity(&mut self, info: EntityInfo) {
        self.tracks.push(Track {
            info,
            sustained: Sustained::default(),
            alarm: None,
            lasting: false,
            answered: false,
            tested: false,
            last_over: i64::MIN,
            told_score: 0.0,
            outlived: false,
        });
    }

    /// An entity goes on under another class or unit: evidence under the old one does not add up with the new.
    pub fn replace_entity(&mut self, index: u32, info: EntityInfo) {
        if let Some(track) = self.tracks.get_mut(index as usize) {
            track.info = info;
            track.sustained = Sustained::default();
        }
    }

    /// Calls an entity otherwise.
    pub(crate) fn rename_entity(&mut self, index: u32, entity_id: &str) {
        if let Some(track) = self.tracks.get_mut(index as usize) {
            entity_id.clone_into(&mut track.info.entity_id);
        }
    }

    /// Decides on a step that ends at `at`, at `hour` of the home's day ([0, 24)). With `speak` off nothing is raised and
    /// nothing learnt: warm-up.
    pub fn decide(&mut self, at: i64, hour: f32, evidence: &[Evidence], speak: bool) -> Decision {
        self.turn_day(at, speak);
        let mut decision = Decision::default();
        for one in evidence {
            let context = Context { entity: one.entity, kind: one.kind, direction: one.direction(), hour };
            let penalty = self.answers.penalty(&context);
            let threshold = one.threshold + self.offset_for(one.kind) + penalty;
            decision.thresholds.push(threshold);
            let margin = margin(one, threshold, penalty, speak);
            if one.kind.is_danger() && speak {
                decision.events.extend(self.decide_danger(at, hour, one, false));
                continue;
            }
            let Some(track) = self.tracks.get_mut(one.entity as usize) else { continue };
            let since = track.sustained.step(at, margin);
            let since = if one.kind.immediate() && margin >= 0.0 { Some(at) } else { since };
            let start = since.map(|since| since - STEP_SECONDS);
            decision.events.extend(self.follow(at, start, margin, threshold, one, context));
        }
        decision
    }

    /// Decides on something that needs no second sample, at the moment `at` of a reading.
    pub fn decide_at_once(&mut self, at: i64, hour: f32, evidence: &Evidence) -> Option<AlarmEvent> {
        let context = Context { entity: evidence.entity, kind: evidence.kind, direction: evidence.direction(), hour };
        let penalty = self.answers.penalty(&context);
        let threshold = evidence.threshold + self.offset_for(evidence.kind) + penalty;
        let margin = margin(evidence, threshold, penalty, true);
        if margin < 0.0 || !evidence.kind.immediate() || evidence.entity as usize >= self.tracks.len() {
            return None;
        }
        self.follow(at, Some(at), margin, threshold, evidence, context)
    }

    /// A sensor that exists to warn of danger is on. `turned_on` tells that it was off before: then it is a new alarm,
    /// whatever lasts and whatever was answered. Otherwise it is one only where none lasts.
    pub fn decide_danger(&mut self, at: i64, hour: f32, evidence: &Evidence, turned_on: bool) -> Vec<AlarmEvent> {
        let Some(track) = self.tracks.get_mut(evidence.entity as usize) else { return Vec::new() };
        track.tested &= !turned_on;
        if track.tested {
            return Vec::new();
        }
        let last = track.alarm.as_ref().and_then(|id| self.alarms.iter().rposition(|alarm| alarm.id == *id));
        let lasting = last.filter(|place| track.lasting && self.alarms[*place].kind == evidence.kind);
        if lasting.is_some() && !turned_on {
            track.last_over = at;
            return Vec::new();
        }
        let lately = |alarm: &&Alarm| {
            alarm.entity == evidence.entity
                && alarm.kind.is_danger()
                // A clock that was set back does not make what comes later the same.
                && (0..FLAPS_SECONDS).contains(&at.saturating_sub(alarm.raised_at))
        };
        let id = alarm_id(&self.config.salt, &track.info.entity_id, at);
        let flaps = !track.answered && self.alarms.iter().filter(lately).count() >= FLAPS_MAX;
        if let Some(place) = last.filter(|place| flaps || self.alarms[*place].id == id) {
            return vec![self.reopen(place, at, evidence)];
        }
        let mut events: Vec<AlarmEvent> = self.end_lasting(evidence.entity, at).into_iter().collect();
        let context = Context { entity: evidence.entity, kind: evidence.kind, direction: evidence.direction(), hour };
        events.push(self.raise(at, at, evidence.threshold, evidence, context));
        events
    }

    /// A sensor that exists to warn of danger is off again: its alarm is over at once.
    pub fn end_danger(&mut self, entity: u32, at: i64) -> Option<AlarmEvent> {
        let track = self.tracks.get_mut(entity as usize)?;
        track.tested = false;
        let of_danger = |alarm: &&Alarm| Some(&alarm.id) == track.alarm.as_ref() && alarm.kind.is_danger();
        self.alarms.iter().rev().find(of_danger)?;
        self.end_lasting(entity, at)
    }

    /// Ends the alarm of an entity that lasts, if there is one.
    fn end_lasting(&mut self, entity: u32, at: i64) -> Option<AlarmEvent> {
        let track = self.tracks.get_mut(entity as usize).filter(|track| track.lasting)?;
        track.lasting = false;
        track.last_over = at;
        let alarm = self.alarms.iter_mut().rev().find(|alarm| Some(&alarm.id) == track.alarm.as_ref())?;
        alarm.end = Some(at.max(alarm.start));
        Some(AlarmEvent::Ended(alarm.clone()))
    }

    fn follow(
        &mut self,
        at: i64,
        start: Option<i64>,
        margin: f32,
        threshold: f32,
        evidence: &Evidence,
        context: Context,
    ) -> Option<AlarmEvent> {
        let track = &self.tracks[evidence.entity as usize];
        let place = track.alarm.as_ref().and_then(|id| self.alarms.iter().rposition(|alarm| alarm.id == *id));
        if track.outlived {
            let track = &mut self.tracks[evidence.entity as usize];
            if margin >= -HOLD_MARGIN {
                track.last_over = at;
                return None;
            }
            track.outlived = at.saturating_sub(track.last_over) < QUIET_SECONDS;
        }
        let track = &self.tracks[evidence.entity as usize];
        match (place, track.lasting, start) {
            (Some(place), true, _) => self.continue_alarm(place, at, margin, evidence),
            (Some(place), false, Some(_)) if at - track.last_over <= MERGE_SECONDS => {
                Some(self.reopen(place, at, evidence))
            }
            (_, _, Some(_)) if !self.may_raise(at, margin, evidence) => {
                self.withhold(at, margin, evidence);
                None
            }
            (_, _, Some(start)) => Some(self.raise(start, at, threshold, evidence, context)),
            (None, true, None) => {
                // Its alarm was forgotten: the list is bounded.
                self.tracks[evidence.entity as usize].lasting = false;
                None
            }
            (_, false, None) => None,
        }
    }

    /// The home's correction where it applies: a rule says yes or no.
    fn offset_for(&self, kind: AnomalyKind) -> f32 {
        if kind.has_own_threshold() { 0.0 } else { self.offset }
    }

    /// Whether the home's allowance has room for one that lies so far above its threshold. The rules and what warns of danger need
    /// no room and take none, and what is far above is never held back.
    fn may_raise(&self, at: i64, margin: f32, evidence: &Evidence) -> bool {
        let told_as_strong = || {
            self.alarms.iter().any(|alarm| {
                alarm.entity == evidence.entity
                    && at.saturating_sub(alarm.raised_at) < AGAIN_SECONDS
                    && alarm.score - alarm.threshold >= margin - HOLD_MARGIN
            })
        };
        let passes = evidence.kind.has_own_threshold() || (margin >= FAR_ABOVE && !told_as_strong());
        if self.config.adapts == Adapts::Never || passes {
            return true;
        }
        // Of those that are as strong: the weakest gives way to what is plainly stronger, not the last to the first.
        let counted = self.alarms.iter().filter(|alarm| {
            let as_strong = alarm.score - alarm.threshold >= margin - HOLD_MARGIN;
            as_strong && !alarm.kind.is_danger() && !alarm.kind.has_own_threshold()
        });
        may_raise(counted.map(|alarm| alarm.raised_at), at, self.config.budget_per_week)
    }

    /// Counts what was not told, once for each stretch of evidence.
    fn withhold(&mut self, at: i64, margin: f32, evidence: &Evidence) {
        self.withheld.note(at, evidence, margin);
    }

    fn raise(&mut self, start: i64, at: i64, threshold: f32, evidence: &Evidence, context: Context) -> AlarmEvent {
        let track = &mut self.tracks[evidence.entity as usize];
        let score = evidence.score.unwrap_or(threshold);
        let alarm = Alarm {
            id: alarm_id(&self.config.salt, &track.info.entity_id, start),
            entity: evidence.entity,
            start,
            end: None,
            raised_at: at,
            severity: severity(track.info.class, evidence.kind, score - threshold),
            score,
            threshold,
            observed: evidence.observed,
            band: evidence.band,
            kind: evidence.kind,
            amount: finite(evidence.amount),
            usual: finite(evidence.usual),
            reason: reason(&track.info, evidence),
        };
        track.alarm = Some(alarm.id.clone());
        track.lasting = true;
        track.answered = false;
        track.last_over = at;
        track.told_score = score;
        if !evidence.kind.is_danger() && !evidence.kind.has_own_threshold() {
            self.raised_today = self.raised_today.saturating_add(1);
        }
        self.remember(alarm.clone(), context);
        AlarmEvent::Raised(alarm)
    }

    fn continue_alarm(&mut self, place: usize, at: i64, margin: f32, evidence: &Evidence) -> Option<AlarmEvent> {
        let track = &mut self.tracks[evidence.entity as usize];
        let alarm = &mut self.alarms[place];
        if at.saturating_sub(alarm.raised_at) > LASTING_SECONDS_MAX && !alarm.kind.is_danger() {
            // It is what this entity does now. Told again when it was over in between.
            (track.lasting, track.outlived) = (false, true);
            alarm.end = Some(at);
            return Some(AlarmEvent::Ended(alarm.clone()));
        }
        // Evidence after a long stretch that nobody closed is another episode; this one ends first.
        if margin >= -HOLD_MARGIN && at - track.last_over <= MERGE_SECONDS {
            track.last_over = at;
            let event = self.heighten(place, evidence);
            self.follow_answer(place, at);
            return event;
        }
        if at - track.last_over < QUIET_SECONDS {
            return None;
        }
        track.lasting = false;
        let last_over = track.last_over;
        let alarm = &mut self.alarms[place];
        alarm.end = Some(last_over.max(alarm.start));
        Some(AlarmEvent::Ended(alarm.clone()))
    }

    /// What was answered while it lasted goes on: the answer is about all of it.
    fn follow_answer(&mut self, place: usize, at: i64) {
        let alarm = &self.alarms[place];
        self.answers.follow(&alarm.id, alarm.score - alarm.threshold, hours_between(alarm.raised_at, at));
    }

    /// Takes over a higher score; told when it matters more than before.
    fn heighten(&mut self, place: usize, evidence: &Evidence) -> Option<AlarmEvent> {
        let track = &mut self.tracks[evidence.entity as usize];
        let alarm = &mut self.alarms[place];
        let score = evidence.score?;
        // What is called a danger stays one, and a rule's finding is not renamed by a rare step.
        let renamed = evidence.kind != alarm.kind && (alarm.kind.is_danger() || alarm.kind.has_own_threshold());
        // What a rule finds says more than that it is rare.
        let found = evidence.kind.has_own_threshold() && !alarm.kind.has_own_threshold() && score >= evidence.threshold;
        if renamed || (score <= alarm.score && !found) {
            return None;
        }
        alarm.score = alarm.score.max(score);
        alarm.observed = evidence.observed;
        alarm.band = evidence.band;
        alarm.kind = evidence.kind;
        alarm.amount = finite(evidence.amount);
        alarm.usual = finite(evidence.usual);
        alarm.reason = reason(&track.info, evidence);
        let worse = severity(track.info.class, evidence.kind, score - alarm.threshold);
        let graver = worse > alarm.severity;
        alarm.severity = alarm.severity.max(worse);
        if graver || found || score >= track.told_score + CHANGE_SCORE {
            track.told_score = score;
            return Some(AlarmEvent::Changed(alarm.clone()));
        }
        None
    }

    fn reopen(&mut self, place: usize, at: i64, evidence: &Evidence) -> AlarmEvent {
        let track = &mut self.tracks[evidence.entity as usize];
        track.lasting = true;
        track.last_over = at;
        self.alarms[place].end = None;
        self.heighten(place, evidence);
        AlarmEvent::Changed(self.alarms[place].clone())
    }

    fn remember(&mut self, alarm: Alarm, context: Context) {
        if self.alarms.len() >= ALARMS_MAX {
            self.alarms.remove(0);
            self.contexts.remove(0);
        }
        self.alarms.push(alarm);
        self.contexts.push(context);
    }

    fn turn_day(&mut self, at: i64, speak: bool) {
        let today = at.div_euclid(DAY_SECONDS);
        let days = self.day.map_or(0, |day| (today - day).clamp(0, OFFSET_DAYS_MAX));
        self.day = Some(self.day.map_or(today, |day| day.max(today)));
        let lasting = self
            .alarms
            .iter()
            .any(|alarm| alarm.end.is_none() && at.saturating_sub(alarm.raised_at) <= LASTING_SECONDS_MAX);
        for _ in 0..days {
            if speak && self.config.adapts == Adapts::Fully {
                self.offset = next_offset(self.offset, self.raised_today, lasting, self.config.budget_per_week);
            }
            self.raised_today = 0;
        }
    }

    /// Takes a resident's answer, given at `at`; the last one about an alarm counts. *Expected* of a sensor that warns says that it
    /// was a test: the alarm, if it lasts, is over, and its end is returned. It is not learnt from: the next time that the sensor
    /// turns on is a new alarm.
    ///
    /// # Errors
    /// [`UnknownAlarm`] when no such alarm is remembered.
    pub fn answer(&mut self, id: &str, verdict: Verdict, at: i64) -> Result<Option<AlarmEvent>, UnknownAlarm> {
        let place = self.alarms.iter().rposition(|alarm| alarm.id == id).ok_or_else(|| UnknownAlarm(id.to_owned()))?;
        let alarm = &self.alarms[place];
        if let Some(track) = self.tracks.get_mut(alarm.entity as usize) {
            track.answered |= track.alarm.as_deref() == Some(id);
        }
        if alarm.kind.is_danger() {
            // No answer makes the next warning of danger quieter.
            let (entity, kind, lasts) = (alarm.entity, alarm.kind, alarm.end.is_none());
            if verdict != Verdict::Expected || kind != AnomalyKind::Alert || !lasts {
                return Ok(None);
            }
            if let Some(track) = self.tracks.get_mut(entity as usize) {
                track.tested = track.alarm.as_deref() == Some(id);
            }
            return Ok(self.end_lasting(entity, at));
        }
        // What it is now may be more than what it was raised for.
        let context = Context { kind: alarm.kind, ..self.contexts[place] };
        let excess = alarm.score - alarm.threshold;
        let over = self.tracks.get(alarm.entity as usize).map_or(alarm.raised_at, |track| track.last_over);
        let lasted_hours = hours_between(alarm.raised_at, alarm.end.unwrap_or(over));
        self.answers.learn(RememberedAnswer { alarm_id: id.to_owned(), context, excess, verdict, at, lasted_hours });
        Ok(None)
    }

    /// Takes a resident's answer back. False when there was none.
    pub fn take_back(&mut self, id: &str) -> bool {
        self.answers.forget(id).is_some()
    }

    /// What was learnt from which answer, newest first.
    #[must_use]
    pub fn learnt(&self) -> Vec<Learnt> {
        let name = |entity: u32| self.tracks.get(entity as usize).map(|track| track.info.entity_id.clone());
        learnt(&self.answers, name)
    }

    /// Sets how many alarms a week the home wants.
    pub fn set_budget(&mut self, budget_per_week: f64) {
        self.config.budget_per_week = budget_per_week;
    }

    /// What alarm ids and audit samples are derived from; never sent.
    pub(crate) fn salt(&self) -> &[u8] {
        &self.config.salt
    }

    /// How many alarms a week the home wants.
    #[must_use]
    pub fn budget(&self) -> f64 {
        self.config.budget_per_week
    }

    /// The remembered alarms, oldest first.
    #[must_use]
    pub fn alarms(&self) -> &[Alarm] {
        &self.alarms
    }

    /// The answers that count.
    #[must_use]
    pub fn answers(&self) -> &VerdictMemory {
        &self.answers
    }

    /// The home's correction to the fleet's thresholds.
    #[must_use]
    pub fn offset(&self) -> f32 {
        self.offset
    }

    /// What outlives a restart.
    #[must_use]
    pub fn memory(&self) -> DeciderMemory {
        DeciderMemory {
            entity_ids: self.tracks.iter().map(|track| track.info.entity_id.clone()).collect(),
            alarms: self.alarms.iter().cloned().zip(self.contexts.iter().copied()).collect(),
            answers: self.answers.clone(),
            offset: self.offset,
            last_over: self.tracks.iter().map(|track| track.last_over).collect(),
            withheld: self.withheld.all().to_vec(),
        }
    }

    /// Takes back what outlived a restart, after the entities were added. Entities are found by name; what belonged to one
    /// that is gone is forgotten. An alarm that lasted goes on.
    pub fn restore(&mut self, memory: DeciderMemory) {
        let now_at: Vec<Option<u32>> = memory
            .entity_ids
            .iter()
            .map(|id| self.tracks.iter().position(|track| track.info.entity_id == *id))
            .map(|place| place.and_then(|place| u32::try_from(place).ok()))
            .collect();
        let moved = |entity: u32| now_at.get(entity as usize).copied().flatten();
        self.offset = if memory.offset.is_finite() { memory.offset.clamp(OFFSET_MIN, OFFSET_MAX) } else { 0.0 };
        for (mut alarm, mut context) in memory.alarms {
            let last_over = memory.last_over.get(alarm.entity as usize).copied();
            let Some(entity) = moved(alarm.entity) else { continue };
            (alarm.entity, context.entity) = (entity, entity);
            let track = &mut self.tracks[entity as usize];
            track.alarm = Some(alarm.id.clone());
            track.lasting = alarm.end.is_none();
            track.answered = true;
            track.outlived = alarm.end.is_some_and(|end| end.saturating_sub(alarm.raised_at) > LASTING_SECONDS_MAX);
            // Without it, an alarm of yesterday that lasts would end at the next step and be raised under another id.
            track.last_over =
                alarm.end.unwrap_or_else(|| last_over.map_or(alarm.raised_at, |at| at.max(alarm.raised_at)));
            track.told_score = alarm.score;
            self.remember(alarm, context);
        }
        for withheld in memory.withheld {
            if let Some(entity) = moved(withheld.entity) {
                self.withheld.push(Withheld { entity, ..withheld });
            }
        }
        for answer in memory.answers.all() {
            if let Some(entity) = moved(answer.context.entity) {
                let context = Context { entity, ..answer.context };
                self.answers.learn(RememberedAnswer { context, ..answer.clone() });
            }
        }
    }
}

/// JSON has no notation for what is no number, and an alarm must be read back.
fn finite(figure: f32) -> f32 {
    if figure.is_finite() { figure } else { 0.0 }
}

fn hours_between(from: i64, until: i64) -> f32 {
    until.saturating_sub(from).max(0) as f32 / 3600.0
}

/// How far the evidence lies above its threshold; far below while it does not count.
fn margin(evidence: &Evidence, threshold: f32, penalty: f32, speak: bool) -> f32 {
    match evidence.score {
        Some(score) if speak && score.is_finite() => {
            if evidence.kind.immediate() {
                // Certain as it is, it is said unless it was dismissed before.
                if penalty > 0.0 { f32::NEG_INFINITY } else { (score - threshold).max(0.0) }
            } else {
                score - threshold
            }
        }
        _ => f32::NEG_INFINITY,
    }
}

#[cfg(test)]
mod tests;
