//! What both programs show of themselves: metrics to which Prometheus's own linter has nothing to say, and logs, as verbose as they can be, in which
//! no secret stands. Both programs run as processes, in a fleet with one home.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hearthwatch_emulator::broker::{BrokerFiles, EmbeddedBroker};
use hearthwatch_emulator::home_assistant::Sensor;
use hearthwatch_protocol::HomeId;
use hearthwatch_provision::claims::Claims;
use hearthwatch_provision::{Layout, init};
use hearthwatch_tests::guest::{Guest, Membership};
use hearthwatch_tests::memory::Memory;
use hearthwatch_tests::{fleet, program, promtool};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Far longer than anything here takes; reached only when the test fails.
const PATIENCE: Duration = Duration::from_secs(120);
/// The recorder holds a state of each sensor every ten minutes.
const STEP: i64 = 600;
const SENSOR: &str = "sensor.conservatory_orchids";
/// What no thermometer measures; digits that stand nowhere else.
const READING: &str = "4711.83";
/// Why a resident answers so.
const WORDS: &str = "the orchids were watered by Aunt Wilhelmina";
/// What somebody sends who guesses.
const GUESS: &str = "a-bearer-token-that-nobody-made-42";
/// The id that a caller gives a request.
const REQUEST: &str = "observability-7";
/// Least length of a line of a key file that is part of a key: lines of PEM have 64 letters, the last one fewer.
const KEY_LINE: usize = 32;

