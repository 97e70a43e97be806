//! The admin API against its own description, judged by programs of others: the document by openapi-spec-validator, the
//! server by schemathesis with a token of each role, and both by a client that a public generator makes.
//!
//! `cargo xtask test --only contract` installs these programs (`tests/contract/requirements.txt`) and runs this. The
//! aggregator is the real one, over loopback, with some rows of each noun in its store.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hearthwatch_api::http::config::HttpConfig;
use hearthwatch_cloud::aggregator::DATABASE_FILE;
use hearthwatch_cloud::config::{Config, RolloutConfig};
use hearthwatch_cloud::serve::serve;
use hearthwatch_fleet::rollout::Policy;
use hearthwatch_protocol::messages::{
    AgentStatus, FeatureWindow, FeedbackRecord, Origin, RefusalReason, UpdateOutcome, UpdateResult, UpdateStage,
    Verdict,
};
use hearthwatch_protocol::{AlarmId, HomeId, Message, ModelVersion, Sequence, encode};
use hearthwatch_provision::{Layout, init};
use hearthwatch_store::files::private_data;
use hearthwatch_store::rollouts::{ExclusionRow, RolloutRow, RolloutState};
use hearthwatch_store::run_requests::RunRequestRow;
use hearthwatch_store::token;
use hearthwatch_store::{
    Actor, AuditEntry, FeedbackRow, IngestBatch, NewModel, QuarantineRow, ReleaseRow, RequestState, Role,
    RolloutStore as _, RunRequestStore as _, RunRow, RunState, RunTrigger, SnapshotRow, SqliteStore, Store,
};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

/// How long the aggregator may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests that schemathesis makes up for each call and phase as somebody who may do everything, and as the others, who
/// mostly are refused.
const EXAMPLES: &str = "100";
const EXAMPLES_OF_LESSER_ROLES: &str = "10";

/// Where the suite installs the programs.
fn programs() -> Option<PathBuf> {
    let folder = root().join("target/contract/bin");
    if folder.join("schemathesis").is_file() {
        return Some(folder);
    }
    assert!(std::env::var_os("HEARTHWATCH_REQUIRE_CONTRACT").is_none(), "{} holds no schemathesis", folder.display());
    eprintln!("NOT CHECKED: `cargo xtask test --only contract` installs what judges the API");
    None
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A running aggregator with tokens of each role.
struct Stand {
    url: String,
    tokens: Vec<(Role, String)>,
    stop: CancellationToken,
    serving: std::thread::JoinHandle<()>,
    directory: tempfile::TempDir,
}

impl Stand {
    fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path().join("keys"));
        init::run(&layout, &init::Options::default(), Timestamp::now()).unwrap();
        let mut config = Config::in_directory(directory.path().join("cloud"));
        let store = SqliteStore::open(&private_data(&config.data, DATABASE_FILE).unwrap()).unwrap();
        fill(&store);
        let make = |role: Role| {
            let name = format!("test-{}", role.as_str());
            (role, token::make(&store, &name, role, None, now()).unwrap().0)
        };
        let tokens = [Role::Viewer, Role::Operator, Role::Admin].map(make).into();
        drop(store);
        let listen = hearthwatch_tests::free_address();
        config.enrolment = Some(layout.root().to_owned());
        config.http = Some(HttpConfig { calls_per_minute: 1_000_000, ..HttpConfig::new(listen) });
        config.rollout =
            Some(RolloutConfig { director_key: layout.director_key(), policy: Policy::named("immediate").unwrap() });
        let stop = CancellationToken::new();
        let told = stop.clone();
        let serving = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(serve(config, told)).unwrap();
        });
        let end = std::time::Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(listen).is_err() {
            assert!(std::time::Instant::now() < end, "the aggregator does not listen");
        }
        Self { url: format!("http://{listen}"), tokens, stop, serving, directory }
    }

    fn token(&self, role: Role) -> &str {
        &self.tokens.iter().find(|(own, _)| *own == role).unwrap().1
    }

    fn end(self) {
        self.stop.cancel();
        self.serving.join().unwrap();
    }
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

fn home(number: u64) -> HomeId {
    HomeId::new(format!("home-{number}")).unwrap()
}

