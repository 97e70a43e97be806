//! What is learnt of an entity's last fortnight, refreshed once a day.

use half::bf16;

use crate::class::DeviceClass;
use crate::experts::autoregression::Autoregression;
use crate::experts::peers::PeerRegression;
use crate::features::ring::{Flags, Ring};
use crate::grid::{DAY_STEPS, HISTORY_STEPS};
use crate::statistics::robust;
use crate::statistics::tail::Tail;

/// Steps of the short roughness, 3 h.
pub(crate) const ROUGH_STEPS: usize = 18;
/// Before anything is learnt, the scale is this many times the class's resolution.
const FIRST_SCALE: f32 = 5.0;

/// Scales, tails and fits of one entity.
#[derive(Debug, Clone)]
pub(crate) struct Learnt {
    /// Robust scale of the residual.
    pub(crate) scale: f32,
    /// Robust scale of the first difference.
    pub(crate) step_scale: f32,
    /// Median of the values.
    pub(crate) level: f32,
    /// Of r above the usual, and of −r below it: what a quantity often does one way says nothing of the other.
    pub(crate) above_tail: Tail,
    pub(crate) below_tail: Tail,
    /// Of the short roughness in units of the value.
    pub(crate) rough_tail: Tail,
    pub(crate) autoregression: Option<Autoregression>,
    pub(crate) peers: Option<PeerRegression>,
    /// The greatest of the values.
    pub(crate) greatest: f32,
    /// Steps of the fortnight with a value.
    pub(crate) known: usize,
}

impl Learnt {
    pub(crate) fn nothing(class: DeviceClass) -> Self {
        Self {
            scale: FIRST_SCALE * class.resolution(),
            step_scale: class.resolution(),
            level: 0.0,
            above_tail: Tail::unknown(),
            below_tail: Tail::unknown(),
            rough_tail: Tail::unknown(),
            autoregression: None,
            peers: None,
            greatest: f32::INFINITY,
            known: 0,
        }
    }

    /// How far below and above the expectation a residual is usual, in its scale: 98 % of the fortnight's each way, and never less
    /// than one; none before it is known.
    pub(crate) fn usual_residuals(&self) -> Option<(f32, f32)> {
        Some((self.below_tail.usual_limit()?.max(1.0), self.above_tail.usual_limit()?.max(1.0)))
    }

    /// Whether a residual lies outside of what is usual; anything is usual of what is not known.
    pub(crate) fn is_outside(&self, residual: f32) -> bool {
        self.usual_residuals().is_some_and(|(below, above)| residual > above || residual < -below)
    }

    /// The surprise at a residual among those of its own side. Half of what is rare one way is as rare as all of what is rare
    /// either way: both sides are looked at, and each gets half of the chance.
    pub(crate) fn level_surprise(&self, residual: f32) -> f32 {
        let tail = if residual >= 0.0 { &self.above_tail } else { &self.below_tail };
        (tail.surprise(residual.abs()) - std::f32::consts::LN_2).max(0.0)
    }

    /// Learns from the last fortnight; peers come later, from the whole home. With less than a day nothing changes.
    /// `blank` makes unknown what is not to be learnt from.
    pub(crate) fn refit(
        &mut self,
        class: DeviceClass,
        (values, residuals, reported): (&Ring, &Ring<bf16>, &Flags),
        blank: impl Fn(&mut [f32]),
    ) {
        let mut series = Vec::with_capacity(HISTORY_STEPS);
        values.copy_into(&mut series);
        blank(&mut series);
        let first = series.iter().position(|value| !value.is_nan()).unwrap_or(series.len());
        let series = &series[first..];
        let fresh: Vec<bool> = reported.iter().skip(first).collect();
        self.known = series.iter().filter(|value| !value.is_nan()).count();
        if self.known < DAY_STEPS {
            return;
        }
        let floor = class.resolution();
        let mut scratch: Vec<f32> = series.iter().copied().filter(|value| !value.is_nan()).collect();
        self.greatest = scratch.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        self.level = robust::quantile(&mut scratch, 0.5).unwrap_or(self.level);

        let mut left = Vec::with_capacity(HISTORY_STEPS);
        residuals.copy_into(&mut left);
        blank(&mut left);
        left.retain(|residual| !residual.is_nan());
        if let Some(scale) = robust::scale(&mut left, &mut scratch) {
            self.scale = scale.max(floor);
        }
        left.iter_mut().for_each(|residual| *residual /= self.scale);
        for (tail, way) in [(&mut self.above_tail, 1.0), (&mut self.below_tail, -1.0)] {
            scratch.clear();
            scratch.extend(left.iter().map(|residual| (way * residual).max(0.0)));
            *tail = Tail::fit(&mut scratch);
        }

        // From here on the last value stands in where none is known.
        let mut held = series[0];
        let filled: Vec<f32> = series
            .iter()
            .map(|value| {
                held = if value.is_nan() { held } else { *value };
                held
            })
            .collect();
        let moves: Vec<f32> = filled.windows(2).map(|pair| pair[1] - pair[0]).collect();
        left.clear();
        left.extend(moves.iter().filter(|step| **step != 0.0).map(|step| step.abs()));
        let typical = robust::quantile(&mut left, 0.5).unwrap_or(0.0) * robust::MAD_TO_SIGMA;
        self.step_scale = typical.max(0.25 * floor);

        left.clear();
        let mut sum = 0.0f64;
        for (at, step) in moves.iter().enumerate() {
            sum += f64::from(*step).powi(2);
            if at >= ROUGH_STEPS {
                sum -= f64::from(moves[at - ROUGH_STEPS]).powi(2);
            }
            if at + 1 >= ROUGH_STEPS {
                left.push((sum.max(0.0) / ROUGH_STEPS as f64).sqrt() as f32);
            }
        }
        self.rough_tail = Tail::fit(&mut left);
        self.autoregression = Autoregression::fit(&filled, &fresh, 0.25 * floor);
    }
}
