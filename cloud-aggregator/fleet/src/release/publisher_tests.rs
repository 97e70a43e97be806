//! A release with everything that is real about it: installation, signer process, repository, a client's own loader.

use std::path::Path;

use hearthwatch_protocol::ModelVersion;
use hearthwatch_provision::signer::server::Server;
use hearthwatch_provision::{Layout, init};
use hearthwatch_store::{ModelState, RunState};
use jiff::Timestamp;
use tough::{FilesystemTransport, RepositoryLoader, TargetName};
use url::Url;

use super::*;
use crate::fixtures::{REPORT, Releaser};
use crate::release::RemoteSigner;
use crate::release::manual::{self, ManualError};
use crate::release::rollback::roll_back;

/// An installation with its signer running, and an aggregator that releases through it.
struct World {
    releaser: Releaser,
    layout: Layout,
    installation: tempfile::TempDir,
    publisher: Arc<Publisher>,
    signer: CancellationToken,
    signing: tokio::task::JoinHandle<()>,
}

fn config(layout: &Layout, socket: &Path) -> ReleaseConfig {
    ReleaseConfig {
        repository: layout.tuf_repository(),
        root_file: layout.tuf_root(),
        keys: layout.tuf_online(),
        gate_key: layout.gate_key(),
        signer_socket: socket.to_owned(),
        url: Url::parse("https://updates.example/tuf/").unwrap(),
    }
}

fn start_signer(layout: &Layout, socket: &Path) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let server = Server::bind(&layout.signer(), &layout.gate_public(), socket).unwrap();
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    (stop, tokio::spawn(async move { server.run(stopped).await.unwrap() }))
}

impl World {
    async fn new() -> Self {
        let installation = tempfile::tempdir().unwrap();
        let layout = Layout::new(installation.path().join("i"));
        init::run(&layout, &init::Options::default(), Timestamp::now()).unwrap();
        let socket = installation.path().join("s");
        let (signer, signing) = start_signer(&layout, &socket);
        let config = config(&layout, &socket);
        let publisher = Publisher::open(&config, Arc::new(RemoteSigner::new(&socket)), &Metrics::new()).await.unwrap();
        let releaser = Releaser::new(publisher.clone());
        Self { releaser, layout, installation, publisher, signer, signing }
    }

