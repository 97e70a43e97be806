//! The command line: what can be asked, and what is printed for it. `anyhow` here, since a person reads the errors.

use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use hearthwatch_protocol::HomeId;
use jiff::Timestamp;

use crate::authority::AuthorityError;
use crate::files::{self, FileError};
use crate::group::Group;
use crate::handing_over::{self, Owner};
use crate::homes::{self, HomeError, Outcome, Token};
use crate::inspect::{self, Weight};
use crate::layout::Layout;
use crate::rotation::{self, Step};
use crate::signer::client::SignerClient;
use crate::signer::server::Server;
use crate::{authority, cloud_toml, host, init, mirror, mosquitto, revocation};

/// Who is who in a Hearthwatch fleet: certificates, access rules, update keys, enrolment.
#[derive(Debug, Parser)]
#[command(
    name = "hearthwatch-provision",
    version,
    after_help = "A first installation:\n  \
                  hearthwatch-provision init --out keys --host fleet.example\n  \
                  hearthwatch-provision inspect keys\n\
                  init prints what comes next: broker, signer, aggregator, the first token and the first home.\n\n\
                  Every command can be run again: what is there is kept, never replaced."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the authority, the certificates of broker and aggregator, the update keys, and the configurations of both.
    ///
    /// Running it again makes what is missing and changes nothing else.
    Init(InitArgs),
    /// Let a home in.
    #[command(subcommand)]
    Home(HomeCommand),
    /// Make the secret group in which aggregators share what homes say, in an installation from before there was one.
    ///
    /// Each aggregator wants it: under [mqtt], group_file = "cloud/ingest.group", or a copy of that file on another machine.
    Group {
        /// The directory that `init` made.
        #[arg(long, value_name = "DIR", env = "HEARTHWATCH_KEYS")]
        out: PathBuf,
        /// A new name although there is one: somebody who should not knows it. Then restart every aggregator.
        #[arg(long)]
        new: bool,
    },
    /// Make the certificate with which a monitor reads the broker's own numbers ($SYS), and nothing else.
    ///
    /// An access file from before there was one has to be written anew: rm KEYS/mosquitto/acl, then init again, then kill -HUP mosquitto.
    Monitor {
        /// The directory that `init` made.
        #[arg(long, value_name = "DIR", env = "HEARTHWATCH_KEYS")]
        out: PathBuf,
        /// Life of the certificate, in days.
        #[arg(long, value_name = "N", default_value_t = authority::SERVER_DAYS)]
        days: u32,
    },
    /// What the root keys are for after the first ceremony: a later expiry, new keys. Stop aggregator and signer first.
    ///
    /// Every step wants two of the three root keys, prints what was done and adds it to tuf/ceremony.txt.
    Root(RootArgs),
    /// Copy the signed repository to a folder for any static HTTPS server; running it again copies what is new.
    Mirror {
        /// The folder, made if missing; its server needs to know nothing of us.
        to: PathBuf,
        /// The directory that `init` made.
        #[arg(long, value_name = "DIR", env = "HEARTHWATCH_KEYS")]
        out: PathBuf,
    },
    /// Show what is there: subjects, expiries, permissions, and what is wrong with the remedy. Exit code 1 for problems.
    Inspect {
        /// The directory that `init` made.
        dir: PathBuf,
    },
    /// Run the signer: the only process that holds the key which signs releases.
    ///
    /// It signs only releases that carry a signed verdict of the gate, and only upwards. Run it under a user of its own.
    Signer(SignerArgs),
    /// Ask a running signer whether it answers: exit code 0 if it does. For containers.
    SignerHealth {
        /// Its socket.
        #[arg(long, value_name = "PATH")]
        socket: PathBuf,
    },
    /// Let the signer release one artifact: the second person's word, for a signer that runs with --approvals.
    Approve(ApproveArgs),
}

