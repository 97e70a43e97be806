//! From judged steps to alarms, as the deployed decision makes them: two of three steps above the threshold, merged
//! within six hours; a broken value at once.

use super::judge::{Judge, Judged};
use crate::grid::STEP_SECONDS;

/// Steps looked at together, and how many of them must be above; as in [`crate::alarm`].
const LOOK_STEPS: usize = 3;

/// Alarms of an entity closer than this are one.
const MERGE_STEPS: usize = (6 * 3600 / STEP_SECONDS) as usize;

/// What an entity's scores are held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// For the detector's own score.
    pub own: f32,
    /// For the routine score where the detector does not judge itself.
    pub routine: f32,
}

/// One alarm, by step indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Episode {
    /// The step at whose end it was raised.
    pub raised: usize,
    /// The last step above the threshold.
    pub last: usize,
}

/// The alarms of one entity over `steps` (indices of measured steps).
#[must_use]
pub fn episodes(judged: &Judged, steps: std::ops::Range<usize>, thresholds: Thresholds) -> Vec<Episode> {
    let above = |index: usize| match judged.judge[index] {
        Judge::None => false,
        Judge::Own => judged.score[index] >= thresholds.own,
        Judge::Routine => judged.score[index] >= thresholds.routine,
        Judge::Rule => true,
    };
    let mut found: Vec<Episode> = Vec::new();
    let mut open_until: Option<usize> = None;
    for index in steps.clone() {
        if !above(index) {
            continue;
        }
        if let Some(last) = open_until
            && index <= last + MERGE_STEPS
        {
            open_until = Some(index);
            if let Some(episode) = found.last_mut() {
                episode.last = index;
            }
            continue;
        }
        let begin = (index + 1).saturating_sub(LOOK_STEPS).max(steps.start);
        let witnesses = (begin..index).any(above);
        if witnesses || judged.judge[index] == Judge::Rule {
            found.push(Episode { raised: index, last: index });
            open_until = Some(index);
        }
    }
    found
}

/// The highest threshold at which each step would raise an alarm: the score that two of the last three steps reach.
/// Steps that the detector did not judge itself give negative infinity.
pub(super) fn sustained(judged: &Judged, index: usize) -> f32 {
    let own = |index: usize| match judged.judge[index] {
        Judge::Own => judged.score[index],
        _ => f32::NEG_INFINITY,
    };
    let before = (1..LOOK_STEPS)
        .filter_map(|back| index.checked_sub(back))
        .map(own)
        .fold(f32::NEG_INFINITY, f32::max);
    own(index).min(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(score: &[f32]) -> Judged {
        Judged { score: score.to_vec(), judge: vec![Judge::Own; score.len()] }
    }

    const ONE: Thresholds = Thresholds { own: 1.0, routine: 5.0 };

    #[test]
    fn one_step_above_is_no_alarm_and_two_of_three_are() {
        assert!(episodes(&own(&[0.0, 2.0, 0.0, 0.0, 2.0]), 0..5, ONE).is_empty());
        assert_eq!(episodes(&own(&[0.0, 2.0, 0.0, 2.0, 0.0]), 0..5, ONE), [Episode { raised: 3, last: 3 }]);
    }

    #[test]
    fn alarms_within_six_hours_are_one() {
        let mut score = vec![0.0; 100];
        for index in [10, 11, 40, 41, 90, 91] {
            score[index] = 2.0;
        }
        assert_eq!(
            episodes(&own(&score), 0..100, ONE),
            [Episode { raised: 11, last: 41 }, Episode { raised: 91, last: 91 }]
        );
    }

    #[test]
    fn a_rule_needs_no_second_step_and_a_foreign_score_its_own_threshold() {
        let mut judged = own(&[0.0, 0.0, 3.0, 3.0]);
        judged.judge[1] = Judge::Rule;
        assert_eq!(episodes(&judged, 0..2, ONE), [Episode { raised: 1, last: 1 }]);
        let routine = Judged { judge: vec![Judge::Routine; 4], ..judged };
        assert!(episodes(&routine, 0..4, ONE).is_empty());
    }

    #[test]
    fn the_sustained_score_is_the_threshold_at_which_the_step_raises() {
        let judged = own(&[0.0, 4.0, 0.0, 3.0]);
        assert_eq!(sustained(&judged, 3), 3.0);
        assert_eq!(sustained(&judged, 1), 0.0);
    }
}
