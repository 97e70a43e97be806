//! How a release reaches the fleet: in waves, watched, stopped by evidence, and each home by its own signed order.
//!
//! [`policy`], [`plan`], [`gate`] and [`evidence`] decide and touch nothing; [`execute`] reads, signs and stores,
//! and hands over what is stored;
//! [`simulate`] runs the same decisions over a fleet that does not exist; [`manual`] is what an operator may do.

pub mod attest;
mod deliver;
pub mod evidence;
pub mod execute;
mod fleet;
pub mod gate;
pub mod manual;
pub mod plan;
pub mod policy;
pub mod schedule;
pub mod simulate;

pub use execute::Director;
pub use policy::Policy;
