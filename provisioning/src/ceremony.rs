//! The TUF root ceremony: keys, the first root of trust, and an empty repository signed by them.
//!
//! Root: three keys, any two may sign, meant for three media away from this machine. Targets: one key, for the signer
//! process. Snapshot and timestamp: one key each, for the aggregator. All ed25519, stored as PKCS#8 DER, which is what
//! `tough` reads.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tough::schema::decoded::{Decoded, Hex};
use tough::schema::key::Key;
use tough::schema::{
    Hashes, Metafile, Role, RoleKeys, RoleType, Root, Signature, Signed, Snapshot, Targets, Timestamp as TufTimestamp,
};
use tough::sign::Sign;

use crate::files::{self, FileError};
use crate::layout::Layout;

/// How many root keys are made.
pub const ROOT_KEYS: usize = 3;
/// How many of them must sign a root: one may be lost, and one alone can do nothing.
pub const ROOT_THRESHOLD: u64 = 2;
/// Life of a root: long enough for a yearly ceremony to be a month late.
pub const ROOT_DAYS: i64 = 400;
/// Life of the targets metadata: a fleet without any release for that long wants somebody to look.
pub const TARGETS_DAYS: i64 = 180;
/// Life of the snapshot metadata, refreshed by the aggregator.
pub const SNAPSHOT_DAYS: i64 = 30;
/// Life of the timestamp metadata: how long an attacker who blocks updates stays unnoticed at most.
pub const TIMESTAMP_DAYS: i64 = 7;
/// Version of the TUF specification that the metadata follow.
pub const SPEC_VERSION: &str = "1.0.0";

/// Why the ceremony failed.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    /// A file could not be written or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The library refused.
    #[error("cannot {what}: {cause}")]
    Library {
        /// What was tried, as a verb and its object.
        what: &'static str,
        /// The library's words.
        cause: String,
    },
    /// A key file does not hold an ed25519 key.
    #[error("{} does not hold an ed25519 key in PKCS#8 DER; restore it from a backup", .0.display())]
    NotAKey(PathBuf),
}

fn library<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> CeremonyError {
    move |cause| CeremonyError::Library { what, cause: cause.to_string() }
}

/// Makes an ed25519 key; the second value is its private form for a file.
///
/// # Errors
/// [`CeremonyError::Library`] when the library cannot make one.
pub fn make_key() -> Result<(Ed25519KeyPair, Vec<u8>), CeremonyError> {
    let refused = || CeremonyError::Library { what: "make a key", cause: "the library gives no reason".to_owned() };
    let key = Ed25519KeyPair::generate().map_err(|_| refused())?;
    let bytes = key.to_pkcs8v1().map_err(|_| refused())?.as_ref().to_vec();
    Ok((key, bytes))
}

/// Reads an ed25519 key from a private file.
///
/// # Errors
/// [`FileError`] when it is missing or open to others, [`CeremonyError::NotAKey`] when it holds something else.
pub fn load_key(path: &Path) -> Result<Ed25519KeyPair, CeremonyError> {
    let bytes = files::read_private(path)?;
    Ed25519KeyPair::from_pkcs8(&bytes).map_err(|_| CeremonyError::NotAKey(path.to_owned()))
}

