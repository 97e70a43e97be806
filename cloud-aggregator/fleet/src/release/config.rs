//! Where releases are made, and where those are who sign them.

use std::path::PathBuf;

use url::Url;

/// Where releases are made and found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseConfig {
    /// Directory of the TUF repository (metadata/ and targets/).
    pub repository: PathBuf,
    /// The trusted root, as made by the root ceremony.
    pub root_file: PathBuf,
    /// Directory with snapshot.key and timestamp.key.
    pub keys: PathBuf,
    /// The gate's key: signs promotion verdicts for the signer.
    pub gate_key: PathBuf,
    /// Unix socket of the signer process, which alone holds the targets key.
    pub signer_socket: PathBuf,
    /// Where agents find the repository, e.g. `https://updates.example/tuf/`.
    pub url: Url,
}
