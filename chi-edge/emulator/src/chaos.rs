//! Two programs for the chaos suite: a home that only answers, and the embedded broker, each as a process that can be killed.
//!
//! `cargo xtask chaos` starts them, beside a real mosquitto and a real aggregator.

mod flood;
mod updates;

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use hearthwatch_detector::grid::{FEATURE_SCHEMA, FEATURES, WINDOW_STEPS};
use hearthwatch_edge_cloud::uplink::{self, UplinkConfig};
use hearthwatch_edge_store::outbox::{Outbox, SharingLevel};
use hearthwatch_link::{Backoff, LinkConfig, TlsFiles};
use hearthwatch_protocol::messages::{AgentStatus, Announcement, FeatureWindow, FeedbackRecord, Origin, Verdict};
use hearthwatch_protocol::{AlarmId, HomeId, ModelVersion, Sequence};
use hearthwatch_supervision::{FaultPlan, Pauses, Supervisor};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::broker::{BrokerFiles, EmbeddedBroker};

/// A home that never rests would only queue: so long between two answers.
const ANSWER_EVERY: Duration = Duration::from_millis(200);
/// A broker that came back is found again within this; a fleet's agents wait up to a minute.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(1) };
/// Patience for a receipt; a fleet's agents wait half a minute at first.
const RESEND: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(8) };
/// Seconds between two signs of life: a dead line is noticed in twice that.
const KEEP_ALIVE_SECONDS: u16 = 5;

/// A part that was let end comes back within a round.
const PAUSES: Pauses = Pauses { first: Duration::from_millis(200), longest: Duration::from_secs(1) };

/// A home that announces and answers alarms nobody raised, and writes down each answer that its outbox took.
#[derive(Debug, Args)]
pub struct HomeArguments {
    #[arg(long)]
    home: HomeId,
    /// Folder with `ca.crt`, `agent.crt` and `agent.key`.
    #[arg(long)]
    bundle: PathBuf,
    /// Folder of the outbox and of the journal.
    #[arg(long)]
    state: PathBuf,
    #[arg(long)]
    port: u16,
    /// Seconds by which this home's clock is wrong.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    clock_off: i64,
    /// Connect and say nothing: somebody else under this home's name.
    #[arg(long)]
    mute: bool,
    /// Say so many things of each kind, as fast as the broker takes them, and nothing else.
    #[arg(long)]
    flood: Option<u64>,
    /// Take models from this repository.
    #[arg(long, requires = "root")]
    updates: Option<Url>,
    /// The root of trust of that repository.
    #[arg(long)]
    root: Option<PathBuf>,
}

/// Plays the home until it is killed.
///
/// # Errors
/// When outbox or journal cannot be opened.
pub fn home(arguments: &HomeArguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(live(arguments))
}

