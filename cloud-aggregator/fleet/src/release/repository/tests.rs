//! The repository as its clients see it: tough's own loader, from the trusted root alone.

use std::sync::Mutex;

use aws_lc_rs::signature::Ed25519KeyPair;
use hearthwatch_telemetry::chain::chain;
use serde_json::json;
use tough::schema::{RoleKeys, RoleType, Root};
use tough::sign::Sign;

use super::*;
use crate::release::verdict::{Judgement, PromotionVerdict};

/// Signs with a key on disk, and remembers which targets it was given a verdict for.
#[derive(Debug)]
struct LocalSigner {
    key: PathBuf,
    asked: Mutex<Vec<usize>>,
}

#[async_trait]
impl TargetsSigner for LocalSigner {
    async fn last_version(&self) -> Result<u64, SignerError> {
        Ok(self.asked.lock().unwrap().len() as u64)
    }

    fn key_source(&self, verdicts: Vec<SignedVerdict>) -> Box<dyn KeySource> {
        self.asked.lock().unwrap().push(verdicts.len());
        Box::new(FileKey::new(&self.key))
    }
}

struct World {
    directory: tempfile::TempDir,
    files: RepositoryFiles,
    signer: Arc<LocalSigner>,
}

/// A root signed by one root key, with one key for each role.
async fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let mut root = Root {
        spec_version: SPEC_VERSION.to_owned(),
        consistent_snapshot: true,
        version: NonZeroU64::MIN,
        expires: expiry(wall(), 365 * 24 * 3600),
        keys: HashMap::new(),
        roles: HashMap::new(),
        _extra: HashMap::new(),
    };
    for role in [RoleType::Root, RoleType::Targets, RoleType::Snapshot, RoleType::Timestamp] {
        let path = at(&format!("{role}.key"));
        std::fs::write(&path, Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap()).unwrap();
        let key = crate::release::keys::read_ed25519(&path).unwrap().tuf_key();
        let id = key.key_id().unwrap();
        root.keys.insert(id.clone(), key);
        let keys = RoleKeys { keyids: vec![id], threshold: NonZeroU64::MIN, _extra: HashMap::new() };
        root.roles.insert(role, keys);
    }
    let holder = KeyHolder::Root(root.clone());
    let keys: Vec<Box<dyn KeySource>> = vec![Box::new(FileKey::new(at("root.key")))];
    let signed = sign(root, &holder, &keys, "root").await.unwrap();
    std::fs::write(at("root.json"), signed.buffer()).unwrap();
    let files = RepositoryFiles {
        directory: at("repository"),
        root: at("root.json"),
        snapshot_key: at("snapshot.key"),
        timestamp_key: at("timestamp.key"),
    };
    let signer = Arc::new(LocalSigner { key: at("targets.key"), asked: Mutex::default() });
    World { directory, files, signer }
}

/// The same, with its repository made.
async fn opened() -> (World, Repository) {
    let world = world().await;
    let repository = world.open(wall()).await.unwrap();
    (world, repository)
}

impl World {
    async fn open(&self, now: i64) -> Result<Repository, RepositoryError> {
        let signer: Arc<dyn TargetsSigner> = self.signer.clone();
        Repository::open(&self.files, signer, Lifetimes::default(), now).await
    }

    /// What a client sees that starts from the trusted root and enforces expiries.
    async fn client(&self) -> Result<tough::Repository, tough::error::Error> {
        let root = std::fs::read(&self.files.root).unwrap();
        let url = |name: &str| Url::from_directory_path(self.files.directory.join(name)).unwrap();
        RepositoryLoader::new(&root, url("metadata"), url("targets")).transport(FilesystemTransport).load().await
    }
}

