//! A home as it is lived with: from the hour of installation, in the form that a recorder keeps, through the deployed detector.
//!
//! The clean recording is given to [`HomeDetector`] row by row, as a live agent would receive it, with nothing learnt before. Each fault is
//! then tried **alone**: the detector is copied at the fault's first second, and the copy receives the faulty entity's readings instead
//! of the clean ones until some hours after the fault. So no fault hides in another's shadow, and none changes what the home has
//! learnt before the next.

mod equal_alarms;
mod naming;
mod outages;
mod paired;
mod recorder_form;
mod summary;

use std::sync::Arc;

use hearthwatch_detector::alarm::{Alarm, AlarmEvent};
use hearthwatch_detector::detector::{AlarmMode, DetectorConfig, HomeDetector, Model};
use hearthwatch_detector::finding::AnomalyKind;
use hearthwatch_detector::grid::{STEP_SECONDS, step_of};
use hearthwatch_detector::reading::Reading;
use jiff::tz::TimeZone;

use crate::dataset::{Label, LabelOrigin, RecordedHome};
use crate::evaluate::outcome::Share;
use crate::inject::{Family, InjectionPlan, inject};
pub use equal_alarms::{EqualAlarms, HomeCopies, at_equal_alarms, settled_rate};
pub use outages::with_outages;
pub use paired::paired;
pub use recorder_form::recorder_form;
pub use summary::LivedSummary;

/// An alarm of the clean recording so near to one of the faulty copy is the same.
const SAME_ALARM_SECONDS: i64 = 6 * 3600;

const DAY_SECONDS: i64 = 86_400;
/// Faults are put in after three weeks: what is found before is a matter of the first weeks, not of detection.
const SETTLED_SECONDS: i64 = 21 * DAY_SECONDS;

/// What is tried, the same for every home.
#[derive(Debug, Clone)]
pub struct LivedPlan {
    /// Alarms a week that the home asks for.
    pub budget_per_week: f64,
    /// Seeds of the injector; none tries no fault.
    pub seeds: Vec<u64>,
    /// Faults of each entity in a week and seed.
    pub faults_per_entity_week: f64,
    /// Which faults are put in; each needs entities of a class that it fits.
    pub families: Vec<Family>,
    /// Whether the whole home is away now and then ([`with_outages`]).
    pub outages: bool,
    /// Whether the faults are also tried all together, in one copy of the home for each seed.
    pub dense: bool,
}

/// An alarm on the clean recording.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct FalseAlarm {
    /// Days since installation.
    pub day: f64,
    /// As `domain.object_id`.
    pub entity_id: String,
    /// In what way it was called unusual.
    pub kind: AnomalyKind,
    /// The sentence that came with it.
    pub reason: String,
}

/// One fault that was put in by itself, and what the detector made of it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct FaultOutcome {
    /// [`Family::as_str`](crate::inject::Family::as_str).
    pub family: String,
    /// [`DeviceClass::as_str`](hearthwatch_detector::class::DeviceClass::as_str) of the entity.
    pub class: String,
    /// Home Assistant's id of the entity.
    pub entity_id: String,
    /// Days since installation at its start.
    pub day: f64,
    /// How long it lasts.
    pub hours: f64,
    /// Seconds from its start to the alarm; none when it was missed. An alarm that the clean recording has within six hours
    /// of it is none of the fault's.
    pub delay_s: Option<i64>,
    /// In what way the alarm called it unusual.
    pub kind: Option<AnomalyKind>,
    /// Whether it lay above its threshold and the home's allowance held it back.
    pub withheld: bool,
}

/// What one home went through.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LivedHome {
    /// As `set/name` ([`RecordedHome::full_name`]).
    pub home: String,
    /// Weeks from installation to the recording's end.
    pub weeks: f64,
    /// Alarms outside of the recording's own labelled faults.
    pub false_alarms: Vec<FalseAlarm>,
    /// The faults that were tried.
    pub faults: Vec<FaultOutcome>,
    /// The faults tried all together.
    pub dense: Share,
    /// Those of them of values that change: neither silence nor standing still.
    pub dense_changing: Share,
    /// Alarms, on the clean recording and of faults, whose sentence names a usual band that the value lies in.
    pub inside_own_band: u32,
    /// Alarms whose sentence was looked at.
    pub sentences: u32,
}

