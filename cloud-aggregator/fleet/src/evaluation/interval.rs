//! Intervals of counts and shares.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF as _};

/// A value with the interval that holds the true one with the stated confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Interval {
    /// What was measured.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A rate: `count` events in `exposure` units of time, above 0, with its exact interval (Garwood, Fiducial limits for the Poisson
/// distribution, 1936). `error` is the chance that the true rate lies outside, e.g. 0.05. None without exposure.
#[must_use]
pub fn poisson_rate(count: u64, exposure: f64, error: f64) -> Option<Interval> {
    if !(exposure > 0.0 && exposure.is_finite()) {
        return None;
    }
    let count = count as f64;
    let quantile = |degrees: f64, share: f64| ChiSquared::new(degrees).map_or(0.0, |chi| chi.inverse_cdf(share));
    let low = if count > 0.0 { quantile(2.0 * count, error / 2.0) / 2.0 } else { 0.0 };
    let high = quantile(2.0 * count + 2.0, 1.0 - error / 2.0) / 2.0;
    Some(Interval { value: count / exposure, low: low / exposure, high: high / exposure })
}

/// The normal distribution's 97.5 % point.
const Z: f64 = 1.959_964;

/// A share with its 95 % interval (Wilson, 1927). None of nothing.
#[must_use]
pub fn wilson(part: u64, all: u64) -> Option<Interval> {
    if all == 0 {
        return None;
    }
    let (n, value) = (all as f64, part as f64 / all as f64);
    let middle = (value + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (value * (1.0 - value) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some(Interval { value, low: (middle - half).max(0.0), high: (middle + half).min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(interval: Interval, expected: (f64, f64, f64)) {
        let Interval { value, low, high } = interval;
        let close = |one: f64, other: f64| (one - other).abs() < 1e-3;
        assert!(close(value, expected.0) && close(low, expected.1) && close(high, expected.2), "{interval:?}");
    }

    #[test]
    fn the_intervals_are_those_of_the_tables() {
        // Garwood's table: 10 events, 95 %: 4.795 to 18.391; none: 0 to 3.689.
        near(poisson_rate(10, 1.0, 0.05).unwrap(), (10.0, 4.795, 18.391));
        near(poisson_rate(0, 2.0, 0.05).unwrap(), (0.0, 0.0, 1.844));
        near(wilson(5, 10).unwrap(), (0.5, 0.2366, 0.7634));
        assert_eq!((poisson_rate(3, 0.0, 0.05), wilson(0, 0)), (None, None));
    }
}
