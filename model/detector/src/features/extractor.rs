//! The streaming feature extractor of one home.

use jiff::tz::TimeZone;

use crate::class::DeviceClass;
use crate::experts::habits::Habits;
use crate::experts::peers::fit_home;
use crate::features::baseline::{Statistic, judge_number, judge_switching};
use crate::features::calendar::Clock;
use crate::features::entity::{Draft, Entity, HomeStep};
use crate::features::excluded::ExcludedSpans;
use crate::features::intake::Closed;
use crate::features::left_out::LeftOut;
use crate::features::{EntityStep, Knowledge};
use crate::finding::Finding;
use crate::finding::{AnomalyKind, BaselineScore};
use crate::grid::{Feature, HISTORY_STEPS, STEP_SECONDS};
use crate::reading::{EntityInfo, Reading, Value};
use crate::statistics::robust;

const DAY_SECONDS: i64 = 86_400;
/// A home in which nothing was received for longer is silent as a whole: one hour.
const HOME_QUIET_SECONDS: i64 = 3600;

/// Turns readings into features, step by step; strictly causal.
///
/// Owns each entity's history of 14 days, the experts fitted to it (at the first step of a UTC day) and the last 16 hours
/// of feature rows.
#[derive(Debug, Clone)]
pub struct FeatureExtractor {
    timezone: TimeZone,
    pub(super) entities: Vec<Entity>,
    closed: Option<i64>,
    /// Which binary entities follow which.
    habits: Habits,
    /// Readings of entities that were never added.
    unknown: u64,
}

/// What the whole home shows in a step, by entity.
struct Survey {
    /// Normalised; NaN where there is none.
    residuals: Vec<f32>,
    /// The same by [`DeviceClass::index`], sorted.
    by_class: Vec<Vec<f32>>,
    own_surprise: Vec<f32>,
    statistics: Vec<Option<[Statistic; 3]>>,
    /// Whose value is no news.
    stalled: Vec<bool>,
}

impl FeatureExtractor {
    /// An extractor without entities; `timezone` is the home's, for the time of day.
    #[must_use]
    pub fn new(timezone: TimeZone) -> Self {
        Self { timezone, entities: Vec::new(), closed: None, habits: Habits::default(), unknown: 0 }
    }

