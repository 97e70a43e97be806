//! The strategies of the table, each set up for as many attackers as it can bear.

use std::collections::BTreeMap;

use hearthwatch_federation::{
    ClippedMean, CoordinateMedian, Delta, Mean, MultiKrum, Rise, Strategy, TrimmedMean, TrustedDirection, VettedMean,
    VettedMedian, Vetting,
};

/// Share of attackers that multi-Krum is set up for.
const TOLERATED: f64 = 0.4;
/// Share of the values that the trimmed mean cuts at each end: with half it would be the median.
const TRIMMED: f64 = 0.3;

/// A strategy that makes one delta of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StrategyKind {
    Mean,
    ClippedMean,
    Median,
    Trimmed,
    Krum,
    Direction,
    VettedMean,
    VettedMedian,
}

/// What the server knows when a round begins.
pub(crate) struct Known<'a> {
    /// The delta of the homes' recipe on the server's own recordings.
    pub reference: &'a Delta,
    /// By how much a delta raises the loss on them.
    pub rise: Rise,
    /// The aggregate of the round before; none in the first round.
    pub before: Option<&'a Delta>,
    /// The weight of each home after earlier rounds; a home that is not listed counts in full.
    pub weights: BTreeMap<String, f64>,
    /// The aggregator's secret.
    pub seed: u64,
}

impl StrategyKind {
    /// In the order of the table.
    pub(crate) const ALL: [Self; 8] = [
        Self::Mean,
        Self::ClippedMean,
        Self::Median,
        Self::Trimmed,
        Self::Krum,
        Self::Direction,
        Self::VettedMean,
        Self::VettedMedian,
    ];

    /// For tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::ClippedMean => "clipped mean",
            Self::Median => "median",
            Self::Trimmed => "trimmed mean",
            Self::Krum => "multi-Krum",
            Self::Direction => "FLTrust",
            Self::VettedMean => "vetted mean",
            Self::VettedMedian => "vetted median",
        }
    }

    /// For one round.
    pub(crate) fn strategy(self, known: Known<'_>) -> Box<dyn Strategy> {
        match self {
            Self::Mean => Box::<Mean>::default(),
            Self::ClippedMean => Box::new(ClippedMean::new(known.reference.norm())),
            Self::Median => Box::<CoordinateMedian>::default(),
            Self::Trimmed => Box::new(TrimmedMean::new(TRIMMED)),
            Self::Krum => Box::new(MultiKrum::new(TOLERATED)),
            Self::Direction => Box::new(TrustedDirection::new(known.reference.clone())),
            Self::VettedMean => Box::new(VettedMean::new(vetting(known))),
            Self::VettedMedian => Box::new(VettedMedian::new(vetting(known))),
        }
    }
}

fn vetting(known: Known<'_>) -> Vetting {
    let vetting = Vetting::new(known.reference.clone(), known.rise, known.seed).weighing(known.weights);
    match known.before {
        Some(before) => vetting.after(before),
        None => vetting,
    }
}
