//! Scores as alarms need them: evidence that lasts.

/// For each step the highest threshold at which it would raise an alarm: what it and one of the two steps before it reach, as the
/// deployed decision asks. NaN where the step has no score or neither of the two before it has one.
#[must_use]
pub fn lasting(scores: &[f32]) -> Vec<f32> {
    let before = |index: usize| {
        let back = scores.get(index.saturating_sub(2)..index).unwrap_or(&[]);
        back.iter().copied().filter(|score| !score.is_nan()).fold(f32::NAN, f32::max)
    };
    let one = |(index, score): (usize, &f32)| {
        let before = before(index);
        if score.is_nan() || before.is_nan() { f32::NAN } else { score.min(before) }
    };
    scores.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_step_is_no_evidence_and_two_of_three_are() {
        assert_eq!(lasting(&[0.0, 0.0, 9.0, 0.0, 0.0])[1..], [0.0, 0.0, 0.0, 0.0]);
        assert_eq!(lasting(&[0.0, 7.0, 0.0, 9.0, 0.0])[1..], [0.0, 0.0, 7.0, 0.0]);
        assert_eq!(lasting(&[f32::NAN, 7.0, f32::NAN, 9.0])[3], 7.0);
        assert!(lasting(&[5.0])[0].is_nan());
    }
}
