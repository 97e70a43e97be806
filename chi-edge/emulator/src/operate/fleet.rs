//! Everything that runs in an operation: keys, brokers, signer, aggregator, homes, and the line on which residents hear and answer.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hearthwatch_link::{LinkConfig, LinkEvents, LinkHandle};
use serde::{Deserialize, Serialize};

use super::home::{Home, Places};
use super::homes::Player;
use super::programs::{Programs, call, flag, free_port};
use crate::process::Process;

/// Longest wait until a program that was started answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// Blocks of 512 bytes beyond which no file of an aggregator may grow while it starts on a full disk: a database needs its index.
const FULL_BLOCKS: u32 = 128;
/// And bytes, once it has started: less than one page of a database.
const FULL_BYTES: u64 = 4_096;

/// Waves for a fleet of a few dozen homes; a release that does harm is taken back.
const POLICY: &str = include_str!("waves.toml");

/// Certificates that live 30 days, and training every week or after so many answers.
const TRIGGER_ANSWERS: i64 = 40;

/// Ports, kept with the operation: configurations name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// The fleet's broker.
    pub mqtt: u16,
    /// The aggregator.
    pub http: u16,
    /// The homes' own broker.
    pub house: u16,
}

impl Ports {
    /// Three that were free a moment ago.
    ///
    /// # Errors
    /// The system has none left.
    pub fn draw() -> anyhow::Result<Self> {
        Ok(Self { mqtt: free_port()?, http: free_port()?, house: free_port()? })
    }
}

/// Everything that runs.
pub struct Fleet {
    /// The homes, in order of their names.
    pub homes: Vec<Home>,
    /// The broker between homes and aggregator.
    pub broker: Process,
    /// The signer.
    pub signer: Process,
    /// The aggregator.
    pub aggregator: Process,
    /// What the homes' agents say to Home Assistant.
    pub events: LinkEvents,
    /// Where residents answer.
    pub line: LinkHandle,
    root: PathBuf,
    ports: Ports,
    _house: Process,
}

impl Fleet {
    /// Makes what is not there yet, and starts all programs but the agents.
    ///
    /// # Errors
    /// The part that could not be made or started.
    pub async fn start(
        root: &Path,
        ports: Ports,
        programs: &Programs,
        players: Vec<Player>,
        corpus: &Path,
        now: i64,
    ) -> anyhow::Result<Self> {
        let keys = root.join("keys");
        for folder in ["logs", "homes"] {
            std::fs::create_dir_all(root.join(folder)).with_context(|| format!("making {folder}"))?;
        }
        if !keys.join("cloud.toml").exists() {
            install(root, &keys, ports, programs, corpus)?;
        }
        let log = |name: &str| root.join("logs").join(format!("{name}.log"));
        let configuration =
            std::fs::canonicalize(keys.join("mosquitto/mosquitto.conf")).context("the broker's configuration")?;
        let mut broker = Process::new(programs.mosquitto.clone(), ["-c".into(), configuration], log("broker"));
        let mut house = house(root, ports.house, &programs.mosquitto)?;
        let socket = keys.join("signer.sock");
        let arguments = [
            "signer".to_owned(),
            flag("keys", keys.join("tuf/signer")),
            flag("gate-public", keys.join("gate/gate.pub")),
            flag("socket", &socket),
        ];
        let mut signer = Process::new(programs.provision.clone(), arguments, log("signer"));
        let arguments = ["--log=json".to_owned(), "serve".to_owned(), flag("config", keys.join("cloud.toml"))];
        let mut aggregator = Process::new(programs.cloud.clone(), arguments, log("aggregator"));
        broker.start()?;
        house.start()?;
        signer.start()?;
        answers("127.0.0.1", ports.mqtt).await.context("the fleet's broker")?;
        answers("127.0.0.1", ports.house).await.context("the homes' broker")?;
        wait_for(|| socket.exists()).await.context("the signer")?;
        if !root.join("operator.token").exists() {
            let token = ["token", "add", "operator", "--role", "admin"].map(str::to_owned).into_iter();
            let places = [flag("config", keys.join("cloud.toml")), flag("file", root.join("operator.token"))];
            call(&programs.cloud, token.chain(places))?;
        }
        aggregator.start()?;
        answers("127.0.0.1", ports.http).await.with_context(|| format!("the aggregator:\n{}", aggregator.tail()))?;
        let url = format!("https://localhost:{}", ports.http);
        let places = Places { mqtt: ports.mqtt, url, house: ports.house, keys };
        let mut homes = Vec::with_capacity(players.len());
        for player in players {
            let home = Home::prepare(root, player, places.clone(), programs, now).await?;
            home.enrol()?;
            homes.push(home);
        }
        let subscriptions = vec!["hearthwatch/+/event".to_owned()];
        let (line, events) = hearthwatch_link::open(LinkConfig {
            subscriptions,
            ..LinkConfig::new("127.0.0.1", ports.house, "residents")
        })?;
        Ok(Self { homes, broker, signer, aggregator, events, line, root: root.to_owned(), ports, _house: house })
    }

