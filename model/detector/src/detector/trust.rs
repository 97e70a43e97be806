//! How far the network may be believed of an entity of this home.
//!
//! The network was trained on other homes. Of each entity the baseline detector judges alone until the network's scores were seen on
//! two weeks of it, and until the network noticed faults in copies of it that the baseline detector alone does not. From then on it
//! speaks where it is surer than it ever was in the last four weeks. A home whose plug it takes for a fault every evening so never hears
//! of that, and the network loses nothing where it was calm. Both go on being watched, so that a loss ends it again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model::Model;
use crate::alarm::doubt;
use crate::finding::AnomalyKind;
use crate::grid::STEP_SECONDS;
use crate::statistics::daily_max::DailyMax;

/// Days on which the network was observed before its score counts.
const DAYS_MIN: usize = 14;
/// Steps of a day that must have been judged for it to count: half of them.
const STEPS_MIN: u32 = (86_400 / STEP_SECONDS / 2) as u32;

/// Tries with small faults that count: the last four weeks', at one in four days.
const CHECKS: usize = 7;

/// Whether a fault is noticed by both together, less whether the baseline detector alone notices it: −1, 0 or 1. Margins are how far each
/// lies above its threshold, `kind` is the baseline detector's.
pub fn gain(kind: AnomalyKind, baseline: f32, network: f32, lift: f32) -> i8 {
    let by_rule = kind.has_own_threshold() && baseline >= 0.0;
    let together = if by_rule || baseline >= network - lift { baseline - doubt(kind, network) } else { network - lift };
    i8::from(by_rule || together >= 0.0) - i8::from(baseline >= 0.0)
}

/// What the network said of one entity lately.
#[derive(Debug, Clone)]
pub struct NetworkRecord {
    /// Each day's highest score less its threshold.
    highest: DailyMax,
    today: f32,
    steps_today: u32,
    /// Of the last checks with small faults: how many of them the network and the baseline detector together noticed more than the
    /// baseline detector alone.
    gains: [i8; CHECKS],
}

/// What one network has said of a home's entities.
#[derive(Debug, Clone)]
pub struct NetworkRecords {
    pub(super) model: Arc<Model>,
    /// By Home Assistant's id.
    pub(super) entities: BTreeMap<String, NetworkRecord>,
}

impl Default for NetworkRecord {
    fn default() -> Self {
        Self::new()
    }
}

impl NetworkRecord {
    /// A record of an entity that was not observed yet.
    pub fn new() -> Self {
        Self { highest: DailyMax::new(), today: f32::NEG_INFINITY, steps_today: 0, gains: [0; CHECKS] }
    }

    /// Takes a step's margin over the threshold of the fleet.
    pub fn note(&mut self, margin: f32) {
        self.today = self.today.max(margin);
        self.steps_today = self.steps_today.saturating_add(1);
    }

    /// How much more than the threshold of the fleet the network must say; none while it has not been observed for long enough, or
    /// notices no more than the baseline detector alone.
    pub fn lift(&self) -> Option<f32> {
        (self.highest.known() >= DAYS_MIN && self.finds_more()).then(|| self.lift_so_far())
    }

    /// The same by what is known so far.
    pub fn lift_so_far(&self) -> f32 {
        self.highest.largest().unwrap_or(0.0).max(0.0)
    }

    /// Takes what faults put into a copy of the entity showed.
    pub fn add_check(&mut self, gain: i8) {
        self.gains.rotate_left(1);
        self.gains[CHECKS - 1] = gain;
    }

    fn finds_more(&self) -> bool {
        self.gains.iter().map(|gain| i32::from(*gain)).sum::<i32>() > 0
    }

    /// What was said so many days ago, 0 is today, was said of a fault: the network need not be surer than that.
    pub(crate) fn leave_day(&mut self, back: usize) {
        if back == 0 {
            self.today = f32::NEG_INFINITY;
        }
        self.highest.replace(back, f32::NEG_INFINITY);
    }

