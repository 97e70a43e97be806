//! The installation that is struck: keys, broker, aggregator, homes, and the line between them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use hearthwatch_cloud::aggregator::DATABASE_FILE;
use hearthwatch_emulator::process::Process;
use hearthwatch_protocol::messages::{UpdateOutcome, UpdateResult};
use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_provision::acl::Identity;
use hearthwatch_provision::authority::Authority;
use hearthwatch_provision::ledger::Ledger;
use hearthwatch_provision::{Layout, homes, init, mosquitto, revocation};
use hearthwatch_store::Store;
use hearthwatch_store::sqlite::SqliteStore;
use jiff::{SignedDuration, Timestamp};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng};

use super::answers;
use super::fault::Fault;
use super::mirror::{Mirror, Shown};
use super::proxy::{Line, Proxy};

/// Days that a home's certificate lives.
const DAYS: u32 = 7;
/// Blocks of 512 bytes beyond which a home with a full disk cannot write: less than its outbox has already.
const FULL_BLOCKS: u32 = 8;

/// Longest that the world may take to stand.
const START_MAX: Duration = Duration::from_secs(120);
/// Of each kind of message, in one round: what a home says in years.
const FLOOD: &str = "400";
/// Parts of the aggregator that a round may let end; it serves neither pages nor a repository here.
const PARTS: [&str; 3] = ["intake", "trainer", "checks"];
/// How they end.
const WORDS: [&str; 3] = ["end", "error", "panic"];
/// Exit code of a program that one of its parts has stopped.
const EXIT_PART: i32 = 70;

/// Everything that can be struck.
pub struct World {
    layout: Layout,
    database: PathBuf,
    broker: Process,
    /// The embedded broker watches the ledger itself; mosquitto must be told.
    broker_must_be_told: bool,
    /// The home whose certificate was taken back.
    revoked: Option<HomeId>,
    aggregator: Process,
    homes: Vec<Home>,
    twin: Option<Process>,
    /// The home that says too much; it says nothing in other rounds.
    flooder: HomeId,
    flooding: Option<Process>,
    mirror: Mirror,
    /// Whether the aggregator ends by itself in this round.
    dies: bool,
    proxy: Proxy,
    rng: SmallRng,
    /// Faults still to come before each has come once.
    deck: Vec<Fault>,
    // Removed last.
    folder: tempfile::TempDir,
}

struct Home {
    id: HomeId,
    state: PathBuf,
    process: Process,
}

