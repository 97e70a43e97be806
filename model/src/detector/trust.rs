//! How far the network may be believed of an entity of this home.
//!
//! The network was trained on other homes. Of each entity the baseline detector judges alone until the network's scores were seen on
//! two weeks of it; from then on the network speaks where it is surer than it ever was in the last four weeks. A home whose plug it
//! takes for a fault every evening so never hears of that, and the network loses nothing where it was calm.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model::Model;
use crate::grid::STEP_SECONDS;
use crate::rules::DailyMax;

/// Days on which the network was heard before it speaks.
const DAYS_MIN: usize = 14;
/// Steps of a day that must have been judged for it to count: half of them.
const STEPS_MIN: u32 = (86_400 / STEP_SECONDS / 2) as u32;

/// What the network said of one entity lately.
#[derive(Debug, Clone)]
pub(crate) struct NetworkRecord {
    /// Each day's highest score less its threshold.
    highest: DailyMax,
    today: f32,
    steps_today: u32,
}

/// What one network was heard to say of a home's entities.
#[derive(Debug, Clone)]
pub struct NetworkRecords {
    pub(super) model: Arc<Model>,
    /// By Home Assistant's id.
    pub(super) entities: BTreeMap<String, NetworkRecord>,
}

impl NetworkRecord {
    pub(crate) fn new() -> Self {
        Self { highest: DailyMax::new(), today: f32::NEG_INFINITY, steps_today: 0 }
    }

    /// Takes a step's margin over the threshold of the fleet.
    pub(crate) fn note(&mut self, margin: f32) {
        self.today = self.today.max(margin);
        self.steps_today = self.steps_today.saturating_add(1);
    }

    /// How much more than the threshold of the fleet the network must say; none while it has not been heard for long enough.
    pub(crate) fn lift(&self) -> Option<f32> {
        (self.highest.known() >= DAYS_MIN).then(|| self.highest.largest().unwrap_or(0.0).max(0.0))
    }

    /// The day is over: from now on it counts.
    pub(crate) fn next_day(&mut self) {
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
    use crate::dataset::made::made_home;
    use crate::detector::{DetectorConfig, HomeDetector, Voice};
    use crate::grid::step_of;

    fn day(record: &mut NetworkRecord, margin: f32) {
        (0..144).for_each(|_| record.note(margin));
        record.next_day();
    }

    #[test]
    fn it_speaks_after_two_weeks_and_only_where_it_is_surer_than_it_ever_was() {
        let mut record = NetworkRecord::new();
        for number in 0..14 {
            assert_eq!(record.lift(), None);
            day(&mut record, if number == 3 { 2.5 } else { -3.0 });
        }
        assert_eq!(record.lift(), Some(2.5));
        (0..25).for_each(|_| day(&mut record, -3.0));
        assert_eq!(record.lift(), Some(0.0));
    }

    #[test]
    fn a_new_network_is_silent_until_it_was_heard_here_and_takes_only_what_was_heard_of_itself() {
        let home = made_home(1, 40);
        let config = DetectorConfig { timezone: jiff::tz::TimeZone::UTC, budget_per_week: 1.0, salt: vec![1] };
        let heard_through = |model: &Arc<Model>| {
            let mut detector = HomeDetector::new(config.clone(), Arc::clone(model));
            home.entities.iter().for_each(|info| {
                detector.add_entity(info.clone());
            });
            let mut step = step_of(home.span().unwrap().0);
            for reading in &home.readings {
                while reading.at > step {
                    detector.close_step(step, Voice::Quiet);
                    step += STEP_SECONDS;
                }
                detector.observe(reading);
            }
            detector
        };
        let speaks = |detector: &HomeDetector| detector.records().entities.values().any(|one| one.lift().is_some());
        let (first, second) = (Arc::new(Model::shipped().unwrap()), Arc::new(Model::shipped().unwrap()));
        let mut detector = heard_through(&first);
        assert!(speaks(&detector));
        let of_the_first = detector.records();

        detector.replace_model(Arc::clone(&second));
        assert!(!speaks(&detector));
        detector.take_records(&of_the_first);
        assert!(!speaks(&detector), "what another network said tells nothing of this one");
        detector.take_records(&heard_through(&second).records());
        assert!(speaks(&detector));

        // What is usual is learnt anew without the network, which is not forgotten for it.
        let mut taught = heard_through(&Arc::new(Model::routine()));
        detector.take_routine(&mut taught, []);
        assert!(speaks(&detector));
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
