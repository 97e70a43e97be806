//! A small TUF repository on disk, and the hands to spoil it.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tough::TargetName;
use tough::editor::RepositoryEditor;
use tough::editor::signed::SignedRole;
use tough::key_source::KeySource;
use tough::schema::{KeyHolder, RoleKeys, RoleType, Root, Target};
use tough::sign::{Sign, parse_keypair};
use url::Url;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// An ed25519 key in memory.
#[derive(Clone)]
struct MemoryKey(Vec<u8>);

impl MemoryKey {
    fn new() -> Self {
        Self(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref().to_vec())
    }
}

impl fmt::Debug for MemoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryKey")
    }
}

#[async_trait]
impl KeySource for MemoryKey {
    async fn as_sign(&self) -> Result<Box<dyn Sign>, AnyError> {
        Ok(Box::new(parse_keypair(&self.0)?))
    }

    async fn write(&self, _value: &str, _key_id: &str) -> Result<(), AnyError> {
        unreachable!("keys are not written in tests")
    }
}

/// When each role's metadata ends, from now.
#[derive(Clone, Copy)]
pub struct Ends {
    /// Seconds.
    pub root: i64,
    /// Seconds.
    pub targets: i64,
    /// Seconds.
    pub snapshot: i64,
    /// Seconds.
    pub timestamp: i64,
}

impl Default for Ends {
    fn default() -> Self {
        Self { root: 86_400, targets: 86_400, snapshot: 86_400, timestamp: 86_400 }
    }
}

/// A repository in a directory of its own, with all its keys.
pub struct TestRepository {
    /// Holds `repository/`, and `root.json` as clients are given it.
    pub directory: TempDir,
    keys: HashMap<&'static str, MemoryKey>,
    /// The first root's bytes.
    pub root: Vec<u8>,
}

impl TestRepository {
    /// One whose metadata holds for a day.
    pub async fn new() -> Self {
        Self::ending(Ends::default()).await
    }

    /// One whose root ends when it is asked to.
    pub async fn ending(ends: Ends) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("repository/targets")).unwrap();
        std::fs::create_dir_all(directory.path().join("repository/metadata")).unwrap();
        let keys: HashMap<_, _> =
            ["root", "targets", "snapshot", "timestamp"].into_iter().map(|role| (role, MemoryKey::new())).collect();
        let mut repository = Self { directory, keys, root: Vec::new() };
        repository.root = repository.sign_root(ends).await;
        std::fs::write(repository.directory.path().join("root.json"), &repository.root).unwrap();
        repository
    }

    async fn sign_root(&self, ends: Ends) -> Vec<u8> {
        let (mut keys, mut roles) = (HashMap::new(), HashMap::new());
        for (name, role) in [
            ("root", RoleType::Root),
            ("targets", RoleType::Targets),
            ("snapshot", RoleType::Snapshot),
            ("timestamp", RoleType::Timestamp),
        ] {
            let key = self.keys[name].as_sign().await.unwrap().tuf_key();
            let id = key.key_id().unwrap();
            keys.insert(id.clone(), key);
            roles.insert(role, RoleKeys { keyids: vec![id], threshold: NonZeroU64::MIN, _extra: HashMap::new() });
        }
        let root = Root {
            spec_version: "1.0.0".to_owned(),
            consistent_snapshot: true,
            version: NonZeroU64::MIN,
            expires: from_now(ends.root),
            keys,
            roles,
            _extra: HashMap::new(),
        };
        let holder = KeyHolder::Root(root.clone());
        let source: [Box<dyn KeySource>; 1] = [Box::new(self.keys["root"].clone())];
        SignedRole::new(root, &holder, &source, &SystemRandom::new()).await.unwrap().buffer().clone()
    }

    /// Publishes these models as version `number` of all metadata.
    pub async fn publish(&self, number: u64, models: &[(u64, &str)]) {
        self.publish_ending(number, models, Ends::default()).await;
    }

    /// Publishes these models in metadata that ends when it is asked to.
    pub async fn publish_ending(&self, number: u64, models: &[(u64, &str)], ends: Ends) {
        let models: Vec<_> =
            models.iter().map(|&(version, text)| (format!("model-{version}.safetensors"), version, text)).collect();
        self.publish_named(number, &models, ends).await;
    }

    /// Publishes with free target names.
    pub async fn publish_named(&self, number: u64, models: &[(String, u64, &str)], ends: Ends) {
        let number = NonZeroU64::new(number).unwrap();
        let mut editor = RepositoryEditor::new(self.directory.path().join("root.json")).await.unwrap();
        for (name, version, text) in models {
            let path = self.directory.path().join("staged");
            std::fs::write(&path, text).unwrap();
            let mut target = Target::from_path(&path).await.unwrap();
            target.custom.insert("model_version".to_owned(), serde_json::json!(version));
            let file = format!("{}.{name}", hex::encode(&target.hashes.sha256));
            std::fs::rename(path, self.path("targets").join(file)).unwrap();
            editor.add_target(TargetName::new(name.clone()).unwrap(), target).unwrap();
        }
        editor
            .targets_version(number)
            .unwrap()
            .targets_expires(from_now(ends.targets))
            .unwrap()
            .snapshot_version(number)
            .snapshot_expires(from_now(ends.snapshot))
            .timestamp_version(number)
            .timestamp_expires(from_now(ends.timestamp));
        let sources: Vec<Box<dyn KeySource>> =
            self.keys.values().map(|key| Box::new(key.clone()) as Box<dyn KeySource>).collect();
        editor.sign(&sources).await.unwrap().write(self.path("metadata")).await.unwrap();
    }

    /// A path below `repository/`.
    pub fn path(&self, part: &str) -> PathBuf {
        self.directory.path().join("repository").join(part)
    }

    /// A file of the metadata.
    pub fn metadata(&self, file: &str) -> PathBuf {
        self.path("metadata").join(file)
    }

    /// The file of a target, found by the end of its name.
    pub fn target(&self, name: &str) -> PathBuf {
        let files = std::fs::read_dir(self.path("targets")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.to_string_lossy().ends_with(name)).max().unwrap()
    }

    /// The `file://` address of `repository/`.
    pub fn url(&self) -> Url {
        Url::from_directory_path(self.directory.path().join("repository")).unwrap()
    }
}

/// Whole seconds, as other TUF clients want them.
fn from_now(seconds: i64) -> Timestamp {
    Timestamp::from_second((Timestamp::now() + SignedDuration::from_secs(seconds)).as_second()).unwrap()
}

/// Changes a text in a file, which must be there.
pub fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from:?} is not in {text}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}