fn has_mosquitto() -> bool {
    let has = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"].into_iter().any(|path| Path::new(path).exists());
    if !has {
        assert!(std::env::var_os("HEARTHWATCH_REQUIRE_MOSQUITTO").is_none(), "mosquitto is required and not installed");
        eprintln!("skipped: mosquitto is not installed");
    }
    has
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // May have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A fleet whose aggregator and signer are processes that log all they can.
struct Cloud {
    layout: Layout,
    url: String,
    admin: String,
    /// Makes calls with the fleet's authority.
    http: reqwest::Client,
    broker: EmbeddedBroker,
    _processes: [Running; 2],
    // Removed last.
    folder: tempfile::TempDir,
}

impl Cloud {
    async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().join("keys"));
        let (mqtt, https) = (hearthwatch_tests::free_address().port(), hearthwatch_tests::free_address().port());
        let options = init::Options {
            listen: Some("127.0.0.1".parse().unwrap()),
            mqtt_port: mqtt,
            http_port: https,
            ..init::Options::default()
        };
        init::run(&layout, &options, Timestamp::now()).unwrap();
        let broker = EmbeddedBroker::start(BrokerFiles::of(&layout), mqtt).unwrap();
        let config = layout.root().join("cloud.toml");
        let admin = folder.path().join("admin.token");
        let made = logged(&folder.path().join("token.log"), "hearthwatch-cloud")
            .args(["token", "add", "ada", "--role", "admin", "--config"])
            .arg(&config)
            .arg("--file")
            .arg(&admin)
            .status();
        assert!(made.unwrap().success());
        let socket = layout.root().join("signer.sock");
        let signer = logged(&folder.path().join("signer.log"), "hearthwatch-provision")
            .args(["signer", "--keys"])
            .arg(layout.signer())
            .arg("--gate-public")
            .arg(layout.gate_public())
            .arg("--socket")
            .arg(&socket)
            .spawn()
            .unwrap();
        let cloud = logged(&folder.path().join("cloud.log"), "hearthwatch-cloud")
            .args(["--log", "json", "serve", "--config"])
            .arg(&config)
            .spawn()
            .unwrap();
        let authority = reqwest::Certificate::from_pem(&std::fs::read(layout.ca_cert()).unwrap()).unwrap();
        let http = reqwest::Client::builder().tls_certs_only([authority]).no_proxy();
        let http = http.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let admin = std::fs::read_to_string(admin).unwrap().trim().to_owned();
        let url = format!("https://localhost:{https}");
        let cloud = Self { layout, url, admin, http, broker, _processes: [Running(signer), Running(cloud)], folder };
        cloud
            .until("the aggregator answers", async |cloud| cloud.http.get(cloud.place("/healthz")).send().await.is_ok())
            .await;
        cloud
    }

    fn place(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    async fn until(&self, what: &str, wanted: impl AsyncFn(&Self) -> bool) {
        let comes = async {
            while !wanted(self).await {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, comes).await.unwrap_or_else(|_| panic!("{what}: {}", self.log("cloud.log")));
    }

    async fn get(&self, path: &str) -> Value {
        let call = self.http.get(self.place(path)).bearer_auth(&self.admin).header("x-request-id", REQUEST);
        serde_json::from_slice(&call.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap()).unwrap()
    }
}

/// A program of the project whose log is as verbose as it can be.
fn logged(log: &Path, name: &str) -> Command {
    let file = File::create(log).unwrap();
    let mut command = Command::new(program(name));
    command.env("RUST_LOG", "trace").stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    command
}

/// The agent, as verbose as it can be: a script that starts it so.
fn verbose_agent(folder: &Path) -> PathBuf {
    let script = folder.join("agent");
    let agent = program("hearthwatch-edge");
    let text =
        format!("#!/bin/sh\nHEARTHWATCH_LOG=trace HEARTHWATCH_LOG_FORMAT=json exec '{}' \"$@\"\n", agent.display());
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    script
}

async fn home(cloud: &Cloud, home: &HomeId, claim: &Path) -> Guest {
    let tables = fleet::enrolling(home, &cloud.layout.ca_cert(), claim, &cloud.url, cloud.broker.port());
    let tables = tables.replacen("[cloud]\n", "[cloud]\nsharing = \"windows\"\n", 1);
    let sensor = Sensor {
        entity_id: SENSOR.to_owned(),
        device_class: "temperature",
        unit: "°C".to_owned(),
        state: "20.0".to_owned(),
    };
    let calm = Box::new(|_: &str, from: i64, until: i64| {
        let times = (from / STEP + 1)..=(until / STEP);
        times.map(|step| (step * STEP, format!("20.{}", step % 5))).collect()
    });
    let member = Membership { node: home.as_str(), state: "none", tables: &tables };
    Guest::start_as(member, &verbose_agent(cloud.folder.path()), vec![sensor], calm).await.unwrap()
}

/// A value that cannot be, and a resident who confirms it, with words: until the fleet has the answer.
async fn an_alarm_is_answered(cloud: &Cloud, guest: &mut Guest) {
    guest.double.say([(SENSOR, READING.to_owned())]);
    let id = |text: &str| {
        let attributes: Value = serde_json::from_str(text).unwrap();
        (attributes["watched_entity"] == SENSOR).then(|| attributes["alarm_id"].as_str().unwrap().to_owned())
    };
    let id = guest.line.wait_for_some("alarm/attributes", id).await.unwrap();
    let answer = json!({"alarm_id": id, "verdict": "confirmed", "reason": WORDS});
    guest.line.say("answer", &answer.to_string()).await.unwrap();
    let kept = |text: &str| text.contains(WORDS);
    guest.line.wait_for("alarm/attributes", kept).await.unwrap();
    let stored = async |cloud: &Cloud| !cloud.get("/api/v1/feedback").await["items"].as_array().unwrap().is_empty();
    cloud.until("the answer is stored", stored).await;
}

/// Lines of private keys in `folder` and below it, by file.
fn keys(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            keys(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "key") {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            let lines = text.lines().filter(|line| line.len() >= KEY_LINE && !line.starts_with("---"));
            found.extend(lines.map(|line| (path.display().to_string(), line.to_owned())));
        }
    }
}

