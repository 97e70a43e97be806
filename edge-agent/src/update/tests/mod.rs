//! Attacks on the repository, and whole updates on real metadata and real slots.

mod attacks;
mod director;
mod repository;
mod updates;
