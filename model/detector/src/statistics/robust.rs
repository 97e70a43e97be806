//! Order statistics: what an outlier cannot move.

/// Turns a median absolute deviation into a standard deviation, for normal values.
pub(crate) const MAD_TO_SIGMA: f32 = 1.4826;

/// The `share` quantile (nearest rank) of `values`, which are reordered; none when there are none. No value may be NaN.
pub(crate) fn quantile(values: &mut [f32], share: f32) -> Option<f32> {
    if values.is_empty() {
        return None;
    }
    let rank = ((values.len() - 1) as f32 * share).round() as usize;
    let (_, value, _) = values.select_nth_unstable_by(rank.min(values.len() - 1), f32::total_cmp);
    Some(*value)
}

/// The `share` quantile (nearest rank) of `sorted`; none when there are none.
pub(crate) fn nearest_rank(sorted: &[f32], share: f32) -> Option<f32> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get(((last as f32 * share).round() as usize).min(last)).copied()
}

/// The standard deviation that the bulk of `residuals` has: the larger of the scaled median absolute value and of the
/// spread between the 2 % and 98 % quantiles, so that a series that rests at one value most of the time keeps a scale.
/// `residuals` are reordered; none when there are none.
pub fn scale(residuals: &mut [f32], scratch: &mut Vec<f32>) -> Option<f32> {
    // A normal variable's 2 % and 98 % quantiles lie 4.1 standard deviations apart.
    const SPREAD_TO_SIGMA: f32 = 1.0 / 4.107;
    let spread = quantile(residuals, 0.98)? - quantile(residuals, 0.02)?;
    scratch.clear();
    scratch.extend(residuals.iter().map(|value| value.abs()));
    let deviation = quantile(scratch, 0.5)?;
    Some((deviation * MAD_TO_SIGMA).max(spread * SPREAD_TO_SIGMA))
}

/// The median of a few values (sorted in place); none when there are none. No value may be NaN.
pub(crate) fn median_of_few(values: &mut [f32]) -> Option<f32> {
    if values.is_empty() {
        return None;
    }
    values.sort_unstable_by(f32::total_cmp);
    let middle = values.len() / 2;
    Some(if values.len() % 2 == 1 { values[middle] } else { 0.5 * (values[middle - 1] + values[middle]) })
}

/// The median of `sorted` without one occurrence of `own` (or of all when it is not among them).
pub(crate) fn median_without(sorted: &[f32], own: f32) -> Option<f32> {
    let place = sorted.partition_point(|value| *value < own);
    let there = sorted.get(place).is_some_and(|value| *value == own);
    let length = sorted.len() - usize::from(there);
    // The i-th of what remains.
    let nth = |i: usize| sorted[if there && i >= place { i + 1 } else { i }];
    match length {
        0 => None,
        odd if odd % 2 == 1 => Some(nth(odd / 2)),
        even => Some(0.5 * (nth(even / 2 - 1) + nth(even / 2))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_value_does_not_move_the_scale() {
        let mut calm: Vec<f32> = (0..1000).map(|i| ((i * 37 % 100) as f32 - 50.0) / 50.0).collect();
        let before = scale(&mut calm, &mut Vec::new()).unwrap();
        calm.push(1e6);
        let after = scale(&mut calm, &mut Vec::new()).unwrap();
        assert!((before - after).abs() < 0.02 * before);
    }

    #[test]
    fn the_median_of_the_others_leaves_out_oneself() {
        let all = [1.0, 2.0, 2.0, 7.0, 9.0];
        for own in [1.0, 2.0, 7.0, 9.0] {
            let mut others = all.to_vec();
            others.remove(all.iter().position(|value| *value == own).unwrap());
            assert_eq!(median_without(&all, own), median_of_few(&mut others));
        }
        assert_eq!(median_without(&all, f32::NAN), Some(2.0));
        assert_eq!(median_without(&[3.0], 3.0), None);
    }

    #[test]
    fn an_even_number_of_values_has_the_middle_of_two_as_median() {
        assert_eq!(median_of_few(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median_of_few(&mut []), None);
    }
}
