//! What attackers send in place of what they learnt.

use hearthwatch_federation::Delta;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A kind of attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Attack {
    /// The opposite of what the home learnt, four times as long.
    SignFlip,
    /// The opposite of what the home learnt, as long as it is.
    SignFlipShort,
    /// Noise, ten times as long as what the home learnt.
    Noise,
    /// Learnt from the home's own windows with faults called normal and normal time called faults.
    FlippedLabels,
    /// All attackers send the same: the mean of the honest deltas less a little of their spread, parameter by parameter, so that nobody
    /// stands out (Baruch et al., NeurIPS 2019).
    LittleIsEnough,
    /// All attackers send the same opposite of the honest mean, as long as an honest delta.
    Colluding,
    /// The same, with so much noise of each attacker's own that no two are alike.
    Disguised,
    /// The first attacker sends so much that the mean becomes the opposite (Bagdasaryan et al., AISTATS 2020); the others are honest.
    ModelReplacement,
    /// A step in one fixed direction, as long as an honest delta, round after round.
    SlowDrift,
    /// Nothing learnt: a delta of zeros.
    FreeRider,
    /// Nothing learnt: the aggregate of the round before.
    Copying,
}

/// Standard deviations from the honest mean that *a little is enough* goes.
const LITTLE: f64 = 1.0;
/// Cosine of a disguised delta to the opposite of the honest mean. Two of them have its square, .49: below .6, from which the vetted mean
/// takes one for a copy of the other.
const DISGUISED: f64 = 0.7;

impl Attack {
    /// Every kind, in the order of the table.
    pub(super) const ALL: &[Self] = &[
        Self::SignFlip,
        Self::SignFlipShort,
        Self::Noise,
        Self::FlippedLabels,
        Self::LittleIsEnough,
        Self::Colluding,
        Self::Disguised,
        Self::ModelReplacement,
        Self::SlowDrift,
        Self::FreeRider,
        Self::Copying,
    ];

    /// For the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SignFlip => "sign flip x4",
            Self::SignFlipShort => "sign flip x1",
            Self::Noise => "noise x10",
            Self::FlippedLabels => "labels flipped",
            Self::LittleIsEnough => "a little is enough",
            Self::Colluding => "colluding, opposite mean",
            Self::Disguised => "the same, disguised",
            Self::ModelReplacement => "model replacement",
            Self::SlowDrift => "slow drift",
            Self::FreeRider => "free rider, nothing",
            Self::Copying => "free rider, copy",
        }
    }

    /// Whether what is sent is made of what the home learnt.
    pub(super) fn trains(self) -> bool {
        matches!(self, Self::SignFlip | Self::SignFlipShort | Self::FlippedLabels | Self::ModelReplacement)
    }

    /// What attacker number `attacker` sends in a round. It would have sent `own`, and knows what the honest homes send; `seed` is the run's.
    pub(super) fn delta(self, attacker: usize, own: &Delta, honest: &Honest, (seed, round): (u64, usize)) -> Delta {
        let as_long_as = |delta: Delta, norm: f64| {
            let own = delta.norm();
            if own > 0.0 { delta.scaled(norm / own) } else { delta }
        };
        let noise = |seed: u64| Delta::zero().noised(1.0, &mut ChaCha8Rng::seed_from_u64(seed));
        let fresh = || noise(seed ^ ((round as u64 + 1) << 32) ^ (attacker as u64 + 1));
        match self {
            Self::SignFlip => own.clone().scaled(-4.0),
            Self::SignFlipShort => own.clone().scaled(-1.0),
            Self::Noise => as_long_as(fresh(), 10.0 * honest.norm),
            Self::LittleIsEnough => honest.mean_less_deviations(LITTLE),
            Self::Colluding => as_long_as(honest.mean.clone(), -honest.norm),
            Self::Disguised => {
                let along = as_long_as(honest.mean.clone(), -DISGUISED * honest.norm);
                sum(&along, &as_long_as(fresh(), (1.0 - DISGUISED * DISGUISED).sqrt() * honest.norm))
            }
            Self::ModelReplacement if attacker == 0 => honest.mean.clone().scaled(-2.0 * honest.homes as f64),
            Self::FlippedLabels | Self::ModelReplacement => own.clone(),
            Self::SlowDrift => as_long_as(noise(seed), honest.norm),
            Self::FreeRider => Delta::zero(),
            Self::Copying => honest.before.clone(),
        }
    }
}

fn sum(one: &Delta, other: &Delta) -> Delta {
    let values = one.values().iter().zip(other.values()).map(|(one, other)| one + other).collect();
    Delta::new(values).unwrap_or_else(|_| Delta::zero())
}

/// What attackers know of the others.
pub(super) struct Honest {
    homes: usize,
    mean: Delta,
    /// Of each parameter over the honest homes.
    deviations: Vec<f64>,
    /// Mean norm of an honest delta.
    norm: f64,
    /// The aggregate of the round before; zero in the first.
    before: Delta,
}

impl Honest {
    /// Of the honest homes' deltas.
    pub(super) fn of(deltas: &[&Delta], before: Delta) -> Self {
        let homes = deltas.len().max(1) as f64;
        let length = before.values().len();
        let (mut sum, mut squares) = (vec![0.0; length], vec![0.0; length]);
        for delta in deltas {
            for (place, value) in delta.values().iter().enumerate() {
                sum[place] += f64::from(*value);
                squares[place] += f64::from(*value).powi(2);
            }
        }
        let deviations =
            sum.iter().zip(&squares).map(|(sum, squares)| (squares / homes - (sum / homes).powi(2)).max(0.0).sqrt());
        let deviations = deviations.collect();
        let mean = Delta::new(sum.iter().map(|sum| (sum / homes) as f32).collect()).unwrap_or_else(|_| Delta::zero());
        let norm = deltas.iter().map(|delta| delta.norm()).sum::<f64>() / homes;
        Self { homes: deltas.len(), mean, deviations, norm, before }
    }

    fn mean_less_deviations(&self, deviations: f64) -> Delta {
        let values = self.mean.values().iter().zip(&self.deviations);
        let values = values.map(|(mean, deviation)| (f64::from(*mean) - deviations * deviation) as f32).collect();
        Delta::new(values).unwrap_or_else(|_| Delta::zero())
    }
}