    /// The day is over: from now on it counts.
    pub fn next_day(&mut self) {
        if self.steps_today >= STEPS_MIN {
            self.highest.take(self.today);
        }
        self.highest.next_day();
        (self.today, self.steps_today) = (f32::NEG_INFINITY, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::{AlarmMode, DetectorConfig, HomeDetector};
    use crate::fixtures::made_home;
    use crate::grid::step_of;

    fn day(record: &mut NetworkRecord, margin: f32) {
        (0..144).for_each(|_| record.note(margin));
        record.next_day();
    }

    #[test]
    fn it_speaks_after_two_weeks_and_only_where_it_is_surer_than_it_ever_was() {
        let mut record = NetworkRecord::new();
        record.add_check(1);
        for number in 0..14 {
            assert_eq!(record.lift(), None);
            day(&mut record, if number == 3 { 2.5 } else { -3.0 });
        }
        assert_eq!(record.lift(), Some(2.5));
        (0..25).for_each(|_| day(&mut record, -3.0));
        assert_eq!(record.lift(), Some(0.0));
    }

    #[test]
    fn what_it_said_of_a_fault_need_not_be_surpassed() {
        let mut record = NetworkRecord::new();
        record.add_check(1);
        (0..20).for_each(|number| day(&mut record, if number == 15 { 4.0 } else { 0.5 }));
        assert_eq!(record.lift(), Some(4.0));
        record.leave_day(5);
        assert_eq!(record.lift(), Some(0.5));
    }

    #[test]
    fn it_is_silent_where_it_notices_no_more_faults_than_the_baseline_detector_alone() {
        let mut record = NetworkRecord::new();
        (0..20).for_each(|_| day(&mut record, -3.0));
        assert_eq!(record.lift(), None, "never tried");
        record.add_check(2);
        assert_eq!(record.lift(), Some(0.0));
        record.add_check(-2);
        assert_eq!(record.lift(), None, "as many lost as won");
        record.add_check(1);
        (0..CHECKS).for_each(|_| record.add_check(0));
        assert_eq!(record.lift(), None, "what it once won is forgotten after four weeks");
    }

    #[test]
    fn what_both_notice_together_is_compared_with_what_one_notices_alone() {
        let level = AnomalyKind::Level;
        assert_eq!(gain(level, -1.0, 0.5, 0.0), 1);
        assert_eq!(gain(level, -1.0, 0.5, 0.7), 0, "less sure than it was on a clean day");
        assert_eq!(gain(level, 2.0, 3.0, 0.0), 0);
        assert_eq!(gain(level, 0.5, -2.0, 0.0), -1, "doubted");
        assert_eq!(gain(AnomalyKind::Leak, 0.5, -2.0, 0.0), 0, "a rule is not");
    }

    #[test]
    fn of_a_new_network_nothing_is_known_and_it_takes_only_what_was_heard_of_itself() {
        let (entities, readings) = made_home(1, 40);
        let config = DetectorConfig { timezone: jiff::tz::TimeZone::UTC, budget_per_week: 1.0, salt: vec![1] };
        let heard_through = |model: &Arc<Model>| {
            let mut detector = HomeDetector::new(config.clone(), Arc::clone(model));
            entities.iter().for_each(|info| {
                detector.add_entity(info.clone());
            });
            let mut step = step_of(readings[0].at);
            for reading in &readings {
                while reading.at > step {
                    detector.close_step(step, AlarmMode::LearnOnly);
                    step += STEP_SECONDS;
                }
                detector.observe(reading);
            }
            detector
        };
        let was_heard =
            |detector: &HomeDetector| detector.records().entities.values().any(|one| one.highest.known() >= DAYS_MIN);
        let (first, second) = (Arc::new(Model::shipped().unwrap()), Arc::new(Model::shipped().unwrap()));
        let mut detector = heard_through(&first);
        assert!(was_heard(&detector));
        let of_the_first = detector.records();

        detector.replace_model(Arc::clone(&second));
        assert!(!was_heard(&detector));
        detector.take_records(&of_the_first);
        assert!(!was_heard(&detector), "what another network said tells nothing of this one");
        detector.take_records(&heard_through(&second).records());
        assert!(was_heard(&detector));

        // What is usual is learnt anew without the network, which is not forgotten for it.
        let mut relearnt = heard_through(&Arc::new(Model::baseline()));
        detector.adopt_history(&mut relearnt, []);
        assert!(was_heard(&detector));
    }

    #[test]
    fn a_day_on_which_it_was_hardly_asked_does_not_count() {
        let mut record = NetworkRecord::new();
        for _ in 0..30 {
            record.note(1.0);
            record.next_day();
        }
        assert_eq!(record.lift(), None);
    }
}
