//! Statistics that know nothing of homes: order statistics, a fitted tail, a small regression, daily maxima; and the shape of a
//! fortnight's values.

pub(crate) mod daily_max;
pub mod ridge;
pub mod robust;
pub(crate) mod shape;
pub mod tail;
