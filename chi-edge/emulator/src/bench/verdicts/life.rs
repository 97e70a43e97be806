//! One home's life under one habit of answering.

use std::collections::BTreeMap;
use std::sync::Arc;

use hearthwatch_detector::alarm::{Alarm, AlarmEvent, Verdict};
use hearthwatch_detector::detector::{AlarmMode, DetectorConfig, HomeDetector, Model};
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_evaluation::dataset::{Label, LabelOrigin, RecordedHome};
use jiff::tz::TimeZone;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::nuisance::Nuisance;

/// Median delay of an answer, hours (exponential).
pub(super) const DELAY_MEDIAN_HOURS: f64 = 7.0;
/// After so many dismissals of one nuisance the household has had enough of answering.
pub(super) const DISMISSALS_MAX: usize = 2;

/// How the household answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    /// Never.
    Silent,
    /// Dismisses what the nuisances cause, confirms what is real.
    Answers,
    /// Dismisses as often, but something else: an alarm drawn at random from the home's others.
    AtRandom,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Life {
    /// Every alarm, in order.
    pub(super) alarms: Vec<Alarm>,
    /// By nuisance: dismissals given.
    dismissed: Vec<usize>,
}

/// What is the same in every life of a home.
pub(super) struct World<'a> {
    pub(super) home: &'a RecordedHome,
    /// What comes before is warm-up.
    pub(super) from: i64,
    pub(super) nuisances: &'a [Nuisance],
    pub(super) model: &'a Arc<Model>,
    pub(super) budget: f64,
    pub(super) seed: u64,
}

impl World<'_> {
    /// Lives from the recording's first reading to its last.
    pub(super) fn live(&self, habit: Habit) -> Life {
        let Some((first, last)) = self.home.span() else { return Life::default() };
        let zone = TimeZone::get(&self.home.timezone).unwrap_or(TimeZone::UTC);
        let salt = self.home.full_name().into_bytes();
        let config = DetectorConfig { timezone: zone.clone(), budget_per_week: self.budget, salt };
        let mut detector = HomeDetector::new(config, Arc::clone(self.model));
        for entity in &self.home.entities {
            detector.add_entity(entity.clone());
        }
        let mut life = Life { alarms: Vec::new(), dismissed: vec![0; self.nuisances.len()] };
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut waiting: BTreeMap<(i64, usize), (String, Verdict, Option<usize>)> = BTreeMap::new();
        let mut readings = self.home.readings.iter().peekable();
        let mut step = first - first.rem_euclid(STEP_SECONDS);
        while step < last {
            step += STEP_SECONDS;
            let voice = if step > self.from { AlarmMode::Raise } else { AlarmMode::LearnOnly };
            let mut events = Vec::new();
            while let Some(reading) = readings.next_if(|reading| reading.at <= step) {
                events.extend(detector.observe(reading));
            }
            events.extend(detector.close_step(step, voice).events);
            for event in events {
                let AlarmEvent::Raised(alarm) = event else { continue };
                if let Some((verdict, nuisance)) = self.opinion(&alarm, &zone) {
                    let delay = -rng.random_range(f64::EPSILON..1.0).ln() * DELAY_MEDIAN_HOURS / std::f64::consts::LN_2;
                    let at = step + ((delay * 3600.0) as i64).max(STEP_SECONDS);
                    waiting.insert((at, life.alarms.len()), (alarm.id.clone(), verdict, nuisance));
                }
                life.alarms.push(alarm);
            }
            while let Some(entry) = waiting.first_entry() {
                if entry.key().0 > step {
                    break;
                }
                let (id, verdict, nuisance) = entry.remove();
                let answered = match (habit, nuisance) {
                    (Habit::Silent, _) => None,
                    (_, Some(nuisance)) if life.dismissed[nuisance] == DISMISSALS_MAX => None,
                    (Habit::AtRandom, Some(nuisance)) => {
                        life.dismissed[nuisance] += 1;
                        self.another(&life.alarms, &self.nuisances[nuisance], &zone, &mut rng)
                    }
                    (Habit::Answers, Some(nuisance)) => {
                        life.dismissed[nuisance] += 1;
                        Some(id)
                    }
                    (_, None) => Some(id),
                };
                if let Some(id) = answered {
                    // The detector remembers hundreds of alarms; a month has fewer.
                    let _ = detector.answer(&id, verdict, step);
                }
            }
        }
        life
    }

    /// One of the alarms that this nuisance did not cause, if there is any.
    fn another(&self, alarms: &[Alarm], nuisance: &Nuisance, zone: &TimeZone, rng: &mut ChaCha8Rng) -> Option<String> {
        let others: Vec<&Alarm> = alarms.iter().filter(|alarm| !nuisance.causes(alarm, zone)).collect();
        (!others.is_empty()).then(|| others[rng.random_range(0..others.len())].id.clone())
    }

    /// What a resident who knows the truth would say, if anything.
    fn opinion(&self, alarm: &Alarm, zone: &TimeZone) -> Option<(Verdict, Option<usize>)> {
        if injected(self.home).any(|label| hits(alarm, label)) {
            return Some((Verdict::Confirmed, None));
        }
        let nuisance = self.nuisances.iter().position(|nuisance| nuisance.causes(alarm, zone))?;
        Some((Verdict::Dismissed, Some(nuisance)))
    }
}

/// The faults that were put into a recording.
pub(super) fn injected(home: &RecordedHome) -> impl Iterator<Item = &Label> {
    home.labels.iter().filter(|label| label.origin == LabelOrigin::Injected)
}

/// Strict: of the event's entity, and raised while it lasts.
pub(super) fn hits(alarm: &Alarm, label: &Label) -> bool {
    alarm.entity == label.entity && (label.start..=label.end).contains(&alarm.raised_at)
}
