//! From "at most so many alarms a week" to a threshold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::class::DeviceClass;

/// Thresholds by the rate of episodes that they give on calibration homes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationCurve {
    /// (episodes per entity-week, threshold), in any order; at least one.
    pub points: Vec<(f32, f32)>,
}

/// The lowest rate that is told apart from never: one alarm of an entity in two hundred years.
const RATE_MIN: f32 = 1e-4;

impl CalibrationCurve {
    /// The threshold for a rate (episodes per entity-week): linear in the logarithm of the rate between the points,
    /// going on along the last two beyond them. More alarms never ask for a higher threshold.
    #[must_use]
    pub fn threshold(&self, episodes_per_week: f32) -> f32 {
        let mut points: Vec<(f32, f32)> = self
            .points
            .iter()
            .filter(|(rate, threshold)| rate.is_finite() && threshold.is_finite())
            .map(|&(rate, threshold)| (rate.max(RATE_MIN).ln(), threshold))
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points.dedup_by(|a, b| a.0 == b.0);
        let wanted = if episodes_per_week.is_finite() { episodes_per_week.max(RATE_MIN).ln() } else { 0.0 };
        match points.as_slice() {
            [] => 0.0,
            [only] => only.1,
            many => {
                let right = many.partition_point(|point| point.0 < wanted).clamp(1, many.len() - 1);
                let ((x0, y0), (x1, y1)) = (many[right - 1], many[right]);
                // A noisy curve may rise somewhere; its slope is then taken as flat.
                let slope = ((y1 - y0) / (x1 - x0)).min(0.0);
                y0 + slope * (wanted - x0)
            }
        }
    }
}

/// The curves of every device class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// By class.
    pub classes: BTreeMap<DeviceClass, CalibrationCurve>,
    /// For classes without one of their own.
    pub fallback: CalibrationCurve,
}

impl Calibration {
    /// The threshold at which an entity of this class gives so many episodes a week.
    #[must_use]
    pub fn threshold(&self, class: DeviceClass, episodes_per_week: f32) -> f32 {
        self.classes.get(&class).unwrap_or(&self.fallback).threshold(episodes_per_week)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve() -> CalibrationCurve {
        CalibrationCurve { points: vec![(1.0, 1.0), (0.1, 3.0), (0.01, 4.0)] }
    }

    #[test]
    fn the_threshold_is_interpolated_in_the_logarithm_of_the_rate() {
        assert!((curve().threshold(0.1) - 3.0).abs() < 1e-5);
        assert!((curve().threshold(0.1f32.sqrt()) - 2.0).abs() < 1e-5);
    }

    #[test]
    fn beyond_the_points_the_last_slope_goes_on() {
        assert!((curve().threshold(0.001) - 5.0).abs() < 1e-4);
        assert!((curve().threshold(10.0) + 1.0).abs() < 1e-4);
    }

    #[test]
    fn a_curve_without_usable_points_still_answers() {
        assert!(CalibrationCurve { points: vec![] }.threshold(1.0).abs() < 1e-9);
        assert!(curve().threshold(f32::NAN).is_finite());
    }

    #[test]
    fn a_calibration_reads_back_from_json() {
        let one = Calibration { classes: BTreeMap::from([(DeviceClass::Pm25, curve())]), fallback: curve() };
        let text = serde_json::to_string(&one).expect("serialises");
        assert_eq!(serde_json::from_str::<Calibration>(&text).expect("reads"), one);
    }
}
