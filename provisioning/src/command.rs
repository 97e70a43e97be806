//! The command line: what can be asked, and what is printed for it. `anyhow` here, since a person reads the errors.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use hearthwatch_protocol::HomeId;
use jiff::Timestamp;

use crate::authority::AuthorityError;
use crate::files::{self, FileError};
use crate::homes::{self, HomeError, Outcome, Token};
use crate::inspect::{self, Weight};
use crate::layout::Layout;
use crate::rotation::{self, Step};
use crate::signer::server::Server;
use crate::{authority, init, mirror, mosquitto, revocation};

/// Who is who in a Hearthwatch fleet: certificates, access rules, update keys, enrolment.
#[derive(Debug, Parser)]
#[command(
    name = "hearthwatch-provision",
    version,
    after_help = "A first installation:\n  \
                  hearthwatch-provision init --out keys --host broker.example\n  \
                  hearthwatch-provision home add home-7 --out keys\n  \
                  hearthwatch-provision inspect keys\n  \
                  mosquitto -c keys/mosquitto/mosquitto.conf\n  \
                  hearthwatch-provision signer --keys keys/tuf/signer --gate-public keys/gate/gate.pub \\\n      \
                  --socket /run/hearthwatch/signer.sock\n\n\
                  Every command can be run again: what is there is kept, never replaced."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the authority, the certificates of broker and aggregator, the update keys, mosquitto's configuration.
    ///
    /// Running it again makes what is missing and changes nothing else.
    Init(InitArgs),
    /// Let a home in.
    #[command(subcommand)]
    Home(HomeCommand),
    /// What the root keys are for after the first ceremony: a later expiry, new keys. Stop aggregator and signer first.
    ///
    /// Every step wants two of the three root keys, prints what was done and adds it to tuf/ceremony.txt.
    Root(RootArgs),
    /// Copy the signed repository to a folder for any static HTTPS server; running it again copies what is new.
    Mirror {
        /// Where to.
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
    /// A name or address under which homes reach broker and aggregator; may be repeated. Loopback is always in.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Life of the server and aggregator certificates, in days.
    #[arg(long, value_name = "N", default_value_t = authority::SERVER_DAYS)]
    days: u32,
    /// Port in mosquitto's configuration.
    #[arg(long, value_name = "PORT", default_value_t = mosquitto::PORT)]
    mqtt_port: u16,
    /// User that mosquitto becomes when root starts it; mosquitto's own default is `mosquitto`. It must own what
    /// mosquitto opens: `init` run by root gives it that. Started by anybody else, mosquitto stays who it is.
    #[arg(long, value_name = "NAME")]
    broker_user: Option<String>,
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
        Command::Root(args) => root(args, now, out),
        Command::Mirror { to, out: dir } => {
            let copied = mirror::copy(&Layout::new(dir), to)?;
            writeln!(out, "{} files copied, {} were there: {}", copied.written, copied.kept, to.display())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Inspect { dir } => show(dir, now, out),
        Command::Signer(args) => sign(args, out),
        Command::Approve(args) => approve(args, now, out),
    }
}

