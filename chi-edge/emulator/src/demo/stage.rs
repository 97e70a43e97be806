//! The installation that the demo builds for itself: certificates, keys, signer process, broker, aggregator, pages.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use hearthwatch_api::http::Http;
use hearthwatch_api::http::config::{HttpConfig, HttpTls};
use hearthwatch_api::server::Bound;
use hearthwatch_cloud::aggregator::{Aggregator, Options, RoundOptions};
use hearthwatch_cloud::config::{Config, MqttConfig, MqttTls, RolloutConfig};
use hearthwatch_fleet::release::{Publisher, ReleaseConfig, RemoteSigner};
use hearthwatch_fleet::rollout::Policy;
use hearthwatch_learning::training::{Learner, TrainingConfig};
use hearthwatch_protocol::HomeId;
use hearthwatch_provision::enrol::Enroller;
use hearthwatch_provision::signer::client::SignerClient;
use hearthwatch_provision::signer::server::Server;
use hearthwatch_provision::{Group, Layout, files, homes, init};
use hearthwatch_rounds::{RoundTrainer, RoundsConfig};
use hearthwatch_store::Role;
use hearthwatch_store::clock::ManualClock;
use hearthwatch_store::token;
use hearthwatch_supervision::{FaultPlan, Supervisor};
use hearthwatch_telemetry::metrics::Metrics;
use tokio_util::sync::CancellationToken;

use crate::broker::{BrokerFiles, EmbeddedBroker};

/// Life of a demo home's certificate, days.
const HOME_DAYS: u32 = 7;

/// Tries to reach the signer process before giving up; each waits 50 ms.
const SIGNER_TRIES: usize = 100;

/// Everything but the homes.
pub struct Stage {
    /// Keys and certificates.
    pub layout: Layout,
    /// The fleet's broker.
    pub broker: EmbeddedBroker,
    /// The aggregator.
    pub aggregator: Aggregator,
    /// The virtual clock that the aggregator reads.
    pub clock: Arc<ManualClock>,
    /// The clock of federated rounds, the aggregator's and the homes': turned when a round may open.
    pub round_clock: Arc<ManualClock>,
    /// `https://localhost:PORT`.
    pub url: String,
    signer: Signer,
}

/// The signer runs as a process of its own, as in production: it alone opens the targets key.
struct Signer(Child);

impl Drop for Signer {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone after this.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Arguments of the hidden subcommand that plays the signer.
#[derive(Debug, Args)]
pub struct SignerArguments {
    #[arg(long)]
    keys: PathBuf,
    #[arg(long)]
    gate_public: PathBuf,
    #[arg(long)]
    socket: PathBuf,
}

/// The signer process: ends when its standard input does, that is, with the demo.
///
/// # Errors
/// When the keys cannot be used or the socket cannot be bound.
pub fn signer(arguments: &SignerArguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::bind(&arguments.keys, &arguments.gate_public, &arguments.socket)?;
        let parent_gone = async {
            // Standard input blocks, so a thread reads it. An error on the pipe means the same as its end: nobody is there.
            let _ =
                tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())).await;
        };
        Ok(server.run(parent_gone).await?)
    })
}

/// How the aggregator holds federated rounds.
pub struct Rounds {
    /// When, and with how many homes.
    pub config: RoundsConfig,
    /// Trains and judges on recordings.
    pub trainer: Arc<dyn RoundTrainer>,
}

impl Stage {
    /// Builds everything under `folder`, for these homes. `program` is this project's emulator, which also plays the signer.
    ///
    /// # Errors
    /// Whatever part could not be started, by name.
    pub async fn build(
        program: &Path,
        folder: &Path,
        home_ids: &[HomeId],
        learner: Arc<dyn Learner>,
        seed: u64,
        now: i64,
    ) -> anyhow::Result<Self> {
        Self::build_with(program, folder, home_ids, learner, (seed, now), None).await
    }