/// Each line of a log as JSON, at least one of them of the project's own detail.
fn lines(log: &str) -> Vec<Value> {
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    for line in &lines {
        let (level, target) = (line["level"].as_str().unwrap(), line["target"].as_str().unwrap());
        assert!(line["timestamp"].as_str().unwrap().parse::<Timestamp>().is_ok(), "{line}");
        let own = target.starts_with("hearthwatch");
        assert!(own || !["DEBUG", "TRACE"].contains(&level), "detail of another crate: {line}");
    }
    assert!(lines.iter().any(|line| line["level"] == "DEBUG"), "as verbose as it can be: {log}");
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_is_content_with_both_programs_and_no_secret_stands_in_their_logs() {
    if !has_mosquitto() {
        return;
    }
    let cloud = Cloud::start().await;
    let name = HomeId::new(format!("observed-{}", std::process::id())).unwrap();
    let memory = Memory::of(name.as_str());
    let claim = Claims::at(cloud.layout.claims()).issue_reusable(&name, Timestamp::now()).unwrap();
    let claim_file = cloud.folder.path().join("claim");
    std::fs::write(&claim_file, claim.reveal()).unwrap();
    let mut guest = home(&cloud, &name, &claim_file).await;
    an_alarm_is_answered(&cloud, &mut guest).await;

    // A service token is made, a token is guessed, somebody logs in to the pages.
    let made = cloud.http.post(cloud.place("/api/v1/tokens")).bearer_auth(&cloud.admin);
    let made = made.header("content-type", "application/json").body(r#"{"name":"robot","role":"viewer"}"#);
    let made: Value = serde_json::from_slice(&made.send().await.unwrap().bytes().await.unwrap()).unwrap();
    let service = made["secret"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    let guessed = cloud.http.get(cloud.place("/api/v1/homes")).bearer_auth(GUESS).send().await.unwrap();
    assert_eq!(guessed.status(), 401);
    let form = cloud.http.post(cloud.place("/login")).header("content-type", "application/x-www-form-urlencoded");
    let form = form.header("origin", &cloud.url).body(format!("token={}", cloud.admin));
    let entered = form.send().await.unwrap();
    let session = entered.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned());

    // Both programs' metrics, with a value of everything that has happened.
    let own = reqwest::get(format!("{}/metrics", guest.page())).await.unwrap().text().await.unwrap();
    let fleets = cloud.http.get(cloud.place("/metrics")).send().await.unwrap().text().await.unwrap();
    for (text, prefix) in [(&own, "hearthwatch_edge_"), (&fleets, "hearthwatch_cloud_")] {
        assert!(text.contains(&format!("# TYPE {prefix}answers_total counter\n")), "{text}");
        assert_eq!(promtool::findings(text), "", "promtool check metrics, of {prefix}");
    }

    let mut secrets: Vec<(String, String)> = vec![
        ("the admin's token".to_owned(), cloud.admin.clone()),
        ("the service's token".to_owned(), service),
        ("a guessed token".to_owned(), GUESS.to_owned()),
        ("the claim".to_owned(), claim.reveal().to_owned()),
        ("Home Assistant's token".to_owned(), hearthwatch_tests::guest::TOKEN.to_owned()),
        ("a reading".to_owned(), READING.to_owned()),
        ("a resident's words".to_owned(), WORDS.to_owned()),
        ("the broker's group".to_owned(), std::fs::read_to_string(cloud.layout.group()).unwrap().trim().to_owned()),
    ];
    let cookie = session.as_deref().and_then(|cookie| cookie.split_once('=')?.1.split(';').next());
    secrets.extend(cookie.map(|cookie| ("a session's cookie".to_owned(), cookie.to_owned())));
    assert!(cookie.is_some_and(|cookie| cookie.len() >= KEY_LINE), "logged in: {entered:?}");
    let before = secrets.len();
    keys(cloud.layout.root(), &mut secrets);
    keys(memory.path(), &mut secrets);
    assert!(secrets.len() >= before + 8, "the private keys of the fleet and of the home: {secrets:?}");

    let agent = guest.log();
    guest.end().unwrap();
    let all = [("agent", agent), ("aggregator", cloud.log("cloud.log")), ("signer", cloud.log("signer.log"))];
    for (program, log) in all.iter().chain([&("token add", cloud.log("token.log"))]) {
        for (what, secret) in &secrets {
            assert!(!log.contains(secret.as_str()), "the log of the {program} has {what}");
        }
    }
    // What a home calls its things is the home's alone.
    assert!(!all[1].1.contains(SENSOR) && !all[1].1.contains("orchids"), "the aggregator's log names an entity");
    lines(&all[0].1);
    let said = lines(&all[1].1);
    let answered = said.iter().find(|line| line["span"]["request.id"] == REQUEST);
    let answered = answered.unwrap_or_else(|| panic!("a request is found by its id: {}", all[1].1));
    assert_eq!(answered["span"]["http.method"], "GET", "{answered}");
}
