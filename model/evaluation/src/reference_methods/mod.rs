//! What others do: the detectors that ours is held against, on the same homes with the same rights.
//!
//! Only benches use them. Each is refitted every week on the last four, sees transformed values (a logarithm where a class
//! is heavy-tailed, as ours does), and gets thresholds for each class from calibration homes. Beyond that its scores are
//! put on one scale for each entity by their own tail on the weeks that it was fitted to: calibration for each home.

mod ar_ridge;
mod cross_ridge;
mod ewma_z;
mod grid;
mod half_space_trees;
mod isolation_forest;
#[cfg(test)]
mod reference_tests;
mod refitted;
mod seasonal_band;
mod slot_z;
mod static_z;
mod sub_pca;

use crate::evaluate::{Detector, Fixed, Method};
pub use ar_ridge::{ArRidge, Linear};
pub use cross_ridge::CrossRidge;
pub use ewma_z::EwmaZ;
pub use grid::Grid;
pub use half_space_trees::HalfSpaceTrees;
pub use isolation_forest::{Forest, IsolationForest, Tree};
pub use refitted::{ReferenceMethod, Refitted};
pub use seasonal_band::SeasonalBand;
pub use slot_z::SlotZ;
pub use static_z::StaticZ;
pub use sub_pca::{SubPca, Subspace};

/// Every reference method, with its name in tables.
#[must_use]
pub fn detectors() -> Vec<(&'static str, Box<dyn Detector>)> {
    vec![
        ("static z", Box::new(Refitted::new(StaticZ))),
        ("EWMA z", Box::new(Refitted::new(EwmaZ::default()))),
        ("hour x weekday z", Box::new(Refitted::new(SlotZ))),
        ("seasonal band", Box::new(Refitted::new(SeasonalBand))),
        ("AR-36 ridge", Box::new(Refitted::new(ArRidge::default()))),
        ("cross-entity ridge", Box::new(Refitted::new(CrossRidge::default()))),
        ("sub-sequence PCA", Box::new(Refitted::new(SubPca::default()))),
        ("half-space trees", Box::new(Refitted::new(HalfSpaceTrees::default()))),
        ("isolation forest", Box::new(Refitted::new(IsolationForest::default()))),
    ]
}

/// Every reference method as a line of the bench's table.
#[must_use]
pub fn methods() -> Vec<Box<dyn Method>> {
    let line = |(name, detector)| -> Box<dyn Method> { Box::new(Fixed::new(name, detector)) };
    detectors().into_iter().map(line).collect()
}
