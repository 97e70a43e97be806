//! Whether a model behaves on this home's own recent windows. Pure.
//!
//! A gate has judged the model on other homes; this is the last look, on data that never leaves the home. It cannot tell a good model
//! from a better one. It stops one that is broken here: not finite, the same for every input, too many alarms, or on another scale than
//! its threshold.

use hearthwatch_detector::detector::Margin;

/// Below so many windows (one per entity) only the hard checks count: shares of a handful say nothing.
const WINDOWS_MIN: usize = 8;

/// Share of entities that may be in alarm at one moment before something is wrong with the model: one in ten. At a budget
/// of a few alarms a week, each of some hours, the honest share is below one in a hundred.
const ALARM_SHARE_MAX: f32 = 0.1;

/// So many entities may always be in alarm: a storm, a power cut, a holiday begins.
const ALARMS_ALWAYS_ALLOWED: usize = 2;

/// How far the typical distance from the threshold may move between two models, in logits. A logit of 8 is a factor of 3,000
/// in the odds of an alarm.
const DRIFT_LOGITS_MAX: f32 = 8.0;

/// Scores closer together than this are one score: the model does not look at its input.
const SPREAD_MIN: f32 = 1e-4;

/// What is wrong with a model here.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ProbationFault {
    /// A score is infinite or not a number.
    #[error("{count} of {windows} scores are not finite")]
    NotFinite {
        /// Windows with such a score.
        count: usize,
        /// Windows that were judged.
        windows: usize,
    },
    /// The same score for every window that the network judges.
    #[error("all {windows} windows get the same score")]
    SameScore {
        /// Windows that were judged.
        windows: usize,
    },
    /// Too many entities in alarm at once.
    #[error("{alarms} of {windows} entities would be in alarm at once ({before} with the model before)")]
    TooManyAlarms {
        /// Windows in alarm with the new model.
        alarms: usize,
        /// Windows that were judged.
        windows: usize,
        /// Windows in alarm with the model before.
        before: usize,
    },
    /// The typical distance to the threshold moved too far.
    #[error("the typical score moved by {moved:.1} logits against its threshold (at most {DRIFT_LOGITS_MAX})")]
    Drift {
        /// New minus old, in logits.
        moved: f32,
    },
}

/// Judges by margins: score minus threshold of the model that judges, one for each window; above 0 means alarm. `before` are the margins of
/// the model before on the same windows. Only scores of the network itself are compared with those before: the baseline detector's
/// floor is the same for all.
///
/// # Errors
/// The first [`ProbationFault`] found, hardest first.
pub fn judge(margins: &[Margin], before: Option<&[Margin]>) -> Result<(), ProbationFault> {
    let windows = margins.len();
    let count = margins.iter().filter(|margin| !margin.value.is_finite()).count();
    if count > 0 {
        return Err(ProbationFault::NotFinite { count, windows });
    }
    if windows < WINDOWS_MIN {
        return Ok(());
    }
    let judged: Vec<f32> = margins.iter().filter(|margin| margin.by_network).map(|margin| margin.value).collect();
    let (low, high) = judged.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| (low.min(x), high.max(x)));
    if judged.len() >= WINDOWS_MIN && high - low < SPREAD_MIN {
        return Err(ProbationFault::SameScore { windows: judged.len() });
    }
    let in_alarm = |margins: &[Margin]| margins.iter().filter(|margin| margin.value > 0.0).count();
    let (alarms, before_alarms) = (in_alarm(margins), before.map_or(0, in_alarm));
    let share = ((windows as f32) * ALARM_SHARE_MAX) as usize;
    if alarms > before_alarms + share.max(ALARMS_ALWAYS_ALLOWED) {
        return Err(ProbationFault::TooManyAlarms { alarms, windows, before: before_alarms });
    }
    // Of windows that only one of the two networks judges there are two scales, and nothing has moved.
    let both: Vec<(f32, f32)> = before
        .filter(|before| before.len() == windows)
        .into_iter()
        .flat_map(|before| margins.iter().zip(before))
        .filter(|(new, before)| new.by_network && before.by_network && before.value.is_finite())
        .map(|(new, before)| (new.value, before.value))
        .collect();
    if both.len() >= WINDOWS_MIN {
        let (new, before): (Vec<f32>, Vec<f32>) = both.into_iter().unzip();
        let moved = median(new) - median(before);
        if moved.abs() > DRIFT_LOGITS_MAX {
            return Err(ProbationFault::Drift { moved });
        }
    }
    Ok(())
}

fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_network(values: impl IntoIterator<Item = f32>) -> Vec<Margin> {
        values.into_iter().map(|value| Margin { value, by_network: true }).collect()
    }

    fn quiet(n: usize) -> Vec<Margin> {
        by_network((0..n).map(|i| -3.0 - (i as f32) * 0.01))
    }

    /// Margins of the baseline detector in a calm home.
    fn routine(n: usize) -> Vec<Margin> {
        vec![Margin { value: -12.0, by_network: false }; n]
    }

    #[test]
    fn a_quiet_model_passes_alone_and_beside_a_like_one() {
        assert_eq!(judge(&quiet(40), None), Ok(()));
        assert_eq!(judge(&quiet(40), Some(&quiet(40))), Ok(()));
        assert_eq!(judge(&[], None), Ok(()), "a home without windows cannot object");
    }

    #[test]
    fn a_model_that_judges_nothing_here_is_neither_deaf_nor_on_another_scale() {
        assert_eq!(judge(&routine(20), None), Ok(()));
        assert_eq!(judge(&routine(20), Some(&quiet(20))), Ok(()));
        assert_eq!(judge(&quiet(20), Some(&routine(20))), Ok(()));
    }

    #[test]
    fn one_score_that_is_no_number_is_enough() {
        let mut margins = quiet(3);
        margins[1].value = f32::NAN;
        assert_eq!(judge(&margins, None), Err(ProbationFault::NotFinite { count: 1, windows: 3 }));
    }

    #[test]
    fn a_model_that_does_not_look_is_deaf_whatever_else_the_home_has() {
        let mut margins = by_network([-2.0; 20]);
        margins.extend(routine(5));
        assert_eq!(judge(&margins, None), Err(ProbationFault::SameScore { windows: 20 }));
    }

    #[test]
    fn a_shouting_model_fails_unless_the_one_before_shouted_too() {
        let mut margins = quiet(40);
        margins[..5].iter_mut().for_each(|margin| margin.value = 1.0);
        let fault = ProbationFault::TooManyAlarms { alarms: 5, windows: 40, before: 0 };
        assert_eq!(judge(&margins, Some(&quiet(40))), Err(fault));
        assert_eq!(judge(&margins, Some(&margins)), Ok(()));
    }

    #[test]
    fn a_model_on_another_scale_than_its_threshold_fails() {
        let far = by_network(quiet(40).iter().map(|margin| margin.value - 20.0));
        assert_eq!(judge(&far, None), Ok(()), "without a model before there is nothing to compare with");
        assert!(
            matches!(judge(&far, Some(&quiet(40))), Err(ProbationFault::Drift { moved }) if (moved + 20.0).abs() < 0.01)
        );
    }
}
