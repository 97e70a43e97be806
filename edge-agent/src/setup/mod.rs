//! `hearthwatch-edge setup`: four questions, each answer tried at once, and a configuration that works.
//!
//! Everything that is asked can be said on the command line too; then nothing is asked, and what is wrong ends the
//! command. Secrets go into files of their own that only their owner can read, never into `edge.toml`.

mod answers;
mod ask;
mod files;
pub(crate) mod probe;
mod sharing;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use hearthwatch_edge_core::explain::Language;
use hearthwatch_edge_store::outbox::SharingLevel;
use hearthwatch_edge_ui::config::PageConfig;

use crate::output::stderr_line;
use answers::{Answers, Door};
use ask::Asker;
pub use files::FilesError;
pub use probe::{BrokerError, HomeAssistantFound, try_broker, try_home_assistant};

/// What a person types; whatever is missing is asked.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Folder for `edge.toml`, the secrets and the agent's memory
    #[arg(long, default_value = ".")]
    pub dir: PathBuf,
    /// Address of Home Assistant, e.g. `http://homeassistant.local:8123`
    #[arg(long, value_name = "ADDRESS")]
    pub home_assistant: Option<String>,
    /// File with a long-lived access token of a user without administrator rights
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Home Assistant's MQTT broker, `host` or `host:port`; `none`: alarms are only logged and shown on the local page
    #[arg(long, value_name = "HOST[:PORT]")]
    pub broker: Option<String>,
    /// User at the broker
    #[arg(long, requires = "broker_password_file")]
    pub broker_user: Option<String>,
    /// File with the broker's password of this user
    #[arg(long, value_name = "FILE", requires = "broker_user")]
    pub broker_password_file: Option<PathBuf>,
    /// What may leave the home, should it ever join a fleet
    #[arg(long, value_name = "off|learning|verdicts|windows", value_parser = level)]
    pub sharing: Option<SharingLevel>,
    /// About how many alarms a week the home bears
    #[arg(long, value_name = "NUMBER")]
    pub alarms: Option<f64>,
    /// Ask nothing: what is not said has its default (broker: the machine of Home Assistant)
    #[arg(long)]
    pub no_questions: bool,
    /// Write over an `edge.toml` that is there
    #[arg(long)]
    pub force: bool,
}

/// Examples at the end of `setup --help`.
pub const HELP: &str = "\
Before you begin, in Home Assistant:
  1. Settings, People, Users: add a user \"Hearthwatch\" without administrator rights.
  2. Log in as that user; profile, Security, Long-lived access tokens: create one and copy it.
  3. Settings, Devices & services: the integration MQTT must be there. Its form shows the broker's address.

Then:
  hearthwatch-edge setup --dir /etc/hearthwatch
  hearthwatch-edge run --config /etc/hearthwatch/edge.toml

Without questions, as in a script:
  hearthwatch-edge setup --no-questions --dir /etc/hearthwatch --home-assistant http://127.0.0.1:8123 \\
      --token-file token --broker 127.0.0.1 --sharing off --alarms 1

As an app (add-on) of Home Assistant no set-up is needed: the Supervisor tells address, token and broker.";

