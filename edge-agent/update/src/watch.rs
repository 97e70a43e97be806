//! Two models on the same windows: what a watch adds up, and when the new model fails. Pure.

use hearthwatch_detector::detector::Margin;

use crate::probation::{self, ProbationFault};

/// Looks that a watch needs, however late they come: half an hour of live steps. A computer that was off for a day has not
/// watched for a day.
pub const LOOKS_MIN: u32 = 3;

/// Fault checks below which their share says nothing: four entities with three faults each are twelve.
const FAULT_CHECKS_MIN: u32 = 8;

/// Share of the fault checks by which a new model may fall behind the one before it. Of 24, three; chance moves one or two.
const FAULT_CHECKS_LOST_MAX: f32 = 0.125;

/// Entities in alarm that a new model may have beyond the one before, on average over a watch, whatever the home's size.
const ALARMS_MORE_MAX: f32 = 1.0;

/// Times as many alarms as the model before that a new one may have.
const ALARMS_TIMES_MAX: f32 = 3.0;

/// What a watch has seen: a model beside the one in charge, or in charge beside the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watch {
    /// Looks so far; see [`LOOKS_MIN`].
    pub looks: u32,
    /// Windows that both models scored, over all looks.
    pub compared: u32,
    /// Of these, those where one was in alarm and the other not.
    pub disagreed: u32,
    /// Windows in alarm by the new model.
    pub alarms: u32,
    /// Windows in alarm by the model before.
    pub alarms_before: u32,
    /// Synthetic faults of the newest look.
    pub fault_checks: u32,
    /// Of these, found by the new model.
    pub caught: u32,
    /// Of these, found by the model before.
    pub caught_before: u32,
}

/// Why the new model fails its watch.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum WatchFault {
    /// A single look shows the fault.
    #[error(transparent)]
    Probation(#[from] ProbationFault),
    /// Misses synthetic faults that the model before finds.
    #[error("finds {caught} of {fault_checks} synthetic faults, the model before {caught_before}")]
    MissedFaults {
        /// Found by the new model.
        caught: u32,
        /// Synthetic faults that were compared.
        fault_checks: u32,
        /// Found by the model before.
        caught_before: u32,
    },
    /// In alarm far more often than the model before.
    #[error("in alarm {alarms} times in {looks} looks, the model before {alarms_before} times")]
    MoreAlarms {
        /// Windows in alarm, over all looks.
        alarms: u32,
        /// Looks so far.
        looks: u32,
        /// Windows in alarm by the model before.
        alarms_before: u32,
    },
}

/// By how much windows are alarms in a home that runs one model, whether the network or the baseline detector judges them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Margins {
    /// Of the home's newest windows.
    pub recent: Vec<Margin>,
    /// Of its synthetic faults.
    pub fault_checks: Vec<Margin>,
}

impl Watch {
    /// Adds a look. Without `before` there is nothing to compare with.
    ///
    /// Low recall is looked for twice: among all fault checks, and among those that one of the two networks judges, for where the
    /// baseline detector judges under both there is no difference, and the few that a network lost would not show.
    ///
    /// # Errors
    /// [`WatchFault`] when the model must not stay.
    pub fn look(&mut self, new: &Margins, before: Option<&Margins>) -> Result<(), WatchFault> {
        self.looks += 1;
        let fault_checks =
            Caught::of(&new.fault_checks, before.map(|before| before.fault_checks.as_slice()), |_, _| true);
        (self.fault_checks, self.caught, self.caught_before) =
            (fault_checks.fault_checks, fault_checks.caught, fault_checks.caught_before);
        if let Some(before) = before {
            self.compared += count(new.recent.len().min(before.recent.len()));
            let differ = |(new, before): (&Margin, &Margin)| is_alarm(new) != is_alarm(before);
            self.disagreed += count(new.recent.iter().zip(&before.recent).filter(|pair| differ(*pair)).count());
            self.alarms += in_alarm(&new.recent);
            self.alarms_before += in_alarm(&before.recent);
            fault_checks.judge()?;
            let judged = |new: &Margin, before: &Margin| new.by_network || before.by_network;
            Caught::of(&new.fault_checks, Some(&before.fault_checks), judged).judge()?;
        }
        probation::judge(&new.recent, before.map(|before| before.recent.as_slice()))?;
        let Self { looks, alarms, alarms_before, .. } = *self;
        let more = (alarms as f32 - alarms_before as f32) / looks.max(1) as f32;
        let times = alarms as f32 > ALARMS_TIMES_MAX * alarms_before as f32;
        if looks >= LOOKS_MIN && more > ALARMS_MORE_MAX && times {
            return Err(WatchFault::MoreAlarms { alarms, looks, alarms_before });
        }
        Ok(())
    }
}

/// How many of some synthetic faults each model found.
struct Caught {
    fault_checks: u32,
    caught: u32,
    caught_before: u32,
}

impl Caught {
    fn of(new: &[Margin], before: Option<&[Margin]>, counts: impl Fn(&Margin, &Margin) -> bool) -> Self {
        let Some(before) = before else {
            return Self { fault_checks: count(new.len()), caught: in_alarm(new), caught_before: 0 };
        };
        let pairs: Vec<_> = new.iter().zip(before).filter(|(new, before)| counts(new, before)).collect();
        Self {
            fault_checks: count(pairs.len()),
            caught: count(pairs.iter().filter(|(new, _)| is_alarm(new)).count()),
            caught_before: count(pairs.iter().filter(|(_, before)| is_alarm(before)).count()),
        }
    }

