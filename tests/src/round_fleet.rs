//! A fleet of real processes that trains in rounds: mosquitto, signer, aggregator, and agents whose Home Assistant remembers a recording.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hearthwatch_emulator::home_assistant::{RecordedSensors, Recorder, Sensor};
use hearthwatch_emulator::process::Process;
use hearthwatch_evaluation::dataset::RecordedHome;
use hearthwatch_protocol::HomeId;
use hearthwatch_provision::{Layout, homes, init};
use hearthwatch_rounds::cohort::is_evaluator;
use hearthwatch_store::Store as _;
use hearthwatch_store::rounds::{RoundHomeRow, RoundOutcome, RoundRow, RoundStage, RoundStore as _};
use hearthwatch_store::sqlite::SqliteStore;
use hearthwatch_store::standings::{StandingRow, StandingStore as _};
use jiff::Timestamp;

use crate::guest::{Guest, Membership};
use crate::{free_address, program};

/// Days that certificates live.
const DAYS: u32 = 7;
/// Share of homes that evaluate: as the aggregator's default.
const EVALUATOR_SHARE: f64 = 0.2;
/// Longest wait for a round; reached only when the test fails.
const PATIENCE: Duration = Duration::from_secs(900);
/// Pause between two looks at the aggregator's store.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Smallest reading interval that a stand-in's recorder gives, in seconds: a step.
const STEP: i64 = 600;

/// What a fleet is made of.
pub struct Plan<'a> {
    /// Recordings, one for each home.
    pub recordings: Vec<RecordedHome>,
    /// How many of them evaluate; the others train.
    pub evaluators: usize,
    /// Homes, by their place, whose training program is another one.
    pub programs: &'a [(usize, PathBuf)],
    /// Folder of recordings that the server trains on.
    pub corpus: &'a Path,
    /// Sensors without history that each home has besides, to be broken on purpose: [`fresh`] names them.
    pub fresh: usize,
    /// Lines of the aggregator's `[rounds]`, and tables after it.
    pub rounds: &'a str,
}

/// Name of a sensor without history.
#[must_use]
pub fn fresh(number: usize) -> String {
    format!("sensor.fresh_{number:03}")
}

/// A fleet at work; everything ends with it.
pub struct RoundFleet {
    /// Where keys are.
    pub layout: Layout,
    /// The homes, those that evaluate last.
    pub homes: Vec<(HomeId, Guest)>,
    /// The aggregator's process. It logs as JSON.
    pub aggregator: Process,
    /// The aggregator's configuration.
    pub config: PathBuf,
    /// The aggregator's database.
    pub database: PathBuf,
    /// Where the fleet's broker listens.
    pub port: u16,
    _broker: Process,
    _signer: Process,
    // Removed last.
    folder: tempfile::TempDir,
}

impl RoundFleet {
    /// Makes keys and certificates, starts every program, and waits until each agent listens to its Home Assistant.
    ///
    /// # Errors
    /// The part that could not be made or started.
    pub async fn start(plan: Plan<'_>) -> anyhow::Result<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir()?;
        let root = folder.path();
        let layout = Layout::new(root.join("keys"));
        init::run(&layout, &init::Options::default(), Timestamp::now())?;
        let (mqtt, https) = (free_address().port(), free_address().port());
        let mut broker = crate::chaos::mosquitto_process(&layout, mqtt, root)?;
        broker.start()?;
        let socket = root.join("signer.sock");
        let signer = [
            "signer".to_owned(),
            format!("--keys={}", layout.signer().display()),
            format!("--gate-public={}", layout.gate_public().display()),
            format!("--socket={}", socket.display()),
        ];
        let mut signer = Process::new(program("hearthwatch-provision"), signer, root.join("signer.log"));
        signer.start()?;
        let data = root.join("cloud");
        hearthwatch_provision::files::make_dir(&data)?;
        let config = root.join("cloud.toml");
        std::fs::write(&config, cloud_toml(&layout, &data, (mqtt, https), &socket, &plan))?;
        let arguments = ["--log=json".to_owned(), "serve".to_owned(), format!("--config={}", config.display())];
        let aggregator = Process::new(program("hearthwatch-cloud"), arguments, root.join("cloud.log"));
        let mut aggregator = aggregator.with_level("info");
        let database = data.join(hearthwatch_cloud::aggregator::DATABASE_FILE);
        let names = names(plan.recordings.len(), plan.evaluators)?;
        {
            let store = SqliteStore::open(&database)?;
            for home in &names {
                store.enrol_home(home, Timestamp::now().as_second())?;
                homes::issue(&layout, home, Timestamp::now(), DAYS)?;
            }
        }
        aggregator.start()?;
        let mut homes = Vec::new();
        for (place, (home, recording)) in names.into_iter().zip(plan.recordings).enumerate() {
            let given = plan.programs.iter().find(|(at, _)| *at == place).map(|(_, path)| path.clone());
            let train = given.unwrap_or_else(|| program("hearthwatch-train-round"));
            let tables = edge_tables(&layout, &home, (mqtt, https), &train);
            let (mut sensors, recorder) = remembered(&recording);
            sensors.extend((0..plan.fresh).map(thermometer));
            let member = Membership { node: home.as_str(), state: "state", tables: &tables };
            let guest = Guest::start_as(member, &program("hearthwatch-edge"), sensors, recorder).await;
            homes.push((home.clone(), guest.with_context(|| home.to_string())?));
        }
        Ok(Self { layout, homes, aggregator, config, database, port: mqtt, _broker: broker, _signer: signer, folder })
    }

