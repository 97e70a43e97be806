//! A real Home Assistant and a real mosquitto, on free loopback ports, ended with the test.

use std::fs::File;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long Home Assistant may take to answer, on a machine that compiles beside it.
const START_TIMEOUT: Duration = Duration::from_secs(180);
/// How long it may take to write its state and end.
const STOP_TIMEOUT: Duration = Duration::from_secs(90);

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("home-assistant")
}

/// The directory with Home Assistant in it, installed at the first call ever; none, said loudly, where that is impossible.
pub fn installation() -> Option<PathBuf> {
    let sentence = match missing() {
        None => match install() {
            Ok(root) => return Some(root),
            Err(why) => format!("Home Assistant cannot be installed ({why})"),
        },
        Some(what) => format!("there is no {what} here"),
    };
    let sentence = format!("SKIPPED loudly: {sentence}, so NOTHING about a real Home Assistant is tested");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{sentence}");
    eprintln!("\n!!! {sentence} !!!\n");
    None
}

fn missing() -> Option<&'static str> {
    let has = |program: &str| Command::new(program).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let has = |program: &str| has(program).is_ok_and(|mut child| child.wait().is_ok());
    let uid = Command::new("id").arg("-u").output().ok()?;
    if uid.stdout.trim_ascii() != b"0" {
        return Some("root user");
    }
    ["unshare", "chroot", "debootstrap", "python3"].into_iter().find(|program| !has(program)).or_else(|| {
        // Debian keeps it out of ordinary users' way.
        let found = has("mosquitto") || Path::new("/usr/sbin/mosquitto").exists();
        (!found).then_some("mosquitto")
    })
}

fn install() -> Result<PathBuf, String> {
    let output = Command::new(scripts().join("install.sh")).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("install.sh ended with {}", output.status));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// A child process that does not outlive the test.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `command`, with what it says in `log`; the kernel ends it when this test's thread ends, however that comes about.
    pub fn start_logged(command: &mut Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
        guarded.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Self { child: guarded.spawn().unwrap() }
    }

    /// Whether it still runs.
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Memory that it holds, in MB, and seconds of processor time that it took.
    pub fn usage(&self) -> (f64, f64) {
        let of = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap();
        let status = of("status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kibibytes: f64 = resident.split_whitespace().next().unwrap().parse().unwrap();
        // After the name in brackets: fields 14 and 15, in hundredths of a second.
        let stat = of("stat");
        let fields: Vec<f64> =
            stat.rsplit_once(") ").unwrap().1.split(' ').filter_map(|field| field.parse().ok()).collect();
        (kibibytes * 1024.0 / 1e6, (fields[10] + fields[11]) / 100.0)
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for its end and tells its exit code.
    pub fn wait(&mut self, at_most: Duration) -> Option<i32> {
        let deadline = Instant::now() + at_most;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("a process did not end within {at_most:?}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // May have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// mosquitto without any rule: Home Assistant's broker, not the fleet's.
pub struct Mosquitto {
    dir: PathBuf,
    pub port: u16,
    process: Option<Process>,
}

impl Mosquitto {
    pub fn start(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let mut broker = Self { dir: dir.to_owned(), port: hearthwatch_tests::free_address().port(), process: None };
        broker.start_again();
        broker
    }

    /// Ends it as a power cut would: nothing retained survives but what it wrote before.
    pub fn kill(&mut self) {
        self.process = None;
    }

    pub fn start_again(&mut self) {
        let conf = self.dir.join("mosquitto.conf");
        let text = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\nuser root\npersistence false\nlog_dest stdout\n",
            self.port
        );
        std::fs::write(&conf, text).unwrap();
        let program = if Path::new("/usr/sbin/mosquitto").exists() { "/usr/sbin/mosquitto" } else { "mosquitto" };
        let log = self.dir.join("mosquitto.log");
        self.process = Some(Process::start_logged(Command::new(program).arg("-c").arg(&conf), &log));
        wait_for_port(self.port, Duration::from_secs(20));
    }
}

/// One Home Assistant with a configuration directory of its own.
pub struct HomeAssistant {
    root: PathBuf,
    config: PathBuf,
    log: PathBuf,
    pub port: u16,
    process: Option<Process>,
}

impl HomeAssistant {
    pub fn start(root: &Path, dir: &Path) -> Self {
        let config = dir.join("config");
        let port = hearthwatch_tests::free_address().port();
        std::fs::create_dir_all(config.join(".storage")).unwrap();
        for name in ["configuration.yaml", "loopback.py"] {
            std::fs::copy(scripts().join(name), config.join(name)).unwrap();
        }
        std::fs::write(config.join("automations.yaml"), "[]\n").unwrap();
        store(&config, "http", &http_settings(port));
        store(&config, "onboarding", ONBOARDED_BUT_FOR_THE_USER);
        let log = dir.join("home-assistant.log");
        let mut instance = Self { root: root.to_owned(), config, log, port, process: None };
        instance.start_again();
        instance
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn start_again(&mut self) {
        let mut command = Command::new(scripts().join("enter.sh"));
        command.arg(&self.root).arg("--config").arg(&self.config);
        command.args(["python3.14", "/config/loopback.py", "--config", "/config", "--skip-pip", "--log-no-color"]);
        let mut process = Process::start_logged(&mut command, &self.log);
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
            assert!(process.lives(), "Home Assistant ended by itself:\n{}", log());
            assert!(Instant::now() < deadline, "Home Assistant does not answer:\n{}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
        self.process = Some(process);
    }

    /// Stops it as its own restart does, with time to write its state.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal("TERM");
            process.wait(STOP_TIMEOUT);
        }
    }
}

/// The HTTP settings live in the store; those of configuration.yaml would be on trial for five minutes only.
fn http_settings(port: u16) -> String {
    serde_json::json!({
        "stable": {
            "server_host": ["127.0.0.1"],
            "server_port": port,
            "cors_allowed_origins": [],
            "login_attempts_threshold": -1,
            "ip_ban_enabled": false,
            "ssl_profile": "intermediate_v6",
            "use_x_frame_options": true,
            "created_at": "2026-01-01T00:00:00+00:00",
            "error": null,
            "error_message": null,
        },
        "pending": null,
        "yaml_migration_done": true,
    })
    .to_string()
}

/// The steps after the first user would set up integrations that ask the internet.
const ONBOARDED_BUT_FOR_THE_USER: &str = r#"{"done": ["core_config", "analytics", "integration"]}"#;

fn store(config: &Path, key: &str, data: &str) {
    let version = if key == "http" { 3 } else { 4 };
    let text = format!(r#"{{"version": {version}, "minor_version": 1, "key": "{key}", "data": {data}}}"#);
    std::fs::write(config.join(".storage").join(key), text).unwrap();
}

fn wait_for_port(port: u16, at_most: Duration) {
    let deadline = Instant::now() + at_most;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < deadline, "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
