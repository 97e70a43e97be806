//! What can go wrong with the repository, each with its own variant.

use std::path::PathBuf;

use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::limits::ARTIFACT_BYTES_MAX;

/// Why the signer gave no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// It answered, and said no.
    #[error("the signer refused: {0}")]
    Refused(String),
    /// It answered, and waits for a second person's word.
    #[error("{0}")]
    Awaiting(String),
    /// It did not answer.
    #[error("the signer cannot be reached: {0}")]
    Unreachable(String),
}

/// Why the repository could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// A file of it cannot be read or written.
    #[error("repository file {path}")]
    File {
        /// A file below the repository's directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The trusted root is not a root role, or not signed by its own keys.
    #[error("{path} is not a valid TUF root: {reason}")]
    Root {
        /// The file of the trusted root, as configured.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The repository on disk does not verify from the trusted root: nothing is signed on top of it.
    #[error("the repository does not verify from its trusted root")]
    Unverified(#[source] Box<tough::error::Error>),
    /// A role could not be signed: key missing, or the signer refused.
    #[error("cannot sign the {role} role")]
    Sign {
        /// `targets`, `snapshot` or `timestamp`.
        role: &'static str,
        /// What tough or the signer said.
        #[source]
        source: Box<tough::error::Error>,
    },
    /// The signer cannot say where it is.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The signer's memory is older than what it signed: its state was lost or put back.
    #[error(
        "the signer says it signed up to targets version {signer}, but {repository} is in force; restore its state"
    )]
    SignerBehind {
        /// What the signer says.
        signer: u64,
        /// What is in force.
        repository: u64,
    },
    /// An artifact with no bytes, or with more than an agent downloads.
    #[error("an artifact has 1 to {ARTIFACT_BYTES_MAX} bytes, this one has {0}")]
    Size(u64),
    /// A version at or below one that is released: agents never go down.
    #[error("version {asked} is not above the newest release {newest}")]
    NotAbove {
        /// What was asked for.
        asked: ModelVersion,
        /// The highest version that is released.
        newest: ModelVersion,
    },
    /// No release has this version.
    #[error("version {0} is not released")]
    Unknown(ModelVersion),
    /// The bytes on disk are not those that were signed.
    #[error("the bytes of {0} differ from the signed hash")]
    Bytes(String),
}
