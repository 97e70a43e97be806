//! The signer over its real socket, with `tough`'s own editor on the other side.

use std::num::NonZeroU64;

use hearthwatch_protocol::ModelVersion;
use jiff::SignedDuration;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use tough::editor::RepositoryEditor;
use tough::key_source::{KeySource, LocalKeySource};
use tough::schema::Target;

use super::*;
use crate::init;
use crate::layout::Layout;
use crate::signer::client::{ClientError, RemoteTargetsKey, SignerClient};
use crate::signer::message::{GateKey, Judgement, PromotionVerdict, SignedVerdict, target_name};

struct Running {
    layout: Layout,
    client: SignerClient,
    socket: PathBuf,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), SignerError>>,
    // Removed last.
    dir: tempfile::TempDir,
}

fn run(dir: tempfile::TempDir, change: impl FnOnce(Server) -> Server) -> Running {
    let layout = Layout::new(dir.path().join("hw"));
    let socket = dir.path().join("signer.sock");
    let server = change(Server::bind(&layout.signer(), &layout.gate_public(), &socket).unwrap());
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running { layout, client: SignerClient::new(&socket), socket, stop, task, dir }
}

/// An installation of today: `tough` reads the real clock.
fn installed() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    init::run(&Layout::new(dir.path().join("hw")), &init::Options::default(), Timestamp::now()).unwrap();
    dir
}

/// Everything that an error says, down to its first cause.
fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", chain(cause)))
}

fn start() -> Running {
    run(installed(), |server| server)
}

impl Running {
    async fn stop(self) -> tempfile::TempDir {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
        self.dir
    }

    /// Releases `content` as version 1 the way an aggregator does.
    async fn release(&self, content: &[u8], verdicts: Vec<SignedVerdict>) -> Result<(), tough::error::Error> {
        let (version, days) = (NonZeroU64::new(2).unwrap(), SignedDuration::from_hours(24));
        let expires = Timestamp::from_second(Timestamp::now().as_second()).unwrap() + days;
        let file = self.dir.path().join(target_name(ModelVersion(1)));
        std::fs::write(&file, content).unwrap();
        let mut target = Target::from_path(&file).await.unwrap();
        target.custom.insert("model_version".to_owned(), 1.into());
        let mut editor = RepositoryEditor::new(self.layout.tuf_root()).await?;
        editor.add_target(target_name(ModelVersion(1)).as_str(), target)?;
        editor.targets_version(version)?.targets_expires(expires)?;
        editor.snapshot_version(version).snapshot_expires(expires);
        editor.timestamp_version(version).timestamp_expires(expires);
        let keys: Vec<Box<dyn KeySource>> = vec![
            Box::new(RemoteTargetsKey::new(self.client.clone(), verdicts)),
            Box::new(LocalKeySource { path: self.layout.snapshot_key() }),
            Box::new(LocalKeySource { path: self.layout.timestamp_key() }),
        ];
        let signed = editor.sign(&keys).await?;
        signed.write(self.layout.tuf_metadata()).await?;
        signed.copy_targets(self.dir.path(), self.layout.tuf_targets(), tough::editor::signed::PathExists::Skip).await
    }

    fn verdict(&self, content: &[u8]) -> SignedVerdict {
        let (model_version, verdict, report_sha256) = (ModelVersion(1), Judgement::Promote, "ab".repeat(32));
        let (sha256, length) = (hex::encode(Sha256::digest(content)), content.len() as u64);
        let target = target_name(model_version);
        let body = PromotionVerdict { target, sha256, length, model_version, verdict, report_sha256 };
        GateKey::load(&self.layout.gate_key()).unwrap().sign(body).unwrap()
    }
}

#[tokio::test]
async fn a_client_of_the_repository_accepts_what_the_signer_signed() {
    let running = start();
    running.release(b"weights", vec![running.verdict(b"weights")]).await.unwrap();
    let url = |path: PathBuf| url::Url::from_directory_path(path).unwrap();
    let root = std::fs::read(running.layout.tuf_root()).unwrap();
    let (metadata, targets) = (url(running.layout.tuf_metadata()), url(running.layout.tuf_targets()));
    let loader = tough::RepositoryLoader::new(&root, metadata, targets).transport(tough::FilesystemTransport);
    let repository = loader.load().await.unwrap();
    let name = target_name(ModelVersion(1)).as_str().try_into().unwrap();
    assert!(repository.read_target(&name).await.unwrap().is_some());
    let description = running.client.describe().await.unwrap();
    assert_eq!((description.version, description.model_version), (2, ModelVersion(1)));
    running.stop().await;
}

