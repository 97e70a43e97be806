//! A home: Home Assistant, its broker, a few sensors, and the real agent as a process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use hearthwatch_link::{LinkConfig, LinkEvent, LinkEvents, LinkHandle, Publication};
use serde_json::{Value, json};

use crate::api::Owner;
use crate::instance::{HomeAssistant, Mosquitto, Process, installation};

/// How long the agent may take for anything that it logs.
const PATIENCE: Duration = Duration::from_secs(90);
/// The bound that the agent promises for a clean stop, and some for a machine that compiles beside it.
const STOP: Duration = Duration::from_secs(8);

/// Everything; ended in the order in which the fields stand.
pub struct Home {
    pub agent: Option<Process>,
    pub home_assistant: HomeAssistant,
    pub mosquitto: Mosquitto,
    pub owner: Owner,
    pub token: String,
    dir: tempfile::TempDir,
}

impl Drop for Home {
    /// A test that fails says what the agent warned of: its log goes with the folder.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.agent_log();
            let warnings = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR"));
            warnings.for_each(|line| eprintln!("the agent said: {line}"));
        }
    }
}

impl Home {
    /// A home with a thermometer and a door, everything running but the agent; none where that is impossible.
    pub async fn new() -> Option<Self> {
        let root = installation()?;
        let _ = rustls_provider();
        let dir = tempfile::tempdir().unwrap();
        let mosquitto = Mosquitto::start(&dir.path().join("broker"));
        let home_assistant = HomeAssistant::start(&root, dir.path());
        let owner = Owner::move_in(home_assistant.url()).await;
        owner.add_mqtt(mosquitto.port).await;
        let token = owner.make_agent_user().await;
        let home = Self { agent: None, home_assistant, mosquitto, owner, token, dir };
        home.add_sensors().await;
        Some(home)
    }

    /// A file in the home's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Announces the sensors, as any MQTT device does, and lets them speak.
    pub async fn add_sensors(&self) {
        let device = json!({
            "device": {"identifiers": ["cellar"], "name": "Cellar"},
            "origin": {"name": "the test"},
            "components": {
                "freezer": {"platform": "sensor", "unique_id": "cellar_freezer", "name": "Freezer",
                    "device_class": "temperature", "unit_of_measurement": "°C", "state_class": "measurement",
                    "state_topic": "cellar/freezer"},
                "door": {"platform": "binary_sensor", "unique_id": "cellar_door", "name": "Door",
                    "device_class": "door", "state_topic": "cellar/door"},
            },
        });
        self.publish("homeassistant/device/cellar/config", &device.to_string()).await;
        self.say_temperature("-18.0").await;
        self.publish("cellar/door", "OFF").await;
        self.owner.state_when("sensor.cellar_freezer", "known", |state| state["state"] == "-18.0").await;
        self.owner.state_when("binary_sensor.cellar_door", "known", |state| state["state"] == "off").await;
    }

    /// The freezer says how cold it is.
    pub async fn say_temperature(&self, degrees: &str) {
        self.publish("cellar/freezer", degrees).await;
    }

    /// Publishes, retained, on the home's broker.
    pub async fn publish(&self, topic: &str, payload: &str) {
        let (link, mut events) = self.link("test").await;
        let publication = Publication { topic: topic.to_owned(), payload: payload.into(), retain: true };
        link.publish(publication).await.unwrap();
        link.close().await;
        while events.next().await.is_some() {}
    }

    /// Says something on the home's broker that the broker does not keep.
    pub async fn command(&self, topic: &str, payload: &str) {
        let (link, _events) = self.link("command").await;
        let publication = Publication { topic: topic.to_owned(), payload: payload.into(), retain: false };
        link.publish(publication).await.unwrap();
        link.close().await;
    }

    async fn link(&self, client_id: &str) -> (LinkHandle, LinkEvents) {
        let config = LinkConfig::new("127.0.0.1", self.mosquitto.port, format!("{client_id}-{}", fresh_number()));
        let (link, mut events) = hearthwatch_link::open(config).unwrap();
        while let Some(event) = events.next().await {
            if matches!(event, LinkEvent::Connected { .. }) {
                break;
            }
        }
        (link, events)
    }

