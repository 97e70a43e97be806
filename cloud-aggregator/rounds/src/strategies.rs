//! How deltas become one, chosen by name.

use hearthwatch_federation::{ClippedMean, CoordinateMedian, Delta, Mean, MultiKrum, Strategy, TrimmedMean};
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

/// A strategy, as configuration and reports name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum StrategyName {
    /// The mean of all.
    Mean,
    /// The mean, long ones brought down to the clip.
    ClippedMean,
    /// The median of each value.
    CoordinateMedian,
    /// The mean of each value without its extremes.
    TrimmedMean,
    /// The mean of those that lie nearest to others.
    MultiKrum,
}

impl StrategyName {
    /// The name in configuration files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether it compares homes' deltas with what the server's own training changes.
    #[must_use]
    pub fn needs_own(self) -> bool {
        match self {
            Self::Mean | Self::ClippedMean | Self::CoordinateMedian | Self::TrimmedMean | Self::MultiKrum => false,
        }
    }

    /// A fresh one. `liars` is the share of homes that may lie; `own` is what the server's own training changed, where
    /// [`Self::needs_own`].
    #[must_use]
    pub fn make(self, clip: f64, liars: f64, own: Option<Delta>) -> Box<dyn Strategy> {
        drop(own);
        match self {
            Self::Mean => Box::<Mean>::default(),
            Self::ClippedMean => Box::new(ClippedMean::new(clip)),
            Self::CoordinateMedian => Box::<CoordinateMedian>::default(),
            Self::TrimmedMean => Box::new(TrimmedMean::new(liars)),
            Self::MultiKrum => Box::new(MultiKrum::new(liars)),
        }
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
}