#[tokio::test]
async fn only_this_user_opens_the_socket_unless_its_group_may() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let running = start();
    assert_eq!(mode(&running.socket), 0o600);
    let running = run(running.stop().await, |server| server.open_to_group().unwrap());
    assert_eq!(mode(&running.socket), 0o660);
    running.client.describe().await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_release_waits_for_the_second_person_and_goes_out_on_their_word() {
    let dir = start().stop().await;
    let approvals = dir.path().join("approvals");
    let running = run(dir, |server| server.with_approvals(approvals.clone()));
    let verdicts = || vec![running.verdict(b"weights")];
    let words = chain(&running.release(b"weights", verdicts()).await.unwrap_err());
    assert!(words.contains("awaits a second person"), "{words}");
    let version = |description: Description| description.version;
    assert_eq!(running.client.describe().await.map(version).unwrap(), 1, "nothing was signed");

    let line = |content: &[u8]| format!("{}  2026-03-01T12:00:00Z  ada\n", hex::encode(Sha256::digest(content)));
    std::fs::write(&approvals, line(b"other")).unwrap();
    running.release(b"weights", verdicts()).await.unwrap_err();
    std::fs::write(&approvals, line(b"other") + &line(b"weights")).unwrap();
    running.release(b"weights", verdicts()).await.unwrap();
    assert_eq!(running.client.describe().await.map(version).unwrap(), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_verdict_on_other_weights_yields_no_signature_and_leaves_the_state() {
    let running = start();
    let words = chain(&running.release(b"weights", vec![running.verdict(b"other")]).await.unwrap_err());
    assert!(words.ends_with("the verdict on model-1.safetensors names another sha256"), "{words}");
    assert_eq!(running.client.describe().await.unwrap().version, 1);
    running.stop().await;
}

#[tokio::test]
async fn what_was_signed_is_known_after_a_restart() {
    let running = start();
    running.release(b"weights", vec![running.verdict(b"weights")]).await.unwrap();
    let running = run(running.stop().await, |server| server);
    assert_eq!(running.client.describe().await.unwrap().version, 2);
    running.stop().await;
}

#[tokio::test]
async fn the_socket_is_the_owners_alone_and_goes_with_the_signer() {
    let running = start();
    let mode = std::fs::metadata(&running.socket).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let socket = running.socket.clone();
    let _dir = running.stop().await;
    assert!(!socket.exists());
    let error = SignerClient::new(&socket).describe().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn two_signers_cannot_share_a_key() {
    let running = start();
    let layout = &running.layout;
    let second = Server::bind(&layout.signer(), &layout.gate_public(), &running.dir.path().join("second.sock"));
    assert!(matches!(second, Err(SignerError::Busy(_))));
    running.stop().await;
}

#[tokio::test]
async fn nonsense_and_excess_get_an_answer_and_do_not_stop_the_signer() {
    let running = start();
    for (sent, reason) in [(&b"\x00\x00\x00\x03abc"[..], "malformed"), (&b"\xff\xff\xff\xff"[..], "too_large")] {
        let mut stream = UnixStream::connect(&running.socket).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let answer = read_frame(&mut stream).await.unwrap().unwrap();
        let Response::Refused(refusal) = decode::<Response>(&answer).unwrap() else { panic!("not refused") };
        assert_eq!(refusal.reason(), reason);
    }
    drop(UnixStream::connect(&running.socket).await.unwrap());
    running.client.describe().await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_signer_whose_key_others_can_read_does_not_start() {
    let dir = installed();
    let layout = Layout::new(dir.path().join("hw"));
    std::fs::set_permissions(layout.targets_key(), Permissions::from_mode(0o604)).unwrap();
    let socket = dir.path().join("signer.sock");
    let refused = Server::bind(&layout.signer(), &layout.gate_public(), &socket).err().unwrap();
    assert!(matches!(refused, SignerError::Key(CeremonyError::File(FileError::Wide { mode: 0o604, .. }))));
    assert!(!socket.exists());
}
