//! Online evaluation: how each model does in homes, by what residents answer there. Pure, but for [`read`].
//!
//! What is counted, and against what:
//!
//! - A *home-week* of a model is a week in which a home ran it, from its own words on installations; days on which a home was away are left
//!   out as far as that is known.
//! - A *false alarm* is an alarm that was dismissed. Alarms that nobody answered count as neither, and their share is shown.
//! - Rates have the exact interval of a Poisson count (Garwood, 1936), shares that of Wilson (1927), both at 95 %.
//! - A slice is *worse than the fleet* if the whole interval of its rate lies above the fleet's rate, after Bonferroni over the slices.

mod exposure;
mod interval;
mod report;
mod slice;

pub use exposure::{Exposure, Life, exposures};
pub use interval::{Interval, poisson_rate, wilson};
pub use report::{Evaluation, ModelFigures, Period, Versus, evaluate, read};
pub use slice::{Slice, SliceFigures, slices_of};
