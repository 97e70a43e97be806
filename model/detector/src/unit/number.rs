//! Numbers as a person reads them.

/// Digits after the point that are added at the most so that two numbers are read as two.
const MORE_DECIMALS_MAX: usize = 2;

/// A number with three digits, or all of those before the point.
#[must_use]
pub fn number(value: f32) -> String {
    with_more(value, 0)
}

/// Numbers of one sentence: with so many more digits that those which differ are read as different, where two more are enough for it.
/// 101.2 kPa beside 100.8 to 101.1 are not told as 101 beside 101 to 101.
#[must_use]
pub fn numbers<const N: usize>(values: [f32; N]) -> [String; N] {
    let written = |more: usize| values.map(|value| with_more(value, more));
    let apart = |written: &[String; N]| {
        let pairs = (0..N).flat_map(|one| (0..one).map(move |other| (one, other)));
        pairs.into_iter().all(|(one, other)| values[one] == values[other] || written[one] != written[other])
    };
    (0..=MORE_DECIMALS_MAX).map(written).find(apart).unwrap_or_else(|| written(0))
}

fn with_more(value: f32, more: usize) -> String {
    let size = value.abs();
    let text = if size >= 1e7 {
        format!("{value:.2e}")
    } else {
        let decimals = if size >= 100.0 {
            0
        } else if size >= 10.0 {
            1
        } else {
            2
        };
        format!("{value:.*}", decimals + more)
    };
    if text.trim_start_matches('-').chars().all(|digit| matches!(digit, '0' | '.')) { "0".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(
            [1234.4, 123.4, 12.34, 1.234, -0.001, 2e7].map(number),
            ["1234", "123", "12.3", "1.23", "0", "2.00e7"]
        );
    }

    #[test]
    fn numbers_that_differ_are_read_as_different() {
        assert_eq!(numbers([101.22, 100.83, 101.1]), ["101.2", "100.8", "101.1"]);
        assert_eq!(numbers([22.0, 18.0, 21.0]), ["22.0", "18.0", "21.0"]);
        assert_eq!(numbers([5.0, 5.0, 5.004]), ["5.000", "5.000", "5.004"]);
        assert_eq!(numbers([7.0, 7.0, 7.000_001]), ["7.00", "7.00", "7.00"]);
    }
}
