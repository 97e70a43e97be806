//! How deltas become one, chosen by name.

use std::collections::BTreeMap;

use hearthwatch_federation::{
    ClippedMean, CoordinateMedian, Delta, Mean, MultiKrum, Rise, Strategy, TrimmedMean, TrustedDirection, VettedMean,
    VettedMedian, Vetting,
};
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

/// A strategy, as configuration and reports name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum StrategyName {
    /// The mean of those that pass what the server holds them against.
    VettedMean,
    /// The median of each value over those that pass.
    VettedMedian,
    /// The mean, weighted by how far deltas go where the server's own goes.
    TrustedDirection,
    /// The mean of those that lie nearest to others.
    MultiKrum,
    /// The mean of each value without its extremes.
    TrimmedMean,
    /// The median of each value.
    CoordinateMedian,
    /// The mean, long ones brought down to the clip.
    ClippedMean,
    /// The mean of all.
    Mean,
}

/// What the server's own recordings give to hold deltas against.
pub struct Own {
    /// What the homes' recipe changes on the server's recordings, from the weights that the homes start from.
    pub reference: Delta,
    /// By how much a delta raises the loss on them.
    pub rise: Rise,
    /// What the round before changed, where there was one.
    pub before: Option<Delta>,
    /// Weights, in [0, 1), of homes that count less after earlier rounds.
    pub weights: BTreeMap<String, f64>,
    /// A secret, so that nobody can send what only looks different from another's.
    pub seed: u64,
}

impl StrategyName {
    /// Whether it judges each delta by itself, so that what it left out says something of the home.
    #[must_use]
    pub fn vets(self) -> bool {
        matches!(self, Self::VettedMean | Self::VettedMedian)
    }

    /// The name in configuration files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// A fresh one. `clip` bounds norms, `attacker_share` is the share of homes that attack; `own` is asked only where deltas are held against the
    /// server's own recordings.
    ///
    /// # Errors
    /// Those of `own`.
    pub fn make<E>(
        self,
        clip: f64,
        attacker_share: f64,
        own: impl FnOnce() -> Result<Own, E>,
    ) -> Result<Box<dyn Strategy>, E> {
        Ok(match self {
            Self::VettedMean => Box::new(VettedMean::new(vetting(own()?))),
            Self::VettedMedian => Box::new(VettedMedian::new(vetting(own()?))),
            Self::TrustedDirection => Box::new(TrustedDirection::new(own()?.reference)),
            Self::MultiKrum => Box::new(MultiKrum::new(attacker_share)),
            Self::TrimmedMean => Box::new(TrimmedMean::new(attacker_share)),
            Self::CoordinateMedian => Box::<CoordinateMedian>::default(),
            Self::ClippedMean => Box::new(ClippedMean::new(clip)),
            Self::Mean => Box::<Mean>::default(),
        })
    }
}

fn vetting(own: Own) -> Vetting {
    let vetting = Vetting::new(own.reference, own.rise, own.seed).weighing(own.weights);
    match own.before {
        Some(before) => vetting.after(&before),
        None => vetting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strategy_is_the_same_word_in_configuration_and_in_reports() {
        for word in StrategyName::VARIANTS {
            let name: StrategyName = word.parse().unwrap();
            assert_eq!((name.as_str(), serde_json::to_value(name).unwrap()), (*word, (*word).into()));
        }
    }

    #[test]
    fn recordings_are_asked_only_by_those_who_hold_deltas_against_them() {
        let asks = |word: &&&str| {
            let name: StrategyName = word.parse().unwrap();
            name.make(1.0, 0.3, || Err::<Own, ()>(())).is_err()
        };
        let asking: Vec<&str> = StrategyName::VARIANTS.iter().filter(asks).copied().collect();
        assert_eq!(asking, ["vetted-mean", "vetted-median", "trusted-direction"]);
    }
}