/// Some rows of each noun.
fn fill(store: &SqliteStore) {
    let at = now() - 3_600;
    for number in 1..=4 {
        store.enrol_home(&home(number), at).unwrap();
    }
    store.revoke_home(&home(4), at).unwrap();
    learning(store, at);
    let status = AgentStatus {
        online: true,
        agent_version: "0.1.0".to_owned(),
        model_version: ModelVersion(1),
        entities: 12,
        outbox: 0,
    };
    let installed = |number| UpdateOutcome {
        model_version: ModelVersion(1),
        stage: Some(UpdateStage::Run),
        result: outcome(number),
        at,
    };
    let batch = IngestBatch {
        feedback: (1..=3).flat_map(|number| (1..=3).map(move |sequence| answer(number, sequence, at))).collect(),
        quarantine: (1..=3).map(|number| refused(number, at)).collect(),
        statuses: vec![(home(1), status)],
        outcomes: (1..=3).map(|number| (home(number), installed(number))).collect(),
        at,
        ..IngestBatch::default()
    };
    store.apply(&batch).unwrap();
    let reason = "answers for others".to_owned();
    let row = ExclusionRow { home: home(3), reason, by: Actor::Token("kim".to_owned()), at, lifted: None };
    store.exclude_home(&row).unwrap();
    let entry = AuditEntry {
        at,
        actor: Actor::System,
        action: "home.enrol".to_owned(),
        subject: "home-1".to_owned(),
        detail: "{}".to_owned(),
    };
    store.append_audit(&entry).unwrap();
}

/// Snapshot, runs, requests, models, a release and its rollout.
fn learning(store: &SqliteStore, at: i64) {
    let snapshot = "5a".repeat(32);
    let row = SnapshotRow {
        id: snapshot.clone(),
        created_at: at,
        rows: 9,
        homes: 3,
        watermark: 9,
        corpus: "c0".repeat(32),
        lineage: "{}".to_owned(),
    };
    store.put_snapshot(&row).unwrap();
    for (id, state) in [("aa", RunState::Promoted), ("bb", RunState::Held), ("cc", RunState::Failed)] {
        let row = RunRow {
            id: id.repeat(16),
            snapshot: snapshot.clone(),
            trigger: RunTrigger::Count,
            config: "{\"seed\":7}".to_owned(),
            champion: None,
            state,
            started_at: at,
            ended_at: Some(at + 60),
            challenger: (state != RunState::Failed).then(|| "e1".repeat(32)),
            report: (state != RunState::Failed).then(|| "{\"verdict\":\"promote\"}".to_owned()),
            failure: (state == RunState::Failed).then(|| "the loss is not finite".to_owned()),
        };
        store.put_run(&row).unwrap();
    }
    let asked = RunRequestRow::queued("0f".repeat(16), RunTrigger::Hand, "token:kim".to_owned(), at);
    let done = RunRequestRow {
        state: RequestState::Done,
        started_at: Some(at),
        ended_at: Some(at + 60),
        attempts: 1,
        run: Some("aa".repeat(16)),
        ..asked
    };
    store.put_run_request(&done).unwrap();
    let model = NewModel { sha256: "e1".repeat(32), length: 7, weights_id: "f2".repeat(32), run: "aa".repeat(16), at };
    let version = store.add_model(&model).unwrap().version;
    let release = ReleaseRow {
        model_version: version,
        target: format!("model-{version}.safetensors"),
        sha256: "e1".repeat(32),
        length: 7,
        report_sha256: "d3".repeat(32),
        released_at: at,
        by: "auto".to_owned(),
    };
    store.put_release(&release).unwrap();
    let rollout = RolloutRow {
        model_version: version,
        previous: None,
        policy: Policy::named("immediate").unwrap().to_toml(),
        state: RolloutState::Running,
        forced: false,
        started_at: at,
        paused_at: None,
        paused_seconds: 0,
        ended_at: None,
        reason: String::new(),
        row_version: 0,
    };
    store.put_rollout(&rollout).unwrap();
}

