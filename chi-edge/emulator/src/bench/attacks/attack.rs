//! What homes that lie send in place of what they learnt.

use hearthwatch_federation::{Aggregate, Delta, Strategy};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A kind of lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attack {
    /// The opposite, four times as long.
    SignFlip,
    /// Noise, ten times as long as what the home learnt.
    Noise,
    /// All liars send the same: the mean of the honest less a little of their spread, parameter by parameter, so that nobody stands
    /// out (Baruch et al., NeurIPS 2019).
    LittleIsEnough,
    /// All liars send the same opposite of the honest mean, as long as an honest delta.
    Colluding,
    /// One liar sends so much that the mean becomes the opposite (Bagdasaryan et al., AISTATS 2020).
    ModelReplacement,
    /// A small step in one fixed direction, round after round.
    SlowDrift,
    /// Nothing learnt, nothing sent: weights as they were.
    FreeRider,
}

/// Standard deviations from the honest mean that *a little is enough* goes.
const LITTLE: f64 = 1.0;

impl Attack {
    /// Every kind, in the order of the table.
    pub(super) const ALL: &[Self] = &[
        Self::SignFlip,
        Self::Noise,
        Self::LittleIsEnough,
        Self::Colluding,
        Self::ModelReplacement,
        Self::SlowDrift,
        Self::FreeRider,
    ];

    /// For the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SignFlip => "sign flip x4",
            Self::Noise => "noise x10",
            Self::LittleIsEnough => "a little is enough",
            Self::Colluding => "colluding, opposite mean",
            Self::ModelReplacement => "model replacement",
            Self::SlowDrift => "slow drift",
            Self::FreeRider => "free rider",
        }
    }

    /// What liar number `liar` sends, who would have sent `own` and knows what the honest homes send.
    fn lie(self, liar: usize, own: &Delta, honest: &Honest, seed: u64) -> Delta {
        let as_long_as = |delta: Delta, norm: f64| {
            let own = delta.norm();
            if own > 0.0 { delta.scaled(norm / own) } else { delta }
        };
        let noise = |seed: u64| Delta::zero().noised(1.0, &mut ChaCha8Rng::seed_from_u64(seed));
        match self {
            Self::SignFlip => own.clone().scaled(-4.0),
            Self::Noise => as_long_as(noise(seed ^ (liar as u64 + 1)), 10.0 * own.norm()),
            Self::LittleIsEnough => honest.mean_less_deviations(LITTLE),
            Self::Colluding => as_long_as(honest.mean.clone().scaled(-1.0), honest.norm),
            Self::ModelReplacement if liar == 0 => honest.mean.clone().scaled(-2.0 * honest.homes as f64),
            Self::ModelReplacement => own.clone(),
            Self::SlowDrift => as_long_as(noise(seed), honest.norm),
            Self::FreeRider => Delta::zero(),
        }
    }
}

/// What liars know of the others.
struct Honest {
    homes: usize,
    mean: Delta,
    /// Of each parameter over the honest homes.
    deviations: Vec<f64>,
    /// Mean norm of an honest delta.
    norm: f64,
}

impl Honest {
    fn of(deltas: &[(String, Delta)]) -> Self {
        let homes = deltas.len().max(1) as f64;
        let length = Delta::zero().values().len();
        let (mut sum, mut squares) = (vec![0.0; length], vec![0.0; length]);
        for (_, delta) in deltas {
            for (place, value) in delta.values().iter().enumerate() {
                sum[place] += f64::from(*value);
                squares[place] += f64::from(*value).powi(2);
            }
        }
        let deviations =
            sum.iter().zip(&squares).map(|(sum, squares)| (squares / homes - (sum / homes).powi(2)).max(0.0).sqrt());
        let deviations = deviations.collect();
        let mean = Delta::new(sum.iter().map(|sum| (sum / homes) as f32).collect()).unwrap_or_else(|_| Delta::zero());
        let norm = deltas.iter().map(|(_, delta)| delta.norm()).sum::<f64>() / homes;
        Self { homes: deltas.len(), mean, deviations, norm }
    }

    fn mean_less_deviations(&self, deviations: f64) -> Delta {
        let values = self.mean.values().iter().zip(&self.deviations);
        let values = values.map(|(mean, deviation)| (f64::from(*mean) - deviations * deviation) as f32).collect();
        Delta::new(values).unwrap_or_else(|_| Delta::zero())
    }
}

/// A strategy, the first homes of which lie once they know what the others sent.
#[derive(Debug)]
pub(super) struct Attacked {
    inner: Box<dyn Strategy>,
    attack: Attack,
    liars: usize,
    seed: u64,
    sent: Vec<(String, Delta)>,
}

impl Attacked {
    pub(super) fn new(inner: Box<dyn Strategy>, attack: Attack, liars: usize, seed: u64) -> Self {
        Self { inner, attack, liars, seed, sent: Vec::new() }
    }
}

impl Strategy for Attacked {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn add(&mut self, home: &str, delta: Delta) {
        self.sent.push((home.to_owned(), delta));
    }

    fn finish(mut self: Box<Self>) -> Option<Aggregate> {
        let honest = Honest::of(self.sent.get(self.liars..).unwrap_or(&[]));
        for (place, (home, delta)) in self.sent.iter().enumerate() {
            let delta =
                if place < self.liars { self.attack.lie(place, delta, &honest, self.seed) } else { delta.clone() };
            self.inner.add(home, delta);
        }
        self.inner.finish()
    }
}