/// tough's clients read the machine's clock; so must what is signed for them.
fn wall() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn release(version: u64, bytes: &[u8]) -> NewRelease {
    let model_version = ModelVersion(version);
    let (target, sha256) = (target_name(model_version), hex::encode(Sha256::digest(bytes)));
    let (length, verdict, report_sha256) = (bytes.len() as u64, Judgement::Promote, "00".repeat(32));
    let body = PromotionVerdict { target, sha256, length, model_version, verdict, report_sha256 };
    // The local signer does not look at it; the real one is asked in `release/signer.rs`.
    let verdict = SignedVerdict { body, signature: String::new() };
    let custom = TargetCustom { model_version, weights_id: "w1".to_owned(), gate: json!({"recall": 0.5}) };
    NewRelease { bytes: bytes.to_vec(), custom, verdict }
}

#[tokio::test]
async fn a_new_repository_is_empty_and_verifies() {
    let world = world().await;
    world.open(wall()).await.unwrap();
    let client = world.client().await.unwrap();
    assert_eq!(client.targets().signed.targets.len(), 0);
    assert_eq!(client.targets().signed.version.get(), 1);
}

#[tokio::test]
async fn a_released_model_is_read_by_a_client_with_its_custom_metadata() {
    let (world, repository) = opened().await;
    let written = repository.publish(&release(1, b"weights"), wall()).await.unwrap();
    assert_eq!(written, Written { targets: 2, snapshot: 2, timestamp: 2 });
    assert_eq!(*world.signer.asked.lock().unwrap(), [0, 1], "one verdict for the one new target");

    let client = world.client().await.unwrap();
    let name = TargetName::new("model-1.safetensors").unwrap();
    let target = &client.targets().signed.targets[&name];
    assert_eq!(target.custom["gate"], json!({"recall": "0.500000"}));
    assert_eq!(target.custom["model_version"], json!(1));
    let directory = world.directory.path().join("download");
    std::fs::create_dir(&directory).unwrap();
    client.save_target(&name, &directory, tough::Prefix::None).await.unwrap();
    assert_eq!(std::fs::read(directory.join("model-1.safetensors")).unwrap(), b"weights");
    assert_eq!(repository.read(ModelVersion(1)).await.unwrap(), b"weights");
}

#[tokio::test]
async fn releasing_the_same_bytes_again_changes_nothing() {
    let (_world, repository) = opened().await;
    let first = repository.publish(&release(1, b"weights"), wall()).await.unwrap();
    assert_eq!(repository.publish(&release(1, b"weights"), wall()).await.unwrap(), first);
}

#[tokio::test]
async fn a_version_that_is_not_above_the_newest_is_refused() {
    let (_world, repository) = opened().await;
    repository.publish(&release(2, b"two"), wall()).await.unwrap();
    for (version, bytes) in [(1, b"one"), (2, b"new")] {
        let error = repository.publish(&release(version, bytes), wall()).await.unwrap_err();
        assert_eq!(error.to_string(), format!("version {version} is not above the newest release 2"));
    }
}

#[tokio::test]
async fn an_empty_and_an_oversized_artifact_are_refused() {
    let (_world, repository) = opened().await;
    let empty = repository.publish(&release(1, b""), wall()).await.unwrap_err();
    assert_eq!(empty.to_string(), "an artifact has 1 to 4194304 bytes, this one has 0");
    let large = vec![0; 4 * 1024 * 1024 + 1];
    assert!(matches!(repository.publish(&release(1, &large), wall()).await, Err(RepositoryError::Size(4_194_305))));
}

#[tokio::test]
async fn a_tampered_target_is_refused_by_client_and_repository() {
    let (world, repository) = opened().await;
    repository.publish(&release(1, b"weights"), wall()).await.unwrap();
    let file = std::fs::read_dir(repository.targets_directory()).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&file, b"weighty").unwrap();

    let client = world.client().await.unwrap();
    let name = TargetName::new("model-1.safetensors").unwrap();
    let error = client.save_target(&name, world.directory.path(), tough::Prefix::None).await.unwrap_err();
    assert!(chain(&error).to_lowercase().contains("hash"), "{}", chain(&error));
    assert!(matches!(repository.read(ModelVersion(1)).await, Err(RepositoryError::Bytes(_))));
}