fn outcome(number: u64) -> UpdateResult {
    match number {
        1 => UpdateResult::Installed,
        2 => UpdateResult::Refused { reason: "hash".to_owned() },
        _ => UpdateResult::RolledBack { reason: "probation".to_owned(), to: ModelVersion(0) },
    }
}

fn answer(number: u64, sequence: u64, at: i64) -> FeedbackRow {
    let record = FeedbackRecord {
        home: home(number),
        sequence: Sequence(sequence),
        alarm: AlarmId::new(format!("alarm-{sequence}")).unwrap(),
        device_class: "temperature".to_owned(),
        model_version: ModelVersion(1),
        feature_schema: 1,
        window: FeatureWindow { steps: 1, features: 2, values: vec![0.25, 0.5] },
        score: 3.0,
        threshold: 2.5,
        verdict: [Verdict::Confirmed, Verdict::Dismissed, Verdict::Expected][usize::try_from(sequence % 3).unwrap()],
        origin: Origin::Alarm,
        raised_at: at - 600,
        answered_at: at - 60,
    };
    let payload = encode(&Message::Feedback(record.clone())).unwrap();
    FeedbackRow {
        record,
        payload: payload.into(),
        digest: [u8::try_from(10 * number + sequence).unwrap(); 32],
        received_at: at,
        grace: false,
        lift: None,
    }
}

fn refused(number: u64, at: i64) -> QuarantineRow {
    QuarantineRow {
        id: 0,
        reason: RefusalReason::NotAnnounced,
        detail: "no such alarm was announced".to_owned(),
        topic: format!("hw/v1/home/home-{number}/up/feedback"),
        home: Some(home(number)),
        sequence: Some(Sequence(9)),
        prefix: vec![0xa1, 0x01],
        length: 2,
        payload: None,
        settled: None,
        at,
    }
}

fn run(program: &Path, arguments: &[&str], paths: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).env("PYTHONPATH", paths).current_dir(paths).stdin(Stdio::null());
    command.status().unwrap_or_else(|error| panic!("{}: {error}", program.display())).success()
}

#[test]
fn the_document_is_valid_the_server_keeps_to_it_and_a_generated_client_can_use_it() {
    let Some(programs) = programs() else { return };
    let stand = Stand::start();
    let folder = stand.directory.path().join("judged");
    std::fs::create_dir(&folder).unwrap();
    let document = root().join("cloud-aggregator/openapi.json").display().to_string();
    assert!(run(&programs.join("openapi-spec-validator"), &[&document], &folder), "the document is not valid");

    let python = programs.join("python");
    let client = folder.join("hearthwatch_client").display().to_string();
    let settings = root().join("tests/contract/generator.yaml").display().to_string();
    let generate = ["generate", "--path", &document, "--output-path", &client, "--meta", "none", "--config", &settings];
    let generator = ["--fail-on-warning"];
    let generate = [&generate[..], &generator].concat();
    assert!(run(&programs.join("openapi-python-client"), &generate, &folder), "no client can be made of it");
    let calls = root().join("tests/contract/client.py").display().to_string();
    let calls = [&calls, &stand.url, stand.token(Role::Viewer), stand.token(Role::Operator)];
    assert!(run(&python, &calls, &folder), "the generated client does not get what it was promised");

    let settings = root().join("tests/contract/schemathesis.toml").display().to_string();
    let served = format!("{}/api/openapi.json", stand.url);
    let mut failed = Vec::new();
    for role in [Role::Viewer, Role::Operator, Role::Admin] {
        println!("=== schemathesis as {}", role.as_str());
        let examples = if role == Role::Admin { EXAMPLES } else { EXAMPLES_OF_LESSER_ROLES };
        let bearer = format!("Authorization: Bearer {}", stand.token(role));
        let arguments = [
            "--config-file",
            &settings,
            "run",
            &served,
            "--header",
            &bearer,
            "--checks",
            "all",
            "--max-examples",
            examples,
            "--seed",
            "1",
            "--continue-on-failure",
        ];
        if !run(&programs.join("schemathesis"), &arguments, &folder) {
            failed.push(role.as_str());
        }
    }
    stand.end();
    assert!(failed.is_empty(), "schemathesis found failures as {failed:?}");
}
