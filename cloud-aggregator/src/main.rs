//! `hearthwatch-cloud`: the aggregator's command line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};
use hearthwatch_cloud::aggregator::DATABASE_FILE;
use hearthwatch_cloud::backup;
use hearthwatch_cloud::config::Config;
use hearthwatch_cloud::doctor::{self, Finding, Grade};
use hearthwatch_cloud::health_check;
use hearthwatch_cloud::offline::{self, TrainArguments};
use hearthwatch_cloud::serve;
use hearthwatch_configuration::may_be_logged;
use hearthwatch_fleet::rollout::Policy;
use hearthwatch_fleet::rollout::simulate::{self, FAULTS};
use hearthwatch_provision::{files, pipe};
use hearthwatch_store::clock::{Clock as _, SystemClock};
use hearthwatch_store::files::private_data;
use hearthwatch_store::token;
use hearthwatch_store::{Actor, AuditEntry, Role, SqliteStore, Store as _};
use hearthwatch_supervision::FaultPlan;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Exit code for a configuration that cannot be used (`EX_CONFIG`).
const EXIT_CONFIG: u8 = 78;

const EXAMPLE: &str = r#"A configuration file; `hearthwatch-provision init` makes one that works, and every file that it names:

  data = "/var/lib/hearthwatch"            # database, snapshots, models
  enrolment = "."                          # the directory of `init`: homes may enrol at /enroll
  certificate_days = 30                    # 7 to 30: life of their certificates, renewed at two thirds

  [mqtt]                                   # the fleet's broker
  host = "broker.example"
  port = 8883
  ca_file = "ca/ca.crt"
  cert_file = "cloud/aggregator.crt"
  key_file = "cloud/aggregator.key"
  group_file = "cloud/ingest.group"        # secret: in which group aggregators share what homes say

  [http]                                   # page, admin API, metrics, releases
  listen = "0.0.0.0:8443"
  cert_file = "cloud/http.crt"
  key_file = "cloud/http.key"
  trusted_proxies = []                     # addresses or networks of your own reverse proxies: their X-Forwarded-For
                                           # or Forwarded says who calls
  calls_per_minute = 3000                  # of the admin API, by one token; then 429

  [ingest]                                 # what is asked of answers
  require_announced = true                 # only to alarms that the home announced before
  unannounced_per_day = 10                 # but so many a day of agents that cannot announce yet
  records_per_day = 5000                   # most answers, and most announcements, of one home

  [training]
  corpus = "/srv/hearthwatch/data"         # recorded sets, one folder each
  trigger_count = 50                       # so many new answers start a run; 0 never
  schedule_hours = 168                     # at least so often, if there is a new answer; 0 never
  drift = true                             # and when incoming windows have changed
  confirmations = true                     # and when residents confirm less than before
  seed = 7
  device = "flex"                          # "cuda" in a program built with --features cuda
  auto_release = true                      # false: what the gate promotes waits for a person

  [training.mlflow]                        # also tell an MLflow tracking server of each run
  url = "https://mlflow.example/"          # https, or http on this machine
  experiment = "hearthwatch"
  token_file = "mlflow.token"              # or user and password_file, or neither

  [release]                                # the signed repository
  repository = "tuf/repository"
  root_file = "tuf/root.json"
  keys = "tuf/online"
  gate_key = "gate/gate.key"
  signer_socket = "/run/hearthwatch/signer.sock"
  url = "https://cloud.example:8443/tuf/"

  [rollout]                                # orders to homes, in waves
  director_key = "director/director.key"
  policy = "immediate"                     # staged, urgent, or a file of waves

  [rounds]                                 # homes train, and send what changed; nothing of their history leaves them
  enabled = true                           # false by default
  least = 12                               # deltas without which a round ends without a model

Relative paths start at the file's directory. RUST_LOG chooses what is logged (default: info)."#;

