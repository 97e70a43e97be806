//! A mirror of models for tests: a small TUF repository on disk that can be spoilt, and a server of its files over real HTTPS.

mod repository;
mod server;

pub use repository::{Ends, TestRepository, edit};
pub use server::{Stall, serve_files};
