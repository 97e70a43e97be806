//! One fold of a protocol: every method on the same homes with the same faults.

use hearthwatch_detector::alarm::{Alarm, Calibration};
use serde::{Deserialize, Serialize};

use super::calibrate::{Record, calibrate};
use super::decide::{HomeRun, Judged, decide_home, margins};
use super::episodes::episodes;
use super::fan_out::fan_out;
use super::method::{Detector, EntityScores, Method, NotReady, TrainingSplit};
use super::metrics::auc_pr::auc_pr;
use super::metrics::messages::messages;
use super::metrics::strict_recall::delay_of;
use super::metrics::vus_pr::vus_pr;
use super::outcome::Share;
use super::protocol::{Fold, Protocol, Role, Span};
use super::replay::near_faults;
use super::scores::baseline_scores;
use super::trace::{HomePair, HomeTrace};
use crate::dataset::{Label, LabelOrigin, RecordedHome};
use crate::inject::InjectionPlan;

/// Halvings of the search for an oracle threshold: finer than any two scores differ that matter.
const ORACLE_STEPS: usize = 24;
const WEEK_SECONDS: f64 = 604_800.0;

/// One event under one detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchEvent {
    /// Index of the entity in its home.
    pub entity: u32,
    /// Device class of the entity.
    pub class: String,
    /// [`Family::as_str`](crate::inject::Family::as_str) of the fault.
    pub family: String,
    /// Whether nothing was trained against the family in this fold.
    pub left_out: bool,
    /// Injected, or labelled by the recording's authors.
    pub origin: LabelOrigin,
    /// For each budget: seconds to the first alarm with the deployed threshold; none when it was not found.
    pub delay_s: Vec<Option<i64>>,
    /// For each budget: whether it is found with the oracle threshold.
    pub oracle: Vec<bool>,
}

/// A figure of one entity's series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeriesFigure {
    /// Index of the entity in its home.
    pub entity: u32,
    /// In [0, 1].
    pub value: f64,
}

/// One home under one detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HomeRecord {
    /// As `set/name` ([`RecordedHome::full_name`](crate::dataset::RecordedHome::full_name)).
    pub home: String,
    /// The fold that it was tested in.
    pub fold: usize,
    /// Seed of the detector's training.
    pub training_seed: u64,
    /// Number of entities.
    pub entities: usize,
    /// First judged second.
    pub from: i64,
    /// Judged weeks of the clean twin.
    pub weeks: f64,
    /// For each budget: when and of which entity a false alarm was raised on the clean twin.
    pub false_alarms: Vec<Vec<(i64, u32)>>,
    /// For each budget: messages on the clean twin, as a resident counts them.
    pub messages: Vec<usize>,
    /// Every event of every faulty copy.
    pub events: Vec<BenchEvent>,
    /// VUS-PR of each series that has an event.
    pub vus_pr: Vec<SeriesFigure>,
    /// AUC-PR, likewise.
    pub auc_pr: Vec<SeriesFigure>,
    /// Clean steps whose value lies within the expected band, of those that have one.
    pub within_band: Share,
}

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchProgress {
    /// Its number, from 0.
    pub fold: usize,
    /// What is being done: a method's name, or the preparation.
    pub what: String,
}

/// What stays the same for all methods of a fold: what is asked for, and the baseline detector's thresholds.
#[derive(Debug)]
pub struct Stage<'a> {
    protocol: &'a Protocol,
    fold: &'a Fold,
    calibrate: Vec<HomeTrace>,
    baseline: Calibration,
    threads: usize,
}

/// Measures every method on one fold: records by method, then training seed, then home.
///
/// # Errors
/// [`NotReady`] when a method could not be prepared.
pub fn measure(
    protocol: &Protocol,
    fold: &Fold,
    homes: &[RecordedHome],
    methods: &[&dyn Method],
    threads: usize,
    progress: &mut dyn FnMut(BenchProgress),
) -> Result<Vec<Vec<HomeRecord>>, NotReady> {
    let mut report = |what: &str| progress(BenchProgress { fold: fold.number, what: what.to_owned() });
    report("preparing homes");
    let spans = |role| Protocol::spans(fold, role, homes);
    let (train, calibration_spans, test) = (spans(Role::Train), spans(Role::Calibrate), spans(Role::Test));
    let calibrate = fan_out(&calibration_spans, threads, |span| HomeTrace::extract(&span.home, span.from), |_| {});
    let twins = fan_out(&test, threads, |span| twin(span, protocol), |_| {});
    let stage = Stage::new(protocol, fold, calibrate, threads);
    methods
        .iter()
        .map(|method| {
            let mut all = Vec::new();
            for seed in method.seeds() {
                report(method.name());
                let families =
                    protocol.families.iter().copied().filter(|family| !fold.left_out.contains(family)).collect();
                let split = TrainingSplit { fold, train: &train, calibrate: &calibration_spans, families, seed };
                all.extend(stage.calibrated(&*method.prepare(&split)?).run(&twins, seed));
            }
            Ok(all)
        })
        .collect()
}

