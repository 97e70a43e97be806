//! What is known of one entity when a step closes.

use crate::finding::{Band, BaselineScore};
use crate::grid::FEATURES;

/// Turns a normalised residual (the first feature) into the unit that is shown, and back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normaliser {
    /// The expectation for this step, after the logarithm where `log` is set.
    pub centre: f32,
    /// The robust scale of the residual, likewise.
    pub scale: f32,
    /// Whether values pass through a signed `ln(1 + x)`.
    pub log: bool,
}

impl Normaliser {
    /// A value as the detector works on it: through the signed logarithm or as it is.
    #[must_use]
    pub fn transform(value: f32, log: bool) -> f32 {
        if log { value.signum() * value.abs().ln_1p() } else { value }
    }

    /// The inverse of [`Normaliser::transform`].
    #[must_use]
    pub fn inverse(transformed: f32, log: bool) -> f32 {
        if log { transformed.signum() * transformed.abs().exp_m1() } else { transformed }
    }

    /// The residual of `value` in units of the scale.
    #[must_use]
    pub fn residual(&self, value: f32) -> f32 {
        (Self::transform(value, self.log) - self.centre) / self.scale
    }

    /// The value whose residual this is.
    #[must_use]
    pub fn value(&self, residual: f32) -> f32 {
        Self::inverse(self.centre + residual * self.scale, self.log)
    }
}

/// One entity at the end of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityStep {
    /// Index in the home's list of entities.
    pub entity: u32,
    /// The step, by its end in Unix seconds.
    pub at: i64,
    /// The step's value in the unit that is shown; none before the first report and while the entity is silent.
    pub observed: Option<f32>,
    /// Whether there is enough history to speak (see [`crate::features`]).
    pub ready: bool,
    /// Whether a step's rareness means anything: not of an appliance, a constant load or a battery.
    pub has_statistics: bool,
    /// Whether the value is one of now: not of a sensor that is absent or late.
    pub is_news: bool,
    /// In the order of [`Feature::ALL`](crate::grid::Feature::ALL), within ±12, never NaN.
    pub features: [f32; FEATURES],
    /// The baseline detector's judgement.
    pub baseline: BaselineScore,
    /// Where 98 % of a fortnight's steps lay around this time's median; none before three days are known.
    pub band: Option<Band>,
    /// Between residuals and units.
    pub normal: Normaliser,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_residual_and_its_value_are_inverse_with_and_without_the_logarithm() {
        for log in [false, true] {
            let normal = Normaliser { centre: 1.5, scale: 0.4, log };
            for value in [-3.0f32, 0.0, 2.0, 500.0] {
                assert!((normal.value(normal.residual(value)) - value).abs() < 1e-3 * (1.0 + value.abs()));
            }
        }
    }
}