fn init(args: &InitArgs, now: Timestamp, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let layout = Layout::new(&args.out);
    let options = init::Options {
        hosts: args.host.clone(),
        days: args.days,
        mqtt_port: args.mqtt_port,
        broker_user: args.broker_user.clone(),
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
    if steps.iter().any(|step| step.outcome == Outcome::Created) {
        writeln!(
            out,
            "\nWhat was done with the update keys, and what is left for you: {}\nNext: hearthwatch-provision home add \
             NAME --out {}",
            layout.ceremony_transcript().display(),
            args.out.display()
        )?;
    }
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
    let before = match files::read_text(&args.approvals) {
        Err(FileError::Missing(_)) => String::new(),
        other => other?,
    };
    // Written whole, and readable by the signer's user.
    files::write_public(&args.approvals, format!("{before}{sha256}  {now}  {}\n", args.by).as_bytes())?;
    writeln!(out, "approved by {}: {sha256}; the aggregator tries the release again by itself", args.by)?;
    Ok(ExitCode::SUCCESS)
}

/// Widest column for subjects, so that a server with many names does not push the rest off the screen.
const SUBJECT_WIDTH: usize = 52;

fn sign(args: &SignerArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    // One request at a time: one thread is enough.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let server = Server::bind(&args.keys, &args.gate_public, &args.socket)?;
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
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn command(line: &str, dir: &Path) -> anyhow::Result<String> {
        let dir = dir.join("keys");
        let words =
            line.split(' ').map(|word| if word == "KEYS" { dir.to_string_lossy().into() } else { word.to_owned() });
        let cli = Cli::try_parse_from(std::iter::once("hearthwatch-provision".to_owned()).chain(words))?;
        let mut out = Vec::new();
        run(&cli, now(), &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_first_installation_is_made_shown_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let first = command("init --out KEYS --host broker.example", dir.path()).unwrap();
        assert_eq!(first.lines().filter(|line| line.starts_with("made  ")).count(), 10, "{first}");
        let again = command("init --out KEYS --host broker.example", dir.path()).unwrap();
        assert!(again.lines().all(|line| line.starts_with("kept  ")), "{again}");
        let added = command("home add home-7 --out KEYS", dir.path()).unwrap();
        assert!(added.contains("hwc_"), "{added}");
        let kept = command("home add home-7 --out KEYS", dir.path()).unwrap();
        assert!(kept.starts_with("kept: home-7 has an unused claim token until 2026-03-04T12:00:00Z"), "{kept}");
        let shown = command("inspect KEYS", dir.path()).unwrap();
        assert!(shown.contains("broker (localhost, 127.0.0.1, ::1, broker.example)"), "{shown}");
        assert!(shown.ends_with("sound: nothing here keeps the installation from working safely\n"), "{shown}");
    }

    #[test]
    fn a_home_that_is_revoked_is_named_with_the_command_that_makes_it_hold() {
        let dir = tempfile::tempdir().unwrap();
        command("init --out KEYS", dir.path()).unwrap();
        command("home add home-7 --issue --out KEYS", dir.path()).unwrap();
        let text = command("home revoke home-7 --reason stolen --out KEYS", dir.path()).unwrap();
        assert!(
            text.starts_with("1 of home-7 taken back; on the list: ") && text.contains(revocation::RELOAD),
            "{text}"
        );
        assert!(command("inspect KEYS", dir.path()).unwrap().contains("sound: "));
    }

    #[test]
    fn a_second_persons_word_is_a_line_of_the_file_that_the_signer_reads() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("approvals");
        let (one, two) = ("ab".repeat(32), "cd".repeat(32));
        for hash in [&one, &two] {
            let line = format!("approve {hash} --by ada --approvals {}", file.display());
            assert!(command(&line, dir.path()).unwrap().starts_with("approved by ada: "));
        }
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text, format!("{one}  2026-03-01T12:00:00Z  ada\n{two}  2026-03-01T12:00:00Z  ada\n"));
        let short = command(&format!("approve abcd --by ada --approvals {}", file.display()), dir.path());
        assert!(short.unwrap_err().to_string().contains("64 hexadecimal digits"));
    }

    #[test]
    fn a_token_for_a_script_is_the_token_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        command("init --out KEYS", dir.path()).unwrap();
        let token = command("home add home-7 --token-only --out KEYS", dir.path()).unwrap();
        assert!(token.starts_with("hwc_") && token.lines().count() == 1, "{token}");
        let error = command("home add home-7 --token-only --out KEYS", dir.path()).unwrap_err();
        assert!(error.to_string().contains("home add home-7 --new-token"), "{error}");
    }

    #[test]
    fn a_name_that_could_be_an_aggregators_is_refused_with_the_rule() {
        let dir = tempfile::tempdir().unwrap();
        command("init --out KEYS", dir.path()).unwrap();
        let error = command("home add aggregator-2 --issue --out KEYS", dir.path()).unwrap_err();
        assert!(format!("{error:#}").contains("is kept for aggregators"), "{error:#}");
    }

    #[test]
    fn adding_before_init_names_the_first_command() {
        let dir = tempfile::tempdir().unwrap();
        let error = format!("{:#}", command("home add home-7 --out KEYS", dir.path()).unwrap_err());
        assert!(error.contains("does not exist; first: hearthwatch-provision init --out "), "{error}");
    }
}
