//! Attacks on the repository, and whole updates on real metadata and real slots.

mod attacks;
mod client;
mod director;
mod mirror;
mod updates;