/// Where homes teach one another: takes in labelled answers, retrains, judges, releases.
#[derive(Parser)]
#[command(version, after_help = "First steps: `hearthwatch-cloud serve --help` shows a configuration file.")]
struct Cli {
    /// How to log.
    #[arg(long, value_enum, default_value_t = LogFormat::Human, global = true)]
    log: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Human,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the aggregator until Ctrl-C; a second Ctrl-C stops it at once.
    #[command(after_help = EXAMPLE)]
    Serve {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Trains one model outside the service: makes an old run again, bit for bit, or tries other settings.
    Train(TrainArguments),
    /// Runs the planner and its tests over a fleet that does not exist: how many homes see a bad model before it stops.
    SimulateRollout {
        /// immediate, staged, urgent, or a file of the same form.
        #[arg(long, default_value = "staged")]
        policy: String,
        /// Homes of the fleet.
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        homes: u32,
        /// Days that are played.
        #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u32).range(1..=92))]
        days: u32,
        /// First seed; each further rollout takes the next.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Rollouts of each kind.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        rounds: u32,
    },
    /// Holds every answer, snapshot, run, model, release and order against the chain in which it was sealed.
    ///
    /// Exit code 1 if anything was changed, added or taken away by another hand.
    VerifyLineage {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Copies everything that the aggregator remembers, while it runs, into a new folder.
    ///
    /// Keys and certificates are not in it. Example, every night: hearthwatch-cloud backup --config cloud.toml --to /mnt/backups --keep 14
    Backup {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The folder in which the backup's own folder is made.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// How many backups are kept, the newest; 0 keeps all.
        #[arg(long, default_value_t = 0, value_name = "N")]
        keep: usize,
    },
    /// Holds every file of a backup against its hash: exit code 1 if one is not as it was.
    BackupVerify {
        /// The backup's folder.
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
    },
    /// Puts a backup back, after every file and every row was checked. The data directory must be empty or not there.
    Restore {
        /// The backup's folder.
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// The configuration file: its `data` says where to.
        #[arg(long)]
        config: PathBuf,
    },
    /// Looks at everything that the aggregator needs, running or not, and says what to do about what is wrong.
    ///
    /// Exit code 0 if all is well, 1 with warnings, 2 with faults. It disturbs nothing.
    Doctor {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Asks the running aggregator whether it is alive: exit code 0 if it is. For containers.
    Health {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Bearer tokens of the admin API and the page.
    #[command(subcommand)]
    Token(TokenCommand),
    // Its words are its own crate's.
    Ctl(hearthwatch_ctl::Ctl),
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Makes a token and prints it, once.
    Add {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// What the audit log will call it: a-z, 0-9 and '-'.
        name: String,
        /// viewer, operator or admin.
        #[arg(long, default_value = "viewer", value_parser = role)]
        role: Role,
        /// Days until it ends; without it, never.
        #[arg(long)]
        days: Option<u32>,
        /// A file for it, mode 0600, instead of the terminal.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

fn role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| "viewer, operator or admin".to_owned())
}

fn main() -> ExitCode {
    pipe::end_quietly();
    let cli = Cli::parse();
    log(cli.log);
    // Fails only if a provider is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let file = match &cli.command {
        Command::Train(arguments) => return exit(offline::train(arguments)),
        Command::BackupVerify { from } => return exit(verify_backup(from)),
        Command::Doctor { config, json } => return examine(config, *json),
        Command::Ctl(ctl) => return ctl.run(&mut Cli::command()),
        Command::Serve { config }
        | Command::VerifyLineage { config }
        | Command::Backup { config, .. }
        | Command::Restore { config, .. }
        | Command::Health { config }
        | Command::Token(TokenCommand::Add { config, .. }) => config,
        Command::SimulateRollout { policy, homes, days, seed, rounds } => {
            return exit(simulate(policy, *homes as usize, i64::from(*days), *seed..*seed + u64::from(*rounds)));
        }
    };
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(faults) => {
            eprintln!("{faults}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let result = match cli.command {
        Command::Serve { .. } => return serve::main(config, FaultPlan::default()),
        Command::Token(TokenCommand::Add { name, role, days, file, .. }) => {
            add_token(&config.data, &name, role, days, file.as_deref())
        }
        Command::VerifyLineage { .. } => verify_lineage(&config.data),
        Command::Health { .. } => health(&config),
        Command::Backup { to, keep, .. } => back_up(&config, &to, keep),
        Command::Restore { from, .. } => restore(&config, &from),
        // Answered above: they have no such configuration.
        Command::Train(_)
        | Command::Ctl(_)
        | Command::SimulateRollout { .. }
        | Command::BackupVerify { .. }
        | Command::Doctor { .. } => Ok(()),
    };
    exit(result)
}

fn exit(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn verify_lineage(data: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(data.is_dir(), "{} is not there", data.display());
    let file = private_data(data, DATABASE_FILE)?;
    anyhow::ensure!(file.is_file(), "{} is not there", file.display());
    let report = SqliteStore::open(&file)?.verify_lineage()?;
    for (kind, count) in &report.rows {
        println!("{count:>8}  {kind}");
    }
    println!("{:>8}  lines of the chain, head {}", report.lines, hex::encode(report.head));
    for finding in &report.findings {
        println!("FOUND     {finding}");
    }
    let count = report.findings.len();
    anyhow::ensure!(count == 0, "{count} rows are not as they were written");
    println!("sound: every row is as it was written, and follows from what it names");
    Ok(())
}

/// Everything that is wrong, a line each; of a configuration that cannot be used, its faults.
fn examine(file: &Path, json: bool) -> ExitCode {
    let found = match Config::load(file) {
        Ok(config) => doctor::check(&doctor::gather(&config, SystemClock.now())),
        Err(faults) => faults
            .list()
            .iter()
            .map(|fault| Finding {
                grade: Grade::Fault,
                what: format!("{}: {} {}", fault.file.display(), fault.key, fault.problem),
                remedy: fault.remedy.clone(),
            })
            .collect(),
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&found).unwrap_or_default());
    } else {
        for Finding { grade, what, remedy } in &found {
            let word = match grade {
                Grade::Ok => "ok",
                Grade::Warning => "warning",
                Grade::Fault => "FAULT",
            };
            println!("{word:<8} {what}");
            if !remedy.is_empty() {
                println!("         what to do: {remedy}");
            }
        }
    }
    match found.iter().map(|one| one.grade).max() {
        Some(Grade::Fault) => ExitCode::from(2),
        Some(Grade::Warning) => ExitCode::from(1),
        _ => ExitCode::SUCCESS,
    }
}

fn back_up(config: &Config, to: &Path, keep: usize) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    let (folder, manifest) = backup::make(config, to, keep, jiff::Timestamp::now(), &mut |text| println!("{text}"))?;
    print_manifest(&manifest);
    println!("the backup is in {}", folder.display());
    Ok(())
}

fn verify_backup(from: &Path) -> anyhow::Result<()> {
    let manifest = backup::check(from, &mut |done, all| {
        if done == all || done % 1_000 == 0 {
            println!("{done} of {all} files checked");
        }
    })?;
    print_manifest(&manifest);
    println!("sound: every file is as it was");
    Ok(())
}

fn restore(config: &Config, from: &Path) -> anyhow::Result<()> {
    let manifest = backup::restore(from, config, &mut |text| println!("{text}"))?;
    print_manifest(&manifest);
    println!("{} is as it was at {}", config.data.display(), manifest.made_at);
    println!("What homes sent since then was receipted, and is gone from their outboxes: it is not coming again.");
    Ok(())
}

fn print_manifest(manifest: &backup::Manifest) {
    let bytes: u64 = manifest.files.values().map(|file| file.bytes).sum();
    println!("{:>8}  files, {:.1} MB", manifest.files.len(), bytes as f64 / 1e6);
    println!("{:>8}  answers", manifest.tables.get("feedback").copied().unwrap_or_default());
    println!("{:>8}  lines of the lineage, head {}", manifest.lineage.0, manifest.lineage.1);
    println!("{:>8}  lines of the audit log, head {}", manifest.audit.0, manifest.audit.1);
}

fn health(config: &Config) -> anyhow::Result<()> {
    let http = config.http.as_ref().context("without [http] nobody can be asked")?;
    // The authority of `init` certifies both; behind another one's certificate the orchestrator asks by itself.
    let authority = config.mqtt.as_ref().and_then(|mqtt| mqtt.tls.as_ref()).map(|tls| tls.ca_file.as_path());
    let authority = authority.filter(|_| http.tls.is_some());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(health_check::ask(http.listen, authority))?;
    println!("alive");
    Ok(())
}

fn simulate(policy: &str, homes: usize, days: i64, seeds: std::ops::Range<u64>) -> anyhow::Result<()> {
    let policy = match Policy::named(policy) {
        Some(policy) => policy,
        None => Policy::parse(&std::fs::read_to_string(policy).with_context(|| policy.to_owned())?)?,
    };
    println!("policy {}, error {}, {homes} homes, {days} days, seeds {seeds:?}", policy.name, policy.error);
    println!("{:<20} {:>8} {:>10} {:>10} {:>10}  tests", "release", "stopped", "homes min", "median", "max");
    for fault in &FAULTS {
        let runs: Vec<_> = seeds.clone().map(|seed| simulate::run(&policy, fault, homes, days, seed)).collect();
        let mut saw: Vec<usize> = runs.iter().map(|run| run.saw).collect();
        saw.sort_unstable();
        let stopped = runs.iter().filter(|run| run.stopped_after.is_some()).count();
        let tests: BTreeSet<_> =
            runs.iter().flat_map(|run| &run.findings).map(|finding| finding.test.as_str()).collect();
        let hours: BTreeSet<i64> = runs.iter().filter_map(|run| run.stopped_after).collect();
        let when = match (hours.first(), hours.last()) {
            (Some(first), Some(last)) => format!("after {first} to {last} h by "),
            _ => String::new(),
        };
        println!(
            "{:<20} {:>8} {:>10} {:>10} {:>10}  {when}{}",
            fault.name,
            format!("{stopped}/{}", runs.len()),
            saw[0],
            saw[saw.len() / 2],
            saw[saw.len() - 1],
            tests.into_iter().collect::<Vec<_>>().join(", ")
        );
    }
    Ok(())
}

fn add_token(data: &Path, name: &str, role: Role, days: Option<u32>, file: Option<&Path>) -> anyhow::Result<()> {
    if let Some(file) = file {
        // Before the token is made: it is not to be had twice.
        anyhow::ensure!(!file.exists(), "{} is there already; name another file", file.display());
        files::write_private(file, b"")?;
    }
    let store = SqliteStore::open(&private_data(data, DATABASE_FILE)?)?;
    let at = SystemClock.now();
    let (secret, _) = token::make(&store, name, role, days, at)?;
    let detail = serde_json::json!({"role": role.as_str(), "days": days}).to_string();
    let (actor, action, subject) = (Actor::System, "token.make".to_owned(), name.to_owned());
    store.append_audit(&AuditEntry { at, actor, action, subject, detail })?;
    match file {
        None => println!("{secret}"),
        Some(file) => {
            files::write_private(file, format!("{secret}\n").as_bytes())?;
            println!("the token {name} ({}) is in {}", role.as_str(), file.display());
        }
    }
    Ok(())
}

fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Human => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter.and(filter_fn(may_be_logged)))).init();
}
