//! Attacks on the repository, and whole updates on real metadata and real slots.

mod attacks;
mod director;
mod mirror;
pub(crate) mod repository;
pub(crate) mod server;
mod updates;