    /// Adds an entity and returns its index. The same id again returns the index it has.
    pub fn add_entity(&mut self, info: EntityInfo) -> u32 {
        let known = self.entities.iter().position(|entity| entity.info.entity_id == info.entity_id);
        let index = known.unwrap_or_else(|| {
            self.habits.add(info.class.is_binary());
            let mut entity = Entity::new(info);
            entity.join(self.closed);
            self.entities.push(entity);
            self.entities.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// Takes one reading. Readings of entities that were never added are dropped.
    pub fn observe(&mut self, reading: &Reading) {
        if let Some(entity) = self.entities.get_mut(reading.entity as usize) {
            entity.intake.offer(reading.at, reading.value);
        } else {
            self.unknown += 1;
        }
    }

    /// What readings were not used so far, and why.
    #[must_use]
    pub fn left_out(&self) -> LeftOut {
        let mut all = LeftOut { unknown: self.unknown, ..LeftOut::default() };
        self.entities.iter().for_each(|entity| all += entity.intake.left_out());
        all
    }

    /// Forgets all that was learnt of an entity and goes on under another class or unit.
    pub fn replace_entity(&mut self, index: u32, info: EntityInfo) {
        let closed = self.closed;
        if let Some(entity) = self.entities.get_mut(index as usize) {
            *entity = Entity::new(info);
            entity.join(closed);
        }
    }

    /// Becomes a copy of `other`, each entity where it is in memory.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        let Self { timezone, entities, closed, habits, unknown } = self;
        entities.truncate(other.entities.len());
        let (known, new) = other.entities.split_at(entities.len());
        entities.iter_mut().zip(known).for_each(|(entity, other)| entity.copy_from(other));
        entities.extend_from_slice(new);
        timezone.clone_from(&other.timezone);
        habits.clone_from(&other.habits);
        (*closed, *unknown) = (other.closed, other.unknown);
    }

    /// Calls an entity otherwise.
    pub(crate) fn rename_entity(&mut self, index: u32, entity_id: &str) {
        if let Some(entity) = self.entities.get_mut(index as usize) {
            entity_id.clone_into(&mut entity.info.entity_id);
        }
    }

    /// Sets what is seen and not learnt from, as (entity, from, until] in Unix seconds; replaces what was set before. Evidence
    /// is gathered as ever: only what is usual is learnt without.
    pub(crate) fn exclude_from_learning(&mut self, spans: impl IntoIterator<Item = (u32, i64, i64)>) {
        self.entities.iter_mut().for_each(|entity| entity.excluded = ExcludedSpans::default());
        for (entity, from, until) in spans {
            if let Some(entity) = self.entities.get_mut(entity as usize) {
                entity.excluded.push(from, until);
            }
        }
    }

    /// Whether an entity joined the running home less than an hour before `at`.
    pub(crate) fn is_new(&self, entity: u32, at: i64) -> bool {
        self.entities.get(entity as usize).is_some_and(|entity| entity.is_new(at))
    }

    /// Whether a reading has a value that its quantity cannot have, of an entity that can speak sense.
    pub(crate) fn is_broken(&self, entity: u32, value: Value) -> bool {
        self.entities.get(entity as usize).is_some_and(|entity| entity.has_spoken() && entity.intake.is_broken(value))
    }

    /// How often an on/off sensor turned on in the last two weeks; none for a number.
    pub(crate) fn times_on(&self, entity: u32) -> Option<f32> {
        self.entities.get(entity as usize)?.switching().map(|switching| switching.stay.times(true))
    }

    /// What is known of each entity, in order.
    pub(crate) fn knowledge(&self) -> impl Iterator<Item = Knowledge> {
        let at = self.closed.unwrap_or(i64::MIN);
        self.entities.iter().map(move |entity| entity.knowledge(at))
    }

    /// The home's time zone.
    pub(crate) fn timezone(&self) -> &TimeZone {
        &self.timezone
    }

    /// The end of the last closed step.
    pub(crate) fn closed(&self) -> Option<i64> {
        self.closed
    }

    /// Closes the step that ends at `step_end` (drawn back to the grid): one [`EntityStep`] for each entity, in order.
    /// Nothing for a step that is closed already. Steps that were left out count as steps in which nothing was known; the
    /// work is bounded however many they are.
    pub fn close_step(&mut self, step_end: i64) -> Vec<EntityStep> {
        let at = step_end.div_euclid(STEP_SECONDS) * STEP_SECONDS;
        if self.closed.is_some_and(|closed| at <= closed) {
            return Vec::new();
        }
        self.skip_to(at);
        let clock = Clock::at(at, &self.timezone);
        let closed = self.close_intakes(at);
        self.note_activity(&closed);
        let mut scratch = Vec::new();
        let lights: Vec<(u32, f32)> = (0u32..)
            .zip(self.entities.iter().zip(&closed))
            .filter(|(_, (entity, _))| matches!(entity.info.class, DeviceClass::Illuminance | DeviceClass::Irradiance))
            .filter_map(|(index, (_, closed))| Some((index, closed.value?)))
            .collect();
        let heats = self.entities.iter().zip(&closed).any(|(entity, closed)| entity.warms_rooms_now(closed));
        let drafts: Vec<Draft> = self
            .entities
            .iter_mut()
            .zip(&closed)
            .map(|(entity, closed)| {
                entity.advance(at, closed, &HomeStep { clock: &clock, lights: &lights, heats }, &mut scratch)
            })
            .collect();
        let home = self.survey(&drafts);
        let steps =
            drafts.into_iter().enumerate().map(|(index, draft)| self.finish(index, at, &draft, &home)).collect();
        self.closed = Some(at);
        if at % DAY_SECONDS == 0 {
            self.entities.iter_mut().for_each(Entity::next_day);
            self.habits.next_day();
            self.refit(at);
        }
        steps
    }

    /// The last `WINDOW_STEPS × FEATURES` features of an entity, oldest first; none before that many steps.
    #[must_use]
    pub fn window(&self, entity: u32) -> Option<Vec<f32>> {
        self.entities.get(entity as usize)?.window()
    }

    /// Whether an entity has a full window.
    pub(crate) fn has_window(&self, entity: u32) -> bool {
        self.entities.get(entity as usize).is_some_and(Entity::has_window)
    }

    fn skip_to(&mut self, at: i64) {
        let Some(closed) = self.closed else { return };
        let skipped = (at - closed) / STEP_SECONDS - 1;
        if skipped <= 0 {
            return;
        }
        let steps = usize::try_from(skipped).unwrap_or(usize::MAX).min(HISTORY_STEPS);
        // Midnights among the skipped steps; more than a fortnight of them forget nothing more.
        let last_skipped = at - STEP_SECONDS;
        let midnights = (last_skipped.div_euclid(DAY_SECONDS) - closed.div_euclid(DAY_SECONDS)).clamp(0, 14);
        for entity in &mut self.entities {
            entity.skip(steps);
            (0..midnights).for_each(|_| entity.next_day());
        }
        self.habits.skip();
        (0..midnights).for_each(|_| self.habits.next_day());
        if midnights > 0 {
            self.refit(last_skipped);
        }
    }

    fn close_intakes(&mut self, at: i64) -> Vec<Closed> {
        let closed: Vec<Closed> = self.entities.iter_mut().map(|entity| entity.intake.close(at)).collect();
        for (entity, closed) in self.entities.iter_mut().zip(&closed) {
            if closed.received {
                entity.last_received = Some(at);
            }
        }
        // The newest report of the home, and the newest of somebody else than who said that.
        let (mut newest, mut second, mut who) = (i64::MIN, i64::MIN, usize::MAX);
        for (index, entity) in self.entities.iter().enumerate() {
            let received = entity.last_received.unwrap_or(i64::MIN);
            if received > newest {
                (second, newest, who) = (newest, received, index);
            } else if received > second {
                second = received;
            }
        }
        let alone = self.entities.iter().filter(|entity| entity.last_received.is_some()).count() <= 1;
        for (index, (entity, closed)) in self.entities.iter_mut().zip(&closed).enumerate() {
            let others = if index == who { second } else { newest };
            entity.home_alive = alone || others >= at.saturating_sub(HOME_QUIET_SECONDS);
            entity.heartbeat.step(closed.received, closed.interval, entity.home_alive);
        }
        closed
    }

    /// Tells each binary entity whether another one turned on, and the habits which did.
    fn note_activity(&mut self, closed: &[Closed]) {
        let active = closed.iter().filter(|closed| closed.turned_on()).count();
        for (entity, closed) in self.entities.iter_mut().zip(closed) {
            entity.others_active = active > usize::from(closed.turned_on());
        }
        self.habits.step(closed.iter().map(Closed::turned_on));
    }

    fn survey(&self, drafts: &[Draft]) -> Survey {
        let mut by_class = vec![Vec::new(); DeviceClass::ALL.len()];
        for (entity, draft) in self.entities.iter().zip(drafts) {
            if !draft.residual.is_nan() {
                by_class[entity.info.class.index()].push(draft.residual);
            }
        }
        by_class.iter_mut().for_each(|residuals| residuals.sort_unstable_by(f32::total_cmp));
        let statistics: Vec<Option<[Statistic; 3]>> =
            self.entities.iter().zip(drafts).map(|(entity, draft)| entity.statistics(draft)).collect();
        let of_each = self.entities.iter().zip(drafts).zip(&statistics);
        Survey {
            residuals: drafts.iter().map(|draft| draft.residual).collect(),
            by_class,
            own_surprise: of_each
                .map(|((entity, draft), statistics)| entity.own_surprise(draft, statistics.as_ref()))
                .collect(),
            statistics,
            stalled: drafts.iter().map(|draft| draft.rules.stalled()).collect(),
        }
    }

    fn finish(&mut self, index: usize, at: i64, draft: &Draft, home: &Survey) -> EntityStep {
        let class = self.entities[index].info.class;
        let broken = self.habits.broken(index);
        let mut features = draft.features;
        features[Feature::ClassMedian.index()] =
            robust::median_without(&home.by_class[class.index()], draft.residual).unwrap_or(0.0);

        let entity = &mut self.entities[index];
        let learnt = &entity.learnt;
        let apart = learnt
            .peers
            .as_ref()
            .filter(|_| !draft.residual.is_nan())
            .map(|fitted| (fitted.residual(draft.residual, &home.residuals), &fitted.tail));
        features[Feature::PeerResidual.index()] = apart.map_or(0.0, |(residual, _)| residual.clamp(-12.0, 12.0));
        // Where two part, the one that is odd by itself is to blame: a stuck sensor must not accuse its neighbours.
        // A sensor that is stuck or silent cannot show that its peer is wrong.
        let own_surprise = |other: usize| if home.stalled[other] { f32::INFINITY } else { home.own_surprise[other] };
        let blamed = learnt
            .peers
            .as_ref()
            .is_none_or(|fitted| fitted.peers().all(|peer| own_surprise(peer) <= own_surprise(index)));
        let baseline = match entity.switching() {
            Some(switching) => judge_switching(class, draft.ready, switching, broken),
            None => {
                let value = draft.observed.unwrap_or(0.0);
                let apart = apart.filter(|_| blamed && draft.has_statistics);
                judge_number(home.statistics[index].as_ref(), value, apart, &draft.rules)
            }
        };
        // A young entity may do much that it has not done yet.
        let shape = if baseline.kind.is_rule() { 0.0 } else { entity.shape_lift() };
        let lift = shape + young_lift(baseline.kind, entity.known_days(at));
        let baseline = BaselineScore { score: baseline.score - lift, ..baseline };
        // What a rule finds is told as that, however rare the step is besides; a danger stays one.
        let speaks = |found: &Finding| found.kind.is_danger() || !baseline.kind.is_danger();
        let baseline = draft.finding.filter(speaks).map_or(baseline, Finding::score);
        let features = Entity::kept(features);
        entity.keep_row(&features);
        EntityStep {
            entity: u32::try_from(index).unwrap_or(u32::MAX),
            at,
            observed: draft.observed,
            ready: draft.ready,
            has_statistics: draft.has_statistics,
            is_news: draft.observed.is_some() && !draft.rules.late && entity.is_noticeable(draft),
            features,
            baseline,
            band: draft.band,
            normal: draft.normal,
        }
    }

    fn refit(&mut self, at: i64) {
        self.entities.iter_mut().for_each(|entity| entity.refit(at));
        let known: Vec<usize> = self.entities.iter().map(|entity| entity.learnt.known).collect();
        let fits = fit_home(|entity| self.entities[entity].residuals_for_peers(at), &known);
        for (entity, fitted) in self.entities.iter_mut().zip(fits) {
            entity.learnt.peers = fitted;
        }
    }
}

/// How much more a statistic, a silence or a standing still must say on an entity's first day …
const YOUNG_LIFT: f32 = 5.0;
/// … than after so many days: the fortnight that statistics are taken from, and a week of what it did not hold.
const YOUNG_DAYS: f32 = 21.0;

/// What is taken off a score for want of a past of more than `days`. Broken values, dangers and rules with a threshold of their own
/// need none.
fn young_lift(kind: AnomalyKind, days: f32) -> f32 {
    if kind.immediate() || kind.has_own_threshold() {
        0.0
    } else {
        YOUNG_LIFT * (1.0 - days / YOUNG_DAYS).clamp(0.0, 1.0)
    }
}
