//! One entity's past and its newest row of features.

mod advance;
mod stillness;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::experts::autoregression::SUM_STEPS;
use crate::experts::event_rate::EventRate;
use crate::experts::flatline::Flatline;
use crate::experts::heartbeat::Heartbeat;
use crate::experts::quiet_hours::QuietHours;
use crate::experts::time_in_state::TimeInState;
use crate::features::baseline::{NumericInput, StallInput, Statistic, own_statistics, unpredicted};
use crate::features::calendar::Clock;
use crate::features::excluded::ExcludedSpans;
use crate::features::intake::{Closed, Intake};
use crate::features::learnt::Learnt;
use crate::features::ring::{Flags, Ring};
use crate::features::{Knowledge, Normaliser};
use crate::finding::Finding;
use crate::finding::{AnomalyKind, Band};
use crate::grid::{DAY_STEPS, FEATURES, HISTORY_STEPS, STEP_SECONDS, WINDOW_STEPS};
use crate::reading::{EntityInfo, Noticeable};
use crate::rules::{EntityRules, cold_room};
use crate::statistics::robust;
use crate::statistics::shape::Shape;

/// What a step is to every entity of a home.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HomeStep<'a> {
    pub(crate) clock: &'a Clock,
    /// What the home's light sensors show, by entity.
    pub(crate) lights: &'a [(u32, f32)],
    /// Whether something warms the home's rooms.
    pub(crate) heats: bool,
}

/// Features stay within this.
const CLIP: f32 = 12.0;
const STEPS_PER_HOUR: usize = 6;
/// Of what a resident would notice, a move within the hour that makes the network worth asking; a series that never changes has none.
const NEWS_SHARE: f32 = 0.2;
/// What is usual of an entity is shown when it has been known for this long, …
const SHOWN_SECONDS: i64 = 3 * 86_400;
/// … and with values for this many steps: two days.
const SHOWN_STEPS: usize = 2 * DAY_STEPS;
/// It is judged by that after a week: a Saturday is no Friday.
const READY_SECONDS: i64 = 7 * 86_400;
/// For so long a sensor that joined a running home is not complained about: an hour to be mounted and tried.
const NEW_SECONDS: i64 = 3600;
/// Standing still and silence mean nothing of a sensor that was met less than a day ago: it may still be set up.
const MET_SECONDS: i64 = 86_400;

/// A binary entity's learners.
#[derive(Debug, Clone)]
pub(crate) struct Switching {
    pub(crate) stay: TimeInState,
    pub(crate) rate: EventRate,
    pub(crate) quiet_hours: QuietHours,
    /// The same as `stay`, counting only steps in which another binary entity of the home was active.
    pub(crate) silence: TimeInState,
    /// Whether there is another that ever was.
    pub(crate) accompanied: bool,
}

/// One entity of a home. About 18 KiB: 2,016 values in f32, as many residuals in bf16, as many flags, and a window of 96 × 20 in f16.
#[derive(Debug, Clone)]
pub(crate) struct Entity {
    pub(crate) info: EntityInfo,
    pub(crate) intake: Intake,
    pub(crate) learnt: Learnt,
    pub(crate) heartbeat: Heartbeat,
    log: bool,
    values: Ring,
    residuals: Ring<bf16>,
    reported: Flags,
    /// Rows of the window, as [`Entity::kept`] rounds them.
    rows: Box<[f16]>,
    row_head: usize,
    rows_filled: usize,
    flatline: Flatline,
    switching: Option<Box<Switching>>,
    /// The rules for single faults.
    rules: EntityRules,
    shape: Shape,
    noticeable: Noticeable,
    /// Whether it measures a load: a plug, a meter of electricity.
    is_load: bool,
    innovations: [f32; SUM_STEPS],
    /// Step of the first value since the history began.
    first_at: Option<i64>,
    /// Steps without a value, up to now.
    absent: u32,
    settling: u32,
    pub(crate) last_received: Option<i64>,
    /// Whether somebody else in the home reported lately.
    pub(crate) home_alive: bool,
    /// Whether another binary entity of the home turned on in the step that is closed.
    pub(crate) others_active: bool,
    /// The home's last step when it joined; none when it was there from the start.
    joined: Option<i64>,
    /// What is seen and not learnt from.
    pub(crate) excluded: ExcludedSpans,
}

/// A step before the peers have spoken.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) features: [f32; FEATURES],
    pub(crate) observed: Option<f32>,
    pub(crate) ready: bool,
    pub(crate) band: Option<Band>,
    pub(crate) normal: Normaliser,
    /// Normalised residual; NaN while there is none.
    pub(crate) residual: f32,
    pub(crate) numeric: NumericInput,
    pub(crate) rules: StallInput,
    /// What a rule for a single fault found.
    pub(crate) finding: Option<Finding>,
    /// Whether statistics and network may judge it.
    pub(crate) has_statistics: bool,
}

