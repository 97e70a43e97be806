//! What the root keys are needed for after the first ceremony: a root that lives longer, and new keys for any role.
//!
//! Each step makes the next version of the root, signed by a threshold of the keys that the root before names (and of its own,
//! when these changed), so that every home follows the chain from the root that it was given. Then everything below that a
//! new key has to sign is signed anew, one version up; homes take that as they take any release.
//!
//! Order on disk: versioned files first, which nobody reads yet; then the key; then the root; `timestamp.json`, which puts all of it
//! in force, last. A step that was cut off is mended by taking it again.
//!
//! Aggregator and signer must not run meanwhile: they hold keys and versions in memory.

use std::fmt::Write as _;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::Ed25519KeyPair;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tough::schema::{Role, RoleType, Root, Signed, Snapshot, Targets, Timestamp as TufTimestamp};
use tough::sign::Sign as _;

use crate::ceremony::{
    self, CeremonyError, ROOT_DAYS, SNAPSHOT_DAYS, TARGETS_DAYS, TIMESTAMP_DAYS, canonical, expiry, key_id, metafile,
    signed, whole_second,
};
use crate::claims::sha256_hex;
use crate::files::{self, FileError};
use crate::layout::Layout;
use crate::signed_state::State;

/// Why a step was not taken. Nothing that is in force was changed then.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// Keys, files, or the library.
    #[error(transparent)]
    Ceremony(#[from] CeremonyError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not metadata.
    #[error("{} is damaged ({cause}); restore it from a backup", .path.display())]
    Damaged {
        /// The file of metadata.
        path: PathBuf,
        /// The parser's words.
        cause: String,
    },
    /// No root in the repository.
    #[error("{} holds no root; hearthwatch-provision init makes the first", .0.display())]
    NoRoot(PathBuf),
    /// A key that the present root does not name.
    #[error("{} is no root key of version {version}: its id is {id}", .path.display())]
    Stranger {
        /// The key's file.
        path: PathBuf,
        /// The key's id, 64 hexadecimal digits.
        id: String,
        /// Of the root.
        version: u64,
    },
    /// Too few keys.
    #[error("{found} root keys sign, and {needed} are needed: give each with --root-key")]
    TooFew {
        /// That were given and differ.
        found: u64,
        /// What the present root asks for.
        needed: u64,
    },
    /// Nobody has the key that is to go.
    #[error("no root key's id begins with {0:?}, or more than one does; `ceremony.txt` and each transcript list them")]
    WhichKey(String),
    /// The signer runs.
    #[error("{} is in use: stop the signer first, it holds the old key in memory", .0.display())]
    Busy(PathBuf),
    /// A new key must not overwrite another.
    #[error("{} exists; a new root key goes to a medium of its own", .0.display())]
    Exists(PathBuf),
}

/// What to do with the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The same keys, a later expiry.
    Renew,
    /// A new key for the role that the signer process signs.
    Targets,
    /// A new key for a role that the aggregator signs.
    Snapshot,
    /// A new key for the other.
    Timestamp,
    /// A new root key in the place of one that was lost or told.
    Root {
        /// How the id of the one that goes begins, hex.
        lost: String,
        /// Where the new one is written: a medium of its own.
        new_key: PathBuf,
    },
}

impl Step {
    fn role(&self) -> Option<RoleType> {
        match self {
            Self::Renew | Self::Root { .. } => None,
            Self::Targets => Some(RoleType::Targets),
            Self::Snapshot => Some(RoleType::Snapshot),
            Self::Timestamp => Some(RoleType::Timestamp),
        }
    }
}

