//! Every part of both programs ends in every way: what is vital stops its process, which says why and can be started again; what is
//! optional comes back by itself, and meanwhile an alarm is still raised.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hearthwatch_emulator::home_assistant::Sensor;
use hearthwatch_emulator::process::ended;
use hearthwatch_protocol::HomeId;
use hearthwatch_provision::signer::server::Server;
use hearthwatch_provision::{Layout, homes, init};
use hearthwatch_tests::guest::{Guest, Membership};
use hearthwatch_tests::program;
use jiff::Timestamp;
use serde_json::Value;

/// Far longer than anything here takes; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a part that was let end says: the word that orders it, and how it is told.
const FAULTS: [(&str, &str); 3] = [
    ("end", "ended although nobody had stopped it"),
    ("error", "failed: a test ordered it"),
    ("panic", "panicked: a test ordered it"),
];
/// Exit code of a program that one of its parts has stopped.
const EXIT_PART: i32 = 70;

/// Status and body of a question.
async fn ask(url: &str) -> Option<(u16, Value)> {
    let answer = reqwest::get(url).await.ok()?;
    let status = answer.status().as_u16();
    let text = answer.text().await.ok()?;
    Some((status, serde_json::from_str(&text).ok()?))
}

fn parts(report: &Value) -> Vec<(&str, &str, &str)> {
    let word = |part: &'_ Value, key: &str| -> &'static str { part[key].as_str().unwrap_or("?").to_owned().leak() };
    let parts = report["parts"].as_array().unwrap();
    parts.iter().map(|part| (word(part, "part"), word(part, "grade"), word(part, "state"))).collect()
}

fn layout(folder: &Path) -> Layout {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let layout = Layout::new(folder.join("keys"));
    init::run(&layout, &init::Options::default(), Timestamp::now()).unwrap();
    layout
}

/// An aggregator with all of its parts, whose broker is away.
struct Cloud {
    config: std::path::PathBuf,
    log: std::path::PathBuf,
    url: String,
    _signer: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Cloud {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (layout, http) = (layout(folder.path()), hearthwatch_tests::free_address().port());
        let socket = folder.path().join("signer.sock");
        let signer = Server::bind(&layout.signer(), &layout.gate_public(), &socket).unwrap();
        let signer = tokio::spawn(async move { signer.run(std::future::pending()).await.unwrap() });
        let text = format!(
            "data = {:?}\n[mqtt]\nhost = \"localhost\"\nport = 1\nca_file = {:?}\ncert_file = {:?}\nkey_file = {:?}\n\
             group_file = {:?}\n[http]\nlisten = \"127.0.0.1:{http}\"\n[training]\ntrigger_count = 0\nschedule_hours = 0\n\
             [release]\nrepository = {:?}\nroot_file = {:?}\nkeys = {:?}\ngate_key = {:?}\nsigner_socket = {socket:?}\n\
             url = \"https://localhost/tuf/\"\n[rollout]\ndirector_key = {:?}\npolicy = \"immediate\"\n",
            folder.path().join("cloud"),
            layout.ca_cert(),
            layout.aggregator_cert(),
            layout.aggregator_key(),
            layout.group(),
            layout.tuf_repository(),
            layout.tuf_root(),
            layout.tuf_online(),
            layout.gate_key(),
            layout.director_key(),
        );
        let (config, log) = (folder.path().join("cloud.toml"), folder.path().join("cloud.log"));
        std::fs::write(&config, text).unwrap();
        Self { config, log, url: format!("http://127.0.0.1:{http}"), _signer: signer, _folder: folder }
    }

