//! The rivals that every statistics card offers: how many standard deviations from the mean.

use super::trace::EntityTrace;
use crate::features::Normaliser;

/// Steps after which half of an observation's weight is gone: a day.
const HALF_LIFE_STEPS: f32 = 144.0;

/// Steps of history before an exponentially weighted deviation means anything: a day.
const WARM_STEPS: usize = 144;

/// |x − mean| / deviation with mean and deviation of the warm-up up to `from`. NaN where there is no value.
pub(super) fn fixed(entity: &EntityTrace, from: i64) -> Vec<f32> {
    let values = transformed(entity);
    let warm: Vec<f32> = (0..values.len())
        .take_while(|index| entity.at(*index) <= from)
        .map(|index| values[index])
        .filter(|value| value.is_finite())
        .collect();
    let count = warm.len().max(1) as f32;
    let mean = warm.iter().sum::<f32>() / count;
    let deviation = (warm.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count).sqrt();
    let deviation = deviation.max(entity.class.resolution());
    values.into_iter().map(|value| ((value - mean) / deviation).abs()).collect()
}

/// |x − mean| / deviation with exponentially weighted mean and deviation of what came before.
pub(super) fn ewma(entity: &EntityTrace) -> Vec<f32> {
    let alpha = 1.0 - 0.5_f32.powf(1.0 / HALF_LIFE_STEPS);
    let (mut mean, mut variance, mut seen) = (0.0_f32, 0.0_f32, 0_usize);
    let floor = entity.class.resolution();
    transformed(entity)
        .into_iter()
        .map(|value| {
            if !value.is_finite() {
                return f32::NAN;
            }
            if seen == 0 {
                mean = value;
            }
            let difference = value - mean;
            let score = difference.abs() / variance.sqrt().max(floor);
            mean += alpha * difference;
            variance = (1.0 - alpha) * (variance + alpha * difference * difference);
            seen += 1;
            if seen > WARM_STEPS { score } else { f32::NAN }
        })
        .collect()
}

fn transformed(entity: &EntityTrace) -> Vec<f32> {
    let log = entity.class.heavy_tailed();
    entity.observed.iter().map(|value| Normaliser::transform(*value, log)).collect()
}
