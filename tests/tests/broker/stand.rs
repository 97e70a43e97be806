//! What a test stands on: an installation made by `init`, and a broker running on it.

use std::fs::File;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hearthwatch_emulator::broker::{BrokerFiles, EmbeddedBroker};
use hearthwatch_protocol::HomeId;
use hearthwatch_provision::{Layout, homes, init, mosquitto};
use jiff::Timestamp;

/// How long mosquitto may take to listen; it takes some milliseconds.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// A port that was free a moment ago may be taken by a test beside this one.
const START_TRIES: usize = 5;

/// An installation and a broker; everything ends when it is dropped.
pub struct Stand {
    pub layout: Layout,
    pub port: u16,
    broker: Broker,
    // Removed last.
    dir: tempfile::TempDir,
}

enum Broker {
    Embedded { _broker: EmbeddedBroker },
    Mosquitto(Child),
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Self::Mosquitto(child) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Stand {
    /// A second installation, whose authority is not this one's.
    pub fn stranger(&self) -> Layout {
        install(&self.dir.path().join("stranger"))
    }

    /// Has mosquitto read its files again, as `systemctl reload` does; the embedded broker watches them itself.
    pub fn reload(&self) {
        if let Broker::Mosquitto(child) = &self.broker {
            let told = Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap();
            assert!(told.success());
        }
    }

    /// Certificate and key of a home, made when asked for first.
    pub fn home(&self, name: &str) -> (PathBuf, PathBuf) {
        home_in(&self.layout, name)
    }
}

/// Certificate and key of a home of `layout`.
pub fn home_in(layout: &Layout, name: &str) -> (PathBuf, PathBuf) {
    let (files, _) = homes::issue(layout, &HomeId::new(name).unwrap(), Timestamp::now(), 30).unwrap();
    (files.cert(), files.key())
}

fn install(root: &Path) -> Layout {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let layout = Layout::new(root);
    init::run(&layout, &init::Options::default(), Timestamp::now()).unwrap();
    layout
}

/// The embedded broker.
pub fn embedded() -> Stand {
    let dir = tempfile::tempdir().unwrap();
    let layout = install(&dir.path().join("hw"));
    let broker = EmbeddedBroker::start(BrokerFiles::of(&layout), 0).unwrap();
    Stand { layout, port: broker.port(), broker: Broker::Embedded { _broker: broker }, dir }
}

/// A real mosquitto; none, said loudly, where it is not installed.
pub fn mosquitto() -> Option<Stand> {
    let Some(program) = program() else {
        let sentence = "mosquitto is not installed, so NOTHING about it is tested here: apt-get install mosquitto";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{sentence}");
        eprintln!("\n!!! {sentence} !!!\n");
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let layout = install(&dir.path().join("hw"));
    let log = dir.path().join("mosquitto.log");
    for _ in 0..START_TRIES {
        let port = hearthwatch_tests::free_address().port();
        if let Some(child) = launch(&program, &layout, port, &log) {
            return Some(Stand { layout, port, broker: Broker::Mosquitto(child), dir });
        }
    }
    panic!("mosquitto does not start; it said:\n{}", std::fs::read_to_string(&log).unwrap_or_default());
}

fn launch(program: &Path, layout: &Layout, port: u16, log: &Path) -> Option<Child> {
    let mut options = mosquitto::Options::of(layout, port);
    options.bind = Some(Ipv4Addr::LOCALHOST.to_string());
    // Started by root it would become the user `mosquitto`, who must not see this directory.
    let root = std::fs::metadata(layout.root()).unwrap().uid() == 0;
    options.user = root.then(|| "root".to_owned());
    std::fs::write(layout.mosquitto_conf(), mosquitto::render(&options)).unwrap();
    let out = File::create(log).unwrap();
    let mut child = Command::new(program)
        .arg("-c")
        .arg(layout.mosquitto_conf())
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + START_TIMEOUT;
    while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Some(child);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian puts it where the path of an ordinary user does not lead.
    let beside = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(beside).map(|dir| dir.join("mosquitto")).find(|program| program.is_file())
}
