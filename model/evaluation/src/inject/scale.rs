//! How much an entity moves by itself: the measure that fault sizes are given in.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::reading::Value;

/// Makes a median absolute deviation comparable with a standard deviation of normal noise.
const MAD_TO_SIGMA: f64 = 1.4826;

/// Values needed before a scale means anything: two days of hours.
const VALUES_MIN: usize = 48;

/// An entity's own measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Robust scale of the residual against the hour's median, after the logarithm where `log` is set. For meters: of
    /// the consumption per hour, not logarithmic.
    pub residual: f64,
    /// The same in the entity's unit without the logarithm (for meters: per hour).
    pub linear: f64,
    /// Whether values are treated through `ln(1 + x)`.
    pub log: bool,
    /// Lowest and highest value seen; a faulty sensor stays within reach of them.
    pub range: (f64, f64),
    /// Typical seconds between reports.
    pub interval: i64,
}

/// Measures a series of readings; `None` for too few values. Binary entities get a unit scale.
#[must_use]
pub fn scale_of(series: &[(i64, Value)], class: DeviceClass) -> Option<Scale> {
    let interval = typical_interval(series)?;
    if class.is_binary() {
        return Some(Scale { residual: 1.0, linear: 1.0, log: false, range: (0.0, 1.0), interval });
    }
    let numbers = numbers_of(series);
    let values = if class.counter() { hourly_use(&numbers) } else { numbers };
    if values.len() < VALUES_MIN {
        return None;
    }
    let range = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (_, value)| (low.min(*value), high.max(*value)));
    let log = class.heavy_tailed() && !class.counter() && range.0 > -1.0;
    let linear = residual_scale(&values).max(1e-6 * range.0.abs().max(range.1.abs()).max(1e-6));
    let residual = if log {
        let logs: Vec<(i64, f64)> = values.iter().map(|(at, value)| (*at, value.max(0.0).ln_1p())).collect();
        residual_scale(&logs).max(f64::from(class.resolution()))
    } else if class.counter() {
        linear
    } else {
        linear.max(f64::from(class.resolution()))
    };
    Some(Scale { residual, linear, log, range, interval })
}

pub(super) fn numbers_of(series: &[(i64, Value)]) -> Vec<(i64, f64)> {
    series
        .iter()
        .filter_map(|(at, value)| match value {
            Value::Number(number) => Some((*at, *number)),
            _ => None,
        })
        .collect()
}

/// Consumption between neighbouring readings of a meter, per hour; resets and long gaps are left out.
fn hourly_use(numbers: &[(i64, f64)]) -> Vec<(i64, f64)> {
    const GAP_SECONDS: i64 = 6 * 3600;
    numbers
        .windows(2)
        .filter_map(|pair| {
            let ((before, low), (at, high)) = (pair[0], pair[1]);
            let seconds = at - before;
            (seconds > 0 && seconds <= GAP_SECONDS && high >= low).then(|| (at, (high - low) * 3600.0 / seconds as f64))
        })
        .collect()
}

/// Robust scale of the values less the median of their hour of the day (UTC; the hour is only a bucket).
fn residual_scale(values: &[(i64, f64)]) -> f64 {
    let mut hours: Vec<Vec<f64>> = vec![Vec::new(); 24];
    for (at, value) in values {
        hours[(at.div_euclid(3600)).rem_euclid(24) as usize].push(*value);
    }
    let centres: Vec<f64> = hours.iter_mut().map(|hour| median(hour)).collect();
    let mut residuals: Vec<f64> = values
        .iter()
        .map(|(at, value)| (value - centres[(at.div_euclid(3600)).rem_euclid(24) as usize]).abs())
        .collect();
    let robust = MAD_TO_SIGMA * median(&mut residuals);
    // More than half of the values may sit exactly on their median (light at night, a meter at rest): then the mean
    // deviation says how large the rest is.
    let mean = residuals.iter().sum::<f64>() / residuals.len().max(1) as f64;
    robust.max(mean)
}

/// Lower median; zero without values. Reorders its input.
fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = (values.len() - 1) / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

fn typical_interval(series: &[(i64, Value)]) -> Option<i64> {
    let mut gaps: Vec<i64> = series.windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|gap| *gap > 0).collect();
    if gaps.is_empty() {
        return None;
    }
    let middle = gaps.len() / 2;
    Some(*gaps.select_nth_unstable(middle).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daily_rhythm_is_no_noise() {
        let series: Vec<(i64, Value)> = (0..24 * 30)
            .map(|hour| {
                let wobble = if hour % 7 < 3 { 0.3 } else { -0.3 };
                (hour * 3600, Value::Number(20.0 + 5.0 * f64::from((hour % 24) as u32) + wobble))
            })
            .collect();
        let scale = scale_of(&series, DeviceClass::Temperature).unwrap();
        assert!(scale.residual > 0.2 && scale.residual < 1.0, "{scale:?}");
        assert_eq!(scale.interval, 3600);
    }

    #[test]
    fn a_meter_is_measured_by_its_use_per_hour() {
        let mut total = 0.0;
        let series: Vec<(i64, Value)> = (0..24 * 30)
            .map(|hour| {
                total += f64::from((hour * 7 % 11) as u32);
                (hour * 3600, Value::Number(total))
            })
            .collect();
        let scale = scale_of(&series, DeviceClass::Water).unwrap();
        assert!(scale.linear > 1.0 && scale.linear < 8.0, "{scale:?}");
        assert!(!scale.log);
    }

    #[test]
    fn too_few_values_have_no_scale() {
        assert_eq!(scale_of(&[(0, Value::Number(1.0)), (60, Value::Number(2.0))], DeviceClass::Power), None);
    }
}