/// Why a home is not set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is an `edge.toml` already.
    #[error("{0} is there already; choose another folder with --dir, or write over it with --force")]
    Exists(PathBuf),
    /// An answer that cannot be, on the command line.
    #[error("{what}: {why}")]
    Answer {
        /// Name of the option.
        what: &'static str,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The person went away in the middle.
    #[error("no more answers; nothing was written")]
    End,
    /// The terminal cannot be read or written.
    #[error("the terminal: {0}")]
    Terminal(#[from] std::io::Error),
    /// A file could not be written.
    #[error(transparent)]
    Files(#[from] FilesError),
}

fn level(word: &str) -> Result<SharingLevel, String> {
    SharingLevel::parse(word).ok_or_else(|| format!("write one of {}", SharingLevel::names()))
}

/// Runs `hearthwatch-edge setup`; the exit code is that of the process.
#[must_use]
pub fn main(args: &SetupArgs) -> ExitCode {
    // An error means that a provider is chosen already, which is all that matters.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            stderr_line!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
    match runtime.block_on(set_up(args, &mut Asker::new(input, output))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            stderr_line!("not set up: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn set_up<R: std::io::BufRead, W: std::io::Write>(
    args: &SetupArgs,
    asker: &mut Asker<R, W>,
) -> Result<(), SetupError> {
    let file = args.dir.join(files::CONFIG);
    if file.exists() && !args.force {
        return Err(SetupError::Exists(file));
    }
    let answers = Answers {
        home_assistant: home_assistant(args, asker).await?,
        broker: broker(args, asker).await?,
        sharing: share(args, asker)?,
        alarms: alarms(args, asker)?,
    };
    files::write(&args.dir, &answers)?;
    asker.say(&format!("\nWrote {}. It has been read back and is good. Start the agent with:", file.display()))?;
    asker.say(&format!("  hearthwatch-edge run --config {}", file.display()))?;
    if answers.broker.is_some() {
        asker
            .say("In Home Assistant a device \"Hearthwatch\" will appear under Settings, Devices & services, MQTT.")?;
    }
    asker.say("It learns from Home Assistant's own history first, so most sensors are watched within minutes.")?;
    asker.say(&format!("The page of this home: http://{}/ (this machine alone).", PageConfig::default().listen))?;
    asker.say(&phones(&args.dir.join(files::BLUEPRINT), answers.broker.is_some()))?;
    Ok(())
}

/// How messages get onto phones.
fn phones(blueprint: &std::path::Path, has_broker: bool) -> String {
    let blueprint = blueprint.display();
    let how = format!(
        "copy {blueprint} into the folder\n  blueprints/automation/hearthwatch/ of Home Assistant's configuration, then Settings, \
         Automations & scenes, Blueprints."
    );
    if has_broker {
        format!("Messages on phones, with buttons to answer: {how}")
    } else {
        format!(
            "Without an MQTT broker nothing appears in Home Assistant or on phones: alarms are on the local page alone. For both set it up \
             again,\n  with --broker HOST --force; then for phones {how}"
        )
    }
}

async fn home_assistant<R: std::io::BufRead, W: std::io::Write>(
    args: &SetupArgs,
    asker: &mut Asker<R, W>,
) -> Result<answers::HomeAssistant, SetupError> {
    let asks = !args.no_questions;
    let mut address = args.home_assistant.clone();
    let mut token = args.token_file.as_deref().map(files::secret).transpose()?;
    if asks && (address.is_none() || token.is_none()) {
        asker.say("1 of 4  Home Assistant")?;
    }
    loop {
        let text = match address.take() {
            Some(text) => text,
            None if asks => asker.ask("  Its address", "http://homeassistant.local:8123")?,
            None => return Err(missing("--home-assistant", "say where Home Assistant is")),
        };
        let secret = match token.take() {
            Some(secret) => secret,
            None if asks => asker.ask_secret("  Long-lived access token (not shown)")?,
            None => return Err(missing("--token-file", "name the file with the token")),
        };
        let said = args.home_assistant.is_some() && args.token_file.is_some();
        match try_home_assistant(&text, &secret).await {
            Ok(found) => {
                asker.say(&format!("  Good: {found}"))?;
                for doubt in &found.unit_doubts {
                    asker.say(&format!("  {}", doubt.sentence(&doubt.entity_id, Language::English)))?;
                }
                if found.administrator {
                    asker.say("  This token is an administrator's. It works; one without such rights is safer.")?;
                }
                if !found.mqtt {
                    asker.say(
                        "  Home Assistant has no MQTT integration yet: without it nothing of ours appears there.",
                    )?;
                }
                return Ok(answers::HomeAssistant { url: text, token: secret });
            }
            Err(why) if asks && !said => asker.say(&format!("  {why}\n"))?,
            Err(why) => return Err(SetupError::Answer { what: "Home Assistant", why }),
        }
    }
}

async fn broker<R: std::io::BufRead, W: std::io::Write>(
    args: &SetupArgs,
    asker: &mut Asker<R, W>,
) -> Result<Option<answers::Broker>, SetupError> {
    let asks = !args.no_questions && args.broker.is_none();
    if asks {
        asker.say("\n2 of 4  The MQTT broker that Home Assistant uses (\"none\": alarms only on the local page)")?;
    }
    loop {
        let text = match &args.broker {
            Some(text) => text.clone(),
            None if asks => asker.ask("  Its address, host or host:port", "127.0.0.1")?,
            None => "127.0.0.1".to_owned(),
        };
        if text == "none" {
            return Ok(None);
        }
        let door = Door::parse(&text).map_err(|why| SetupError::Answer { what: "--broker", why });
        let door = match door {
            Ok(door) => door,
            Err(error) if asks => {
                asker.say(&format!("  {error}\n"))?;
                continue;
            }
            Err(error) => return Err(error),
        };
        let credentials = match (&args.broker_user, &args.broker_password_file) {
            (Some(user), Some(file)) => Some((user.clone(), files::secret(file)?)),
            _ if asks => {
                let user = asker.ask("  User there (empty: none)", "")?;
                if user.is_empty() { None } else { Some((user, asker.ask_secret("  Password (not shown)")?)) }
            }
            _ => None,
        };
        match try_broker(&door.host, door.port, credentials.as_ref()).await {
            Ok(()) => {
                asker.say(&format!("  Good: the broker at {}:{} lets us in.", door.host, door.port))?;
                return Ok(Some(answers::Broker { door, credentials }));
            }
            Err(error) if asks => asker.say(&format!("  {error}\n"))?,
            Err(error) => return Err(SetupError::Answer { what: "the broker", why: error.to_string() }),
        }
    }
}

fn share<R: std::io::BufRead, W: std::io::Write>(
    args: &SetupArgs,
    asker: &mut Asker<R, W>,
) -> Result<SharingLevel, SetupError> {
    if let Some(level) = args.sharing {
        return Ok(level);
    }
    if args.no_questions {
        return Ok(SharingLevel::default());
    }
    asker.say("\n3 of 4  What may leave this home, should you ever join a fleet (nothing leaves before that)")?;
    for line in sharing::explained() {
        asker.say(&format!("  {line}"))?;
    }
    let proposed = sharing::proposed(&args.dir);
    if proposed.takes_part_in_rounds() {
        asker.say(
            "  This home has joined a fleet. Recommended is learning: homes train one model together, and no history leaves.",
        )?;
    }
    let question = format!("  One of {}", SharingLevel::names());
    loop {
        let word = asker.ask(&question, proposed.as_str())?;
        match SharingLevel::parse(&word) {
            Some(level) => return Ok(level),
            None => asker.say(&format!("  {word:?} is none of them.\n"))?,
        }
    }
}

fn alarms<R: std::io::BufRead, W: std::io::Write>(
    args: &SetupArgs,
    asker: &mut Asker<R, W>,
) -> Result<f64, SetupError> {
    if let Some(number) = args.alarms {
        return answers::alarms(&number.to_string()).map_err(|why| SetupError::Answer { what: "--alarms", why });
    }
    if args.no_questions {
        return Ok(crate::config::DEFAULT_BUDGET_PER_WEEK);
    }
    asker.say(
        "\n4 of 4  About how many alarms a week do you want at most? You can change it at any time, and see what each",
    )?;
    asker.say("  choice would have said of your last 30 days.")?;
    loop {
        match answers::alarms(&asker.ask("  Alarms a week", "1")?) {
            Ok(number) => return Ok(number),
            Err(why) => asker.say(&format!("  {why}\n"))?,
        }
    }
}

fn missing(what: &'static str, why: &str) -> SetupError {
    SetupError::Answer { what, why: format!("{why}, or leave --no-questions out") }
}

#[cfg(test)]
mod tests;