/// A home as it is and with each injection seed's faults of the protocol, as it is measured on.
#[must_use]
pub fn twin(span: &Span, protocol: &Protocol) -> HomePair {
    let plan = |seed: &u64| InjectionPlan {
        seed: *seed,
        events_per_entity_week: protocol.rules.events_per_entity_week,
        families: protocol.families.clone(),
    };
    // Without injected faults one copy is enough: it has the recording's own events.
    let seeds = if protocol.rules.events_per_entity_week > 0.0 { protocol.injection_seeds.as_slice() } else { &[0] };
    HomePair::extract(&span.home, span.from, seeds.iter().map(plan))
}

fn records<'a>(homes: &'a [HomeTrace], scores: &'a [Vec<Vec<f32>>]) -> Vec<Record<'a>> {
    homes.iter().zip(scores).map(|(home, scores)| Record { home, scores }).collect()
}

fn scores_of(detector: &dyn Detector, home: &HomeTrace) -> Vec<Vec<f32>> {
    detector.score(home).into_iter().map(|one| one.scores).collect()
}

/// A home's record, and the margins that the oracle's threshold is sought with.
struct Measured {
    record: HomeRecord,
    clean: Vec<Vec<f32>>,
    faulty: Vec<Vec<Vec<f32>>>,
}

impl<'a> Stage<'a> {
    /// Thresholds come from the homes to calibrate on, which must be without injected faults.
    #[must_use]
    pub fn new(protocol: &'a Protocol, fold: &'a Fold, calibrate_on: Vec<HomeTrace>, threads: usize) -> Self {
        let scores: Vec<Vec<Vec<f32>>> = calibrate_on.iter().map(baseline_scores).collect();
        let baseline = calibrate(&records(&calibrate_on, &scores), None);
        Self { protocol, fold, calibrate: calibrate_on, baseline, threads }
    }

    /// A detector under thresholds that are set on the stage's homes.
    #[must_use]
    pub fn calibrated<'d>(&'d self, detector: &'d dyn Detector) -> Calibrated<'d> {
        let scores = fan_out(&self.calibrate, self.threads, |home| scores_of(detector, home), |_| {});
        let baseline = detector.beside_baseline().then_some(&self.baseline);
        let calibration = calibrate(&records(&self.calibrate, &scores), baseline);
        Calibrated { stage: self, detector, calibration }
    }
}

/// A detector with its thresholds.
pub struct Calibrated<'a> {
    stage: &'a Stage<'a>,
    detector: &'a dyn Detector,
    calibration: Calibration,
}

impl std::fmt::Debug for Calibrated<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Calibrated").field("calibration", &self.calibration).finish_non_exhaustive()
    }
}