    /// The first round that is as `wanted`, with its homes.
    ///
    /// # Errors
    /// When none is for too long; with the ends of the logs.
    pub async fn wait_for(
        &self,
        number: u64,
        wanted: impl Fn(&RoundRow, &[RoundHomeRow]) -> bool,
    ) -> anyhow::Result<(RoundRow, Vec<RoundHomeRow>)> {
        let begun = Instant::now();
        loop {
            let store = SqliteStore::open(&self.database)?;
            if let Some(row) = store.round(number)? {
                let homes = store.round_homes(number, None, 0)?;
                if wanted(&row, &homes) {
                    return Ok((row, homes));
                }
            }
            ensure!(begun.elapsed() < PATIENCE, "round {number} does not come so far:\n{}", self.logs());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until a round has ended.
    ///
    /// # Errors
    /// As [`Self::wait_for`].
    pub async fn ended(&self, number: u64) -> anyhow::Result<(RoundRow, Vec<RoundHomeRow>)> {
        self.wait_for(number, |row, _| row.stage == RoundStage::Ended).await
    }

    /// What earlier rounds say of a home.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub fn standing(&self, place: usize) -> anyhow::Result<Option<StandingRow>> {
        let standings = SqliteStore::open(&self.database)?.standings(None, 0)?;
        Ok(standings.into_iter().find(|row| row.home == self.homes[place].0))
    }

    /// Where everything of the fleet but the homes lies.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps all files where they are, for whoever looks for a cause, and says where.
    pub fn keep(&mut self) -> String {
        self.folder.disable_cleanup(true);
        let homes = self.homes.iter_mut().map(|(home, guest)| format!("{home}: {}", guest.keep().display()));
        let homes: Vec<String> = homes.collect();
        format!("{}, {}", self.folder.path().display(), homes.join(", "))
    }

    /// The ends of the aggregator's and the homes' logs.
    #[must_use]
    pub fn logs(&self) -> String {
        let mut text = format!("aggregator:\n{}\n", self.aggregator.tail());
        for (home, guest) in &self.homes {
            let log = guest.log();
            let lines: Vec<&str> = log.lines().collect();
            text.push_str(&format!("{home}:\n{}\n", lines[lines.len().saturating_sub(15)..].join("\n")));
        }
        text
    }
}

/// Whether mosquitto is on this machine.
///
/// # Panics
/// Where it is not, and `HEARTHWATCH_REQUIRE_MOSQUITTO` is set.
#[must_use]
pub fn has_mosquitto() -> bool {
    let places = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"];
    if places.iter().any(|path| Path::new(path).exists()) {
        return true;
    }
    assert!(std::env::var_os("HEARTHWATCH_REQUIRE_MOSQUITTO").is_none(), "mosquitto is required and not installed");
    eprintln!("skipped: mosquitto is not installed");
    false
}

/// One line a round, as an operator reads it.
pub fn print(row: &RoundRow, homes: &[RoundHomeRow]) {
    let outcome = row.outcome.map_or("open", RoundOutcome::as_str);
    println!("round {}: {outcome}; {}", row.number, row.reason);
    for home in homes {
        println!(
            "  {:<8} {:<8} {:<10} {:>6} bytes, norm {}, cosine {} {}{}",
            home.home.as_str(),
            home.duty.as_str(),
            home.state.as_str(),
            home.bytes,
            home.norm.map_or("-".to_owned(), |norm| format!("{norm:.3}")),
            home.similarity.map_or("-".to_owned(), |cosine| format!("{cosine:+.2}")),
            home.reason,
            home.counted_in
                .map_or(String::new(), |round| format!(" (asked in round {}, counts in {round})", home.round)),
        );
    }
}

/// The last ten weeks of a recording: what a recorder keeps, and more.
#[must_use]
pub fn lately(home: RecordedHome) -> RecordedHome {
    let until = home.span().map_or(0, |(_, last)| last);
    let mut home = home;
    home.readings.retain(|reading| reading.at > until - 70 * 86_400);
    home
}

/// Names of homes: those that train, then those that evaluate, as the aggregator's hash decides.
fn names(count: usize, evaluators: usize) -> anyhow::Result<Vec<HomeId>> {
    let all = (1..).map(|number| HomeId::new(format!("home-{number}")));
    let (mut train, mut evaluate) = (Vec::new(), Vec::new());
    for home in all {
        let home = home?;
        let (list, most) = if is_evaluator(&home, EVALUATOR_SHARE) {
            (&mut evaluate, evaluators)
        } else {
            (&mut train, count.saturating_sub(evaluators))
        };
        if list.len() < most {
            list.push(home);
        }
        if train.len() + evaluate.len() == count {
            break;
        }
    }
    Ok([train, evaluate].concat())
}

/// The recording as a recorder has it, moved so that it ends now, and its sensors.
fn remembered(recording: &RecordedHome) -> (Vec<Sensor>, Box<Recorder>) {
    let mut home = recording.clone();
    let last = home.readings.last().map_or(0, |reading| reading.at);
    let shift = (Timestamp::now().as_second() - last).div_euclid(STEP) * STEP;
    home.readings.iter_mut().for_each(|reading| reading.at += shift);
    let sensors = RecordedSensors::new(home, i64::MAX);
    (sensors.sensors(), sensors.recorder())
}

fn thermometer(number: usize) -> Sensor {
    Sensor { entity_id: fresh(number), device_class: "temperature", unit: "°C".to_owned(), state: "20.0".to_owned() }
}

fn edge_tables(layout: &Layout, home: &HomeId, (mqtt, https): (u16, u16), train: &Path) -> String {
    let files = layout.home(home);
    format!(
        "[rounds]\nhours = \"always\"\nload_max = 100.0\nprogram = {train:?}\n\
         [cloud]\nhome = \"{home}\"\nsharing = \"learning\"\n\
         [cloud.mqtt]\nhost = \"localhost\"\nport = {mqtt}\nca_file = {:?}\ncert_file = {:?}\nkey_file = {:?}\n\
         [cloud.updates]\nurl = \"https://localhost:{https}/tuf/\"\nca_file = {:?}\nroot_file = {:?}\ndirector_file = {:?}\n",
        files.ca(),
        files.cert(),
        files.key(),
        files.ca(),
        files.tuf_root(),
        files.director(),
    )
}

fn cloud_toml(layout: &Layout, data: &Path, (mqtt, https): (u16, u16), socket: &Path, plan: &Plan<'_>) -> String {
    format!(
        "data = {data:?}\nenrolment = {:?}\n\
         [mqtt]\nhost = \"localhost\"\nport = {mqtt}\nca_file = {:?}\ncert_file = {:?}\nkey_file = {:?}\ngroup_file = {:?}\n\
         [http]\nlisten = \"{}:{https}\"\ncert_file = {:?}\nkey_file = {:?}\n\
         [training]\ncorpus = {:?}\ntrigger_count = 0\nschedule_hours = 0\n\
         [release]\nrepository = {:?}\nroot_file = {:?}\nkeys = {:?}\ngate_key = {:?}\nsigner_socket = {socket:?}\n\
         url = \"https://localhost:{https}/tuf/\"\n\
         [rollout]\ndirector_key = {:?}\npolicy = \"immediate\"\n\
         [rounds]\nenabled = true\n{}",
        layout.root(),
        layout.ca_cert(),
        layout.aggregator_cert(),
        layout.aggregator_key(),
        layout.group(),
        Ipv4Addr::LOCALHOST,
        layout.http_cert(),
        layout.http_key(),
        plan.corpus,
        data.join("repository"),
        layout.tuf_root(),
        layout.tuf_online(),
        layout.gate_key(),
        layout.director_key(),
        plan.rounds,
    )
}
