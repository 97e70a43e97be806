//! The operator page's "A fleet of your own", run as it stands: by an ordinary user whom no list knows, and by root. And what any shell
//! expects of the programs.
//!
//! Without mosquitto on the machine each test says so and does nothing; with `HEARTHWATCH_REQUIRE_MOSQUITTO` set it fails.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hearthwatch_provision::command::next_steps;
use hearthwatch_provision::pipe::CLOSED;
use hearthwatch_tests::program;
use serde_json::Value;

/// Longest that the agent may take to be heard; it takes a second. Reached only when the test fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// A user and a group that no list of users names.
const STRANGER: u32 = 61_234;

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operator.md")).unwrap()
}

/// The one shell block of the chapter.
fn block() -> String {
    let page = page();
    let chapter = page.split("\n## A fleet of your own\n").nth(1).expect("the chapter is there");
    let chapter = chapter.split("\n## ").next().unwrap();
    let block = chapter.split("```bash\n").nth(1).expect("it has a block").split("```").next().unwrap();
    block.to_owned()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn has_mosquitto() -> bool {
    if ["/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"]
        .iter()
        .any(|path| Path::new(path).exists())
    {
        return true;
    }
    assert!(std::env::var_os("HEARTHWATCH_REQUIRE_MOSQUITTO").is_none(), "mosquitto is required and not installed");
    eprintln!("skipped: mosquitto is not installed");
    false
}

/// Who runs the block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Whoever runs the tests.
    Oneself,
    /// A user without a name and without rights; only root can be that.
    Stranger,
}

/// Everything that the block started; it ends when this is dropped.
struct Fleet {
    https: u16,
    group: u32,
    home: PathBuf,
    said: String,
    _folder: tempfile::TempDir,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // The whole process group, which the block's shell led.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.group)]).status();
    }
}