/// Lives through `home` with `model`. `home` is the publisher's recording; it is brought into the recorder's form here, after faults
/// are put in.
#[must_use]
pub fn live_through(home: &RecordedHome, model: &Arc<Model>, plan: &LivedPlan) -> LivedHome {
    let (clean, faulty) = clean_and_faulty(home, plan);
    let Some((first, last)) = clean.span() else { return LivedHome::empty(home) };
    let mut branches: Vec<Branch> = faulty.iter().flat_map(|faulty| branches_of(faulty, &clean)).collect();
    branches.sort_by_key(|branch| branch.from);

    let mut run = Run::new(&clean, model, plan.budget_per_week);
    let mut lived = LivedHome { weeks: (last - first) as f64 / (7.0 * DAY_SECONDS as f64), ..LivedHome::empty(home) };
    let mut run_faults: Vec<(FaultOutcome, Branch, Vec<Alarm>)> = Vec::new();
    let mut branches = branches.into_iter().peekable();
    let mut raised = Vec::new();
    let mut place = 0;
    let mut end = step_of(first);
    while end <= last {
        while let Some(branch) = branches.next_if(|branch| branch.from < end) {
            let (fault, alarms) = run.clone().run_fault(&clean, place, &branch);
            run_faults.push((fault, branch, alarms));
        }
        while let Some(reading) = clean.readings.get(place).filter(|reading| reading.at <= end) {
            raised.extend(run.observe(reading));
            place += 1;
        }
        raised.extend(run.close(end));
        end += STEP_SECONDS;
    }
    if plan.dense {
        for faulty in &faulty {
            lived.note_all_together(faulty, &raised, model, plan);
        }
    }
    for alarm in &raised {
        lived.note_sentence(alarm);
        let labelled = |label: &Label| {
            label.entity == alarm.entity && label.start <= alarm.raised_at && alarm.raised_at <= label.end
        };
        if !clean.labels.iter().any(labelled) {
            lived.false_alarms.push(FalseAlarm {
                day: (alarm.raised_at - first) as f64 / DAY_SECONDS as f64,
                entity_id: clean.entities[alarm.entity as usize].entity_id.clone(),
                kind: alarm.kind,
                reason: alarm.reason.clone(),
            });
        }
    }
    for (mut fault, branch, alarms) in run_faults {
        let found = alarms.iter().find(|alarm| !is_inherited(alarm, &raised));
        if let Some(alarm) = found {
            lived.note_sentence(alarm);
            (fault.delay_s, fault.kind, fault.withheld) =
                (Some(alarm.raised_at - branch.from), Some(alarm.kind), false);
        }
        lived.faults.push(fault);
    }
    lived
}

/// Whether the clean recording has an alarm of the entity about then, too: such a one is not about a fault.
fn is_inherited(alarm: &Alarm, clean: &[Alarm]) -> bool {
    let about_then = |one: &Alarm| (one.raised_at - alarm.raised_at).abs() <= SAME_ALARM_SECONDS;
    clean.iter().any(|one| one.entity == alarm.entity && about_then(one))
}

/// Whether a fault is one of values that change: neither silence nor standing still.
fn is_about_change(family: &str) -> bool {
    ![Family::Missing, Family::Stuck].iter().any(|still| still.as_str() == family)
}

/// The home in the form in which it is observed, and one copy a seed with faults in it. Empty recordings have no copies.
fn clean_and_faulty(home: &RecordedHome, plan: &LivedPlan) -> (RecordedHome, Vec<RecordedHome>) {
    let recorded = |home: &RecordedHome| {
        let kept = recorder_form(home);
        if plan.outages { with_outages(&kept) } else { kept }
    };
    let clean = recorded(home);
    let Some((first, _)) = clean.span() else { return (clean, Vec::new()) };
    let with_faults = |seed: &u64| {
        let injection = InjectionPlan {
            seed: *seed,
            events_per_entity_week: plan.faults_per_entity_week,
            families: plan.families.clone(),
        };
        recorded(&inject(home, &injection, first + SETTLED_SECONDS))
    };
    let faulty = plan.seeds.iter().map(with_faults).collect();
    (clean, faulty)
}