impl Calibrated<'_> {
    /// One record a home, in the order of the homes.
    #[must_use]
    pub fn run(&self, twins: &[HomePair], training_seed: u64) -> Vec<HomeRecord> {
        let measure = |twin: &HomePair| self.measure_home(twin, training_seed);
        let mut measured = fan_out(twins, self.stage.threads, measure, |_| {});
        for budget in &self.stage.protocol.budgets {
            let shift = oracle_shift(twins, &measured, *budget);
            for (twin, one) in twins.iter().zip(&mut measured) {
                find_with(twin, one, shift);
            }
        }
        measured.into_iter().map(|one| one.record).collect()
    }

    /// The place of the highest budget at which these homes, without injected faults, together raise at most one false alarm a home-week; 0
    /// where every budget raises more. Budgets must rise: the search is binary.
    #[must_use]
    pub fn kept_budget(&self, homes: &[HomeTrace]) -> usize {
        let prepare = |home: &HomeTrace| (scores_of(self.detector, home), self.detector.fault_checks(home));
        let prepared = fan_out(homes, self.stage.threads, prepare, |_| {});
        let places: Vec<usize> = (0..homes.len()).collect();
        let weeks: f64 = homes.iter().map(weeks).sum();
        let is_kept = |budget: &f64| {
            let alarms = |place: &usize| {
                let (home, (scores, fault_checks)) = (&homes[*place], &prepared[*place]);
                let run = decide_home(home, &self.judged(scores, fault_checks.as_deref()), *budget, None, None);
                false_alarms(home, &run).count()
            };
            fan_out(&places, self.stage.threads, alarms, |_| {}).into_iter().sum::<usize>() as f64 <= weeks
        };
        self.stage.protocol.budgets.partition_point(is_kept).saturating_sub(1)
    }

    fn judged<'j>(&'j self, scores: &'j [Vec<f32>], fault_checks: Option<&'j [Vec<f32>]>) -> Judged<'j> {
        let baseline = self.detector.beside_baseline().then_some(&self.stage.baseline);
        Judged { scores: Some(scores), calibration: &self.calibration, baseline, fault_checks }
    }

    fn measure_home(&self, twin: &HomePair, training_seed: u64) -> Measured {
        let (stage, detector, clean) = (self.stage, self.detector, &twin.clean);
        let scored = detector.score(clean);
        let within_band = within_band(clean, &scored);
        let clean_scores: Vec<Vec<f32>> = scored.into_iter().map(|one| one.scores).collect();
        let faulty_scores: Vec<Vec<Vec<f32>>> = twin.faulty.iter().map(|copy| scores_of(detector, copy)).collect();
        let fault_checks = detector.fault_checks(clean);
        let judged = |scores| self.judged(scores, fault_checks.as_deref());
        let mut record = HomeRecord {
            home: clean.home.clone(),
            fold: stage.fold.number,
            training_seed,
            entities: clean.entities.len(),
            from: clean.from,
            weeks: weeks(clean),
            false_alarms: Vec::new(),
            messages: Vec::new(),
            events: twin.faulty.iter().flat_map(|copy| stage.events(clean, copy)).collect(),
            vus_pr: Vec::new(),
            auc_pr: Vec::new(),
            within_band,
        };
        for budget in &stage.protocol.budgets {
            let run = decide_home(clean, &judged(&clean_scores), *budget, None, None);
            record.messages.push(messages(&run.alarms));
            record.false_alarms.push(false_alarms(clean, &run).map(|alarm| (alarm.raised_at, alarm.entity)).collect());
            let mut events = record.events.iter_mut();
            for (copy, scores) in twin.faulty.iter().zip(&faulty_scores) {
                let near = near_faults(copy);
                let on_copy = decide_home(copy, &judged(scores), *budget, Some(run.twin()), Some(&near));
                for label in counted(clean, copy) {
                    let event = events.next().expect("one event for each counted label");
                    event.delay_s.push(delay_of(label, &raised(&on_copy, label), &raised(&run, label)));
                }
            }
        }
        let first = stage.protocol.budgets.first().copied().unwrap_or(1.0);
        let clean_margins = margins(clean, &judged(&clean_scores), first);
        let faulty: Vec<Vec<Vec<f32>>> = twin
            .faulty
            .iter()
            .zip(&faulty_scores)
            .map(|(copy, scores)| margins(copy, &judged(scores), first))
            .collect();
        for (copy, margins) in twin.faulty.iter().zip(&faulty) {
            stage.curves(copy, margins, &mut record);
        }
        Measured { record, clean: clean_margins, faulty }
    }
}

impl Stage<'_> {
    fn events<'e>(&'e self, clean: &'e HomeTrace, copy: &'e HomeTrace) -> impl Iterator<Item = BenchEvent> + 'e {
        counted(clean, copy).map(|label| BenchEvent {
            entity: label.entity,
            class: copy.infos.get(label.entity as usize).map_or("", |info| info.class.as_str()).to_owned(),
            family: label.family.clone(),
            left_out: self.fold.left_out.iter().any(|family| family.as_str() == label.family),
            origin: label.origin,
            delay_s: Vec::new(),
            oracle: Vec::new(),
        })
    }

    /// Areas under curves, of each series of a faulty copy that has an event.
    fn curves(&self, copy: &HomeTrace, margins: &[Vec<f32>], record: &mut HomeRecord) {
        for (entity, margins) in margins.iter().enumerate() {
            let of_entity: Vec<&Label> = copy.labels.iter().filter(|label| label.entity as usize == entity).collect();
            let steps: Vec<usize> = (0..margins.len()).filter(|index| copy.at(*index) > copy.from).collect();
            let labels: Vec<bool> =
                steps.iter().map(|index| of_entity.iter().any(|label| covers(label, copy.at(*index)))).collect();
            // No score is the lowest score there is.
            let scores: Vec<f32> = steps.iter().map(|index| margins[*index].max(f32::MIN)).collect();
            let entity = entity as u32;
            if let Some(value) = vus_pr(&labels, &scores, self.protocol.surface) {
                record.vus_pr.push(SeriesFigure { entity, value });
            }
            if let Some(value) = auc_pr(&labels, &scores) {
                record.auc_pr.push(SeriesFigure { entity, value });
            }
        }
    }
}

