//! From a promoted model to what homes run: signed releases, and orders to homes in waves that evidence stops.
//!
//! Models leave only through [`release_service`].

pub mod evaluation;
mod event;
#[doc(hidden)]
pub mod fixtures;
pub mod hook;
pub mod release;
pub mod release_service;
pub mod rollout;
