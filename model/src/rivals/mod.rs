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

use crate::evaluate::{Entrant, Fixed};

pub use ar_ridge::{ArRidge, Linear};
pub use cross_ridge::CrossRidge;
pub use ewma_z::EwmaZ;
pub use grid::Grid;
pub use half_space_trees::HalfSpaceTrees;
pub use isolation_forest::{Forest, IsolationForest, Tree};
pub use refitted::{Refitted, Rival};
pub use seasonal_band::SeasonalBand;
pub use slot_z::SlotZ;
pub use static_z::StaticZ;
pub use sub_pca::{SubPca, Subspace};

/// Every rival.
#[must_use]
pub fn entrants() -> Vec<Box<dyn Entrant>> {
    vec![
        line("static z", StaticZ),
        line("EWMA z", EwmaZ::default()),
        line("hour x weekday z", SlotZ),
        line("seasonal band", SeasonalBand),
        line("AR-36 ridge", ArRidge::default()),
        line("cross-entity ridge", CrossRidge::default()),
        line("sub-sequence PCA", SubPca::default()),
        line("half-space trees", HalfSpaceTrees::default()),
        line("isolation forest", IsolationForest::default()),
    ]
}

fn line<R: Rival + 'static>(name: &str, rival: R) -> Box<dyn Entrant> {
    Box::new(Fixed::new(name, Refitted::new(rival)))
}
