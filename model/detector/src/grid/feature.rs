//! The features of a step by name; a row holds them in this order.

use crate::grid::FEATURES;

/// A feature: its discriminant is its place in a row. A change of order or meaning is a new
/// [`FEATURE_SCHEMA`](crate::grid::FEATURE_SCHEMA).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Feature {
    /// *r*: value − median of the same time of day over 14 days (own day excluded), in robust scales, within ±12.
    Residual,
    /// First difference in scales of *r*.
    Difference,
    /// First difference in a quarter of its own robust scale.
    OwnDifference,
    /// Ln(1 + steps since the value changed) / 3.
    UnchangedAge,
    /// Mean of *r* over 6 h.
    MeanSixHours,
    /// Mean of *r* over 24 h.
    MeanDay,
    /// Root mean squared difference over 3 h.
    RoughnessThreeHours,
    /// Root mean squared difference over 24 h.
    RoughnessDay,
    /// How far beyond the 10–90 % band of this time of day.
    BeyondBand,
    /// *r* a day ago.
    DayAgo,
    /// Median *r* of the home's other entities of the class.
    ClassMedian,
    /// Width of the band.
    BandWidth,
    /// Distance from the fortnight's median, halved.
    LevelDistance,
    /// Sine of the local time of day.
    TimeSine,
    /// Cosine of the local time of day.
    TimeCosine,
    /// 1 on Saturday and Sunday.
    Weekend,
    /// Innovation of the autoregression.
    Innovation,
    /// Residual of the peer regression.
    PeerResidual,
    /// Ln(1 + steps since the last report) / 3.
    ReportAge,
    /// 1 when a report came in this step.
    Reported,
}

impl Feature {
    /// Every feature, in the order of a row.
    pub const ALL: [Self; FEATURES] = [
        Self::Residual,
        Self::Difference,
        Self::OwnDifference,
        Self::UnchangedAge,
        Self::MeanSixHours,
        Self::MeanDay,
        Self::RoughnessThreeHours,
        Self::RoughnessDay,
        Self::BeyondBand,
        Self::DayAgo,
        Self::ClassMedian,
        Self::BandWidth,
        Self::LevelDistance,
        Self::TimeSine,
        Self::TimeCosine,
        Self::Weekend,
        Self::Innovation,
        Self::PeerResidual,
        Self::ReportAge,
        Self::Reported,
    ];

    /// Its place in a row, below [`FEATURES`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name in tables and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Residual => "residual",
            Self::Difference => "difference",
            Self::OwnDifference => "own_difference",
            Self::UnchangedAge => "unchanged_age",
            Self::MeanSixHours => "mean_6h",
            Self::MeanDay => "mean_24h",
            Self::RoughnessThreeHours => "roughness_3h",
            Self::RoughnessDay => "roughness_24h",
            Self::BeyondBand => "beyond_band",
            Self::DayAgo => "day_ago",
            Self::ClassMedian => "class_median",
            Self::BandWidth => "band_width",
            Self::LevelDistance => "level_distance",
            Self::TimeSine => "time_sine",
            Self::TimeCosine => "time_cosine",
            Self::Weekend => "weekend",
            Self::Innovation => "innovation",
            Self::PeerResidual => "peer_residual",
            Self::ReportAge => "report_age",
            Self::Reported => "reported",
        }
    }

    /// Whether it changes its sign with the value: residuals, differences, means, innovations. The others are sizes, ages and the
    /// time of day.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        matches!(
            self,
            Self::Residual
                | Self::Difference
                | Self::OwnDifference
                | Self::MeanSixHours
                | Self::MeanDay
                | Self::BeyondBand
                | Self::DayAgo
                | Self::ClassMedian
                | Self::LevelDistance
                | Self::Innovation
                | Self::PeerResidual
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_stands_at_its_place_and_has_a_name_of_its_own() {
        for (place, feature) in Feature::ALL.into_iter().enumerate() {
            assert_eq!(feature.index(), place);
            assert_eq!(Feature::ALL.iter().filter(|other| other.name() == feature.name()).count(), 1);
        }
    }

    #[test]
    fn the_table_of_the_documentation_names_every_feature_at_its_place() {
        let rows: Vec<(usize, &str)> = include_str!("../features/mod.rs")
            .lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix("//! | ")?.split(" | ");
                let place = cells.next()?.parse().ok()?;
                Some((place, cells.next()?.trim_matches('`')))
            })
            .collect();
        let named: Vec<(usize, &str)> = Feature::ALL.iter().map(|feature| (feature.index(), feature.name())).collect();
        assert_eq!(rows, named);
    }

    #[test]
    fn what_is_mirrored_with_a_value_are_these_eleven() {
        let signed: Vec<usize> =
            Feature::ALL.iter().filter(|feature| feature.is_signed()).map(|feature| feature.index()).collect();
        assert_eq!(signed, [0, 1, 2, 4, 5, 8, 9, 10, 12, 16, 17]);
    }
}