/// Holds the ceremony in `layout`, whose `tuf` directory must not exist; it appears as a whole or not at all.
///
/// # Errors
/// [`CeremonyError`].
pub fn hold(layout: &Layout, now: Timestamp) -> Result<(), CeremonyError> {
    let partial = layout.root().join("tuf.partial");
    let gone = |error: std::io::Error| FileError::Io { what: "clear", path: partial.clone(), cause: error };
    match std::fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(gone(error).into()),
        _ => {}
    }
    // The same layout below another root: `tuf.partial/tuf/…` becomes `tuf/…` by one rename.
    let staged = Layout::new(&partial);
    for dir in [staged.tuf_offline(), staged.tuf_online(), staged.signer(), staged.tuf_metadata(), staged.tuf_targets()]
    {
        files::make_dir(&dir)?;
    }
    let key = |path: PathBuf| -> Result<Ed25519KeyPair, CeremonyError> {
        let (key, private) = make_key()?;
        files::write_private(&path, &private)?;
        Ok(key)
    };
    let roots: Vec<Ed25519KeyPair> =
        (1..=ROOT_KEYS).map(|number| key(staged.root_key(number))).collect::<Result<_, _>>()?;
    let targets = key(staged.targets_key())?;
    let snapshot = key(staged.snapshot_key())?;
    let timestamp = key(staged.timestamp_key())?;

    let held = Ceremony { roots: &roots, targets: &targets, snapshot: &snapshot, timestamp: &timestamp };
    let metadata = held.sign(now)?;
    for (name, bytes) in &metadata.files {
        files::write_public(&staged.tuf_metadata().join(name), bytes)?;
    }
    files::write_public(&staged.tuf_root(), &metadata.files[0].1)?;
    files::write_private(&staged.signer_state(), &metadata.signer_state)?;
    files::write_public(&staged.ceremony_transcript(), held.transcript(now, &metadata)?.as_bytes())?;
    let moved = |error: std::io::Error| FileError::Io { what: "rename", path: partial.clone(), cause: error };
    std::fs::rename(staged.tuf(), layout.tuf()).map_err(moved)?;
    std::fs::remove_dir(&partial).map_err(gone)?;
    Ok(())
}

struct Ceremony<'a> {
    roots: &'a [Ed25519KeyPair],
    targets: &'a Ed25519KeyPair,
    snapshot: &'a Ed25519KeyPair,
    timestamp: &'a Ed25519KeyPair,
}

