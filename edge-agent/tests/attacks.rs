//! One folder per attack (`tests/attacks/`, made by its `make.py`), each refused for exactly one reason.
//!
//! `tests/attacks/judge.py` holds python-tuf's word on the same folders. Servers that dawdle are in `update::fetch_tests`, clocks
//! and assignments in `update::tests`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hearthwatch_edge_update::fetch::{Patience, UpdateTransport};
use hearthwatch_edge_update::trust::{TrustError, TrustStore};
use hearthwatch_protocol::ModelVersion;
use url::Url;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/attacks").canonicalize().unwrap()
}

/// What a client with an empty memory makes of a folder: the bytes of the second model, or the first refusal.
async fn visit(case: &Path) -> Result<Vec<u8>, TrustError> {
    let memory = tempfile::tempdir().unwrap();
    let mut verified = None;
    for state in ["seen", "now"].map(|state| case.join(state)).into_iter().filter(|state| state.is_dir()) {
        let below = |name: &str| Url::from_directory_path(state.join(name)).unwrap();
        let trust = TrustStore {
            root: std::fs::read(case.join("root.json")).unwrap(),
            metadata: below("metadata"),
            targets: below("targets"),
            directory: memory.path().join("tuf"),
        };
        let partial = memory.path().join("partial");
        let transport = UpdateTransport::new(None, trust.targets.clone(), partial, Patience::default());
        let now = jiff::Timestamp::now().as_second();
        verified = Some(trust.refresh(transport, now).await?);
    }
    let verified = verified.expect("a folder shows something now");
    let offer =
        verified.offer(ModelVersion(2))?.ok_or_else(|| TrustError::NotListed("model-2.safetensors".to_owned()))?;
    verified.fetch(&offer).await
}

/// Without the words of the libraries below ours, which may change with them.
fn without_words(error: TrustError) -> TrustError {
    match error {
        TrustError::Signature { role, .. } => TrustError::Signature { role, cause: String::new() },
        TrustError::Malformed { role, .. } => TrustError::Malformed { role, cause: String::new() },
        TrustError::Mixed(_) => TrustError::Mixed(String::new()),
        TrustError::Tampered { what } => {
            // The file's name begins with its hash, which is new each time the fixtures are made.
            let what = what.split_once(".model").map_or(what.clone(), |(_, rest)| format!("model{rest}"));
            TrustError::Tampered { what }
        }
        other => other,
    }
}

fn expected() -> BTreeMap<&'static str, Option<TrustError>> {
    let expired = |role: &str| Some(TrustError::Expired { role: role.to_owned() });
    let back = |role: &str, had, offered| Some(TrustError::RolledBack { role: role.to_owned(), had, offered });
    let signature = |role: &str| Some(TrustError::Signature { role: role.to_owned(), cause: String::new() });
    let tampered = |what: &str| Some(TrustError::Tampered { what: what.to_owned() });
    let large = |what: &str, max| Some(TrustError::TooLarge { what: what.to_owned(), max });
    BTreeMap::from([
        ("honest", None),
        ("honest-rotated-root", None),
        ("tampered-target", tampered("model-2.safetensors")),
        ("truncated-target", tampered("model-2.safetensors")),
        ("endless-target", large("targets.json", 16)),
        ("endless-timestamp", large("max_timestamp_size argument", 16_384)),
        ("expired-root", expired("root")),
        ("expired-targets", expired("targets")),
        ("expired-snapshot", expired("snapshot")),
        ("expired-timestamp", expired("timestamp")),
        ("frozen", expired("timestamp")),
        ("rolled-back-timestamp", back("timestamp", 2, 1)),
        ("rolled-back-snapshot", back("snapshot", 2, 1)),
        ("rolled-back-targets", back("targets", 2, 1)),
        ("mixed-snapshot", tampered("2.snapshot.json")),
        ("mixed-targets", Some(TrustError::Mixed(String::new()))),
        ("edited-timestamp", signature("timestamp")),
        ("wrong-role-timestamp", signature("timestamp")),
        ("wrong-role-snapshot", signature("snapshot")),
        ("wrong-role-targets", signature("targets")),
        ("below-threshold", signature("targets")),
        ("duplicate-key-ids", signature("targets")),
        ("strangers-root", signature("root")),
        ("not-metadata", Some(TrustError::Malformed { role: "timestamp".to_owned(), cause: String::new() })),
    ])
}

#[tokio::test]
async fn every_attack_is_refused_for_its_own_reason_and_the_honest_ones_get_in() {
    let mut found = BTreeMap::new();
    for case in std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let refused = match visit(&case).await {
            Ok(bytes) => {
                assert_eq!(bytes, b"the second model", "{name}");
                None
            }
            Err(error) => {
                assert!(error.is_refusal(), "{name}: {error:?} is to be reported");
                Some(without_words(error))
            }
        };
        println!("{name:<24} {}", refused.as_ref().map_or("accepted", TrustError::reason));
        found.insert(name, refused);
    }
    let expected: BTreeMap<String, _> = expected().into_iter().map(|(name, error)| (name.to_owned(), error)).collect();
    assert_eq!(found, expected);
}
