//! Alarms from margins alone, fast enough to try many thresholds: as [`Decider`](hearthwatch_detector::alarm::Decider) raises them, less
//! offset, answers and words.

use hearthwatch_detector::alarm::{HOLD_MARGIN, MERGE_SECONDS, QUIET_SECONDS, Sustained};
use hearthwatch_detector::grid::STEP_SECONDS;

/// When alarms of one entity are raised. `margins` are scores above their threshold, one a step, the first of which ends at
/// `first`; all of them are lowered by `shift`. Nothing is raised up to `from`.
#[must_use]
pub fn episodes(margins: &[f32], first: i64, from: i64, shift: f32) -> Vec<i64> {
    let mut raised = Vec::new();
    let mut recent = Sustained::default();
    let mut lasting = false;
    let mut last_over: Option<i64> = None;
    for (index, margin) in margins.iter().enumerate() {
        let at = first + index as i64 * STEP_SECONDS;
        let margin = if at > from { margin - shift } else { f32::NEG_INFINITY };
        let since = recent.step(at, margin);
        let quiet = last_over.map_or(i64::MAX, |last| at - last);
        if lasting && margin >= -HOLD_MARGIN {
            last_over = Some(at);
        } else if lasting {
            lasting = quiet < QUIET_SECONDS;
        } else if since.is_some() {
            if quiet > MERGE_SECONDS {
                raised.push(at);
            }
            lasting = true;
            last_over = Some(at);
        }
    }
    raised
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::evaluate::decide::{Judged, Twin, decide_home, margins};
    use crate::evaluate::trace::HomeTrace;
    use hearthwatch_detector::alarm::{Calibration, CalibrationCurve};
    use hearthwatch_detector::class::DeviceClass;

    proptest! {
        #[test]
        fn they_are_the_alarms_that_the_decider_raises(
            scores in prop::collection::vec(prop_oneof![3 => Just(-5.0f32), 1 => -2.0f32..3.0], 50..400),
        ) {
            let home = HomeTrace::of_scores(DeviceClass::Temperature, &scores);
            let points = vec![(0.01, 0.5), (100.0, 0.5)];
            let flat = Calibration { classes: std::collections::BTreeMap::new(), fallback: CalibrationCurve { points } };
            let judged = Judged { scores: Some(std::slice::from_ref(&scores)), calibration: &flat, baseline: None, fault_checks: None };
            let calm = vec![0.0; scores.len()];
            let twin = Twin { offsets: &calm, lifts: &[] };
            let run = decide_home(&home, &judged, 1.0, Some(twin), None);
            let decided: Vec<i64> = run.alarms.iter().map(|alarm| alarm.raised_at).collect();
            let margins = margins(&home, &judged, 1.0);
            prop_assert_eq!(episodes(&margins[0], home.at(0), home.from, 0.0), decided);
        }
    }
}