fn weeks(home: &HomeTrace) -> f64 {
    (home.until - home.from).max(0) as f64 / WEEK_SECONDS
}

/// Alarms on a home without injected faults, outside the recording's own labelled stretches.
fn false_alarms<'a>(home: &'a HomeTrace, run: &'a HomeRun) -> impl Iterator<Item = &'a Alarm> {
    let labelled =
        |alarm: &Alarm| home.labels.iter().any(|label| label.entity == alarm.entity && covers(label, alarm.raised_at));
    run.alarms.iter().filter(move |alarm| !labelled(alarm))
}

fn covers(label: &Label, at: i64) -> bool {
    label.start <= at && at <= label.end
}

/// Events that count in a copy: injected ones, or the recording's own where none were injected.
fn counted<'a>(clean: &'a HomeTrace, copy: &'a HomeTrace) -> impl Iterator<Item = &'a Label> {
    let injected = copy.labels.iter().any(|label| label.origin == LabelOrigin::Injected);
    let wanted = if injected { LabelOrigin::Injected } else { LabelOrigin::Real };
    copy.labels.iter().filter(move |label| label.origin == wanted && label.start >= clean.from)
}

fn raised(run: &HomeRun, label: &Label) -> Vec<i64> {
    run.alarms.iter().filter(|alarm| alarm.entity == label.entity).map(|alarm| alarm.raised_at).collect()
}

fn within_band(home: &HomeTrace, scored: &[EntityScores]) -> Share {
    let mut share = Share::default();
    for (entity, scores) in home.entities.iter().zip(scored) {
        for (index, band) in scores.bands.iter().enumerate() {
            let value = entity.observed[index];
            if let Some(band) = band
                && value.is_finite()
                && home.at(index) > home.from
            {
                share.count(band.low <= value && value <= band.high);
            }
        }
    }
    share
}

/// The one shift of all thresholds of a fold that gives at most so many false alarms a home-week on its clean test homes:
/// what nobody can know beforehand.
fn oracle_shift(twins: &[HomePair], measured: &[Measured], budget: f64) -> f32 {
    let weeks: f64 = measured.iter().map(|one| one.record.weeks).sum();
    let finite =
        || measured.iter().flat_map(|one| one.clean.iter().flatten().copied()).filter(|margin| margin.is_finite());
    let (mut low, mut high) =
        finite().fold((0.0_f32, 0.0_f32), |(low, high), margin| (low.min(margin), high.max(margin)));
    for _ in 0..ORACLE_STEPS {
        let middle = f32::midpoint(low, high);
        let count: usize = twins
            .iter()
            .zip(measured)
            .map(|(twin, one)| {
                (0..one.clean.len())
                    .map(|entity| unlabelled_episodes(&twin.clean, entity, &one.clean, middle))
                    .sum::<usize>()
            })
            .sum();
        if count as f64 > budget * weeks { low = middle } else { high = middle }
    }
    high
}

fn unlabelled_episodes(home: &HomeTrace, entity: usize, margins: &[Vec<f32>], shift: f32) -> usize {
    let raised = episodes(&margins[entity], home.at(0), home.from, shift);
    let real = |at: &i64| home.labels.iter().any(|label| label.entity as usize == entity && covers(label, *at));
    raised.iter().filter(|at| !real(at)).count()
}

/// Notes for every event whether it is found with all thresholds shifted.
fn find_with(twin: &HomePair, measured: &mut Measured, shift: f32) {
    let raise = |home: &HomeTrace, margins: &[Vec<f32>]| -> Vec<Vec<i64>> {
        margins.iter().map(|margins| episodes(margins, home.at(0), home.from, shift)).collect()
    };
    let on_clean = raise(&twin.clean, &measured.clean);
    let mut events = measured.record.events.iter_mut();
    for (copy, margins) in twin.faulty.iter().zip(&measured.faulty) {
        let on_copy = raise(copy, margins);
        for label in counted(&twin.clean, copy) {
            let event = events.next().expect("one event for each counted label");
            let entity = label.entity as usize;
            event.oracle.push(delay_of(label, &on_copy[entity], &on_clean[entity]).is_some());
        }
    }
}