impl Fleet {
    /// Runs the block in a fresh home to its end.
    fn bring_up(who: Who) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let (bin, home) = (folder.path().join("bin"), folder.path().join("home"));
        fs::create_dir(&bin).unwrap();
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&bin, Permissions::from_mode(0o755)).unwrap();
        // As homes are made: nobody else can even pass through, the user mosquitto neither.
        fs::set_permissions(&home, Permissions::from_mode(0o700)).unwrap();
        for name in ["hearthwatch-provision", "hearthwatch-cloud", "hearthwatch-edge"] {
            fs::copy(program(name), bin.join(name)).unwrap();
        }
        let mut command = match who {
            Who::Oneself => Command::new("bash"),
            Who::Stranger => {
                chown(&home, Some(STRANGER), Some(STRANGER)).unwrap();
                let mut command = Command::new("setpriv");
                let (user, group) = (format!("--reuid={STRANGER}"), format!("--regid={STRANGER}"));
                command.args([user.as_str(), group.as_str(), "--clear-groups", "bash"]);
                command
            }
        };
        let (https, mqtt) = (hearthwatch_tests::free_address().port(), hearthwatch_tests::free_address().port());
        let output = folder.path().join("output");
        let log = File::create(&output).unwrap();
        let mut shell = command
            .args(["-e", "-c", &block()])
            .current_dir(&home)
            .env_clear()
            .env("HOME", &home)
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()))
            .env("HEARTHWATCH_BROKER_DIR", folder.path().join("var/mosquitto"))
            .env("HTTPS", https.to_string())
            .env("MQTT", mqtt.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let group = shell.id();
        let mut fleet = Self { https, group, home, said: String::new(), _folder: folder };
        let status = shell.wait().unwrap();
        fleet.said = fs::read_to_string(&output).unwrap();
        assert!(status.success(), "{status}\n{}\n{}", fleet.said, fleet.logs());
        fleet
    }

    fn folder(&self) -> PathBuf {
        self.home.join("hearthwatch-fleet")
    }

    fn logs(&self) -> String {
        let log =
            |name: &str| format!("{name}:\n{}\n", fs::read_to_string(self.folder().join(name)).unwrap_or_default());
        ["broker.log", "signer.log", "cloud.log", "home.log"].map(log).concat()
    }

    /// The homes, as the block's last line asks for them.
    fn homes(&self) -> Value {
        let token = fs::read_to_string(self.folder().join("admin.token")).unwrap();
        let answer = Command::new("curl")
            .args(["-sS", "--cacert", &self.folder().join("keys/ca/ca.crt").display().to_string()])
            .args(["-H", &format!("Authorization: Bearer {}", token.trim())])
            .arg(format!("https://localhost:{}/api/v1/homes", self.https))
            .output()
            .unwrap();
        serde_json::from_slice(&answer.stdout).unwrap_or_else(|error| panic!("{error}: {answer:?}\n{}", self.logs()))
    }

    /// Who a program that the block started runs as, by the beginning of its command line.
    fn user_of(&self, program: &str) -> u32 {
        let running = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let process = entry.ok()?.path();
            let words = fs::read_to_string(process.join("cmdline")).ok()?;
            // state, parent, group: behind the name, which stands in brackets.
            let stat = fs::read_to_string(process.join("stat")).ok()?;
            let group: u32 = stat.rsplit(')').next()?.split_whitespace().nth(2)?.parse().ok()?;
            (group == self.group && words.split('\0').next()?.ends_with(program))
                .then(|| fs::metadata(&process).ok())?
        });
        let users: Vec<u32> = running.map(|process| process.uid()).collect();
        assert_eq!(users.len(), 1, "one {program} runs\n{}", self.logs());
        users[0]
    }

    fn check(&self) {
        let (listed, keys) = (&self.said, Path::new("keys"));
        assert!(listed.contains(r#""home":"home-7""#), "the API lists the home: {listed}\n{}", self.logs());
        for step in next_steps(keys) {
            assert!(listed.contains(&format!("  {step}\n")), "init says what comes next: {step}\n{listed}");
            assert!(page().contains(&step), "and so does the page: {step}");
        }
        let token = self.folder().join("admin.token");
        assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!listed.contains(fs::read_to_string(&token).unwrap().trim()), "a token is in its file alone");
        let begun = Instant::now();
        loop {
            let homes = self.homes();
            let agent = &homes["items"][0]["agent"];
            if agent["online"] == Value::Bool(true) {
                assert_eq!(homes["items"][0]["home"], "home-7");
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "the agent's status arrives: {homes}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

#[test]
fn an_ordinary_user_who_copies_the_page_has_a_fleet_with_a_home() {
    if !has_mosquitto() {
        return;
    }
    let who = if is_root() { Who::Stranger } else { Who::Oneself };
    let fleet = Fleet::bring_up(who);
    fleet.check();
    if who == Who::Stranger {
        assert_eq!(fleet.user_of("mosquitto"), STRANGER);
    }
}

#[test]
fn root_who_copies_the_page_has_a_fleet_whose_broker_is_not_root() {
    if !has_mosquitto() {
        return;
    }
    if !is_root() {
        eprintln!("skipped: only root can try what root sees");
        return;
    }
    let fleet = Fleet::bring_up(Who::Oneself);
    fleet.check();
    assert_ne!(fleet.user_of("mosquitto"), 0, "what faces the network gave root up");
    let broker = fs::metadata(fleet.folder().join("keys/mosquitto")).unwrap();
    assert_eq!((broker.uid(), broker.mode() & 0o777), (fleet.user_of("mosquitto"), 0o700));
    for key in ["ca/ca.key", "broker/server.key", "cloud/http.key", "cloud/ingest.group", "tuf/signer/targets.key"] {
        let found = fs::metadata(fleet.folder().join("keys").join(key)).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o777), (0, 0o600), "{key} is root's alone");
    }
}

#[test]
fn a_closed_pipe_ends_each_program_without_a_word() {
    for (name, arguments) in [
        ("hearthwatch-provision", &["inspect", "/nonexistent"][..]),
        ("hearthwatch-cloud", &["simulate-rollout", "--homes", "100", "--days", "2", "--rounds", "1"]),
        ("hearthwatch-emulator", &["data", "list"]),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = Command::new(program(name)).args(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!((ended.status.code(), said.as_str()), (Some(i32::from(CLOSED)), ""), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_demonstration_that_stays_opens_its_api_and_is_its_owners_alone() {
    let demonstration = hearthwatch_tests::fleet::Fleet::of("stays").await.unwrap();
    let stage = &demonstration.stage;
    let file = stage.admin_token(&stage.layout.root().join("admin.token")).await.unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let token = fs::read_to_string(&file).unwrap();
    let ask = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"];
    let (ca, url) = (stage.layout.ca_cert(), format!("{}/api/v1/tokens", stage.url));
    let status = |token: String| {
        let mut command = Command::new("curl");
        command.args(ask).arg(&ca).args(["-H", &format!("Authorization: Bearer {token}"), &url]);
        let answer = command.output().unwrap();
        String::from_utf8_lossy(&answer.stdout).into_owned()
    };
    assert_eq!(status(token.trim().to_owned()), "200");
    assert_eq!(status(format!("{}0", token.trim())), "401");
}
