//! The running agent: everything started, wired and stopped.
//!
//! ```text
//! Home Assistant ──session──▶ detector service ──view, notices──▶ discovery ──▶ home broker
//!                               ▲ ▲                       │
//!                     new model │ └───────answers─────────┘
//!                       updater ┘   detector service ──records──▶ outbox ──uplink──▶ cloud broker
//! ```
//!
//! Each broker may be absent or die by itself; without the cloud everything local still works. Every part is owned by a supervisor:
//! the detector, its clock and the session with Home Assistant stop the program when they end; all others are started again.

mod fleet;
mod health;
mod leave;
mod manifest;
mod modes;
#[cfg(test)]
mod tests;
mod wiring;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hearthwatch_configuration::Secret;
use hearthwatch_supervision::{EXIT_PART, FaultPlan, PartFailed, Supervisor};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::config::Config;
use crate::diskless;
use crate::log::{self, LogFormat};
use crate::output::{stderr_line, stdout_line};
use crate::supervisor;
pub use leave::{LeaveArgs, LeaveError, leave, main as leave_main};
pub use wiring::{Agent, StartError};

/// Exit code for a configuration that cannot be used (`EX_CONFIG` of sysexits).
const EXIT_CONFIG: u8 = 78;
/// Time to close connections and put everything on disk after the first Ctrl-C.
pub const DRAIN: Duration = Duration::from_secs(5);

/// `hearthwatch-edge run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The configuration file; see `--help` for a complete example. As an app of Home Assistant none is needed.
    #[arg(long, value_name = "FILE", env = "HEARTHWATCH_EDGE_CONFIG", required_unless_present = "supervisor_token")]
    pub config: Option<PathBuf>,
    /// The Supervisor's token, given to apps of Home Assistant: address, token and broker come from there.
    #[arg(long, hide = true, env = "SUPERVISOR_TOKEN", hide_env_values = true)]
    pub supervisor_token: Option<String>,
    /// Where the Supervisor is.
    #[arg(long, hide = true, env = "HEARTHWATCH_SUPERVISOR", default_value = "http://supervisor/")]
    pub supervisor: Url,
    /// Folder in which the Supervisor keeps the app's options and memory.
    #[arg(long, hide = true, env = "HEARTHWATCH_APP_DATA", default_value = "/data")]
    pub app_data: PathBuf,
    /// Check the configuration, say what would be done, and stop.
    #[arg(long)]
    pub check_config: bool,
    /// How log lines look.
    #[arg(long, value_enum, default_value = "human", env = "HEARTHWATCH_LOG_FORMAT")]
    pub log: LogFormat,
}