impl Entity {
    pub(crate) fn new(info: EntityInfo) -> Self {
        let class = info.class;
        Self {
            intake: Intake::new(&info),
            learnt: Learnt::nothing(class),
            heartbeat: Heartbeat::new(),
            log: class.heavy_tailed(),
            values: Ring::new(HISTORY_STEPS),
            residuals: Ring::new(HISTORY_STEPS),
            reported: Flags::new(HISTORY_STEPS),
            rows: vec![f16::ZERO; WINDOW_STEPS * FEATURES].into_boxed_slice(),
            row_head: 0,
            rows_filled: 0,
            flatline: Flatline::new(),
            switching: class.is_binary().then(|| {
                Box::new(Switching {
                    stay: TimeInState::new(),
                    rate: EventRate::new(),
                    quiet_hours: QuietHours::new(),
                    silence: TimeInState::new(),
                    accompanied: false,
                })
            }),
            rules: EntityRules::new(&info),
            shape: Shape::at_first(&info),
            noticeable: info.noticeable(),
            is_load: info.watts().is_some(),
            innovations: [0.0; SUM_STEPS],
            first_at: None,
            absent: 0,
            settling: 0,
            last_received: None,
            home_alive: true,
            others_active: false,
            joined: None,
            excluded: ExcludedSpans::default(),
            info,
        }
    }