    /// The agent's configuration, written; `broker` says whether it knows the home's broker.
    pub fn configure(&self, broker: bool, token: &str) -> PathBuf {
        std::fs::write(self.path("token"), token).unwrap();
        let mut text = format!(
            "state = \"state\"\n[home_assistant]\nurl = \"{}\"\ntoken_file = \"token\"\n",
            self.home_assistant.url()
        );
        if broker {
            text += &format!("[home.mqtt]\nhost = \"127.0.0.1\"\nport = {}\n", self.mosquitto.port);
        }
        let file = self.path("edge.toml");
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Sets the agent up as a person does who knows all the answers; the configuration, and what was said. Without a page:
    /// its usual port may be another home's.
    pub fn set_up(&self) -> (PathBuf, String) {
        self.set_up_with("[page]\nlisten = \"off\"\n")
    }

    /// The same, with more in the configuration.
    pub fn set_up_with(&self, more: &str) -> (PathBuf, String) {
        std::fs::write(self.path("agents-token"), &self.token).unwrap();
        let mut command = Command::new(hearthwatch_tests::program("hearthwatch-edge"));
        command.args(["setup", "--no-questions", "--sharing", "windows", "--alarms", "2"]);
        command.args(["--home-assistant", &self.home_assistant.url()]);
        command.args(["--broker", &format!("127.0.0.1:{}", self.mosquitto.port)]);
        command.arg("--token-file").arg(self.path("agents-token")).arg("--dir").arg(self.path("agent"));
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let config = self.path("agent").join("edge.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, format!("{text}{more}")).unwrap();
        (config, String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// Starts the real agent with `config`.
    pub fn start_agent(&mut self, config: &Path) {
        let mut command = Command::new(hearthwatch_tests::program("hearthwatch-edge"));
        command.arg("run").arg("--config").arg(config);
        self.agent = Some(Process::start_logged(&mut command, &self.path("agent.log")));
    }

    /// Memory that the agent holds, in MB, and seconds of processor time that it took.
    pub fn agent_usage(&self) -> (f64, f64) {
        self.agent.as_ref().unwrap().usage()
    }

    /// Stops it as Ctrl-C does.
    pub fn stop_agent(&mut self) {
        let mut agent = self.agent.take().unwrap();
        agent.signal("INT");
        assert_eq!(agent.wait(STOP), Some(0), "the agent said:\n{}", self.agent_log());
    }

    /// Takes the agent, which is stopped, out of the home.
    pub fn leave(&self, config: &Path) {
        let mut command = Command::new(hearthwatch_tests::program("hearthwatch-edge"));
        let left = command.arg("leave").arg("--config").arg(config).output().unwrap();
        assert!(left.status.success(), "{}", String::from_utf8_lossy(&left.stderr));
    }

    /// What the agent has logged so far.
    pub fn agent_log(&self) -> String {
        std::fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }

    /// Waits for a line of the agent's log after the first `from` bytes.
    pub async fn agent_says(&mut self, words: &str, from: usize) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.agent_log();
            if log.get(from..).is_some_and(|log| log.contains(words)) {
                return;
            }
            let lives = self.agent.as_mut().is_some_and(Process::lives);
            assert!(lives && Instant::now() < deadline, "the agent did not say {words:?} but:\n{log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Gives Home Assistant hourly statistics of the freezer, so many hours back, and waits until it has them.
    pub async fn remember_hours(&self, hours: i64) {
        let now = jiff::Timestamp::now().as_second();
        let newest = now - now % 3600 - 3600;
        let stats: Vec<Value> = (0..hours)
            .map(|back| {
                let start = jiff::Timestamp::from_second(newest - back * 3600).unwrap();
                json!({"start": start.to_string(), "mean": -18.0, "min": -18.5, "max": -17.5})
            })
            .collect();
        let mut socket = self.owner.socket().await;
        let metadata = json!({"has_mean": true, "mean_type": 1, "has_sum": false, "name": null, "source": "recorder",
            "statistic_id": "sensor.cellar_freezer", "unit_of_measurement": "°C", "unit_class": "temperature"});
        let import = json!({"metadata": metadata, "stats": stats});
        let _: Value = socket.command("recorder/import_statistics", import).await.unwrap();
        self.owner
            .until("statistics to be imported", async |owner| {
                let mut socket = owner.socket().await;
                let ask = json!({"start_time": jiff::Timestamp::from_second(newest - hours * 3600).unwrap().to_string(),
                    "statistic_ids": ["sensor.cellar_freezer"], "period": "hour", "types": ["mean"]});
                let found: Value = socket.command("recorder/statistics_during_period", ask).await.ok()?;
                socket.close().await;
                (found["sensor.cellar_freezer"].as_array()?.len() as i64 >= hours - 2).then_some(())
            })
            .await;
        socket.close().await;
    }

    /// Starts the agent and waits until it listens.
    pub async fn listen(&mut self) {
        let config = self.configure(true, &self.token.clone());
        let from = self.agent_log().len();
        self.start_agent(&config);
        self.agent_says("mode: listening to Home Assistant", from).await;
    }
}

fn rustls_provider() -> Result<(), std::sync::Arc<rustls::crypto::CryptoProvider>> {
    rustls::crypto::aws_lc_rs::default_provider().install_default()
}

fn fresh_number() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}
