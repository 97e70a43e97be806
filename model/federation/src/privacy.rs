//! What noise buys: an upper bound on what rounds reveal about one home (differential privacy, by Rényi divergence).

mod statement;

pub use statement::{
    NoisedBy, PrivacyStatement, PrivacyTerms, RoundNoise, Strength, newest_with_noise, stated, stated_of_rounds,
    stated_over,
};

/// A guarantee: for any one home, what was published is at most e^ε times as likely with it as without, except with a chance of δ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrivacyLoss {
    /// Infinite without noise.
    pub epsilon: f64,
    /// The chance that was asked for.
    pub delta: f64,
}

/// Orders of the Rényi divergence that are tried; all whole, as the bound for samples needs.
const ORDERS: std::ops::RangeInclusive<u32> = 2..=512;

/// What `rounds` rounds reveal, in which each home takes part with the chance `sampling` and the noise on the sum of all deltas has a
/// standard deviation of `multiplier` times the clip.
///
/// Rényi differential privacy of the sampled Gaussian (Mironov, Talwar and Zhang 2019, whole orders), added over rounds, and turned
/// into ε by Proposition 12 of Canonne, Kamath and Steinke (2020).
#[must_use]
pub fn privacy_loss(multiplier: f64, sampling: f64, rounds: u32, delta: f64) -> PrivacyLoss {
    if !(multiplier > 0.0 && (0.0..=1.0).contains(&sampling)) {
        return PrivacyLoss { epsilon: f64::INFINITY, delta };
    }
    let of_order = |order: u32| {
        let alpha = f64::from(order);
        let divergence = f64::from(rounds) * renyi(multiplier, sampling, order);
        divergence + ((alpha - 1.0) / alpha).ln() - (delta.ln() + alpha.ln()) / (alpha - 1.0)
    };
    let epsilon = ORDERS.map(of_order).fold(f64::INFINITY, f64::min).max(0.0);
    PrivacyLoss { epsilon, delta }
}

/// Divergence of one round at a whole order.
fn renyi(multiplier: f64, sampling: f64, order: u32) -> f64 {
    let (alpha, variance) = (f64::from(order), multiplier * multiplier);
    if sampling == 0.0 {
        return 0.0;
    }
    if sampling >= 1.0 {
        return alpha / (2.0 * variance);
    }
    // ln Σₖ C(α, k) (1 − q)^(α − k) q^k exp((k² − k) / 2σ²), in logarithms: the largest terms would overflow.
    let mut choose = 0.0;
    let mut terms = Vec::with_capacity(order as usize + 1);
    for k in 0..=order {
        let count = f64::from(k);
        terms.push(
            choose
                + (alpha - count) * (1.0 - sampling).ln()
                + count * sampling.ln()
                + (count * count - count) / (2.0 * variance),
        );
        choose += (alpha - count).ln() - (count + 1.0).ln();
    }
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (largest + terms.iter().map(|term| (term - largest).exp()).sum::<f64>().ln()) / (alpha - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise multiplier, sampling, rounds, and the ε that Google's `dp-accounting` 0.6.0 prints for them (`RdpAccountant`, orders 2 to 512,
    /// Poisson sampling, neighbours by one home more or less, δ 1e-5).
    const EXPECTED: &[(f64, f64, u32, f64)] = &[
        (1.0, 1.0, 1, 4.752_728_336_8),
        (1.0, 1.0, 10, 19.801_691_480_0),
        (3.0, 1.0, 30, 9.754_528_295_5),
        (0.8, 0.1, 10, 5.752_276_870_8),
        (1.0, 0.1, 30, 4.848_039_837_6),
        (1.0, 0.01, 1000, 2.107_753_075_5),
        (3.0, 0.05, 30, 0.399_544_396_0),
        (12.0, 1.0, 15, 1.337_663_935_7),
    ];

    #[test]
    fn the_loss_is_that_of_a_published_accountant() {
        for (multiplier, sampling, rounds, expected) in EXPECTED {
            let found = privacy_loss(*multiplier, *sampling, *rounds, 1e-5).epsilon;
            assert!(
                (found - expected).abs() <= 1e-6 * expected.max(1.0),
                "{multiplier} {sampling} {rounds}: {found}, not {expected}"
            );
        }
    }

    #[test]
    fn without_noise_nothing_is_promised() {
        assert_eq!(privacy_loss(0.0, 1.0, 1, 1e-5).epsilon, f64::INFINITY);
    }

    #[test]
    fn more_rounds_reveal_more_and_more_noise_reveals_less() {
        let of = |multiplier, rounds| privacy_loss(multiplier, 0.1, rounds, 1e-5).epsilon;
        assert!(of(1.0, 10) < of(1.0, 30) && of(2.0, 10) < of(1.0, 10));
    }
}