struct Metadata {
    /// Name in the repository and bytes, root first.
    files: Vec<(&'static str, Vec<u8>)>,
    signer_state: Vec<u8>,
    expiries: Vec<(&'static str, Timestamp)>,
}

impl Ceremony<'_> {
    fn sign(&self, now: Timestamp) -> Result<Metadata, CeremonyError> {
        let first = NonZeroU64::MIN;
        let root = self.root(now)?;
        let root_expires = root.expires;
        let root_bytes = signed(root, self.roots)?;

        let mut targets = Targets::new(SPEC_VERSION.to_owned(), first, expiry(now, TARGETS_DAYS)?);
        // No delegations: our repositories are flat, and an absent member reads the same everywhere.
        targets.delegations = None;
        let targets_expires = targets.expires;
        let canonical = canonical(&targets)?;
        let state = crate::signed_state::State::first(&canonical);
        let targets_bytes = signed(targets, std::slice::from_ref(self.targets))?;

        let mut snapshot = Snapshot::new(SPEC_VERSION.to_owned(), first, expiry(now, SNAPSHOT_DAYS)?);
        snapshot.meta.insert("targets.json".to_owned(), metafile(first, &targets_bytes));
        let snapshot_expires = snapshot.expires;
        let snapshot_bytes = signed(snapshot, std::slice::from_ref(self.snapshot))?;

        let mut timestamp = TufTimestamp::new(SPEC_VERSION.to_owned(), first, expiry(now, TIMESTAMP_DAYS)?);
        timestamp.meta.insert("snapshot.json".to_owned(), metafile(first, &snapshot_bytes));
        let timestamp_expires = timestamp.expires;
        let timestamp_bytes = signed(timestamp, std::slice::from_ref(self.timestamp))?;
        Ok(Metadata {
            files: vec![
                ("1.root.json", root_bytes),
                ("1.targets.json", targets_bytes),
                ("1.snapshot.json", snapshot_bytes),
                ("timestamp.json", timestamp_bytes),
            ],
            signer_state: state.to_bytes(),
            expiries: vec![
                ("root", root_expires),
                ("targets", targets_expires),
                ("snapshot", snapshot_expires),
                ("timestamp", timestamp_expires),
            ],
        })
    }

    fn root(&self, now: Timestamp) -> Result<Root, CeremonyError> {
        let one = NonZeroU64::MIN;
        let threshold = NonZeroU64::new(ROOT_THRESHOLD).expect("the threshold constant is not zero");
        let mut root = Root {
            spec_version: SPEC_VERSION.to_owned(),
            consistent_snapshot: true,
            version: one,
            expires: expiry(now, ROOT_DAYS)?,
            keys: HashMap::new(),
            roles: HashMap::new(),
            _extra: HashMap::new(),
        };
        let alone = std::slice::from_ref;
        for (role, keys, threshold) in [
            (RoleType::Root, self.roots, threshold),
            (RoleType::Targets, alone(self.targets), one),
            (RoleType::Snapshot, alone(self.snapshot), one),
            (RoleType::Timestamp, alone(self.timestamp), one),
        ] {
            let mut keyids = Vec::new();
            for key in keys {
                let id = key_id(key)?;
                root.keys.insert(id.clone(), key.tuf_key());
                keyids.push(id);
            }
            root.roles.insert(role, RoleKeys { keyids, threshold, _extra: HashMap::new() });
        }
        Ok(root)
    }

    /// What was done, for the record: no secret in it.
    fn transcript(&self, now: Timestamp, metadata: &Metadata) -> Result<String, CeremonyError> {
        let mut text = String::new();
        let at = whole_second(now);
        let _ = writeln!(text, "TUF root ceremony, held {at} by hearthwatch-provision {}", env!("CARGO_PKG_VERSION"));
        let _ = writeln!(text, "\nKeys (ed25519; id = SHA-256 of the canonical public key)");
        let mut line = |role: &str, file: &str, key: &Ed25519KeyPair| -> Result<(), CeremonyError> {
            let _ = writeln!(text, "  {role:<10} {}  {file}", hex::encode(&*key_id(key)?));
            Ok(())
        };
        for (index, key) in self.roots.iter().enumerate() {
            line("root", &format!("offline/root-{}.key", index + 1), key)?;
        }
        line("targets", "signer/targets.key", self.targets)?;
        line("snapshot", "online/snapshot.key", self.snapshot)?;
        line("timestamp", "online/timestamp.key", self.timestamp)?;
        let _ = writeln!(text, "\nThresholds: root {ROOT_THRESHOLD} of {ROOT_KEYS}; the others 1 of 1.");
        let _ = writeln!(text, "The first root is signed by all {ROOT_KEYS} root keys.\n\nExpiries");
        for (role, expires) in &metadata.expiries {
            let _ = writeln!(text, "  {role:<10} {expires}");
        }
        let _ = writeln!(text, "\nSigned metadata (SHA-256 of the file, in repository/metadata/)");
        for (name, bytes) in &metadata.files {
            let _ = writeln!(text, "  {}  {name}", hex::encode(Sha256::digest(bytes)));
        }
        text.push_str(
            "\nWhat is left for you to do\n  \
             1. Compare the SHA-256 of root.json here with the one that each home is given.\n  \
             2. Move each file of offline/ to a medium of its own, kept apart, and delete it here. Two of the three\n     \
             are needed before the root expires, or when a key is lost.\n  \
             3. Run the signer under a user of its own; only it needs signer/. The aggregator needs online/.\n",
        );
        Ok(text)
    }
}

/// `now` plus `days`, in whole seconds: other TUF clients refuse fractions.
pub(crate) fn expiry(now: Timestamp, days: i64) -> Result<Timestamp, CeremonyError> {
    whole_second(now).checked_add(SignedDuration::from_hours(days * 24)).map_err(library("compute an expiry"))
}

pub(crate) fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

pub(crate) fn key_id(key: &Ed25519KeyPair) -> Result<Decoded<Hex>, CeremonyError> {
    let public: Key = key.tuf_key();
    public.key_id().map_err(library("name a key"))
}

/// The bytes that are signed.
pub(crate) fn canonical<R: Role>(role: &R) -> Result<Vec<u8>, CeremonyError> {
    role.canonical_form().map_err(library("write metadata canonically"))
}

/// The bytes of the file: `role` and a signature by each of `keys`.
pub(crate) fn signed<R: Role + serde::Serialize>(role: R, keys: &[Ed25519KeyPair]) -> Result<Vec<u8>, CeremonyError> {
    let message = canonical(&role)?;
    let mut signatures = Vec::new();
    for key in keys {
        let sig = Ed25519KeyPair::sign(key, &message).as_ref().to_vec();
        signatures.push(Signature { keyid: key_id(key)?, sig: sig.into() });
    }
    let signed = Signed { signed: role, signatures };
    let mut bytes = serde_json::to_vec_pretty(&signed).map_err(library("write metadata"))?;
    bytes.push(b'\n');
    Ok(bytes)
}

pub(crate) fn metafile(version: NonZeroU64, bytes: &[u8]) -> Metafile {
    Metafile {
        length: Some(bytes.len() as u64),
        hashes: Some(Hashes { sha256: Sha256::digest(bytes).to_vec().into(), _extra: HashMap::new() }),
        version,
        _extra: HashMap::new(),
    }
}

/// The public half of a key, hex.
#[must_use]
pub fn public_hex(key: &Ed25519KeyPair) -> String {
    hex::encode(key.public_key().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00.987Z".parse().unwrap()
    }

    #[tokio::test]
    async fn a_client_accepts_the_empty_repository_that_the_ceremony_leaves() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        // tough reads the real clock.
        hold(&layout, Timestamp::now()).unwrap();
        let url = |path: PathBuf| url::Url::from_directory_path(path).unwrap();
        let root = std::fs::read(layout.tuf_root()).unwrap();
        let repository = tough::RepositoryLoader::new(&root, url(layout.tuf_metadata()), url(layout.tuf_targets()))
            .transport(tough::FilesystemTransport)
            .load()
            .await
            .unwrap();
        assert_eq!(repository.targets().signed.targets.len(), 0);
        assert_eq!(repository.root().signed.roles[&RoleType::Root].threshold.get(), ROOT_THRESHOLD);
        assert_eq!(repository.root().signatures.len(), ROOT_KEYS);
    }

