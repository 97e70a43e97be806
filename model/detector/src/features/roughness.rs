//! How much a value moves from step to step.

use super::learnt::ROUGH_STEPS;
use super::ring::Ring;
use crate::grid::DAY_STEPS;

/// Root mean squared difference over 3 h, the same without its two largest, and over 24 h, the newest value included.
pub(crate) fn roughness(values: &Ring) -> (f32, f32, f32) {
    let (old, new) = values.newest(DAY_STEPS + 1);
    let (mut short, mut long) = (0.0f32, 0.0f32);
    let mut largest = [0.0f32; 2];
    let mut before = f32::NAN;
    let count = old.len() + new.len();
    for (index, value) in old.iter().chain(new).enumerate() {
        let step = value - before;
        if !step.is_nan() {
            long += step * step;
            if index + ROUGH_STEPS >= count {
                short += step * step;
                let smaller = largest[0].min(step * step);
                largest = [largest[0].max(step * step), largest[1].max(smaller)];
            }
        }
        before = *value;
    }
    let rest = (short - largest[0] - largest[1]).max(0.0);
    let of = |sum: f32, steps: usize| (sum / steps as f32).sqrt();
    (of(short, ROUGH_STEPS), of(rest, ROUGH_STEPS), of(long, DAY_STEPS))
}