/// Takes a step with the root keys in `root_keys`. Returns the transcript, which is also added to the ceremony's; no secret
/// is in it.
///
/// # Errors
/// [`RotationError`].
pub fn take(layout: &Layout, step: &Step, root_keys: &[PathBuf], now: Timestamp) -> Result<String, RotationError> {
    let _lock = signer_lock(layout)?;
    let before = newest_root(layout)?;
    let mut signers = load_signers(&before, root_keys)?;
    let mut root = before.clone();
    root.version = above(before.version);
    root.expires = expiry(now, ROOT_DAYS)?;
    let mut text = String::new();
    let at = whole_second(now);
    let _ = writeln!(text, "\nRoot version {}, made {at} by hearthwatch-provision {}", root.version, version());
    let mut new_key = None;
    match step {
        Step::Renew => {}
        Step::Root { lost, new_key: path } => {
            if path.exists() {
                return Err(RotationError::Exists(path.clone()));
            }
            let (key, private) = ceremony::make_key()?;
            let gone = replace(&mut root, RoleType::Root, Some(lost), &key)?;
            let _ = writeln!(text, "  root key {gone} replaced by {}", hex::encode(&*key_id(&key)?));
            files::write_private(path, &private)?;
            signers.push(key);
        }
        Step::Targets | Step::Snapshot | Step::Timestamp => {
            let (key, private) = ceremony::make_key()?;
            let role = step.role().unwrap_or(RoleType::Timestamp);
            let gone = replace(&mut root, role, None, &key)?;
            let _ = writeln!(text, "  {role} key {gone} replaced by {}", hex::encode(&*key_id(&key)?));
            new_key = Some((role, key, private));
        }
    }
    let root_bytes = signed(root.clone(), &signers)?;
    let root_name = format!("{}.root.json", root.version);
    let timestamp = match new_key {
        None => None,
        Some((role, key, private)) => Some(below(layout, role, (key, &private), now)?),
    };
    files::write_public(&layout.tuf_metadata().join(&root_name), &root_bytes)?;
    if let Some(bytes) = timestamp {
        files::write_public(&layout.tuf_metadata().join("timestamp.json"), &bytes)?;
    }
    // What new homes are given; those that have an older one follow the chain.
    files::write_public(&layout.tuf_root(), &root_bytes)?;
    for key in &signers {
        let _ = writeln!(text, "  signed by {}", hex::encode(&*key_id(key)?));
    }
    let _ = writeln!(text, "  expires {}", root.expires);
    let _ = writeln!(text, "  {}  {root_name}", hex::encode(Sha256::digest(&root_bytes)));
    let before = files::if_there(files::read_text(&layout.ceremony_transcript()))?.unwrap_or_default();
    files::write_public(&layout.ceremony_transcript(), format!("{before}{text}").as_bytes())?;
    Ok(text)
}

/// Signs what lies below the root anew where `role`'s key is a new one: its own metadata and everything above them. Returns
/// the timestamp's bytes, which are not in force yet.
fn below(
    layout: &Layout,
    role: RoleType,
    (key, private): (Ed25519KeyPair, &[u8]),
    now: Timestamp,
) -> Result<Vec<u8>, RotationError> {
    let metadata = layout.tuf_metadata();
    let mut timestamp: TufTimestamp = read(&metadata.join("timestamp.json"))?;
    let listed = |meta: Option<&tough::schema::Metafile>| meta.map_or(NonZeroU64::MIN, |meta| meta.version);
    let snapshot_version = listed(timestamp.meta.get("snapshot.json"));
    let mut snapshot: Snapshot = read(&metadata.join(format!("{snapshot_version}.snapshot.json")))?;
    let mut key = Some(key);
    let mut key_of = |of: RoleType, path: PathBuf| -> Result<Ed25519KeyPair, RotationError> {
        match (role == of).then(|| key.take()).flatten() {
            Some(key) => Ok(key),
            None => Ok(ceremony::load_key(&path)?),
        }
    };
    if role == RoleType::Targets {
        let version = listed(snapshot.meta.get("targets.json"));
        let mut targets: Targets = read(&metadata.join(format!("{version}.targets.json")))?;
        let mut state = state(layout)?;
        // The signer may have signed a version that was never put in force.
        targets.version = above(version.max(NonZeroU64::new(state.version).unwrap_or(NonZeroU64::MIN)));
        targets.expires = expiry(now, TARGETS_DAYS)?;
        (state.version, state.sha256) = (targets.version.get(), sha256_hex(&canonical(&targets)?));
        let (name, version) = (format!("{}.targets.json", targets.version), targets.version);
        let bytes = signed(targets, &[key_of(RoleType::Targets, layout.targets_key())?])?;
        files::write_public(&metadata.join(name), &bytes)?;
        files::write_private(&layout.signer_state(), &state.to_bytes())?;
        snapshot.meta.insert("targets.json".to_owned(), metafile(version, &bytes));
    }
    if role != RoleType::Timestamp {
        snapshot.version = above(newest(&metadata, ".snapshot.json").unwrap_or(snapshot_version).max(snapshot_version));
        snapshot.expires = expiry(now, SNAPSHOT_DAYS)?;
        let version = snapshot.version;
        let bytes = signed(snapshot, &[key_of(RoleType::Snapshot, layout.snapshot_key())?])?;
        files::write_public(&metadata.join(format!("{version}.snapshot.json")), &bytes)?;
        timestamp.meta.insert("snapshot.json".to_owned(), metafile(version, &bytes));
    }
    timestamp.version = above(timestamp.version);
    timestamp.expires = expiry(now, TIMESTAMP_DAYS)?;
    let bytes = signed(timestamp, &[key_of(RoleType::Timestamp, layout.timestamp_key())?])?;
    let path = match role {
        RoleType::Targets => layout.targets_key(),
        RoleType::Snapshot => layout.snapshot_key(),
        _ => layout.timestamp_key(),
    };
    files::write_private(&path, private)?;
    Ok(bytes)
}