    fn judge(&self) -> Result<(), WatchFault> {
        let Self { fault_checks, caught, caught_before } = *self;
        let lost_max = fault_checks as f32 * FAULT_CHECKS_LOST_MAX;
        if fault_checks >= FAULT_CHECKS_MIN && caught_before as f32 - caught as f32 > lost_max {
            return Err(WatchFault::MissedFaults { caught, fault_checks, caught_before });
        }
        Ok(())
    }
}

fn is_alarm(margin: &Margin) -> bool {
    margin.value > 0.0
}

fn in_alarm(margins: &[Margin]) -> u32 {
    count(margins.iter().filter(|margin| is_alarm(margin)).count())
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_network(value: f32) -> Margin {
        Margin { value, by_network: true }
    }

    /// The first `caught` of the fault checks are found.
    fn sung(caught: usize, fault_checks: usize, by_network: bool) -> Vec<Margin> {
        let value = |index| if index < caught { 1.0 } else { -1.0 };
        (0..fault_checks).map(|index| Margin { value: value(index), by_network }).collect()
    }

    fn margins(recent: &[f32], caught: usize, fault_checks: usize) -> Margins {
        Margins {
            recent: recent.iter().copied().map(by_network).collect(),
            fault_checks: sung(caught, fault_checks, true),
        }
    }

    fn quiet() -> Vec<f32> {
        (0..20).map(|index| -3.0 - index as f32 * 0.1).collect()
    }

    #[test]
    fn two_models_that_hear_alike_pass_and_are_counted() {
        let mut watch = Watch::default();
        let mut other = quiet();
        other[0] = 0.5;
        for _ in 0..2 {
            watch.look(&margins(&quiet(), 20, 24), Some(&margins(&other, 22, 24))).unwrap();
        }
        let expected = Watch {
            looks: 2,
            compared: 40,
            disagreed: 2,
            alarms: 0,
            alarms_before: 2,
            fault_checks: 24,
            caught: 20,
            caught_before: 22,
        };
        assert_eq!(watch, expected);
    }

    #[test]
    fn a_model_that_finds_fewer_synthetic_faults_is_known_though_its_alarms_look_alike() {
        let refused = Watch::default().look(&margins(&quiet(), 18, 24), Some(&margins(&quiet(), 22, 24)));
        assert_eq!(refused, Err(WatchFault::MissedFaults { caught: 18, fault_checks: 24, caught_before: 22 }));
    }

    #[test]
    fn a_model_deaf_in_the_few_classes_that_it_judges_is_caught_among_those() {
        // Sixteen checks are the baseline detector's under both; of its own nine the network lost three.
        let mixed = |caught| {
            let fault_checks = [sung(16, 16, false), sung(caught, 9, true)].concat();
            Margins { fault_checks, ..Margins::default() }
        };
        assert_eq!(Watch::default().look(&mixed(8), Some(&mixed(9))), Ok(()));
        let refused = Watch::default().look(&mixed(6), Some(&mixed(9)));
        assert_eq!(refused, Err(WatchFault::MissedFaults { caught: 6, fault_checks: 9, caught_before: 9 }));
    }

    #[test]
    fn a_model_that_judges_nothing_here_is_what_the_routine_detector_is() {
        let nothing =
            Margins { recent: vec![Margin { value: -9.0, by_network: false }; 20], fault_checks: sung(23, 24, false) };
        let mut watch = Watch::default();
        assert_eq!(watch.look(&nothing, Some(&margins(&quiet(), 24, 24))), Ok(()), "after a network");
        assert_eq!(watch.look(&nothing, Some(&nothing)), Ok(()), "after another that judges nothing");
        assert_eq!((watch.caught, watch.caught_before, watch.disagreed), (23, 23, 0));
        let deaf = Watch::default().look(&margins(&quiet(), 2, 24), Some(&nothing));
        assert_eq!(
            deaf,
            Err(WatchFault::MissedFaults { caught: 2, fault_checks: 24, caught_before: 23 }),
            "the other way round"
        );
    }

    #[test]
    fn too_few_fault_checks_and_no_model_before_say_nothing_of_recall() {
        assert_eq!(Watch::default().look(&margins(&quiet(), 0, 6), Some(&margins(&quiet(), 6, 6))), Ok(()));
        assert_eq!(Watch::default().look(&margins(&quiet(), 0, 24), None), Ok(()));
    }

    #[test]
    fn a_model_a_little_louder_at_each_look_is_shrill_in_the_end() {
        let mut watch = Watch::default();
        let mut loud = quiet();
        loud[..2].fill(1.0);
        let (loud, before) = (margins(&loud, 24, 24), margins(&quiet(), 24, 24));
        assert_eq!(watch.look(&loud, Some(&before)), Ok(()), "two at once may be a storm");
        assert_eq!(watch.look(&loud, Some(&before)), Ok(()));
        let refused = watch.look(&loud, Some(&before));
        assert_eq!(refused, Err(WatchFault::MoreAlarms { alarms: 6, looks: 3, alarms_before: 0 }));
    }

    #[test]
    fn what_one_look_shows_is_not_waited_for() {
        let refused = Watch::default().look(&margins(&[f32::NAN], 0, 0), None);
        assert_eq!(refused, Err(WatchFault::Probation(ProbationFault::NotFinite { count: 1, windows: 1 })));
    }
}
