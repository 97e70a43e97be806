//! The real agent as a process beside a [stand-in](hearthwatch_emulator::home_assistant) for Home Assistant and a real mosquitto.

mod alarms;
pub mod rounds;

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use hearthwatch_link::{LinkConfig, LinkEvent, LinkEvents, LinkHandle, Publication};
use serde_json::Value;

use hearthwatch_emulator::home_assistant::{EmulatedHomeAssistant, Own, Recorder, Sensor};
use hearthwatch_emulator::process::ended;

/// Longest that anything may take before it is called failed.
const PATIENCE: Duration = Duration::from_secs(300);
/// The token for Home Assistant, which takes any.
pub const TOKEN: &str = "a-long-lived-access-token-of-home-assistant";
/// What a home is called that has no fleet.
const ALONE: Membership<'_> = Membership { node: "home", state: "state", tables: "" };
/// Its configuration's file.
const CONFIG: &str = "edge.toml";
/// Its log's file.
const LOG: &str = "agent.log";
/// Hundredths of a second, in `/proc/PID/stat`.
const TICKS: f64 = 100.0;

/// What an agent's configuration says that differs from home to home.
#[derive(Debug, Clone, Copy)]
pub struct Membership<'a> {
    /// What stands between the agent and the others in its topics: the home's name in its fleet.
    pub node: &'a str,
    /// Its `state`.
    pub state: &'a str,
    /// The table `[cloud]` and those below it.
    pub tables: &'a str,
}

/// An agent at work; everything ends with it.
pub struct Guest {
    /// What it hears.
    pub double: EmulatedHomeAssistant,
    /// What it says, and where residents speak to it.
    pub line: Line,
    /// None while it is killed.
    agent: Option<Running>,
    program: PathBuf,
    /// Where its page listens.
    page: u16,
    _broker: Broker,
    // Removed last.
    folder: tempfile::TempDir,
}

impl Guest {
    /// Starts the program `agent` in a home with these sensors, and waits until it listens.
    ///
    /// # Errors
    /// The part that did not start.
    pub async fn start(agent: &Path, sensors: Vec<Sensor>, recorder: Box<Recorder>) -> anyhow::Result<Self> {
        Self::start_as(ALONE, agent, sensors, recorder).await
    }

    /// The same, as a member of a fleet.
    ///
    /// # Errors
    /// The part that did not start.
    pub async fn start_as(
        member: Membership<'_>,
        agent: &Path,
        sensors: Vec<Sensor>,
        recorder: Box<Recorder>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let double = EmulatedHomeAssistant::start(sensors, recorder).await?;
        let broker = Broker::start(folder.path())?;
        let page = crate::free_address().port();
        configure(member, folder.path(), (broker.port, page), &double.url())?;
        let line = Line::open(broker.port, member.node).await?;
        let program = agent.to_owned();
        let mut guest = Self { double, line, agent: None, program, page, _broker: broker, folder };
        guest.start_again().await?;
        Ok(guest)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.agent = None;
    }