    /// Becomes a copy of `other`. Its long past stays where it is in memory: were each of 300 entities' pasts put elsewhere, the
    /// heap would keep the places of before as holes.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        let mut copy = other.clone();
        self.values.copy_from(&other.values);
        self.residuals.copy_from(&other.residuals);
        self.reported.copy_from(&other.reported);
        self.rows.copy_from_slice(&other.rows);
        std::mem::swap(&mut self.values, &mut copy.values);
        std::mem::swap(&mut self.residuals, &mut copy.residuals);
        std::mem::swap(&mut self.reported, &mut copy.reported);
        std::mem::swap(&mut self.rows, &mut copy.rows);
        *self = copy;
    }

    /// Joins a home whose last closed step is `closed`: its own first step is the next one.
    pub(crate) fn join(&mut self, closed: Option<i64>) {
        self.joined = closed;
        if let Some(closed) = closed {
            self.intake.close(closed);
        }
    }

    /// Whether it joined a running home less than an hour before `at`: what it says first is not held against it.
    pub(crate) fn is_new(&self, at: i64) -> bool {
        self.joined.is_some_and(|joined| at.saturating_sub(joined) <= NEW_SECONDS)
    }

    /// Whether it is something that warms rooms, and on.
    pub(crate) fn warms_rooms_now(&self, closed: &Closed) -> bool {
        let on = match self.shape {
            _ if closed.state.is_some() => closed.state == Some(true),
            Shape::Switched { gate, .. } => closed.value.is_some_and(|value| value >= gate),
            _ => false,
        };
        on && cold_room::warms_rooms(&self.info.entity_id)
    }

    /// How far the values of the last hour lie from the newest, at the most, in the unit that is shown.
    fn moved_within_the_hour(&self, value: f32) -> f32 {
        let shown = |value: f32| Normaliser::inverse(value, self.log);
        let hour = (1..=STEPS_PER_HOUR).map(|back| (shown(self.values.back(back)) - shown(value)).abs());
        hour.filter(|moved| !moved.is_nan()).fold(0.0, f32::max)
    }

    /// How much more a statistic must say of what has this shape.
    pub(crate) fn shape_lift(&self) -> f32 {
        self.shape.lift()
    }

    fn ready(&self, at: i64) -> bool {
        self.is_shown(at) && self.first_at.is_some_and(|first| at - first >= READY_SECONDS)
    }

    fn is_shown(&self, at: i64) -> bool {
        self.first_at.is_some_and(|first| at - first >= SHOWN_SECONDS) && self.learnt.known >= SHOWN_STEPS
    }

    fn is_met(&self, at: i64) -> bool {
        self.first_at.is_some_and(|first| at - first >= MET_SECONDS)
    }

    /// Whether it ever had a value that can be: before, an impossible one is a sensor that wakes up.
    pub(crate) fn has_spoken(&self) -> bool {
        self.first_at.is_some() || self.intake.is_known()
    }

    /// What is known at the end `at` of a step, and watched with that.
    pub(crate) fn knowledge(&self, at: i64) -> Knowledge {
        let Some(first) = self.first_at else { return Knowledge::default() };
        let mut watching = Vec::new();
        let mut watch = |kind, works: bool| {
            if works {
                watching.push(kind);
            }
        };
        let ready = self.ready(at);
        let statistics = ready && self.shape.has_statistics();
        for kind in self.rules.watching() {
            watch(kind, true);
        }
        match &self.switching {
            Some(switching) => {
                let danger = self.info.class.warns_of_danger();
                watch(AnomalyKind::Alert, danger);
                watch(AnomalyKind::TimeInState, !danger && ready && switching.stay.is_learnt());
                watch(AnomalyKind::Rate, !danger && ready);
            }
            None => {
                watch(AnomalyKind::Physics, self.info.physics().is_some());
                watch(AnomalyKind::Silent, self.is_met(at) && self.heartbeat.is_learnt());
                watch(AnomalyKind::Flat, self.is_met(at) && self.flatline.is_learnt());
                watch(AnomalyKind::Level, statistics);
                watch(AnomalyKind::Noise, statistics);
                watch(
                    AnomalyKind::Change,
                    statistics && !self.info.class.is_use() && self.learnt.autoregression.is_some(),
                );
                watch(AnomalyKind::Peers, statistics && self.learnt.peers.is_some());
            }
        }
        Knowledge { known_seconds: Some((at - first).max(0)), watching }
    }

    /// Where 98 % of the fortnight's steps lay, around this time's median. Steps of a logarithm are factors, and those of a quiet hour
    /// reach absurd heights at a busy one: there the band ends at the fortnight's greatest value.
    fn band(&self, normal: &Normaliser) -> Option<Band> {
        let (below, above) = self.learnt.usual_residuals()?;
        let floor = if self.log && self.learnt.level >= 0.0 { 0.0 } else { self.info.lowest() };
        let expected = normal.value(0.0);
        let highest =
            if self.log { Normaliser::inverse(self.learnt.greatest, true).max(expected) } else { f32::INFINITY };
        Some(Band { low: normal.value(-below).max(floor), expected, high: normal.value(above).min(highest) })
    }

    /// The entity's own statistics on a step, once it is ready and while it is known.
    pub(crate) fn statistics(&self, draft: &Draft) -> Option<[Statistic; 3]> {
        let known = !draft.numeric.value.is_nan() && !draft.rules.late;
        let speaks = draft.ready && self.switching.is_none() && known && draft.has_statistics;
        let announced = !self.info.class.is_use();
        speaks.then(|| own_statistics(&draft.numeric, &self.learnt, &draft.normal, self.noticeable, announced))
    }

    /// How unusual the step is by the entity's own past, also where it is no alarm: decides which of two peers is at fault.
    pub(crate) fn own_surprise(&self, draft: &Draft, statistics: Option<&[Statistic; 3]>) -> f32 {
        let Some(statistics) = statistics else { return 0.0 };
        statistics[0].0.max(unpredicted(&draft.numeric, &self.learnt, &draft.normal, self.noticeable))
    }

    /// Whether the network is worth asking: the value moved within the hour, or differs noticeably from what is usual now.
    pub(crate) fn is_noticeable(&self, draft: &Draft) -> bool {
        let shown = |value: f32| Normaliser::inverse(value, self.log);
        let (value, centre) = (shown(draft.numeric.value), shown(draft.normal.centre));
        let least = self.noticeable.from(value);
        let differs = |difference: f32, least: f32| difference > 0.0 && difference >= least;
        differs(draft.numeric.moved_in_hour, NEWS_SHARE * least) || differs((value - centre).abs(), least)
    }

    pub(crate) fn switching(&self) -> Option<&Switching> {
        self.switching.as_deref()
    }

    /// The value so many steps ago (0 is the newest), as the detector works on it; NaN where there was none.
    pub(crate) fn value_back(&self, steps: usize) -> f32 {
        self.values.back(steps)
    }

    /// The normalised residual so many steps ago.
    pub(crate) fn residual_back(&self, steps: usize) -> f32 {
        (self.residuals.back(steps) / self.learnt.scale).clamp(-CLIP, CLIP)
    }

    /// Whether values pass through the logarithm.
    pub(crate) fn is_log(&self) -> bool {
        self.log
    }

    /// Share of a fortnight that has passed at `at` since its first value, at most 1. What was excluded from learning meanwhile counts: a fault
    /// of days makes nobody young again.
    pub(crate) fn known_share(&self, at: i64) -> f32 {
        let seconds = self.first_at.map_or(0, |first| (at - first).max(0));
        (seconds as f32 / (HISTORY_STEPS as i64 * STEP_SECONDS) as f32).min(1.0)
    }

    /// Days that have passed at `at` since its first value.
    pub(crate) fn known_days(&self, at: i64) -> f32 {
        self.first_at.map_or(0.0, |first| (at - first).max(0) as f32 / 86_400.0)
    }

    /// Whether a refit has seen enough values to tell what is usual.
    pub(crate) fn is_settled(&self) -> bool {
        self.learnt.known >= SHOWN_STEPS
    }

    /// A row as it is kept: features lie within ±[`CLIP`], where half precision is within 0.05 %. A network learns from and is asked
    /// about the same numbers.
    pub(crate) fn kept(row: [f32; FEATURES]) -> [f32; FEATURES] {
        row.map(|feature| f16::from_f32(feature).to_f32())
    }

    /// Keeps the finished row.
    pub(crate) fn keep_row(&mut self, row: &[f32; FEATURES]) {
        let from = self.row_head * FEATURES;
        self.rows[from..from + FEATURES].convert_from_f32_slice(row);
        self.row_head = (self.row_head + 1) % WINDOW_STEPS;
        self.rows_filled = (self.rows_filled + 1).min(WINDOW_STEPS);
    }

    /// The window, oldest first, once it is full.
    pub(crate) fn window(&self) -> Option<Vec<f32>> {
        (self.rows_filled == WINDOW_STEPS).then(|| {
            let (new, old) = self.rows.split_at(self.row_head * FEATURES);
            let mut window = vec![0.0; old.len() + new.len()];
            let (first, last) = window.split_at_mut(old.len());
            old.convert_to_f32_slice(first);
            new.convert_to_f32_slice(last);
            window
        })
    }

    pub(crate) fn has_window(&self) -> bool {
        self.rows_filled == WINDOW_STEPS
    }

    /// Steps passed that nobody closed: nothing is known of them. Bounded by the length of the history.
    pub(crate) fn skip(&mut self, steps: usize) {
        if steps >= HISTORY_STEPS {
            self.values.clear();
            self.residuals.clear();
            self.reported.clear();
            // What was learnt of a fortnight is gone with the fortnight: it is learnt anew before it speaks again.
            self.learnt = Learnt::nothing(self.info.class);
            self.first_at = None;
        } else {
            for _ in 0..steps {
                self.values.push(f32::NAN);
                self.residuals.push(f32::NAN);
                self.reported.push(false);
            }
        }
        self.absent = self.absent.saturating_add(u32::try_from(steps).unwrap_or(u32::MAX));
        self.innovations = [0.0; SUM_STEPS];
        self.rules.skip();
        for _ in 0..steps.min(WINDOW_STEPS) {
            self.keep_row(&[0.0; FEATURES]);
        }
        if let Some(switching) = &mut self.switching {
            switching.stay.step(None, 0, 0);
            switching.silence.step(None, 0, 0);
        }
    }

    /// Midnight: the oldest day is forgotten and everything fitted again.
    pub(crate) fn next_day(&mut self) {
        self.flatline.next_day();
        self.heartbeat.next_day();
        self.rules.next_day();
        if let Some(switching) = &mut self.switching {
            switching.stay.next_day();
            switching.rate.next_day();
            switching.quiet_hours.next_day();
            switching.silence.next_day();
        }
    }

    /// Fits everything again, at the end `at` of the newest step.
    pub(crate) fn refit(&mut self, at: i64) {
        let Self { learnt, info, values, residuals, reported, excluded, .. } = self;
        learnt.refit(info.class, (values, residuals, reported), |series| excluded.blank(series, at));
        let mut shown = Vec::with_capacity(HISTORY_STEPS);
        self.values.copy_into(&mut shown);
        self.excluded.blank(&mut shown, at);
        shown.retain(|value| !value.is_nan());
        shown.iter_mut().for_each(|value| *value = Normaliser::inverse(*value, self.log));
        self.shape = Shape::of(&self.info, &mut shown).unwrap_or(self.shape);
        if shown.len() >= DAY_STEPS {
            let at = |shown: &mut [f32], share| robust::quantile(shown, share).unwrap_or(f32::NAN);
            let (median, usual) = (at(&mut shown, 0.5), at(&mut shown, 0.99));
            self.rules.learn(&self.info, median, usual);
        }
    }

    /// The fortnight's normalised residuals for the peer regression, 0 where unknown; empty for who takes no part.
    pub(crate) fn residuals_for_peers(&self, at: i64) -> Vec<f32> {
        let mut out = Vec::new();
        if self.switching.is_none() && self.learnt.known >= SHOWN_STEPS {
            self.residuals.copy_into(&mut out);
            self.excluded.blank(&mut out, at);
            let scale = self.learnt.scale;
            for residual in &mut out {
                *residual = if residual.is_nan() { 0.0 } else { (*residual / scale).clamp(-CLIP, CLIP) };
            }
        }
        out
    }
}