#[tokio::test]
async fn nothing_is_signed_on_top_of_tampered_metadata() {
    let (world, repository) = opened().await;
    let path = repository.metadata_directory().join("timestamp.json");
    let edited = std::fs::read_to_string(&path).unwrap().replace("\"version\": 1", "\"version\": 7");
    std::fs::write(&path, edited).unwrap();
    assert!(world.client().await.is_err());
    assert!(matches!(repository.publish(&release(1, b"x"), wall()).await, Err(RepositoryError::Unverified(_))));
    assert!(matches!(repository.renew(wall()).await, Err(RepositoryError::Unverified(_))));
    assert!(matches!(world.open(wall()).await, Err(RepositoryError::Unverified(_))));
}

#[tokio::test]
async fn an_expired_repository_is_refused_by_clients_until_it_is_renewed() {
    let world = world().await;
    let long_ago = wall() - 8 * 24 * 3600;
    let repository = world.open(long_ago).await.unwrap();
    let error = world.client().await.unwrap_err();
    assert!(matches!(error, tough::error::Error::ExpiredMetadata { .. }), "{error}");
    assert_eq!(repository.renew(wall()).await.unwrap(), Renewal::Timestamp);
    world.client().await.unwrap();
    assert_eq!(repository.renew(wall()).await.unwrap(), Renewal::Nothing);
}

#[tokio::test]
async fn renewal_of_the_snapshot_needs_no_signer_and_renewal_of_targets_brings_no_verdict() {
    let world = world().await;
    let repository = world.open(wall() - 20 * 24 * 3600).await.unwrap();
    assert_eq!(repository.renew(wall()).await.unwrap(), Renewal::Snapshot);
    assert_eq!(*world.signer.asked.lock().unwrap(), [0]);
    assert_eq!(repository.renew(wall() + 200 * 24 * 3600).await.unwrap(), Renewal::Targets);
    assert_eq!(*world.signer.asked.lock().unwrap(), [0, 0]);
    assert_eq!(world.client().await.unwrap().targets().signed.version.get(), 2);
}

#[tokio::test]
async fn a_version_signed_before_a_crash_is_not_signed_again() {
    let (world, repository) = opened().await;
    // As if power had failed after version 2 was signed and its snapshot written, before the timestamp named them.
    world.signer.key_source(Vec::new());
    std::fs::write(repository.metadata_directory().join("2.snapshot.json"), b"{}").unwrap();
    let written = repository.publish(&release(1, b"weights"), wall()).await.unwrap();
    assert_eq!(written, Written { targets: 3, snapshot: 3, timestamp: 2 });
    world.client().await.unwrap();
}

#[tokio::test]
async fn a_targets_key_that_the_root_does_not_name_makes_no_release() {
    let (world, repository) = opened().await;
    std::fs::write(&world.signer.key, Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap()).unwrap();
    let error = repository.publish(&release(1, b"weights"), wall()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot sign the targets role");
    assert_eq!(world.client().await.unwrap().targets().signed.version.get(), 1);
}

#[tokio::test]
async fn a_root_that_is_not_signed_by_its_own_keys_is_refused() {
    let world = world().await;
    let edited = std::fs::read_to_string(&world.files.root).unwrap().replace("\"version\": 1", "\"version\": 2");
    std::fs::write(&world.files.root, edited).unwrap();
    let error = world.open(wall()).await.unwrap_err();
    assert!(matches!(error, RepositoryError::Root { .. }), "{error}");
}

#[tokio::test]
async fn a_signer_that_forgot_what_it_signed_is_noticed() {
    let (world, repository) = opened().await;
    world.signer.asked.lock().unwrap().clear();
    let error = repository.publish(&release(1, b"weights"), wall()).await.unwrap_err();
    assert!(matches!(error, RepositoryError::SignerBehind { signer: 0, repository: 1 }), "{error}");
}

#[test]
fn names_and_versions_are_inverse_and_nothing_else_is_a_name() {
    assert_eq!(version_of(&target_name(ModelVersion(12))), Some(ModelVersion(12)));
    for name in ["model-01.safetensors", "model-.safetensors", "model--1.safetensors", "model-1.bin", "../model-1"] {
        assert_eq!(version_of(name), None, "{name}");
    }
}
