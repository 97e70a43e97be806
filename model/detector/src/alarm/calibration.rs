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
    /// going on along the last two towards rarer alarms, and flat towards more frequent ones: below the lowest threshold that was
    /// measured nothing is known of what a score means. More alarms never ask for a higher threshold.
    #[must_use]
    pub fn threshold(&self, episodes_per_week: f32) -> f32 {
        interpolated(&self.by_rate(), episodes_per_week)
    }

    /// Logarithm of the rate and threshold of each usable point, by rate, one for each rate.
    fn by_rate(&self) -> Vec<(f32, f32)> {
        let usable = self.points.iter().filter(|(rate, threshold)| rate.is_finite() && threshold.is_finite());
        let mut points: Vec<(f32, f32)> =
            usable.map(|&(rate, threshold)| (rate.max(RATE_MIN).ln(), threshold)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points.dedup_by(|a, b| a.0 == b.0);
        points
    }
}

/// As [`CalibrationCurve::threshold`], of points as [`CalibrationCurve::by_rate`] gives them.
fn interpolated(points: &[(f32, f32)], episodes_per_week: f32) -> f32 {
    let wanted = if episodes_per_week.is_finite() { episodes_per_week.max(RATE_MIN).ln() } else { 0.0 };
    match points {
        [] => 0.0,
        [only] => only.1,
        many => {
            let right = many.partition_point(|point| point.0 < wanted).clamp(1, many.len() - 1);
            let ((x0, y0), (x1, y1)) = (many[right - 1], many[right]);
            // A noisy curve may rise somewhere; its slope is then taken as flat.
            let slope = ((y1 - y0) / (x1 - x0)).min(0.0);
            y0 + slope * (wanted.min(many[many.len() - 1].0) - x0)
        }
    }
}

/// Steps of the search in [`CalibrationCurve::rarity`]: 27.6 natural logarithms / 2²⁴ are far below what a score means.
const SEARCH_STEPS: u32 = 24;
/// The highest rate that is told apart: more than one episode in each step of a week.
const RATE_MAX: f32 = 1e4;

impl CalibrationCurve {
    /// How rare a score is, whatever gave it: minus the natural logarithm of the episodes per entity-week at which it would
    /// just be the threshold. What is rarer than the curve tells grows by the score itself.
    ///
    /// So scores of different classes and models compare, and a stored one can be held against any budget: it speaks where
    /// its rarity is at least `-ln(episodes per entity-week)`.
    #[must_use]
    pub fn rarity(&self, score: f32) -> f32 {
        let points = self.by_rate();
        let (mut rare, mut common) = (-RATE_MIN.ln(), -RATE_MAX.ln());
        let beyond = score - interpolated(&points, RATE_MIN);
        if beyond >= 0.0 {
            return rare + beyond;
        }
        for _ in 0..SEARCH_STEPS {
            let middle = f32::midpoint(rare, common);
            if interpolated(&points, (-middle).exp()) <= score { common = middle } else { rare = middle }
        }
        common
    }
}

/// The curves of every device class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// A class without a curve uses the fallback.
    pub classes: BTreeMap<DeviceClass, CalibrationCurve>,
    /// For classes without one of their own.
    pub fallback: CalibrationCurve,
}

impl Calibration {
    /// The threshold at which an entity of this class gives so many episodes a week.
    #[must_use]
    pub fn threshold(&self, class: DeviceClass, episodes_per_week: f32) -> f32 {
        self.curve(class).threshold(episodes_per_week)
    }

    /// How rare a score of an entity of this class is ([`CalibrationCurve::rarity`]).
    #[must_use]
    pub fn rarity(&self, class: DeviceClass, score: f32) -> f32 {
        self.curve(class).rarity(score)
    }

    fn curve(&self, class: DeviceClass) -> &CalibrationCurve {
        self.classes.get(&class).unwrap_or(&self.fallback)
    }

    /// The same with the curves of `binary` for on/off classes that have none here: the pooled curve is that of numbers,
    /// whose scores come from other statistics.
    #[must_use]
    pub fn with_binary(mut self, binary: &Self) -> Self {
        for class in DeviceClass::ALL.iter().filter(|class| class.is_binary()) {
            let curve = binary.classes.get(class).unwrap_or(&binary.fallback);
            self.classes.entry(*class).or_insert_with(|| curve.clone());
        }
        self
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
    fn towards_rarer_alarms_the_last_slope_goes_on_and_towards_more_the_lowest_threshold_stays() {
        assert!((curve().threshold(0.001) - 5.0).abs() < 1e-4);
        assert!((curve().threshold(10.0) - 1.0).abs() < 1e-4);
        assert!((curve().threshold(1e6) - 1.0).abs() < 1e-4);
    }

    #[test]
    fn a_rarity_is_the_rate_at_which_the_score_would_just_speak() {
        for rate in [1.0f32, 0.3, 0.02, 0.0005] {
            let rarity = curve().rarity(curve().threshold(rate));
            assert!((rarity + rate.ln()).abs() < 1e-3, "{rate}: {rarity}");
        }
        let rarest = curve().threshold(RATE_MIN);
        assert!((curve().rarity(rarest + 2.0) - (2.0 - RATE_MIN.ln())).abs() < 1e-3);
    }

    #[test]
    fn a_curve_without_usable_points_still_answers() {
        assert!(CalibrationCurve { points: vec![] }.threshold(1.0).abs() < 1e-9);
        assert!(curve().threshold(f32::NAN).is_finite());
    }

    #[test]
    fn on_off_classes_get_their_own_curve_and_numbers_keep_the_pooled_one() {
        let flat = |height| CalibrationCurve { points: vec![(1.0, height)] };
        let numbers = Calibration { classes: BTreeMap::from([(DeviceClass::Door, flat(7.0))]), fallback: flat(1.0) };
        let binary = Calibration { classes: BTreeMap::from([(DeviceClass::Motion, flat(2.0))]), fallback: flat(3.0) };
        let both = numbers.with_binary(&binary);
        let at = |class| both.threshold(class, 1.0);
        assert_eq!(at(DeviceClass::Motion), 2.0);
        assert_eq!(at(DeviceClass::Window), 3.0);
        assert_eq!(at(DeviceClass::Door), 7.0);
        assert_eq!(at(DeviceClass::Water), 1.0);
    }

    #[test]
    fn a_calibration_reads_back_from_json() {
        let one = Calibration { classes: BTreeMap::from([(DeviceClass::Pm25, curve())]), fallback: curve() };
        let text = serde_json::to_string(&one).expect("serialises");
        assert_eq!(serde_json::from_str::<Calibration>(&text).expect("reads"), one);
    }
}