    /// The newest target and its bytes, as a client gets them that knows nothing but the ceremony's root.
    async fn downloaded(&self) -> (String, Vec<u8>) {
        let root = std::fs::read(self.layout.tuf_root()).unwrap();
        let url = |path: std::path::PathBuf| Url::from_directory_path(path).unwrap();
        let (metadata, targets) = (url(self.layout.tuf_metadata()), url(self.layout.tuf_targets()));
        let loader = RepositoryLoader::new(&root, metadata, targets).transport(FilesystemTransport);
        let repository = loader.load().await.unwrap();
        let newest = super::super::repository::version_of;
        let names = repository.targets().signed.targets.keys().map(|name| name.raw().to_owned());
        let name = names.max_by_key(|name| newest(name)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let target = TargetName::new(&name).unwrap();
        repository.save_target(&target, directory.path(), tough::Prefix::None).await.unwrap();
        let bytes = std::fs::read(directory.path().join(&name)).unwrap();
        (name, bytes)
    }
}

#[tokio::test]
async fn what_the_gate_let_through_is_signed_and_reaches_a_client() {
    let world = World::new().await;
    let version = world.releaser.run("good", RunState::Promoted, b"weights").unwrap();
    let row = world.releaser.releases.release(version, "auto").await.unwrap();
    assert_eq!((row.target.as_str(), row.by.as_str()), ("model-1.safetensors", "auto"));
    assert_eq!(row.report_sha256, hex::encode(Sha256::digest(REPORT)));
    assert_eq!(world.downloaded().await, ("model-1.safetensors".to_owned(), b"weights".to_vec()));
    assert_eq!(world.publisher.renew().await.unwrap(), Renewal::Nothing);
}

#[tokio::test]
async fn a_release_that_awaits_a_second_person_says_so_and_goes_out_after_their_word() {
    let mut world = World::new().await;
    world.signer.cancel();
    (&mut world.signing).await.unwrap();
    let (socket, approvals) = (world.installation.path().join("s"), world.installation.path().join("approvals"));
    let server = Server::bind(&world.layout.signer(), &world.layout.gate_public(), &socket).unwrap();
    let server = server.with_approvals(approvals.clone());
    let signing = tokio::spawn(async move { server.run(std::future::pending()).await });
    let releaser = &world.releaser;
    let version = world.releaser.run("good", RunState::Promoted, b"weights").unwrap();
    let error = releaser.releases.release(version, "auto").await.unwrap_err();
    let sha256 = hex::encode(Sha256::digest(b"weights"));
    let expected = format!(
        "model-1.safetensors awaits a second person: `hearthwatch-provision approve {sha256}`, then the release is tried again"
    );
    assert!(matches!(&error, ReleaseError::AwaitingSignature(words) if *words == expected), "{error}");
    assert_eq!(releaser.store.model(version).unwrap().unwrap().state, ModelState::AwaitingSignature);

    std::fs::write(&approvals, format!("{sha256}  2026-03-01T12:05:00Z  ada\n")).unwrap();
    let row = releaser.releases.release_pending("auto").await.unwrap().unwrap();
    assert_eq!((row.model_version, world.downloaded().await.1), (version, b"weights".to_vec()));
    assert_eq!(releaser.store.model(version).unwrap().unwrap().state, ModelState::Champion);
    signing.abort();
}

#[tokio::test]
async fn a_roll_back_reaches_clients_as_a_higher_version_of_older_bytes() {
    let world = World::new().await;
    let releaser = &world.releaser;
    for (run, bytes) in [("one", b"good"), ("two", b"bad!")] {
        let version = world.releaser.run(run, RunState::Promoted, bytes).unwrap();
        releaser.releases.release(version, "auto").await.unwrap();
    }
    let row = roll_back(&releaser.releases, ModelVersion(1), "kim").await.unwrap();
    assert_eq!((row.model_version, row.by.as_str()), (ModelVersion(3), "kim"));
    assert_eq!(world.downloaded().await, ("model-3.safetensors".to_owned(), b"good".to_vec()));
    assert_eq!(releaser.store.model(ModelVersion(2)).unwrap().unwrap().state, ModelState::Withdrawn);
    assert_eq!(releaser.store.champion().unwrap().unwrap().version, ModelVersion(3));
    let again = roll_back(&releaser.releases, ModelVersion(1), "kim").await.unwrap_err();
    assert!(matches!(again, ManualError::InForce(ModelVersion(3))), "{again}");
}

#[tokio::test]
async fn a_promoted_candidate_that_waits_is_released_by_hand() {
    let world = World::new().await;
    let version = world.releaser.run("waits", RunState::Promoted, b"weights").unwrap();
    let row = manual::promote(&world.releaser.releases, "waits", "kim").await.unwrap();
    assert_eq!((row.model_version, row.by.as_str()), (version, "kim"));
    assert_eq!(world.downloaded().await.1, b"weights");
}

#[tokio::test]
async fn without_the_signer_nothing_is_released_and_afterwards_the_same_release_succeeds() {
    let mut world = World::new().await;
    let version = world.releaser.run("good", RunState::Promoted, b"weights").unwrap();
    world.signer.cancel();
    (&mut world.signing).await.unwrap();
    let error = world.releaser.releases.release(version, "auto").await.unwrap_err();
    assert!(matches!(error, ReleaseError::SignerUnreachable(_)), "{error}");
    assert_eq!(world.releaser.store.champion().unwrap(), None);

    let (_signer, _signing) = start_signer(&world.layout, &world.installation.path().join("s"));
    world.releaser.releases.release(version, "auto").await.unwrap();
    assert_eq!(world.downloaded().await.1, b"weights");
}

#[tokio::test]
async fn a_verdict_of_another_gate_moves_no_key() {
    let world = World::new().await;
    let version = world.releaser.run("good", RunState::Promoted, b"weights").unwrap();
    let (_, private) = hearthwatch_provision::ceremony::make_key().unwrap();
    std::fs::remove_file(world.layout.gate_key()).unwrap();
    hearthwatch_provision::files::write_private(&world.layout.gate_key(), &private).unwrap();
    let error = world.releaser.releases.release(version, "auto").await.unwrap_err();
    let expected = "the signer refused: the verdict on model-1.safetensors is not signed by the gate";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn the_summary_holds_verdict_and_figures_and_nothing_else_of_the_report() {
    let candidate = json!({"homes": 4, "home_weeks": 9.5, "recall": 0.5, "false_alarms_per_week": 1, "by_class": {}});
    let report = json!({"verdict": "promote", "candidate": candidate, "comparisons": [1, 2]}).to_string();
    let expected = json!({
        "report_sha256": "ab",
        "released_by": "gate",
        "summary": {
            "verdict": "promote",
            "candidate": {"homes": 4, "home_weeks": 9.5, "recall": 0.5, "false_alarms_per_week": 1},
        },
    });
    assert_eq!(summary(&report, "ab", "auto"), expected);
}

#[test]
fn a_long_summary_is_left_out_and_a_token_is_not_named() {
    let report = json!({"verdict": "x".repeat(2000)}).to_string();
    let found = summary(&report, "ab", "kim");
    assert_eq!(found, json!({"report_sha256": "ab", "released_by": "operator", "summary": null}));
}
