//! From a promoted candidate to a signed release: verdict, TUF repository, roll back.

pub mod atomic_file;
pub mod custom;
pub mod keys;
pub mod lifetimes;
pub mod repository;
pub mod verdict;

pub use custom::TargetCustom;
pub use lifetimes::{Lifetimes, Renewal};
pub use repository::{NewRelease, Repository, RepositoryError, RepositoryFiles, TargetsSigner, target_name, version_of};
pub use verdict::{PromotionVerdict, SignedVerdict};