async fn live(arguments: &HomeArguments) -> anyhow::Result<()> {
    std::fs::create_dir_all(&arguments.state)?;
    let mut outbox = Outbox::open(&arguments.state.join("outbox.sqlite"))?;
    outbox.configure_sharing(SharingLevel::Windows);
    let outbox = uplink::share(outbox);
    let mut journal = Journal::open(&arguments.state.join("journal"))?;
    let (_status, status_seen) = watch::channel(AgentStatus {
        online: true,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        model_version: ModelVersion::ROUTINE,
        entities: 1,
        outbox: 0,
    });
    let file = |name: &str| arguments.bundle.join(name);
    let tls = TlsFiles { ca: file("ca.crt"), cert: Some(file("agent.crt")), key: Some(file("agent.key")) };
    let off = arguments.clock_off;
    let now = move || jiff::Timestamp::now().as_second() + off;
    let link = LinkConfig {
        tls: Some(tls),
        backoff: BACKOFF,
        keep_alive_seconds: KEEP_ALIVE_SECONDS,
        ..LinkConfig::new("localhost", arguments.port, arguments.home.as_str())
    };
    if let Some(count) = arguments.flood {
        return flood::flood(&arguments.home, link, count, now).await;
    }
    let config = UplinkConfig {
        home: arguments.home.clone(),
        link,
        directed: false,
        resend: RESEND,
        clock: Arc::new(now),
        seed: 7,
    };
    let (faults, stop) = (FaultPlan::armed(), CancellationToken::new());
    let orders = faults.clone();
    // Ends with the process: nobody waits for it.
    std::thread::spawn(move || orders.obey(std::io::stdin().lock()));
    let parts = Supervisor::new(stop, faults).with_pauses(PAUSES);
    let (uplink, mut lives) = uplink::prepare(config, outbox, status_seen, None)?;
    parts.optional("uplink", move || lives.run());
    if let (Some(url), Some(root)) = (&arguments.updates, &arguments.root) {
        let taker = updates::Taker::new(url.clone(), root, &arguments.state)?;
        let uplink = uplink.clone();
        parts.optional("updates", move || taker.clone().run(uplink.clone(), now));
    }
    loop {
        tokio::time::sleep(ANSWER_EVERY).await;
        if arguments.mute {
            continue;
        }
        let number = journal.next;
        // First what is about to be done: a number is used once, whatever happens next.
        if journal.write("try", number).is_err() {
            continue;
        }
        journal.next += 1;
        // As an agent does: the alarm is announced when it is raised, the answer comes after.
        let answer = record(&arguments.home, number, now());
        if uplink.announce(announcement(&answer)).await.is_ok() && uplink.push(answer).await.is_ok() {
            // On a full disk the answer counts as not taken, although it may arrive.
            let _ = journal.write("took", number);
        }
    }
}

fn record(home: &HomeId, number: u64, now: i64) -> FeedbackRecord {
    let (steps, features) = (WINDOW_STEPS as u16, FEATURES as u16);
    FeedbackRecord {
        home: home.clone(),
        sequence: Sequence::default(),
        alarm: AlarmId::new(format!("{home}-{number}")).expect("a home's name and a number make an id"),
        device_class: "temperature".to_owned(),
        model_version: ModelVersion::ROUTINE,
        feature_schema: FEATURE_SCHEMA,
        window: FeatureWindow { steps, features, values: vec![0.5; WINDOW_STEPS * FEATURES] },
        score: 3.5,
        threshold: 2.0,
        verdict: Verdict::Confirmed,
        origin: Origin::Alarm,
        raised_at: now - 600,
        answered_at: now - 60,
    }
}

fn announcement(answer: &FeedbackRecord) -> Announcement {
    Announcement {
        home: answer.home.clone(),
        sequence: Sequence::default(),
        alarm: answer.alarm.clone(),
        model_version: answer.model_version,
        window_sha256: answer.window.digest(),
        raised_on: answer.raised_at,
    }
}

/// What this home tried and what its outbox took, one line each, flushed.
struct Journal {
    file: File,
    next: u64,
}

impl Journal {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).read(true).open(path);
        let file = file.with_context(|| path.display().to_string())?;
        let lines = BufReader::new(&file).lines().map_while(Result::ok);
        let tried = lines.filter_map(|line| line.strip_prefix("try ")?.parse::<u64>().ok());
        let next = tried.max().map_or(1, |last| last + 1);
        Ok(Self { file, next })
    }

    fn write(&mut self, word: &str, number: u64) -> std::io::Result<()> {
        self.file.write_all(format!("{word} {number}\n").as_bytes())?;
        self.file.sync_data()
    }
}

/// The embedded broker as a process.
#[derive(Debug, Args)]
pub struct BrokerArguments {
    /// Directory of `hearthwatch-provision init`.
    #[arg(long)]
    keys: PathBuf,
    #[arg(long)]
    port: u16,
}

/// Serves until it is killed.
///
/// # Errors
/// When it cannot listen.
pub fn broker(arguments: &BrokerArguments) -> anyhow::Result<()> {
    let files = BrokerFiles::of(&hearthwatch_provision::Layout::new(&arguments.keys));
    let _broker = EmbeddedBroker::start(files, arguments.port)?;
    loop {
        std::thread::park();
    }
}