impl LivedHome {
    fn empty(home: &RecordedHome) -> Self {
        Self::named(&home.full_name())
    }

    fn named(home: &str) -> Self {
        Self {
            home: home.to_owned(),
            weeks: 0.0,
            false_alarms: Vec::new(),
            faults: Vec::new(),
            dense: Share::default(),
            dense_changing: Share::default(),
            inside_own_band: 0,
            sentences: 0,
        }
    }

    /// Counts which faults of a copy are found where they all are in it. `clean` are the alarms without them.
    fn note_all_together(&mut self, faulty: &RecordedHome, clean: &[Alarm], model: &Arc<Model>, plan: &LivedPlan) {
        let Some((first, last)) = faulty.span() else { return };
        let mut run = Run::new(faulty, model, plan.budget_per_week);
        let mut alarms = Vec::new();
        let mut readings = faulty.readings.iter().peekable();
        let mut end = step_of(first);
        while end <= last {
            while let Some(reading) = readings.next_if(|reading| reading.at <= end) {
                alarms.extend(run.observe(reading));
            }
            alarms.extend(run.close(end));
            end += STEP_SECONDS;
        }
        for label in faulty.labels.iter().filter(|label| label.origin == LabelOrigin::Injected) {
            let during = label.start..=label.end + STEP_SECONDS;
            let mut own = alarms.iter().filter(|one| one.entity == label.entity && during.contains(&one.raised_at));
            let found = own.any(|alarm| !is_inherited(alarm, clean));
            self.dense.count(found);
            if is_about_change(&label.family) {
                self.dense_changing.count(found);
            }
        }
    }

    /// A sentence that names a usual band must not be about a value inside it.
    fn note_sentence(&mut self, alarm: &Alarm) {
        self.sentences += 1;
        let claims = matches!(alarm.kind, AnomalyKind::Level | AnomalyKind::Pattern);
        if let (true, Some(value), Some(band)) = (claims, alarm.observed, alarm.band) {
            self.inside_own_band += u32::from((band.low..=band.high).contains(&value));
        }
    }
}

/// One fault of one or two entities, with the readings that take the place of the clean ones.
#[derive(Debug, Clone)]
struct Branch {
    family: String,
    class: String,
    entities: Vec<u32>,
    from: i64,
    until: i64,
    readings: Vec<Reading>,
}

impl Branch {
    fn covers(&self, entity: u32, at: i64) -> bool {
        // In the step after it, too: that is when its last step is judged.
        self.entities.contains(&entity) && self.from <= at && at <= self.until + STEP_SECONDS
    }
}

fn branches_of(faulty: &RecordedHome, clean: &RecordedHome) -> Vec<Branch> {
    let mut branches: Vec<Branch> = Vec::new();
    for label in faulty.labels.iter().filter(|label| label.origin == LabelOrigin::Injected) {
        // Faults of two entities carry two labels.
        let joint = branches
            .iter_mut()
            .rev()
            .find(|branch| branch.from == label.start && branch.until == label.end && branch.family == label.family);
        if let Some(joint) = joint {
            joint.entities.push(label.entity);
            continue;
        }
        let class = clean.entities.get(label.entity as usize).map_or("", |info| info.class.as_str()).to_owned();
        branches.push(Branch {
            family: label.family.clone(),
            class,
            entities: vec![label.entity],
            from: label.start,
            until: label.end,
            readings: Vec::new(),
        });
    }
    for branch in &mut branches {
        let begin = faulty.readings.partition_point(|reading| reading.at < branch.from);
        let within = faulty.readings[begin..].iter().take_while(|reading| reading.at <= branch.until);
        branch.readings = within.filter(|reading| branch.entities.contains(&reading.entity)).copied().collect();
    }
    branches
}

/// A detector under way.
#[derive(Debug, Clone)]
struct Run {
    detector: HomeDetector,
}