#[derive(Debug, Args)]
struct RootArgs {
    /// What to do.
    #[command(subcommand)]
    step: RootStep,
    /// The directory that `init` made.
    #[arg(long, value_name = "DIR", env = "HEARTHWATCH_KEYS", global = true, default_value = ".")]
    out: PathBuf,
    /// A root key; give it twice, each from its own medium.
    #[arg(long, value_name = "FILE", global = true)]
    root_key: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum RootStep {
    /// The same keys and a later expiry: once a year, before the root runs out.
    Renew,
    /// A new key for the signer process.
    RotateTargets,
    /// A new snapshot key for the aggregator.
    RotateSnapshot,
    /// A new timestamp key for the aggregator.
    RotateTimestamp,
    /// A new root key in the place of one that was lost or told.
    RotateRoot {
        /// How the id of the one that goes begins, as in tuf/ceremony.txt.
        #[arg(long, value_name = "HEX")]
        lost: String,
        /// Where the new one goes: a medium of its own.
        #[arg(long, value_name = "FILE")]
        new_key: PathBuf,
    },
}

#[derive(Debug, Args)]
struct InitArgs {
    /// Where everything goes; made if it is not there.
    #[arg(long, value_name = "DIR", env = "HEARTHWATCH_KEYS")]
    out: PathBuf,
    /// A DNS name or IP address under which homes reach broker and aggregator; may be repeated, the first stands in addresses.
    /// Loopback is always in.
    #[arg(long, value_name = "HOST", value_parser = host::host)]
    host: Vec<String>,
    /// The address that broker and aggregator listen on; without it all of this machine's.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<IpAddr>,
    /// Life of the server and aggregator certificates, in days.
    #[arg(long, value_name = "N", default_value_t = authority::SERVER_DAYS)]
    days: u32,
    /// Port of the broker.
    #[arg(long, value_name = "PORT", default_value_t = mosquitto::PORT, value_parser = clap::value_parser!(u16).range(1..))]
    mqtt_port: u16,
    /// Port of the aggregator's page, admin API, enrolment and releases.
    #[arg(long, value_name = "PORT", default_value_t = cloud_toml::PORT, value_parser = clap::value_parser!(u16).range(1..))]
    http_port: u16,
    /// Recorded sets that networks are trained on, one folder each; without it OUT/corpus, which is empty at first.
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
    /// User that mosquitto becomes when root starts it; mosquitto's own default is `mosquitto`. `init` run by root gives this
    /// user what mosquitto opens, and nothing else. Started by anybody but root, mosquitto stays who it is.
    #[arg(long, value_name = "NAME", value_parser = host::user)]
    broker_user: Option<String>,
    /// Where root puts what mosquitto opens if that user cannot reach OUT, as in root's own home; OUT/mosquitto is then a link.
    #[arg(long, value_name = "DIR", env = "HEARTHWATCH_BROKER_DIR", default_value = handing_over::ELSEWHERE)]
    broker_dir: PathBuf,
}

#[derive(Debug, Subcommand)]
enum HomeCommand {
    /// Prepare what a home needs: a directory to hand over, and a claim token or a certificate.
    ///
    /// Without a flag: the directory (authority and root of trust) and a claim token, with which the home's agent
    /// gets a certificate for a key that never leaves it.
    Add(AddArgs),
    /// Take back every certificate of a home, and render what brokers read of it.
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
struct RevokeArgs {
    /// The home's pseudonym.
    name: HomeId,
    /// The directory that `init` made.
    #[arg(long, value_name = "DIR", env = "HEARTHWATCH_KEYS")]
    out: PathBuf,
    /// One line for those who read the ledger later.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Args)]
struct AddArgs {
    /// The home's pseudonym: a-z, 0-9 and '-'. Never a person's name.
    name: HomeId,
    /// The directory that `init` made.
    #[arg(long, value_name = "DIR", env = "HEARTHWATCH_KEYS")]
    out: PathBuf,
    /// Print only the claim token, for scripts.
    #[arg(long, conflicts_with = "issue")]
    token_only: bool,
    /// Make key and certificate here instead of a token, for a home that cannot reach the aggregator to enrol.
    #[arg(long)]
    issue: bool,
    /// Make a new claim token although there is one, or the home has enrolled; the unused one is void then.
    #[arg(long, conflicts_with = "issue")]
    new_token: bool,
    /// Make a claim token that may be used again, for a home that loses its key at each restart; a year, 24 times a day, and
    /// each use takes the certificate before it back. Whoever has the token is the home.
    #[arg(long, conflicts_with_all = ["issue", "new_token"])]
    reusable: bool,
    /// Life of the certificate made by --issue, in days.
    #[arg(long, value_name = "N", default_value_t = authority::HOME_DAYS)]
    days: u32,
}

#[derive(Debug, Args)]
struct SignerArgs {
    /// Directory with targets.key and state.json: tuf/signer of the installation.
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// The gate's public key: gate/gate.pub of the installation.
    #[arg(long, value_name = "FILE")]
    gate_public: PathBuf,
    /// Where to listen: a Unix socket that only this user can open.
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Let the socket's group open it too (mode 0660): where signer and aggregator are two users with one group.
    #[arg(long)]
    group: bool,
    /// Sign only releases that a second person wrote into this file (`approve`). Without it the gate's word is enough.
    #[arg(long, value_name = "FILE")]
    approvals: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ApproveArgs {
    /// SHA-256 of the artifact, hex: compare it with the model card that you have read.
    sha256: String,
    /// The file that the signer reads. Its owner is the second person, not the signer's user nor the aggregator's.
    #[arg(long, value_name = "FILE")]
    approvals: PathBuf,
    /// Who says yes.
    #[arg(long, value_name = "NAME")]
    by: String,
}

/// Does what was asked and prints what came of it.
///
/// # Errors
/// Whatever went wrong, as sentences with remedies.
pub fn run(cli: &Cli, now: Timestamp, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::Init(args) => init(args, now, out),
        Command::Home(HomeCommand::Add(args)) => add(args, now, out),
        Command::Home(HomeCommand::Revoke(args)) => revoke(args, now, out),
        Command::Group { out: dir, new } => group(dir, *new, out),
        Command::Monitor { out: dir, days } => monitor(dir, *days, now, out),
        Command::Root(args) => root(args, now, out),
        Command::Mirror { to, out: dir } => {
            let copied = mirror::copy(&Layout::new(dir), to)?;
            writeln!(out, "{} files copied, {} were there: {}", copied.written, copied.kept, to.display())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Inspect { dir } => show(dir, now, out),
        Command::Signer(args) => sign(args, out),
        Command::SignerHealth { socket } => signer_health(socket, out),
        Command::Approve(args) => approve(args, now, out),
    }
}

fn init(args: &InitArgs, now: Timestamp, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let layout = Layout::new(&args.out);
    let users = std::fs::read_to_string(handing_over::USERS).unwrap_or_default();
    // Where there is no /proc, there is no mosquitto package that becomes another user either.
    let root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == ROOT);
    let options = init::Options {
        hosts: args.host.clone(),
        days: args.days,
        mqtt_port: args.mqtt_port,
        http_port: args.http_port,
        listen: args.listen,
        corpus: args.corpus.clone(),
        broker_user: args.broker_user.clone(),
        broker_owner: broker_owner(args.broker_user.as_deref(), root, &users)?,
        broker_elsewhere: args.broker_dir.clone(),
    };
    let steps = init::run(&layout, &options, now)?;
    for step in &steps {
        let word = match step.outcome {
            Outcome::Created => "made",
            Outcome::Kept => "kept",
        };
        writeln!(out, "{word}  {:<32} {}", step.what, step.path.display())?;
        if let Some(notice) = &step.notice {
            writeln!(out, "      note: {notice}")?;
        }
    }
    if root && options.broker_owner.is_none() && args.broker_user.is_none() {
        writeln!(
            out,
            "      note: there is no user {BROKER_USER} on this machine; where mosquitto is started by root, that user must own {}",
            layout.mosquitto().display()
        )?;
    }
    if steps.iter().any(|step| step.outcome == Outcome::Created) {
        writeln!(
            out,
            "\nWhat was done with the update keys, and what is left for you: {}",
            layout.ceremony_transcript().display()
        )?;
        writeln!(out, "\nNext, each that stays in a terminal of its own:")?;
        for step in next_steps(&args.out) {
            writeln!(out, "  {step}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// To whom `init` gives what mosquitto opens: the user that it becomes when root starts it. Nobody where it stays who it is.
fn broker_owner(named: Option<&str>, root: bool, users: &str) -> anyhow::Result<Option<Owner>> {
    match named {
        _ if !root => Ok(None),
        Some("root") => Ok(None),
        Some(name) => {
            let owner = Owner::find(users, name).with_context(|| {
                format!(
                    "there is no user {name} in {}; make one, or name another with --broker-user",
                    handing_over::USERS
                )
            })?;
            Ok(Some(owner))
        }
        None => Ok(Owner::find(users, BROKER_USER)),
    }
}

/// What brings up a fleet after `init --out KEYS`; the README has the same lines.
#[must_use]
pub fn next_steps(keys: &Path) -> [String; 5] {
    let keys = keys.display();
    [
        format!(r#"mosquitto -c "$(realpath {keys}/mosquitto/mosquitto.conf)""#),
        format!(
            "hearthwatch-provision signer --keys {keys}/tuf/signer --gate-public {keys}/gate/gate.pub --socket {keys}/signer.sock"
        ),
        format!("hearthwatch-cloud token add admin --role admin --config {keys}/cloud.toml --file admin.token"),
        format!("hearthwatch-cloud serve --config {keys}/cloud.toml"),
        format!("hearthwatch-provision home add home-7 --token-only --out {keys}"),
    ]
}

fn group(dir: &Path, new: bool, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let layout = Layout::new(dir);
    let path = layout.group();
    anyhow::ensure!(
        layout.ca_cert().is_file(),
        "{0} holds no installation; first: hearthwatch-provision init --out {0}",
        dir.display()
    );
    files::make_dir(path.parent().unwrap_or(dir))?;
    let made = if new {
        Group::renew(&path)?;
        true
    } else {
        Group::make(&path)? == Outcome::Created
    };
    writeln!(out, "{}  {}", if made { "made" } else { "kept" }, path.display())?;
    writeln!(
        out,
        "Each aggregator is told under [mqtt]: group_file = \"{}\" (a path from its configuration file, or an absolute one), \
         and started again. On another machine it gets a copy, mode 0600. No home may see it.",
        path.display()
    )?;
    Ok(ExitCode::SUCCESS)
}

fn monitor(dir: &Path, days: u32, now: Timestamp, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let layout = Layout::new(dir);
    anyhow::ensure!(
        layout.ca_cert().is_file(),
        "{0} holds no installation; first: hearthwatch-provision init --out {0}",
        dir.display()
    );
    let word = if init::monitor(&layout, days, now)? == Outcome::Created { "made" } else { "kept, as it was" };
    writeln!(out, "{word}: {} and its key. It may read $SYS/# and nothing else.", layout.monitor_cert().display())?;
    Ok(ExitCode::SUCCESS)
}

fn add(args: &AddArgs, now: Timestamp, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let layout = Layout::new(&args.out);
    let remedy = |error: HomeError| before_init(error, &args.out);
    if args.issue {
        let (files, outcome) = homes::issue(&layout, &args.name, now, args.days).map_err(remedy)?;
        let word = if outcome == Outcome::Created { "made" } else { "kept, as it was" };
        writeln!(out, "{word}: key and certificate of {} in {}", args.name, files.root().display())?;
        writeln!(out, "Copy the directory to the home, then delete {} here.", files.key().display())?;
        return Ok(ExitCode::SUCCESS);
    }
    let bundle = if args.token_only { None } else { Some(homes::bundle(&layout, &args.name).map_err(remedy)?) };
    let token = match args.reusable {
        true => homes::reusable_token(&layout, &args.name, now),
        false => homes::token(&layout, &args.name, now, args.new_token),
    };
    let token = token.map_err(remedy)?;
    let times = if args.reusable { "again and again" } else { "once" };
    let again = format!("hearthwatch-provision home add {} --new-token --out {}", args.name, args.out.display());
    let name = &args.name;
    let kept = match &token {
        Token::New { token, .. } if args.token_only => {
            writeln!(out, "{}", token.reveal())?;
            None
        }
        Token::New { token, expires_at } => {
            writeln!(out, "claim token of {name} (shown only now; {times}, until {expires_at}):")?;
            writeln!(out, "\n  {}\n", token.reveal())?;
            None
        }
        Token::Open { expires_at } => Some(format!(
            "{name} has an unused claim token until {expires_at}, and only its hash is kept; for another: {again}"
        )),
        Token::Enrolled { at } => Some(format!("{name} enrolled at {at}; for a new enrolment: {again}")),
    };
    if let Some(kept) = kept {
        // A script that wants a token and gets none must not take a sentence for one.
        anyhow::ensure!(!args.token_only, kept);
        writeln!(out, "kept: {kept}")?;
    }
    if let Some(bundle) = bundle {
        writeln!(out, "Copy {} to the home: what its agent must trust.", bundle.root().display())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn revoke(args: &RevokeArgs, now: Timestamp, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let layout = Layout::new(&args.out);
    let taken = revocation::revoke(&layout, &args.name, now, &args.reason)?;
    writeln!(out, "{} of {} taken back; on the list: {}", taken.len(), args.name, layout.crl().display())?;
    writeln!(
        out,
        "mosquitto reads the list and its access rules anew on: {}\nIts records are still taken in until the aggregator \
         is told too: POST /api/v1/homes/{}/revoke does both.",
        revocation::RELOAD,
        args.name
    )?;
    Ok(ExitCode::SUCCESS)
}

fn root(args: &RootArgs, now: Timestamp, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let step = match &args.step {
        RootStep::Renew => Step::Renew,
        RootStep::RotateTargets => Step::Targets,
        RootStep::RotateSnapshot => Step::Snapshot,
        RootStep::RotateTimestamp => Step::Timestamp,
        RootStep::RotateRoot { lost, new_key } => Step::Root { lost: lost.clone(), new_key: new_key.clone() },
    };
    let text = rotation::take(&Layout::new(&args.out), &step, &args.root_key, now)?;
    writeln!(out, "{}", text.trim_start())?;
    Ok(ExitCode::SUCCESS)
}

/// Names the first command when the error is that it has not run.
fn before_init(error: HomeError, out: &Path) -> anyhow::Error {
    match &error {
        HomeError::File(FileError::Missing(_)) | HomeError::Authority(AuthorityError::File(FileError::Missing(_))) => {
            anyhow::anyhow!("{error}; first: hearthwatch-provision init --out {}", out.display())
        }
        _ => error.into(),
    }
}

fn show(dir: &Path, now: Timestamp, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let report = inspect::look(&Layout::new(dir), now);
    let widths = report.rows.iter().fold((4, 4, 7), |(what, path, subject), row| {
        (
            what.max(row.what.chars().count()),
            path.max(row.path.display().to_string().chars().count()),
            subject.max(row.subject.chars().count().min(SUBJECT_WIDTH)),
        )
    });
    let (what, path, subject) = widths;
    if !report.rows.is_empty() {
        writeln!(out, "{:<what$}  {:<path$}  {:<subject$}  {:<20}  mode", "what", "path", "subject", "expires")?;
    }
    for row in &report.rows {
        let expires = row.expires.map(|expires| expires.to_string()).unwrap_or_default();
        let mode = row.mode.map(|mode| format!("{mode:04o}")).unwrap_or_default();
        let place = row.path.display().to_string();
        writeln!(out, "{:<what$}  {place:<path$}  {:<subject$}  {expires:<20}  {mode}", row.what, row.subject)?;
    }
    writeln!(out)?;
    for finding in &report.findings {
        let word = match finding.weight {
            Weight::Problem => "PROBLEM",
            Weight::Advice => "advice ",
        };
        writeln!(out, "{word}  {}", finding.text)?;
    }
    if report.sound() {
        writeln!(out, "sound: nothing here keeps the installation from working safely")?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

fn approve(args: &ApproveArgs, now: Timestamp, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let sha256 = args.sha256.to_ascii_lowercase();
    anyhow::ensure!(
        hex::decode(&sha256).is_ok_and(|bytes| bytes.len() == 32),
        "{:?} is no SHA-256: 64 hexadecimal digits",
        args.sha256
    );
    anyhow::ensure!(args.by.chars().all(|c| !c.is_control()), "a name is one line");
    let before = files::if_there(files::read_text(&args.approvals))?.unwrap_or_default();
    // Written whole, and readable by the signer's user.
    files::write_public(&args.approvals, format!("{before}{sha256}  {now}  {}\n", args.by).as_bytes())?;
    writeln!(out, "approved by {}: {sha256}; the aggregator tries the release again by itself", args.by)?;
    Ok(ExitCode::SUCCESS)
}

/// User id of root.
const ROOT: u32 = 0;
/// Who mosquitto becomes when root starts it and nothing else is configured.
const BROKER_USER: &str = "mosquitto";

/// Widest column for subjects, so that a server with many names does not push the rest off the screen.
const SUBJECT_WIDTH: usize = 52;

fn signer_health(socket: &Path, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let described = runtime.block_on(SignerClient::new(socket).describe());
    let description = described.with_context(|| format!("the signer on {}", socket.display()))?;
    writeln!(out, "able: metadata version {}, model {}", description.version, description.model_version)?;
    Ok(ExitCode::SUCCESS)
}

fn sign(args: &SignerArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    // One request at a time: one thread is enough.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let server = Server::bind(&args.keys, &args.gate_public, &args.socket)?;
        let server = if args.group { server.open_to_group()? } else { server };
        let server = match &args.approvals {
            Some(approvals) => server.with_approvals(approvals.clone()),
            None => server,
        };
        writeln!(out, "ready: signing releases that the gate promoted, on {}", args.socket.display())?;
        out.flush()?;
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .context("cannot listen for the stop signal")?;
        server
            .run(async move {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = terminate.recv() => {}
                }
            })
            .await?;
        Ok(ExitCode::SUCCESS)
    })
}

#[cfg(test)]
mod tests;