    /// Starts the agents, a few at a time: each reads weeks of history first.
    ///
    /// # Errors
    /// A program that cannot be started.
    pub fn start_agents(&mut self) -> anyhow::Result<()> {
        self.homes.iter_mut().try_for_each(Home::start)
    }

    /// Sends what has happened in all homes up to `now`.
    pub fn play(&mut self, now: i64) {
        self.homes.iter_mut().for_each(|home| home.play(now));
    }

    /// Waits until the aggregator answers again after a start.
    ///
    /// # Errors
    /// It does not.
    pub async fn aggregator_answers(&self) -> anyhow::Result<()> {
        answers("127.0.0.1", self.ports.http)
            .await
            .with_context(|| format!("the aggregator:\n{}", self.aggregator.tail()))
    }

    /// The aggregator goes on with a disk that takes nothing more.
    ///
    /// # Errors
    /// It cannot be started, or limited.
    pub async fn fill_disk(&mut self) -> anyhow::Result<()> {
        self.aggregator.end();
        self.aggregator.start_with_full_disk(FULL_BLOCKS)?;
        self.aggregator_answers().await?;
        self.aggregator.limit_files(FULL_BYTES)
    }

    /// Where the aggregator keeps its database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.data().join(hearthwatch_cloud::aggregator::DATABASE_FILE)
    }

    /// The aggregator's folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.root.join("keys/data")
    }

    /// `https://localhost:PORT` of the aggregator.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.ports.http)
    }

    /// Asks all programs to end: agents first, then aggregator, signer and brokers.
    pub fn end(mut self) {
        for home in &self.homes {
            home.agent.ask_to_end();
        }
        self.homes.iter_mut().for_each(|home| home.agent.wait_until_ended());
        self.aggregator.end();
        self.signer.end();
        self.broker.end();
    }
}

/// Keys, certificates and configurations, as `hearthwatch-provision init` makes them, with what is different here.
fn install(root: &Path, keys: &Path, ports: Ports, programs: &Programs, corpus: &Path) -> anyhow::Result<()> {
    let policy = root.join("waves.toml");
    std::fs::write(&policy, POLICY).context("the policy of rollouts")?;
    let init = [
        "init".to_owned(),
        flag("out", keys),
        "--host=localhost".to_owned(),
        "--listen=127.0.0.1".to_owned(),
        format!("--mqtt-port={}", ports.mqtt),
        format!("--http-port={}", ports.http),
        flag("corpus", corpus),
        flag("broker-dir", std::env::temp_dir().join(format!("hearthwatch-operation-broker-{}", ports.mqtt))),
    ];
    call(&programs.provision, init)?;
    let path = keys.join("cloud.toml");
    let text = std::fs::read_to_string(&path).context("the aggregator's configuration")?;
    let mut table: toml::Table = text.parse().context("the aggregator's configuration")?;
    let mut set = |part: &str, key: &str, value: toml::Value| -> anyhow::Result<()> {
        let part = table
            .get_mut(part)
            .and_then(toml::Value::as_table_mut)
            .with_context(|| format!("[{part}] in cloud.toml"))?;
        part.insert(key.to_owned(), value);
        Ok(())
    };
    set("training", "trigger_count", toml::Value::Integer(TRIGGER_ANSWERS))?;
    set("rollout", "policy", toml::Value::String(std::path::absolute(&policy)?.display().to_string()))?;
    std::fs::write(&path, toml::to_string(&table)?).context("the aggregator's configuration")?;
    Ok(())
}

/// One broker on loopback for all homes' own traffic, without any rule: in life each home has its own.
fn house(root: &Path, port: u16, mosquitto: &Path) -> anyhow::Result<Process> {
    let path = root.join("house.conf");
    std::fs::write(&path, format!("listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"))?;
    Ok(Process::new(mosquitto.to_owned(), ["-c".into(), path], root.join("logs/house.log")))
}

async fn answers(host: &str, port: u16) -> anyhow::Result<()> {
    wait_for(|| std::net::TcpStream::connect((host, port)).is_ok()).await
}

async fn wait_for(ready: impl Fn() -> bool) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !ready() {
        ensure!(begun.elapsed() < PATIENCE, "it does not answer after {} s", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