    /// Starts it, and waits until it answers.
    async fn start(&self) -> Child {
        let log = std::fs::File::create(&self.log).unwrap();
        let mut command = Command::new(program("hearthwatch-chaos"));
        command.args(["serve", "--config"]).arg(&self.config).env("RUST_LOG", "info").stdin(Stdio::piped());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let begun = Instant::now();
        while ask(&format!("{}/healthz", self.url)).await.is_none() {
            assert!(begun.elapsed() < PATIENCE, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        child
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

/// The lines that say that a part has stopped the program.
fn last_words(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains(": the program stops")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_of_the_aggregator_that_ends_stops_it_and_is_named() {
    let cloud = Cloud::new();
    let mut child = cloud.start().await;
    let (status, report) = ask(&format!("{}/readyz", cloud.url)).await.unwrap();
    assert_eq!((status, &report["status"]), (503, &Value::from("unable")), "the broker is away");
    let rows = parts(&report);
    let vital: BTreeSet<&str> = rows.iter().filter(|(_, grade, _)| *grade == "vital").map(|(part, ..)| *part).collect();
    assert_eq!(vital, BTreeSet::from(["checks", "director", "http", "intake", "repository", "trainer"]));
    let unable: Vec<_> = rows.iter().filter(|(.., state)| *state != "able").map(|(part, ..)| *part).collect();
    assert_eq!(unable, ["broker"], "{rows:?}");
    assert_eq!(ask(&format!("{}/healthz", cloud.url)).await.unwrap().0, 200, "no restart brings the broker back");
    for part in vital {
        for (word, told) in FAULTS {
            writeln!(child.stdin.as_mut().unwrap(), "{word} {part}").unwrap();
            assert_eq!(ended(&mut child).unwrap(), Some(EXIT_PART), "{word} {part}: {}", cloud.log());
            let log = cloud.log();
            let lines = last_words(&log);
            assert!(matches!(lines[..], [line] if line.contains(&format!("the part {part} {told}"))), "{log}");
            child = cloud.start().await;
        }
    }
    // And it still ends in peace when it is asked to.
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(ended(&mut child).unwrap(), Some(0), "{}", cloud.log());
}

fn name(number: usize) -> String {
    format!("sensor.thermometer_{number:03}")
}

/// A home with sensors and a fleet that does not answer.
async fn guest(folder: &Path) -> Option<Guest> {
    let has = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"].into_iter().any(|path| Path::new(path).exists());
    if !has {
        assert!(std::env::var_os("HEARTHWATCH_REQUIRE_MOSQUITTO").is_none(), "mosquitto is required and not installed");
        eprintln!("skipped: mosquitto is not installed");
        return None;
    }
    let (layout, home) = (layout(folder), HomeId::new("home-7").unwrap());
    let (files, _) = homes::issue(&layout, &home, Timestamp::now(), 30).unwrap();
    let tables = format!(
        "[cloud]\nhome = \"home-7\"\n[cloud.mqtt]\nhost = \"localhost\"\nport = 1\nca_file = {:?}\ncert_file = {:?}\n\
         key_file = {:?}\n[cloud.updates]\nurl = \"https://localhost:1/\"\nca_file = {:?}\nroot_file = {:?}\n\
         director_file = {:?}\n",
        files.ca(),
        files.cert(),
        files.key(),
        files.ca(),
        layout.tuf_root(),
        layout.director_public(),
    );
    let sensor = |number| Sensor {
        entity_id: name(number),
        device_class: "temperature",
        unit: "°C".to_owned(),
        state: "20.0".to_owned(),
    };
    let member = Membership { node: "home-7", state: "state", tables: &tables };
    let nothing = Box::new(|_: &str, _, _| Vec::new());
    let sensors = (0..SENSORS).map(sensor).collect();
    Some(Guest::start_as(member, &program("hearthwatch-chaos"), sensors, nothing).await.unwrap())
}

const SENSORS: usize = 40;

/// Breaks a sensor and waits for the alarm that comes of it. The first is said; the others are beyond the
/// week's budget and are remembered.
async fn breaks(guest: &mut Guest, number: usize) {
    let alarms = |guest: &Guest| count(guest, "alarm raised") + count(guest, "an alarm is remembered, not said");
    let (before, begun) = (alarms(guest), Instant::now());
    guest.double.say([(name(number).as_str(), "5000".to_owned())]);
    while alarms(guest) == before {
        assert!(begun.elapsed() < PATIENCE, "no alarm of {}: {}", name(number), guest.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How often the log says so.
fn count(guest: &Guest, words: &str) -> usize {
    guest.log().lines().filter(|line| line.contains(words)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_optional_part_of_the_agent_comes_back_and_an_alarm_is_raised_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut guest) = guest(folder.path()).await else { return };
    let (status, report) = ask(&format!("{}/readyz", guest.page())).await.unwrap();
    assert_eq!((status, &report["status"]), (503, &Value::from("unable")), "the fleet is away");
    let rows = parts(&report);
    let unable: Vec<_> = rows.iter().filter(|(.., state)| *state != "able").map(|(part, ..)| *part).collect();
    assert_eq!(unable, ["uplink"], "{rows:?}");
    // A row that is no task of its own cannot end.
    let tasks = rows.iter().filter(|(part, grade, _)| *grade == "optional" && *part != "history");
    let optional: BTreeSet<&str> = tasks.map(|(part, ..)| *part).collect();
    assert_eq!(optional, BTreeSet::from(["certificate", "discovery", "mode", "page", "rounds", "updates", "uplink"]));
    for (sensor, part) in optional.into_iter().enumerate() {
        for (word, told) in FAULTS {
            let line = format!("the part {part} {told}: started again in");
            let before = count(&guest, &line);
            guest.order(&format!("{word} {part}")).unwrap();
            let begun = Instant::now();
            while count(&guest, &line) == before {
                assert!(begun.elapsed() < PATIENCE, "{word} {part}: {}", guest.log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        // While it rests after its third failure.
        breaks(&mut guest, sensor).await;
    }
    let begun = Instant::now();
    loop {
        if let Some((status, report)) = ask(&format!("{}/healthz", guest.page())).await {
            assert_eq!(status, 200, "{report}");
            let rows = parts(&report);
            if rows.iter().all(|(part, _, state)| *state == "able" || *part == "uplink") {
                break;
            }
        }
        assert!(begun.elapsed() < PATIENCE, "{}", guest.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(last_words(&guest.log()), Vec::<&str>::new());
    guest.end().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_vital_part_of_the_agent_that_ends_stops_it_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut guest) = guest(folder.path()).await else { return };
    let (_, report) = ask(&format!("{}/healthz", guest.page())).await.unwrap();
    let rows = parts(&report);
    let vital: BTreeSet<&str> = rows.iter().filter(|(_, grade, _)| *grade == "vital").map(|(part, ..)| *part).collect();
    assert_eq!(vital, BTreeSet::from(["clock", "detector", "home-assistant"]));
    let mut sensor = 0;
    for part in vital {
        for (word, told) in FAULTS {
            guest.order(&format!("{word} {part}")).unwrap();
            assert_eq!(guest.ended().unwrap(), Some(EXIT_PART), "{word} {part}: {}", guest.log());
            let log = guest.log();
            let lines = last_words(&log);
            assert!(matches!(lines[..], [line] if line.contains(&format!("the part {part} {told}"))), "{log}");
            // As systemd does.
            guest.start_again().await.unwrap();
            breaks(&mut guest, sensor).await;
            sensor += 1;
        }
    }
}

#[test]
fn the_page_on_supervision_tells_of_every_part() {
    let page = include_str!("../../docs/reference/supervision.md");
    let agent = [
        "detector",
        "clock",
        "home-assistant",
        "page",
        "uplink",
        "updates",
        "rounds",
        "certificate",
        "enrolment",
        "discovery",
        "mode",
    ];
    let cloud = ["intake", "trainer", "director", "http", "repository", "checks"];
    for part in agent.into_iter().chain(cloud) {
        assert!(page.contains(&format!("| `{part}` |")), "{part}");
    }
}