    /// Starts the agent, and waits until it listens.
    ///
    /// # Errors
    /// When it does not come so far.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        command.arg("run").arg("--config").arg(self.folder.path().join(CONFIG));
        let log = self.folder.path().join(LOG);
        self.agent = Some(start(&mut command, &log).with_context(|| self.program.display().to_string())?);
        self.listens().await
    }

    /// Lets a part of it end, like `panic page`; only the [program](crate::ordered) that takes such orders does so.
    ///
    /// # Errors
    /// When it does not run.
    pub fn order(&mut self, fault: &str) -> anyhow::Result<()> {
        let agent = self.agent.as_mut().context("no agent runs")?;
        writeln!(agent.0.stdin.as_mut().context("its standard input")?, "{fault}")?;
        Ok(())
    }

    /// Waits until it has ended by itself, and gives its exit code.
    ///
    /// # Errors
    /// When it does not end.
    pub fn ended(&mut self) -> anyhow::Result<Option<i32>> {
        let mut agent = self.agent.take().context("no agent runs")?;
        ended(&mut agent.0)
    }

    /// What `/healthz` and `/readyz` are asked at.
    #[must_use]
    pub fn page(&self) -> String {
        format!("http://127.0.0.1:{}", self.page)
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not run, or ends otherwise than in peace.
    pub fn end(&mut self) -> anyhow::Result<()> {
        let mut agent = self.agent.take().context("no agent runs")?;
        let asked = Command::new("kill").arg(agent.0.id().to_string()).status()?;
        ensure!(asked.success(), "the agent cannot be asked to end");
        let ended = agent.0.wait()?;
        ensure!(ended.success(), "the agent ended with {ended}: {}", self.log());
        Ok(())
    }

    /// Waits until it hears every change.
    ///
    /// # Errors
    /// When it does not come so far.
    pub async fn listens(&mut self) -> anyhow::Result<()> {
        let listens = self.line.wait_for("mode", |mode| mode.starts_with("listening to Home Assistant")).await;
        listens.with_context(|| self.log())
    }

    /// Its process; none while it is killed.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.agent.as_ref().map(|agent| agent.0.id())
    }

    /// Where its state, its log and its configuration lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps its files where they are, and says where.
    pub fn keep(&mut self) -> &Path {
        self.folder.disable_cleanup(true);
        self.folder.path()
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }

    /// Processor time that it has taken, in seconds.
    ///
    /// # Errors
    /// When it has ended.
    pub fn processor_seconds(&self) -> anyhow::Result<f64> {
        let stat = self.agent.as_ref().context("no agent runs")?.proc("stat")?;
        let fields = stat.rsplit_once(") ").context("a line of /proc/PID/stat")?.1.split(' ');
        // After the name in brackets: 11 and 12 are the times in user and system mode.
        let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(ticks / TICKS)
    }

    /// Memory that it holds, in MB.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory_mb(&self) -> anyhow::Result<f64> {
        self.status_mb("VmRSS:")
    }

    /// The most that was ever resident, in MB.
    ///
    /// # Errors
    /// When it has ended.
    pub fn peak_memory_mb(&self) -> anyhow::Result<f64> {
        self.status_mb("VmHWM:")
    }

    /// The part of it that it allocated; the rest are pages of the program's file, which the system may drop.
    ///
    /// # Errors
    /// When it has ended.
    pub fn allocated_mb(&self) -> anyhow::Result<f64> {
        self.status_mb("RssAnon:")
    }

    fn status_mb(&self, key: &'static str) -> anyhow::Result<f64> {
        let status = self.agent.as_ref().context("no agent runs")?.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(key)).context(key)?;
        let kibibytes: f64 = line.split_whitespace().next().context(key)?.parse()?;
        Ok(kibibytes * 1024.0 / 1e6)
    }
}

/// A child process that does not outlive the run.
struct Running(Child);