/// Puts `key` in the place of the role's one key, or of the root key whose id begins with `lost`. Returns the old id.
fn replace(
    root: &mut Root,
    role: RoleType,
    lost: Option<&String>,
    key: &Ed25519KeyPair,
) -> Result<String, RotationError> {
    let prefix = lost.map_or("", String::as_str);
    let unknown = || RotationError::WhichKey(prefix.to_owned());
    let new = key_id(key)?;
    let keys = root.roles.get_mut(&role).ok_or_else(unknown)?;
    let mut fitting = keys.keyids.iter().enumerate().filter(|(_, id)| hex::encode(&***id).starts_with(prefix));
    let (Some((index, old)), None) = (fitting.next(), fitting.next()) else { return Err(unknown()) };
    let old = old.clone();
    keys.keyids[index] = new.clone();
    root.keys.remove(&old);
    root.keys.insert(new, key.tuf_key());
    Ok(hex::encode(&*old))
}

fn load_signers(root: &Root, paths: &[PathBuf]) -> Result<Vec<Ed25519KeyPair>, RotationError> {
    let version = root.version.get();
    let known = root.roles.get(&RoleType::Root);
    let mut signers: Vec<(String, Ed25519KeyPair)> = Vec::new();
    for path in paths {
        let key = ceremony::load_key(path)?;
        let id = key_id(&key)?;
        if !known.is_some_and(|keys| keys.keyids.contains(&id)) {
            return Err(RotationError::Stranger { path: path.clone(), id: hex::encode(&*id), version });
        }
        let id = hex::encode(&*id);
        if !signers.iter().any(|(other, _)| *other == id) {
            signers.push((id, key));
        }
    }
    let (found, needed) = (signers.len() as u64, known.map_or(u64::MAX, |keys| keys.threshold.get()));
    if found < needed {
        return Err(RotationError::TooFew { found, needed });
    }
    Ok(signers.into_iter().map(|(_, key)| key).collect())
}

fn newest_root(layout: &Layout) -> Result<Root, RotationError> {
    let metadata = layout.tuf_metadata();
    let version = newest(&metadata, ".root.json").ok_or_else(|| RotationError::NoRoot(metadata.clone()))?;
    read(&metadata.join(format!("{version}.root.json")))
}

/// The highest version among the files `N{suffix}`.
fn newest(metadata: &Path, suffix: &str) -> Option<NonZeroU64> {
    let names = std::fs::read_dir(metadata).ok()?.flatten();
    names.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(suffix)?.parse().ok()).max()
}

fn read<R: Role + DeserializeOwned>(path: &Path) -> Result<R, RotationError> {
    let read: Signed<R> = serde_json::from_slice(&files::read(path)?)
        .map_err(|error| RotationError::Damaged { path: path.to_owned(), cause: error.to_string() })?;
    Ok(read.signed)
}

fn state(layout: &Layout) -> Result<State, RotationError> {
    let path = layout.signer_state();
    State::from_bytes(&files::read_private(&path)?).map_err(|cause| RotationError::Damaged { path, cause })
}

/// Holds off a signer, and another of us.
fn signer_lock(layout: &Layout) -> Result<std::fs::File, RotationError> {
    files::try_lock(&layout.signer().join(".lock"))?.ok_or_else(|| RotationError::Busy(layout.signer()))
}

fn above(version: NonZeroU64) -> NonZeroU64 {
    version.saturating_add(1)
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

#[cfg(test)]
mod tests;