    #[test]
    fn expiries_are_whole_seconds() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        hold(&layout, now()).unwrap();
        let root: serde_json::Value = serde_json::from_slice(&std::fs::read(layout.tuf_root()).unwrap()).unwrap();
        assert_eq!(root["signed"]["expires"], "2027-04-05T12:00:00Z");
    }

    #[test]
    fn an_interrupted_ceremony_leaves_nothing_that_counts_and_can_be_held_again() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        std::fs::create_dir_all(dir.path().join("tuf.partial/tuf/offline")).unwrap();
        std::fs::write(dir.path().join("tuf.partial/tuf/offline/root-1.key"), "half").unwrap();
        hold(&layout, now()).unwrap();
        load_key(&layout.root_key(1)).unwrap();
        assert!(!dir.path().join("tuf.partial").exists());
    }

    #[test]
    fn the_transcript_names_every_key_and_holds_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        hold(&layout, now()).unwrap();
        let text = std::fs::read_to_string(layout.ceremony_transcript()).unwrap();
        for path in [layout.root_key(1), layout.root_key(3), layout.targets_key(), layout.timestamp_key()] {
            let key = load_key(&path).unwrap();
            assert!(text.contains(&hex::encode(&*key_id(&key).unwrap())), "{}", path.display());
        }
        assert!(text.starts_with("TUF root ceremony, held 2026-03-01T12:00:00Z"));
    }
}
