//! From a promoted candidate to a signed release: verdict, TUF repository, renewal, and decisions by hand.

mod config;
pub mod custom;
pub mod keys;
pub mod lifetimes;
pub mod manual;
pub mod publisher;
pub mod repository;
pub mod rollback;
pub mod signer;
pub mod verdict;

pub use config::ReleaseConfig;
pub use custom::TargetCustom;
pub use lifetimes::{Lifetimes, Renewal};
pub use publisher::Publisher;
pub use repository::{
    NewRelease, Repository, RepositoryError, RepositoryFiles, SignerError, TargetsSigner, target_name, version_of,
};
pub use signer::RemoteSigner;
