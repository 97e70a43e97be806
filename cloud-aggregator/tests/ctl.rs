//! `hearthwatch-cloud ctl` against the real aggregator over loopback: a session of an operator, whose transcript is a page of the manual.
//!
//! `UPDATE_GOLDEN=1 cargo test --release -p hearthwatch-cloud --test ctl` writes the page anew. Without it, the session is played again and
//! held against the page; times, hashes and ports are not compared.

use std::fmt::Write as _;
use std::io::Cursor;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hearthwatch_api::http::config::HttpConfig;
use hearthwatch_cloud::aggregator::DATABASE_FILE;
use hearthwatch_cloud::config::{Config, RolloutConfig};
use hearthwatch_cloud::serve::serve;
use hearthwatch_ctl::{Terminal, World, run_line};
use hearthwatch_fleet::rollout::Policy;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::messages::{RefusalReason, UpdateOutcome, UpdateResult, UpdateStage, Verdict};
use hearthwatch_provision::{Layout, init};
use hearthwatch_store::files::private_data;
use hearthwatch_store::rollouts::{RolloutRow, RolloutState};
use hearthwatch_store::{
    IngestBatch, ReleaseRow, Role, RolloutStore as _, RunRow, RunState, SnapshotRow, SqliteStore, Store as _, fixtures,
    token,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

/// How long the aggregator may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// The reports of two real runs, as the explanations' own tests have them.
const HELD: &str = include_str!("../ctl/src/explain/golden/run-held.json");
const PROMOTED: &str = include_str!("../ctl/src/explain/golden/run-promoted.json");

/// A running aggregator with some rows of each noun, and a user with a home directory.
struct Stand {
    url: String,
    stop: CancellationToken,
    serving: std::thread::JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl Stand {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().join("keys"));
        init::run(&layout, &init::Options::default(), Timestamp::now()).unwrap();
        let mut config = Config::in_directory(folder.path().join("cloud"));
        let store = SqliteStore::open(&private_data(&config.data, DATABASE_FILE).unwrap()).unwrap();
        fill(&store, now() - 3_600);
        for (name, role) in [("admin", Role::Admin), ("watcher", Role::Viewer)] {
            let (secret, _) = token::make(&store, name, role, None, now()).unwrap();
            hearthwatch_provision::files::write_private(
                &folder.path().join(format!("{name}.token")),
                secret.as_bytes(),
            )
            .unwrap();
        }
        drop(store);
        let listen = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        config.enrolment = Some(layout.root().to_owned());
        config.http = Some(HttpConfig { calls_per_minute: 1_000_000, ..HttpConfig::new(listen) });
        config.rollout =
            Some(RolloutConfig { director_key: layout.director_key(), policy: Policy::named("staged").unwrap() });
        let stop = CancellationToken::new();
        let told = stop.clone();
        let serving = std::thread::spawn(move || {
            tokio::runtime::Runtime::new().unwrap().block_on(serve(config, told)).unwrap();
        });
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(listen).is_err() {
            assert!(Instant::now() < end, "the aggregator does not listen");
        }
        let stand = Self { url: format!("http://{listen}"), stop, serving, folder };
        // Until each part has said that it is able, and the director has ordered the first home.
        stand.until(&["health", "ready"], "\"status\": \"able\"");
        stand.until(&["rollouts", "get", "1"], "\"assigned\": 1,");
        stand
    }

    fn until(&self, command: &[&str], wanted: &str) {
        let end = Instant::now() + PATIENCE;
        let line = [&["ctl"], command, &["--json", "--url", "URL", "--token-file", "~/admin.token"]].concat();
        while !self.ctl(&line).0.contains(wanted) {
            assert!(Instant::now() < end, "{command:?} never says {wanted}");
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command as its user would, without a terminal; what a person would see, and the exit code.
    fn ctl(&self, words: &[&str]) -> (String, u8) {
        let home = self.folder.path().display().to_string();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let words: Vec<String> =
            words.iter().map(|word| word.replace("~/", &format!("{home}/")).replace("URL", &self.url)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let code = run_line(
            &words,
            &mut World {
                out: &mut out,
                err: &mut err,
                input: &mut Cursor::new(""),
                environment: &|name| (name == "HOME").then(|| home.clone()),
                // What has just happened is some seconds ago, however fast it goes.
                now: &|| Timestamp::from_second(now() + 5).unwrap(),
                zone: TimeZone::UTC,
                terminal: Terminal { width: 130, ..Terminal::NONE },
            },
        );
        let said = format!("{}{}", String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
        let port = self.url.rsplit(':').next().unwrap();
        (said.replace(&format!("{home}/"), "~/").replace(&home, "~").replace(&format!(":{port}"), ":8443"), code)
    }

    fn end(self) {
        self.stop.cancel();
        self.serving.join().unwrap();
    }
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

fn report_of(golden: &str) -> Option<String> {
    let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
    Some(golden["run"]["report"].to_string())
}

/// Five homes with answers, two runs, a model that is going out, and something that was refused.
fn fill(store: &SqliteStore, at: i64) {
    let names = ["home-1", "home-2", "home-3", "home-4", "home-5"];
    for name in names {
        store.enrol_home(&fixtures::home(name), at).unwrap();
    }
    let snapshot =
        SnapshotRow { created_at: at, rows: 9, homes: 3, watermark: 9, ..fixtures::snapshot(&"5a".repeat(32)) };
    store.put_snapshot(&snapshot).unwrap();
    for (id, state, golden, began) in
        [("b7", RunState::Promoted, PROMOTED, at), ("c4", RunState::Held, HELD, at + 1_200)]
    {
        let run = RunRow {
            started_at: began,
            ended_at: Some(began + 300),
            challenger: Some("e1".repeat(32)),
            report: report_of(golden),
            ..fixtures::run(&id.repeat(16), state)
        };
        store.put_run(&run).unwrap();
    }
    let model = hearthwatch_store::NewModel { at, ..fixtures::model(&"b7".repeat(16), &"e1".repeat(32)) };
    let version = store.add_model(&model).unwrap().version;
    store.put_release(&ReleaseRow { released_at: at, ..fixtures::release(version, &"e1".repeat(32)) }).unwrap();
    let rollout =
        RolloutRow { policy: Policy::named("staged").unwrap().to_toml(), started_at: at, ..fixtures::rollout(version) };
    assert_eq!(rollout.state, RolloutState::Running);
    store.put_rollout(&rollout).unwrap();
    let mut batch = IngestBatch { at, ..IngestBatch::default() };
    for (place, name) in names.into_iter().take(3).enumerate() {
        for sequence in 1..=3 {
            let mut record = fixtures::record(name, sequence);
            (record.raised_at, record.answered_at, record.model_version) = (at - 600, at - 60, version);
            record.verdict = if sequence == 1 { Verdict::Dismissed } else { Verdict::Confirmed };
            batch.feedback.push(hearthwatch_store::FeedbackRow { received_at: at, ..fixtures::row(record) });
        }
        let result = match place {
            2 => UpdateResult::RolledBack { reason: "golden vectors".to_owned(), to: ModelVersion(0) },
            _ => UpdateResult::Installed,
        };
        let stage = Some(UpdateStage::Run);
        batch.outcomes.push((fixtures::home(name), UpdateOutcome { model_version: version, stage, result, at }));
        let mut status = fixtures::status(0);
        status.model_version = if place == 2 { ModelVersion(0) } else { version };
        batch.statuses.push((fixtures::home(name), status));
    }
    let detail = "no such alarm was announced";
    let refused =
        hearthwatch_store::QuarantineRow { at, ..fixtures::refusal("home-2", RefusalReason::NotAnnounced, detail) };
    batch.quarantine.push(refused);
    store.apply(&batch).unwrap();
}

/// The session: what is typed after `hearthwatch-cloud`, and how it ends.
const SESSION: [(&str, u8); 24] = [
    ("ctl context add fleet --url URL --token-file ~/admin.token", 0),
    ("ctl status", 0),
    ("ctl homes list", 0),
    ("ctl homes get home-1", 0),
    ("ctl homes list --columns home,agent.model_version,records -o csv", 0),
    ("ctl homes list --limit 1 --json", 0),
    ("ctl homes list --all -o name", 0),
    ("ctl runs list", 0),
    ("ctl explain run latest", 0),
    ("ctl rollouts get 1", 0),
    ("ctl rollouts halt 1 --reason 'home-3 went back'", 2),
    ("ctl rollouts halt 1 --reason 'home-3 went back' --yes -o name", 0),
    ("ctl rollouts halt 1 --reason 'once more' --yes", 5),
    ("ctl explain rollout 1", 0),
    ("ctl wait rollout 1 --within 5s", 7),
    ("ctl homes exclude home-3 --reason 'a sensor was replaced' -o name", 0),
    ("ctl explain home home-3", 0),
    ("ctl quarantine list", 0),
    ("ctl quarantine discard 1 --reason 'no alarm of ours' --yes", 0),
    ("ctl tokens add kim --role viewer --days 30 --secret-file ~/kim.token", 0),
    ("ctl --token-file ~/watcher.token homes revoke home-5 --yes", 4),
    ("ctl homes get nobody", 3),
    ("ctl audit list --limit 4", 0),
    ("ctl audit verify", 0),
];

/// The words of a line: those between quotes are one.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for (place, part) in line.split('\'').enumerate() {
        if place % 2 == 1 {
            words.push(part);
        } else {
            words.extend(part.split_whitespace());
        }
    }
    words
}

/// Without what differs from day to day: numbers are one digit, hashes one letter, spaces one.
fn masked(text: &str) -> String {
    let hash = |word: &str| {
        word.len() >= 8
            && word.bytes().all(|byte| byte.is_ascii_hexdigit())
            && word.bytes().any(|byte| byte.is_ascii_digit())
    };
    let digits = |word: &str| {
        let mut masked = String::new();
        for c in word.chars() {
            match (c.is_ascii_digit(), masked.ends_with('0')) {
                (true, true) => {}
                (true, false) => masked.push('0'),
                (false, _) => masked.push(c),
            }
        }
        masked
    };
    let word = |word: &str| {
        let parts: Vec<String> = word
            .split_inclusive([':', '/', ',', '"', '.'])
            .map(|part| {
                let bare = part.trim_end_matches([':', '/', ',', '"', '.']);
                if hash(bare) { "h".to_owned() + &part[bare.len()..] } else { digits(part) }
            })
            .collect();
        parts.concat()
    };
    text.lines()
        .map(|line| line.split_whitespace().map(word).collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_session_of_the_manual_goes_as_it_is_written() {
    let stand = Stand::start();
    let mut page = "# A session with ctl\n\nA real aggregator with five homes, made by\n\
        `UPDATE_GOLDEN=1 cargo test --release -p hearthwatch-cloud --test ctl`; the same test without `UPDATE_GOLDEN` plays it again and \
        holds it\nagainst this page, except times and hashes. What the commands are for: [the manual](../ctl.md). `exit code` stands where \
        it is not 0.\n".to_owned();
    for (line, expected) in SESSION {
        let (said, code) = stand.ctl(&words(line));
        assert_eq!(code, expected, "{line}:\n{said}");
        let typed = line.replace("URL", "http://127.0.0.1:8443");
        let end = if code == 0 { String::new() } else { format!("exit code {code}\n") };
        write!(page, "\n```\n$ hearthwatch-cloud {typed}\n{said}{end}```\n").unwrap();
    }
    let secret = std::fs::read_to_string(stand.file("kim.token")).unwrap();
    assert!(!page.contains(secret.trim()), "a secret that goes to a file is not shown");
    stand.end();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/ctl-transcript.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    for (now, then) in masked(&page).lines().zip(masked(&written).lines()) {
        assert_eq!(now, then, "the page is not current: run this with UPDATE_GOLDEN=1");
    }
    assert_eq!(masked(&page).lines().count(), masked(&written).lines().count(), "the page is not current");
}

#[test]
fn a_list_is_followed_page_by_page_and_the_log_is_verified_from_an_export() {
    let stand = Stand::start();
    stand.ctl(&words("ctl context add fleet --url URL --token-file ~/admin.token"));
    for number in 1..=7 {
        let verb = if number % 2 == 1 { "exclude" } else { "include" };
        let (said, code) = stand.ctl(&["ctl", "homes", verb, "home-1", "--reason", "größer \"x\"", "-o", "name"]);
        assert_eq!((said.as_str(), code), ("home/home-1\n", 0));
    }
    let (names, _) = stand.ctl(&words("ctl homes list --all --page-size 2 -o name"));
    assert_eq!(names, "home/home-1\nhome/home-2\nhome/home-3\nhome/home-4\nhome/home-5\n");
    let (some, _) = stand.ctl(&words("ctl homes list --limit 2 --after home-2 -o name"));
    assert_eq!(some, "home/home-3\nhome/home-4\nthere are more: --all, --limit N, or --after 'home-4'\n");
    let (export, code) = stand.ctl(&words("ctl audit export"));
    assert_eq!((export.lines().count(), code), (7, 0));
    std::fs::write(stand.file("audit.jsonl"), &export).unwrap();
    let verify = words("ctl audit verify --file ~/audit.jsonl");
    let (sound, code) = stand.ctl(&verify);
    assert_eq!(
        (sound.lines().next(), code),
        (Some("sound: 7 lines, each as it was written and after the one that it names"), 0)
    );
    let head = sound.split_whitespace().last().unwrap().to_owned();
    stand.ctl(&words("ctl homes exclude home-2 --reason x -o name"));
    assert_eq!(stand.ctl(&["ctl", "audit", "verify", "--head", &head]).1, 0, "the log went on from there");
    std::fs::write(stand.file("audit.jsonl"), export.replacen("home.include", "home.exclude", 1)).unwrap();
    let (edited, code) = stand.ctl(&verify);
    assert_eq!(code, 7);
    assert!(
        edited
            .contains("the first bad line is 6\n  line 6 is not as it was written: home.exclude home-1 by token:admin"),
        "{edited}"
    );
    stand.end();
}

#[test]
fn who_is_not_let_in_or_not_there_is_told_what_to_do() {
    let stand = Stand::start();
    let (said, code) = stand.ctl(&words("ctl homes list"));
    assert_eq!(code, 2);
    assert!(
        said.starts_with("error: nothing says which aggregator is asked: `hearthwatch-cloud ctl context add NAME"),
        "{said}"
    );
    let (said, code) = stand.ctl(&words("ctl homes list --url URL"));
    assert_eq!(code, 4);
    assert!(said.contains("name a token's file with --token-file"), "{said}");
    let (_, code) = stand.ctl(&words("ctl health ready --url URL"));
    assert!(matches!(code, 0 | 6), "a part may be off, and is told by 503: {code}");
    std::fs::write(stand.file("wide.token"), "x").unwrap();
    let (said, code) = stand.ctl(&words("ctl homes list --url URL --token-file ~/wide.token"));
    assert_eq!(code, 2);
    assert!(said.contains("can be read by others"), "{said}");
    let (said, code) = stand.ctl(&words("ctl runs start --dry-run --url URL --token-file ~/admin.token"));
    assert!((code, said.contains("has no dry run")) == (2, true) || code == 0, "{said}");
    let url = stand.url.clone();
    let folder = stand.file("admin.token");
    stand.stop.cancel();
    stand.serving.join().unwrap();
    let gone = ["ctl", "homes", "list", "--url", &url, "--token-file", folder.to_str().unwrap()];
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run_line(
        &gone,
        &mut World {
            out: &mut out,
            err: &mut err,
            input: &mut Cursor::new(""),
            environment: &|_| None,
            now: &Timestamp::now,
            zone: TimeZone::UTC,
            terminal: Terminal::NONE,
        },
    );
    let said = String::from_utf8(err).unwrap();
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("cannot be reached") && said.contains("is the aggregator running"), "{said}");
}
