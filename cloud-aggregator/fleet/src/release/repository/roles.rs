//! Values read from and written into TUF roles. Pure, but for the listing of snapshots on disk.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::path::Path;

use hearthwatch_protocol::ModelVersion;
use sha2::{Digest, Sha256};
use tough::schema::{Hashes, Metafile, Signed, Targets};

use super::RepositoryError;
use crate::release::lifetimes::Expiries;
pub use hearthwatch_provision::signer::message::target_name;

/// One target that the repository lists.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// From the target's custom data.
    pub version: ModelVersion,
    /// SHA-256 of the artifact, lower-case hexadecimal.
    pub sha256: String,
    /// The artifact's length in bytes.
    pub length: u64,
}

/// What a change led to: the versions now in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Of the targets role.
    pub targets: u64,
    /// Of the snapshot role.
    pub snapshot: u64,
    /// Of the timestamp role.
    pub timestamp: u64,
}

/// The inverse of [`target_name`]; `None` for any other name.
#[must_use]
pub fn version_of(name: &str) -> Option<ModelVersion> {
    let digits = name.strip_prefix("model-")?.strip_suffix(".safetensors")?;
    let version = ModelVersion(digits.parse().ok()?);
    (target_name(version) == name).then_some(version)
}

pub(super) fn parse_root(path: &Path, bytes: &[u8]) -> Result<Signed<tough::schema::Root>, RepositoryError> {
    let fault = |reason: String| RepositoryError::Root { path: path.to_owned(), reason };
    let root: Signed<tough::schema::Root> = serde_json::from_slice(bytes).map_err(|error| fault(error.to_string()))?;
    root.signed.verify_role(&root).map_err(|error| fault(error.to_string()))?;
    if root.signed.consistent_snapshot {
        Ok(root)
    } else {
        Err(fault("it does not ask for consistent snapshots".to_owned()))
    }
}

pub(super) fn metafile(version: NonZeroU64, bytes: &[u8]) -> Metafile {
    Metafile {
        length: Some(bytes.len() as u64),
        hashes: Some(Hashes { sha256: Sha256::digest(bytes).to_vec().into(), _extra: HashMap::new() }),
        version,
        _extra: HashMap::new(),
    }
}

/// One above `current` and above every snapshot on disk: a version that was signed before a crash is not signed a
/// second time with other content.
pub(super) fn next_version(metadata: &Path, current: u64) -> NonZeroU64 {
    let on_disk = std::fs::read_dir(metadata).into_iter().flatten().flatten().filter_map(|entry| {
        entry
            .file_name()
            .to_str()
            .and_then(|name| name.strip_suffix(".snapshot.json"))
            .and_then(|digits| digits.parse().ok())
    });
    NonZeroU64::MIN.saturating_add(on_disk.fold(current, u64::max))
}

pub(super) fn listed(targets: &Targets) -> Vec<Listed> {
    let mut entries: Vec<Listed> = targets
        .targets
        .iter()
        .filter_map(|(name, target)| {
            let version = version_of(name.resolved())?;
            Some(Listed { version, sha256: hex::encode(&target.hashes.sha256), length: target.length })
        })
        .collect();
    entries.sort_by_key(|entry| entry.version);
    entries
}

pub(super) fn expiries(repository: &tough::Repository) -> Expiries {
    Expiries {
        root: repository.root().signed.expires.as_second(),
        targets: repository.targets().signed.expires.as_second(),
        snapshot: repository.snapshot().signed.expires.as_second(),
        timestamp: repository.timestamp().signed.expires.as_second(),
    }
}

pub(super) fn online_versions(repository: &tough::Repository) -> (u64, u64) {
    (repository.snapshot().signed.version.get(), repository.timestamp().signed.version.get())
}

pub(super) fn written(repository: &tough::Repository) -> Written {
    let (snapshot, timestamp) = online_versions(repository);
    Written { targets: repository.targets().signed.version.get(), snapshot, timestamp }
}