    /// The same with a `seed` and a time of now, Unix seconds; federated rounds are held from [`Aggregator::hold_rounds`] on, if at all.
    ///
    /// # Errors
    /// As [`Stage::build`].
    pub async fn build_with(
        program: &Path,
        folder: &Path,
        home_ids: &[HomeId],
        learner: Arc<dyn Learner>,
        (seed, now): (u64, i64),
        rounds: Option<Rounds>,
    ) -> anyhow::Result<Self> {
        let layout = Layout::new(folder.join("keys"));
        let wall = jiff::Timestamp::now();
        init::run(&layout, &init::Options::default(), wall).context("making keys and certificates")?;
        for home in home_ids {
            homes::issue(&layout, home, wall, HOME_DAYS).with_context(|| format!("a certificate for {home}"))?;
        }
        let socket = folder.join("signer.sock");
        let signer = start_signer(program, &layout, &socket)?;
        let client = SignerClient::new(&socket);
        wait_for(&client).await.context("the signer process")?;
        let broker = EmbeddedBroker::start(BrokerFiles::of(&layout), 0)?;

        let mut config = config(folder, &layout, broker.port(), &socket, seed)?;
        let http = config.http.clone().context("the demo configures HTTP")?;
        let bound = Bound::bind(&http)?;
        let url = format!("https://localhost:{}", bound.address().port());
        let release = config.release.as_mut().context("the demo configures releases")?;
        release.url = format!("{url}/tuf/").parse()?;
        let metrics = Arc::new(Metrics::new());
        let publisher = Publisher::open(release, Arc::new(RemoteSigner::new(&socket)), &metrics).await?;
        let clock = Arc::new(ManualClock::new(now));
        let round_clock = Arc::new(ManualClock::new(now));
        let rounds = rounds.map(|Rounds { config: asked, trainer }| {
            config.rounds = asked;
            RoundOptions { trainer, clock: round_clock.clone(), wait: true }
        });
        let options = Options { clock: clock.clone(), learner, hook: Some(publisher), rounds };
        let parts = Supervisor::new(CancellationToken::new(), FaultPlan::default());
        let aggregator = Aggregator::start_under(config, options, metrics, parts.clone()).await?;
        for home in home_ids {
            aggregator.enrol(home).await?;
        }
        let desk = Enroller::load(&layout, HOME_DAYS).context("the desk where homes enrol")?;
        let http = Http::new(aggregator.state().clone(), bound.tls()).with_enroller(desk);
        parts.vital("http", bound.serve(http, parts.stop().clone().cancelled_owned()));
        Ok(Self { layout, broker, aggregator, clock, round_clock, url, signer })
    }

    /// Homes that must have sent a delta in a federated round.
    #[must_use]
    pub fn least(&self) -> usize {
        self.aggregator.config().rounds.least as usize
    }

    /// Makes a token that may do everything and keeps it in `file`, which only its owner can read. Returns that path.
    ///
    /// # Errors
    /// When the store does not take it, or the file cannot be written.
    pub async fn admin_token(&self, file: &Path) -> anyhow::Result<PathBuf> {
        let state = self.aggregator.state();
        let (store, at) = (Arc::clone(&state.store), state.clock.now());
        let made = tokio::task::spawn_blocking(move || token::make(&*store, "demo", Role::Admin, None, at));
        let (secret, _) = made.await.context("making a token")?.context("making a token")?;
        files::write_private(file, format!("{secret}\n").as_bytes())?;
        Ok(file.to_owned())
    }

    /// Takes everything down in order: aggregator with its pages, broker, signer.
    pub async fn strike(self) {
        self.aggregator.shutdown().await;
        self.broker.stop();
        drop(self.signer);
    }
}

fn config(folder: &Path, layout: &Layout, mqtt_port: u16, socket: &Path, seed: u64) -> anyhow::Result<Config> {
    let mut config = Config::in_directory(folder.join("cloud"));
    config.mqtt = Some(MqttConfig {
        host: "localhost".to_owned(),
        port: mqtt_port,
        tls: Some(MqttTls {
            ca_file: layout.ca_cert(),
            cert_file: layout.aggregator_cert(),
            key_file: layout.aggregator_key(),
        }),
        client_id: "aggregator".to_owned(),
        group: Group::load(&layout.group())?,
    });
    config.http = Some(HttpConfig {
        tls: Some(HttpTls { cert_file: layout.http_cert(), key_file: layout.http_key() }),
        ..HttpConfig::new("127.0.0.1:0".parse()?)
    });
    // The demo fires training itself, on barriers of virtual time: that is what makes a seed decide the run.
    config.training = TrainingConfig { trigger_count: 0, schedule_hours: 0, seed, ..TrainingConfig::default() };
    config.release = Some(ReleaseConfig {
        repository: folder.join("repository"),
        root_file: layout.tuf_root(),
        keys: layout.tuf_online(),
        gate_key: layout.gate_key(),
        signer_socket: socket.to_owned(),
        url: "https://localhost/".parse()?,
    });
    config.rollout = Some(RolloutConfig {
        director_key: layout.director_key(),
        policy: Policy::named("immediate").context("the demo's policy")?,
    });
    config.enrolment = Some(layout.root().to_owned());
    Ok(config)
}

fn start_signer(program: &Path, layout: &Layout, socket: &Path) -> anyhow::Result<Signer> {
    let child = Command::new(program)
        .arg("signer")
        .arg("--keys")
        .arg(layout.signer())
        .arg("--gate-public")
        .arg(layout.gate_public())
        .arg("--socket")
        .arg(socket)
        .stdin(Stdio::piped())
        .spawn()
        .context("starting the signer process")?;
    Ok(Signer(child))
}

async fn wait_for(client: &SignerClient) -> anyhow::Result<()> {
    for _ in 1..SIGNER_TRIES {
        if client.describe().await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    client.describe().await.map(|_| ()).context("it does not answer")
}