impl Run {
    fn new(home: &RecordedHome, model: &Arc<Model>, budget_per_week: f64) -> Self {
        let timezone = TimeZone::get(&home.timezone).unwrap_or(TimeZone::UTC);
        let config = DetectorConfig { timezone, budget_per_week, salt: home.full_name().into_bytes() };
        let mut detector = HomeDetector::new(config, Arc::clone(model));
        home.entities.iter().for_each(|info| {
            detector.add_entity(info.clone());
        });
        Self { detector }
    }

    fn observe(&mut self, reading: &Reading) -> Vec<Alarm> {
        raised(self.detector.observe(reading))
    }

    fn close(&mut self, end: i64) -> Vec<Alarm> {
        raised(self.detector.close_step(end, AlarmMode::Raise).events)
    }

    /// Goes on from `place` in the clean readings with the fault's in the place of its entities'; gives the alarms of these, and what is
    /// known of the fault without looking at the clean recording's own.
    fn run_fault(mut self, clean: &RecordedHome, place: usize, branch: &Branch) -> (FaultOutcome, Vec<Alarm>) {
        let withheld_before = self.detector.withheld().len();
        let mut others =
            clean.readings[place..].iter().filter(|reading| !branch.entities.contains(&reading.entity)).peekable();
        let mut own = branch.readings.iter().peekable();
        // What the entities said between the last step and the fault is replayed as it was.
        let mut lead = clean.readings[place..]
            .iter()
            .take_while(|reading| reading.at < branch.from)
            .filter(|reading| branch.entities.contains(&reading.entity))
            .peekable();
        let mut alarms: Vec<Alarm> = Vec::new();
        let mut end = step_of(branch.from);
        while end <= branch.until + STEP_SECONDS {
            let mut events = Vec::new();
            while let Some(reading) = lead.next_if(|reading| reading.at <= end) {
                events.extend(self.observe(reading));
            }
            while let Some(reading) = others.next_if(|reading| reading.at <= end) {
                events.extend(self.observe(reading));
            }
            while let Some(reading) = own.next_if(|reading| reading.at <= end) {
                events.extend(self.observe(reading));
            }
            events.extend(self.close(end));
            alarms.extend(events.into_iter().filter(|alarm| branch.covers(alarm.entity, alarm.raised_at)));
            end += STEP_SECONDS;
        }
        let held = |entity: u32| branch.entities.contains(&entity);
        let withheld =
            self.detector.withheld().get(withheld_before..).is_some_and(|new| new.iter().any(|one| held(one.entity)));
        let fault = FaultOutcome {
            family: branch.family.clone(),
            class: branch.class.clone(),
            entity_id: branch.entities.first().map_or_else(String::new, |entity| {
                clean.entities.get(*entity as usize).map_or_else(String::new, |info| info.entity_id.clone())
            }),
            day: clean.span().map_or(0.0, |(first, _)| (branch.from - first) as f64 / DAY_SECONDS as f64),
            hours: (branch.until - branch.from) as f64 / 3600.0,
            delay_s: None,
            kind: None,
            withheld,
        };
        (fault, alarms)
    }
}

fn raised(events: Vec<AlarmEvent>) -> Vec<Alarm> {
    events
        .into_iter()
        .filter_map(|event| match event {
            AlarmEvent::Raised(alarm) => Some(alarm),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::home::made_home;

    fn plan() -> LivedPlan {
        LivedPlan {
            budget_per_week: 1.0,
            seeds: vec![1],
            faults_per_entity_week: 0.7,
            families: Family::EVERY.to_vec(),
            outages: true,
            dense: true,
        }
    }

    #[test]
    fn a_fault_changes_nothing_of_the_clean_life_of_the_home() {
        let home = made_home(1, 35);
        let model = Arc::new(Model::baseline());
        let with = live_through(&home, &model, &plan());
        let without = live_through(&home, &model, &LivedPlan { seeds: Vec::new(), ..plan() });
        assert!(!with.faults.is_empty());
        assert_eq!(with.false_alarms, without.false_alarms);
        assert!(with.faults.iter().any(|fault| fault.delay_s.is_some()));
    }

    #[test]
    fn no_sentence_claims_that_a_usual_value_is_unusual() {
        let lived = live_through(&made_home(2, 35), &Arc::new(Model::baseline()), &plan());
        assert!(lived.sentences > 0);
        assert_eq!(lived.inside_own_band, 0);
    }
}