impl World {
    /// Makes and starts everything.
    ///
    /// # Errors
    /// The part that could not be made or started.
    pub fn build(broker: &str, homes: u32, seed: u64) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let root = folder.path();
        let layout = Layout::new(root.join("keys"));
        init::run(&layout, &init::Options::default(), Timestamp::now())?;
        let port = crate::free_address().port();
        let broker_must_be_told = broker == "mosquitto";
        let broker = if broker_must_be_told {
            mosquitto_process(&layout, port, root)?
        } else {
            let arguments = ["chaos-broker", "--keys", &text(layout.root()), "--port", &port.to_string()];
            Process::new(beside("hearthwatch-emulator")?, arguments, root.join("broker.log"))
        };
        let data = root.join("cloud");
        hearthwatch_provision::files::make_dir(&data)?;
        let config = root.join("cloud.toml");
        std::fs::write(&config, cloud_toml(&layout, &data, port))?;
        let arguments = ["serve", "--config", &text(&config)];
        // This very program is the aggregator too, so that a part of it can be told to end: see `ordered`.
        let aggregator = Process::new(std::env::current_exe()?, arguments, root.join("cloud.log"));
        let proxy = Proxy::start(port, seed)?;
        let database = data.join(DATABASE_FILE);
        let store = SqliteStore::open(&database)?;
        let mirror = Mirror::start(&root.join("models"), &layout, &store)?;
        let mut all = Vec::new();
        for number in 1..=homes {
            let id = HomeId::new(format!("home-{number}"))?;
            store.enrol_home(&id, Timestamp::now().as_second())?;
            homes::issue(&layout, &id, Timestamp::now(), DAYS)?;
            let state = root.join(id.as_str());
            let log = root.join(format!("{id}.log"));
            let models = ["--updates", &mirror.url()?, "--root", &text(&layout.tuf_root())];
            let process = home_process(&layout, &id, &state, proxy.port(), &log, &models)?;
            all.push(Home { id, state, process });
        }
        let flooder = HomeId::new("home-flood")?;
        store.enrol_home(&flooder, Timestamp::now().as_second())?;
        homes::issue(&layout, &flooder, Timestamp::now(), DAYS)?;
        drop(store);
        let rng = SmallRng::seed_from_u64(seed);
        let mut world = Self {
            layout,
            database,
            broker,
            broker_must_be_told,
            revoked: None,
            aggregator,
            homes: all,
            twin: None,
            flooder,
            flooding: None,
            mirror,
            dies: false,
            proxy,
            rng,
            deck: Vec::new(),
            folder,
        };
        world.start()?;
        Ok(world)
    }

    /// Starts every process and waits for the homes.
    fn start(&mut self) -> anyhow::Result<()> {
        self.broker.start()?;
        self.aggregator.start()?;
        for home in &mut self.homes {
            home.process.start()?;
        }
        // What a broker that is killed had acknowledged is gone: the first model must have come before the first fault.
        let began = Instant::now();
        while !self.behind()?.is_empty() {
            anyhow::ensure!(began.elapsed() < START_MAX, "the homes do not come up:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The next fault: each comes once, in an order of the seed's, before any comes again.
    pub fn draw_fault(&mut self) -> Fault {
        if self.deck.is_empty() {
            self.deck = Fault::ALL.to_vec();
        }
        let index = self.rng.random_range(0..self.deck.len());
        self.deck.swap_remove(index)
    }

    fn any_home(&mut self) -> usize {
        self.rng.random_range(0..self.homes.len())
    }

    /// Lets it happen.
    ///
    /// # Errors
    /// When a process that the fault needs does not start.
    pub fn strike(&mut self, fault: Fault) -> anyhow::Result<()> {
        let victim = self.any_home();
        if let Some(line) = fault.line() {
            self.proxy.set(line);
            return Ok(());
        }
        let home = &mut self.homes[victim];
        match fault {
            Fault::KillHome => home.process.kill(),
            Fault::KillBroker => self.broker.kill(),
            Fault::KillAggregator => self.aggregator.kill(),
            Fault::KillAll => {
                home.process.kill();
                self.aggregator.kill();
                self.broker.kill();
            }
            Fault::DiskFull => home.process.start_with_full_disk(FULL_BLOCKS)?,
            Fault::ClockBehind => home.process.start_with(&["--clock-off", "-172800"])?,
            Fault::CertificateEnds => {
                // Valid for another moment only; the broker's restart makes the home show it.
                let issued = Timestamp::now() - SignedDuration::from_hours(24 * i64::from(DAYS));
                certify(&self.layout, &home.id, issued)?;
                self.broker.kill();
                self.broker.start()?;
            }
            Fault::Revoked => {
                let taken = revocation::revoke(&self.layout, &home.id, Timestamp::now(), "chaos")?;
                anyhow::ensure!(!taken.is_empty(), "{} had no certificate to take back", home.id);
                self.revoked = Some(home.id.clone());
                self.tell_broker()?;
            }
            Fault::Twin => {
                let (root, port) = (self.folder.path(), self.proxy.port());
                let state = root.join("twin");
                let mut twin = home_process(&self.layout, &home.id, &state, port, &root.join("twin.log"), &[])?;
                twin.start_with(&["--mute"])?;
                self.twin = Some(twin);
            }
            Fault::FloodingHome => {
                let (root, port) = (self.folder.path(), self.proxy.port());
                let (state, log) = (root.join(self.flooder.as_str()), root.join("flood.log"));
                let mut flooding = home_process(&self.layout, &self.flooder, &state, port, &log, &["--flood", FLOOD])?;
                flooding.start()?;
                self.flooding = Some(flooding);
            }
            Fault::DyingTask => {
                let word = WORDS[self.rng.random_range(0..WORDS.len())];
                // One more than there are: then it is a home's uplink, which comes back inside its process.
                match PARTS.get(self.rng.random_range(0..=PARTS.len())) {
                    None => home.process.order(&format!("{word} uplink"))?,
                    Some(part) => {
                        self.dies = true;
                        self.aggregator.order(&format!("{word} {part}"))?;
                    }
                }
            }
            Fault::StaleMirror => {
                let shown = if self.rng.random_bool(0.5) { Shown::Before } else { Shown::Expired };
                self.mirror.show(shown)?;
            }
            Fault::Partition | Fault::HalfOpen | Fault::Delay | Fault::Lossy => {}
        }
        Ok(())
    }

    /// Makes everything good again.
    ///
    /// # Errors
    /// When a process does not start.
    pub fn mend(&mut self, fault: Fault) -> anyhow::Result<()> {
        self.proxy.set(Line::Good);
        (self.twin, self.flooding) = (None, None);
        match fault {
            Fault::DyingTask if std::mem::take(&mut self.dies) => {
                let code = self.aggregator.ended()?;
                anyhow::ensure!(code == Some(EXIT_PART), "the aggregator ended with {code:?}");
                // As systemd does.
                self.aggregator.start()?;
            }
            Fault::StaleMirror => {
                self.mirror.release(&SqliteStore::open(&self.database)?)?;
                self.mirror.show(Shown::Fresh)?;
            }
            Fault::KillBroker => self.broker.start()?,
            Fault::KillAggregator => self.aggregator.start()?,
            Fault::KillAll => {
                self.broker.start()?;
                self.aggregator.start()?;
            }
            _ => {}
        }
        if let Some(id) = self.revoked.take() {
            certify(&self.layout, &id, Timestamp::now())?;
            self.tell_broker()?;
        }
        for home in &mut self.homes {
            match fault {
                Fault::CertificateEnds => certify(&self.layout, &home.id, Timestamp::now())?,
                Fault::KillHome | Fault::KillAll | Fault::DiskFull | Fault::ClockBehind => home.process.start()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn tell_broker(&self) -> anyhow::Result<()> {
        if self.broker_must_be_told { self.broker.hang_up() } else { Ok(()) }
    }

    /// The answers that outboxes took, by alarm id.
    ///
    /// # Errors
    /// When a journal cannot be read.
    pub fn accepted(&self) -> anyhow::Result<BTreeSet<String>> {
        answers::accepted(self.homes.iter().map(|home| (&home.id, home.state.as_path())))
    }

    /// How often each alarm's answer is in the aggregator's store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn stored(&self) -> anyhow::Result<BTreeMap<String, u32>> {
        answers::stored(&answers::open(&self.database)?)
    }

    /// The homes of which the aggregator does not know that they run the newest model.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn behind(&self) -> anyhow::Result<Vec<HomeId>> {
        let (said, newest) = (self.outcomes()?, self.mirror.newest());
        let runs = |home: &HomeId| {
            let installed = |(id, version, result): &(String, ModelVersion, UpdateResult)| {
                id == home.as_str() && *version == newest && *result == UpdateResult::Installed
            };
            said.iter().any(installed)
        };
        Ok(self.homes.iter().map(|home| home.id.clone()).filter(|home| !runs(home)).collect())
    }

    /// Whether the aggregator runs, and no good home has said anything against a model: all models are good.
    ///
    /// # Errors
    /// What is not so.
    pub fn sound(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.aggregator.is_running()?, "the aggregator has ended:\n{}", self.aggregator.tail());
        for (home, model_version, result) in self.outcomes()? {
            let said = UpdateOutcome { model_version, stage: None, result, at: 0 };
            let good =
                home == self.flooder.as_str() || said.result == UpdateResult::Installed || !said.weighs_on_release();
            anyhow::ensure!(good, "{home} says of a good model: {said:?}");
        }
        Ok(())
    }

    /// What homes said of models: who, of which, what.
    fn outcomes(&self) -> anyhow::Result<Vec<(String, ModelVersion, UpdateResult)>> {
        let database = answers::open(&self.database)?;
        let mut statement = database.prepare("SELECT home, model_version, result FROM outcomes")?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?)))?;
        rows.map(|row| {
            let (home, version, result) = row?;
            Ok((home, ModelVersion(u64::try_from(version)?), serde_json::from_str(&result)?))
        })
        .collect()
    }

    /// The largest resident memory of any process now.
    pub fn largest_memory_kib(&self) -> u64 {
        let parts = [&self.broker, &self.aggregator].into_iter().chain(self.homes.iter().map(|home| &home.process));
        parts.map(Process::memory_kib).max().unwrap_or(0)
    }

    /// Keeps keys, stores and logs where they are, for whoever looks for the cause, and says where.
    pub fn keep(&mut self) -> &Path {
        self.folder.disable_cleanup(true);
        self.folder.path()
    }

    /// The ends of all logs, for the report of a loss.
    pub fn logs(&self) -> String {
        let mut text = format!("broker:\n{}\naggregator:\n{}\n", self.broker.tail(), self.aggregator.tail());
        for home in &self.homes {
            text.push_str(&format!("{}:\n{}\n", home.id, home.process.tail()));
        }
        text
    }
}