impl Running {
    fn proc(&self, file: &str) -> std::io::Result<String> {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.0.id()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // May have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes what an agent in `folder` is told, beside what answers at `home_assistant`.
fn configure(
    member: Membership<'_>,
    folder: &Path,
    (broker, page): (u16, u16),
    home_assistant: &str,
) -> anyhow::Result<()> {
    std::fs::write(folder.join("token"), TOKEN)?;
    let text = format!(
        "state = \"{}\"\n[home_assistant]\nurl = \"{home_assistant}\"\ntoken_file = \"token\"\n\
         [home.mqtt]\nhost = \"127.0.0.1\"\nport = {broker}\n[page]\nlisten = \"127.0.0.1:{page}\"\n{}",
        member.state, member.tables
    );
    std::fs::write(folder.join(CONFIG), text)?;
    Ok(())
}

fn start(command: &mut Command, log: &Path) -> anyhow::Result<Running> {
    let file = std::fs::File::create(log)?;
    // Open as long as the process is held: orders may come by it.
    let child = command.stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file).spawn()?;
    Ok(Running(child))
}

/// mosquitto on loopback, without any rule.
struct Broker {
    port: u16,
    _process: Running,
}

impl Broker {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let port = crate::free_address().port();
        let config = folder.join("mosquitto.conf");
        let text =
            format!("listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n");
        std::fs::write(&config, text)?;
        // Debian keeps it out of ordinary users' way.
        let program = ["/usr/sbin/mosquitto", "mosquitto"].into_iter().find(|path| Path::new(path).exists());
        let mut command = Command::new(program.unwrap_or("mosquitto"));
        let process = start(command.arg("-c").arg(&config), &folder.join("mosquitto.log")).context("mosquitto")?;
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            ensure!(begun.elapsed() < PATIENCE, "mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { port, _process: process })
    }
}

/// Somebody on the home's broker who hears all that the agent says.
pub struct Line {
    link: LinkHandle,
    events: LinkEvents,
    /// What every topic of the agent begins with.
    topics: String,
    /// What was heard of alarms, and when: what Home Assistant's recorder would have.
    told: Vec<(f64, String, Value)>,
}

impl Line {
    async fn open(port: u16, node: &str) -> anyhow::Result<Self> {
        let topics = format!("hearthwatch/{node}/");
        let subscriptions = vec![format!("{topics}#")];
        let config = LinkConfig { subscriptions, ..LinkConfig::new("127.0.0.1", port, "bench") };
        let (link, events) = hearthwatch_link::open(config)?;
        Ok(Self { link, events, topics, told: Vec::new() })
    }

    /// Says something to the agent.
    ///
    /// # Errors
    /// When the line has ended.
    pub async fn say(&self, command: &str, payload: &str) -> anyhow::Result<()> {
        let topic = format!("{}command/{command}", self.topics);
        Ok(self.link.publish(Publication { topic, payload: payload.into(), retain: false }).await?)
    }

    /// What Home Assistant's recorder would have of the agent's own entities, as far as this line has listened.
    #[must_use]
    pub fn recorded(&self, node: &str) -> Vec<Own> {
        let own = |key: &str, topic: &str| Own {
            entity_id: format!("binary_sensor.hearthwatch_{key}"),
            unique_id: format!("hearthwatch_{node}_{key}"),
            rows: self
                .told
                .iter()
                .filter(|(_, name, _)| name == topic)
                .map(|(at, _, attributes)| (*at, attributes.clone()))
                .collect(),
        };
        vec![own("alarm", "alarm/attributes"), own("event", "event")]
    }

    /// Waits until what is said of `name` is wanted.
    ///
    /// # Errors
    /// When nothing wanted is said in time.
    pub async fn wait_for(&mut self, name: &str, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        self.wait_for_some(name, |text| wanted(text).then_some(())).await
    }

    /// The next thing said of `name` that is wanted.
    ///
    /// # Errors
    /// When nothing wanted is said in time.
    pub async fn wait_for_some<T>(&mut self, name: &str, wanted: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        let heard = async {
            loop {
                let (topic, payload) = match self.events.next().await {
                    None => bail!("the line to the broker has ended"),
                    Some(LinkEvent::Message { topic, payload, .. }) => (topic, payload),
                    Some(_) => continue,
                };
                let Some(said_of) = topic.strip_prefix(&self.topics) else { continue };
                if let ("alarm/attributes" | "event", Ok(attributes)) = (said_of, serde_json::from_slice(&payload)) {
                    // A recorder stamps to the microsecond: what is read here in one go was still said one after the other.
                    let now = jiff::Timestamp::now().as_microsecond() as f64 / 1e6;
                    let after = self.told.last().map_or(0.0, |(at, ..)| at + 1e-6);
                    self.told.push((now.max(after), said_of.to_owned(), attributes));
                }
                if said_of == name
                    && let Some(found) = std::str::from_utf8(&payload).ok().and_then(&wanted)
                {
                    return Ok(found);
                }
            }
        };
        tokio::time::timeout(PATIENCE, heard).await.with_context(|| format!("nothing wanted was said of {name}"))?
    }
}