/// A complete configuration, shown by `run --help`.
pub const EXAMPLE: &str = "\
Example edge.toml (relative paths are taken from the file's own directory):

  state = \"state\"                 # the agent's own directory; made if missing; \"none\" without a disk, see below
  budget = 1.0                     # about this many alarms a week
  # sharing = \"off\"               # what of an answer leaves the home, should there be a [cloud]: off, learning, verdicts (the default), windows
  # timezone = \"Europe/Brussels\"   # default: Home Assistant's

  [home_assistant]
  url = \"http://127.0.0.1:8123\"
  token_file = \"token\"             # long-lived token of a user without administrator rights
  exclude = [\"sensor.*_battery\"]   # optional: do not watch these
  # exclude_areas = [\"Garage\"], exclude_labels = [\"not watched\"]: names or ids

  [home.mqtt]                      # optional: shows alarms in Home Assistant, takes answers
  host = \"127.0.0.1\"
  # port, username, password_file, ca_file

  # [page]                         # the local page; default: this machine only
  # listen = \"127.0.0.1:8099\"      # or \"off\"
  # door = \"loopback\"              # or \"ingress\": through Home Assistant only
  # metrics = true                 # whether /metrics is answered; behind ingress it is not unless this says so

  # [rounds]                       # where sharing is \"learning\": when this home may train, and what that may take
  # hours = \"22-6\"                 # in the home's time; or \"always\"
  # seconds = 600, memory_mib = 128, entities = 24: the most that a round may take
  # temperature_max = 75, battery_min = 50, mains_only = false, load_max = 0.7: on what machine
  # program = \"hearthwatch-train-round\"  # default: beside this program

  [cloud]                          # optional: teach and learn with other homes
  home = \"home-7\"
  # sharing = \"windows\"          # here, the same for this fleet alone; what stands above counts where it is left out
  renew_url = \"https://cloud.example:8443/\"  # where the certificate is renewed, at two thirds of its life
  [cloud.mqtt]
  host = \"cloud.example\"
  ca_file = \"ca.crt\"
  cert_file = \"agent.crt\"
  key_file = \"agent.key\"
  [cloud.updates]
  url = \"https://cloud.example:8443/tuf/\"
  ca_file = \"ca.crt\"
  root_file = \"root.json\"
  director_file = \"director.pub\"   # or director = \"none\" in a fleet without one
  # install = \"auto\"               # or \"ask\" (the update entity's Install), or \"paused\"
  # pin = 7                        # only this version
  # shadow_hours = 1, probation_hours = 6: how long a new model is watched

A home without a disk writes state = \"none\", no ca_file, cert_file and key_file in [cloud.mqtt], no root_file and
director_file in [cloud.updates], and says how it enrols at each start, with a reusable claim token:

  [cloud.enrol]
  url = \"https://cloud.example:8443/\"
  ca_file = \"ca.crt\"
  token_file = \"claim\"             # or the token itself in the environment: HEARTHWATCH_CLAIM_TOKEN

Environment: HEARTHWATCH_LOG filters the log (e.g. \"debug\" or \"hearthwatch_edge=debug\").
Ctrl-C stops within 5 seconds; twice stops at once.";

/// Runs until Ctrl-C, a termination signal, or a fault that no waiting mends.
pub fn main(args: &RunArgs) -> ExitCode {
    main_with(args, FaultPlan::default())
}

/// The same with faults that somebody may order: for tests of what becomes of a part that ends.
pub fn main_with(args: &RunArgs, faults: FaultPlan) -> ExitCode {
    // An error means that a provider is chosen already, which is all that matters.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            stderr_line!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let config = match runtime.block_on(find_config(args)) {
        Ok(config) => config,
        Err(fault) => {
            stderr_line!("{fault}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    if args.check_config {
        stdout_line!("{}", describe(&config));
        return ExitCode::SUCCESS;
    }
    log::start(args.log);
    let ended = runtime.block_on(serve(config, faults));
    // A blocking job that never ends must not keep the process: what was to be published is published, and what matters is on disk.
    runtime.shutdown_timeout(LEFTOVERS);
    match ended {
        Ok(None) => ExitCode::SUCCESS,
        // Logged when it happened.
        Ok(Some(_)) => ExitCode::from(EXIT_PART),
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// From the file where one is named, else from the Supervisor.
async fn find_config(args: &RunArgs) -> Result<Config, String> {
    match (&args.config, &args.supervisor_token) {
        (Some(file), _) => Config::load(file).map_err(|faults| faults.to_string()),
        (None, Some(token)) => supervisor::configure_patiently(&args.supervisor, &Secret::new(token), &args.app_data)
            .await
            .map_err(|error| error.to_string()),
        (None, None) => Err("name an edge.toml with --config, or make one with `hearthwatch-edge setup`".to_owned()),
    }
}

/// Sockets and timers need little; the detector service has a thread of its own. Each worker costs memory that a Pi can use better.
const WORKERS: usize = 2;

/// Time for blocking jobs after everything else has ended.
const LEFTOVERS: Duration = Duration::from_millis(100);

async fn serve(config: Config, faults: FaultPlan) -> anyhow::Result<Option<PartFailed>> {
    let stop = CancellationToken::new();
    let (leave_request, mut leaving) = mpsc::channel(1);
    let mut signals = Signals::listen()?;
    // Dropped last: what is in memory goes when nobody uses it any more.
    let (_in_memory, joining) = diskless::move_in(&config)?.map(|tenant| (tenant.folder, tenant.joining)).unzip();
    let agent = Agent::start_under(&config, joining, leave_request, Supervisor::new(stop, faults)).await?;
    let (leaves, failed) = tokio::select! {
        () = signals.next() => (false, None),
        Some(()) = leaving.recv() => (true, None),
        failed = agent.failed() => (false, Some(failed)),
    };
    tracing::info!("stopping: within {} s, or at once when asked again", DRAIN.as_secs());
    tokio::select! {
        late = agent.join() => match late.as_slice() {
            [] => tracing::info!("stopped"),
            late => tracing::warn!(parts = ?late, "stopped before everything was said; what matters is on disk"),
        },
        () = signals.next() => tracing::warn!("stopped at once"),
    }
    if leaves {
        leave(&config, false).await?;
    }
    Ok(failed)
}

/// Ctrl-C and the termination signal.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn unix_now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// What a configuration amounts to, in words, without a secret.
fn describe(config: &Config) -> String {
    let mut lines = vec![
        "The configuration is good.".to_owned(),
        match config.cloud.as_ref().and_then(|cloud| cloud.enrolment.as_ref()) {
            None => format!("  state: {}", config.state.display()),
            Some(enrolment) => {
                format!("  state: none, in memory at {}; enrols at each start", enrolment.folder.display())
            }
        },
        format!("  budget: {} alarms a week", config.budget),
        format!("  Home Assistant: {}", config.home_assistant.websocket),
    ];
    lines.push(match &config.home_mqtt {
        Some(mqtt) => format!("  home broker: {}:{}", mqtt.host, mqtt.port),
        None => "  home broker: none, alarms are only logged".to_owned(),
    });
    lines.push(match &config.page {
        Some(page) => format!("  page: http://{}/", page.listen),
        None => "  page: none".to_owned(),
    });
    lines.push(match &config.cloud {
        None => "  cloud: none, all stays local".to_owned(),
        Some(cloud) => {
            let broker = cloud.mqtt.as_ref().map_or("none".to_owned(), |mqtt| format!("{}:{}", mqtt.host, mqtt.port));
            let updates = cloud.updates.as_ref().map_or("none".to_owned(), |updates| updates.url.to_string());
            format!("  cloud: as {}; broker {broker}; updates {updates}", cloud.home)
        }
    });
    if config.cloud.as_ref().is_some_and(|cloud| cloud.sharing.takes_part_in_rounds()) {
        lines.push(format!("  rounds: {}", config.rounds.describe()));
    }
    lines.join("\n")
}