/// A program of ours, which lies where this one does.
fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    if program.is_file() { Ok(program) } else { anyhow::bail!("{} is not built", program.display()) }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

pub(super) fn home_process(
    layout: &Layout,
    id: &HomeId,
    state: &Path,
    port: u16,
    log: &Path,
    more: &[&str],
) -> anyhow::Result<Process> {
    let (bundle, state) = (text(layout.home(id).root()), text(state));
    let port = port.to_string();
    let arguments = ["chaos-home", "--home", id.as_str(), "--bundle", &bundle, "--state", &state, "--port", &port];
    let arguments = arguments.into_iter().chain(more.iter().copied());
    Ok(Process::new(beside("hearthwatch-emulator")?, arguments, log.to_owned()))
}

pub(crate) fn mosquitto_process(layout: &Layout, port: u16, root: &Path) -> anyhow::Result<Process> {
    use std::os::unix::fs::MetadataExt as _;
    let mut options = mosquitto::Options::of(layout, port);
    options.bind = Some(Ipv4Addr::LOCALHOST.to_string());
    // Started by root it would become the user `mosquitto`, who must not see this directory.
    options.user = (std::fs::metadata(root)?.uid() == 0).then(|| "root".to_owned());
    std::fs::write(layout.mosquitto_conf(), mosquitto::render(&options))?;
    let beside = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = std::env::split_paths(&path).chain(beside).map(|folder| folder.join("mosquitto"));
    let program = program.into_iter().find(|program| program.is_file()).context("mosquitto is not installed")?;
    Ok(Process::new(program, ["-c".to_owned(), text(&layout.mosquitto_conf())], root.join("broker.log")))
}

fn cloud_toml(layout: &Layout, data: &Path, port: u16) -> String {
    format!(
        "data = {:?}\n[mqtt]\nhost = \"localhost\"\nport = {port}\nca_file = {:?}\ncert_file = {:?}\nkey_file = {:?}\n\
         group_file = {:?}\n[ingest]\nrecords_per_day = 864000\n[training]\ntrigger_count = 0\nschedule_hours = 0\n",
        data,
        layout.ca_cert(),
        layout.aggregator_cert(),
        layout.aggregator_key(),
        layout.group()
    )
}

/// Writes a new certificate and key for a home, as a renewal would; who was shut out is let in again.
fn certify(layout: &Layout, id: &HomeId, from: Timestamp) -> anyhow::Result<()> {
    let authority = Authority::load(layout)?;
    let issued = authority.issue_client(&Identity::home(id.clone())?, from, DAYS)?;
    Ledger::of(layout).record(&issued.certificate_pem, from)?;
    revocation::render(layout, &authority, Timestamp::now())?;
    let bundle = layout.home(id);
    std::fs::write(bundle.key(), issued.key_pem)?;
    std::fs::write(bundle.cert(), issued.certificate_pem)?;
    Ok(())
}
