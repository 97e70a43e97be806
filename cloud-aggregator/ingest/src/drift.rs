//! Whether windows still look as they did. Pure.
//!
//! A window comes with an alarm, so its end is unusual by design. Its first four hours, half a day before, are ordinary life.

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::drift::PageHinkley;
use hearthwatch_detector::grid::{FEATURES, WINDOW_STEPS};

/// Rows at the start of a window that count as ordinary life: 24 steps are four hours.
pub const ORDINARY_ROWS: usize = 24;

/// The feature whose ordinary size is watched as it comes in: the residual.
const RESIDUAL_FEATURE: usize = 0;

/// Page and Hinkley's allowance and limit for the mean size of ordinary residuals: half a scale of slow movement is no
/// news, ten window-scales of it is.
const MOVE_TOLERANCE: f64 = 0.5;
const MOVE_LIMIT: f64 = 10.0;

/// Watches windows as they come in: has the usual size of residuals moved? One test for each device class, since a
/// fleet that gains water meters has not drifted.
#[derive(Debug, Default)]
pub struct DriftWatch {
    classes: BTreeMap<DeviceClass, PageHinkley>,
}

impl DriftWatch {
    /// Takes a window; says whether its class has moved. A window of another size is passed over.
    pub fn step(&mut self, class: DeviceClass, window: &[f32]) -> bool {
        if window.len() != WINDOW_STEPS * FEATURES {
            return false;
        }
        let rows = window.chunks_exact(FEATURES).take(ORDINARY_ROWS);
        let mean = rows.map(|row| f64::from(row[RESIDUAL_FEATURE].abs())).sum::<f64>() / ORDINARY_ROWS as f64;
        let test = self.classes.entry(class).or_insert_with(|| PageHinkley::new(MOVE_TOLERANCE, MOVE_LIMIT));
        test.step(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window whose residuals have a mean of about `by`, and a bit.
    fn window(by: f32) -> Vec<f32> {
        (0..WINDOW_STEPS * FEATURES).map(|place| by + ((place * 31 + 17) % 100) as f32 / 100.0).collect()
    }

    #[test]
    fn a_class_whose_residuals_grow_is_noticed_and_another_class_beside_it_is_not() {
        let mut watch = DriftWatch::default();
        let (calm, loud) = (window(0.0), window(3.0));
        assert!(!(0..50).any(|_| watch.step(DeviceClass::Power, &calm)));
        assert!(!(0..50).any(|_| watch.step(DeviceClass::Water, &loud)), "loud from the start is usual");
        assert!((0..50).any(|_| watch.step(DeviceClass::Power, &loud)));
        assert!(!watch.step(DeviceClass::Power, &loud[1..]));
    }
}
