//! The agent's configuration: `edge.toml`, read into values that can be trusted, or a list of everything wrong with it.
//!
//! One file per concern. Reading opens no port: a bad configuration fails in a moment, in words. Relative paths are
//! taken from the directory of the configuration file, so that a folder can be moved as a whole.

mod app;
mod cloud;
mod enrolment;

use std::path::{Path, PathBuf};

use hearthwatch_configuration::{Faults, Section, read_table, read_text};
use hearthwatch_edge_home_assistant::config::{HomeAssistantConfig, HomeMqttConfig};
use hearthwatch_edge_rounds::config::RoundsConfig;
use hearthwatch_edge_ui::config::PageConfig;
use jiff::tz::TimeZone;

pub use app::{AppOptions, OptionsError, SupervisorBroker};
pub(crate) use cloud::DIRECTOR_FILE;
pub use cloud::{CloudConfig, CloudMqttConfig, UpdatesConfig};
pub use enrolment::{Enrolment, TOKEN_VARIABLE};

/// Alarms a week that a home is asked to bear when nothing is configured.
pub const DEFAULT_BUDGET_PER_WEEK: f64 = 1.0;

/// The `state` of a home without a disk. A directory of that name is `./none`.
const IN_MEMORY: &str = "none";

/// The checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the agent keeps its own things: history, outbox, models, secrets. In memory for a home without a disk, and then
    /// made by [`crate::diskless`].
    pub state: PathBuf,
    /// The home's time zone; without it Home Assistant's is taken.
    pub timezone: Option<TimeZone>,
    /// At most about this many alarms a week.
    pub budget: f64,
    /// How to reach Home Assistant, and what is not watched.
    pub home_assistant: HomeAssistantConfig,
    /// Where alarms are shown and answered; without it the agent only listens and logs.
    pub home_mqtt: Option<HomeMqttConfig>,
    /// The fleet; without it everything stays local.
    pub cloud: Option<CloudConfig>,
    /// The local page; none where it is turned off.
    pub page: Option<PageConfig>,
    /// What the owner allows rounds of training; not used in a home that takes part in none.
    pub rounds: RoundsConfig,
}

impl Config {
    /// Reads and checks `file`.
    ///
    /// # Errors
    /// [`Faults`]: all of them, each with file, key and remedy.
    pub fn load(file: &Path) -> Result<Self, Faults> {
        let mut faults = Faults::none(file);
        let text = match read_text(file) {
            Ok(text) => text,
            Err(problem) => {
                faults.add("", problem, "name an existing edge.toml with --config");
                return Err(faults);
            }
        };
        Self::parse(&text, file)
    }

    /// Checks `text`, the content of `file`.
    ///
    /// # Errors
    /// [`Faults`], as [`Config::load`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, Faults> {
        let mut faults = Faults::none(file);
        let table = match read_table(text) {
            Ok(table) => table,
            Err(problem) => {
                faults.add("", problem, "mend the line it names");
                return Err(faults);
            }
        };
        let base = file.parent().unwrap_or(Path::new(""));
        let config = Self::read(Section::root(table, base), &mut faults);
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(faults),
        }
    }

    fn read(mut root: Section<'_>, faults: &mut Faults) -> Option<Self> {
        let state = read_state(&mut root, faults);
        let timezone = root.text("timezone", faults).and_then(|name| match TimeZone::get(&name) {
            Ok(timezone) => Some(timezone),
            Err(_) => {
                let remedy = "write an IANA name such as \"Europe/Brussels\", or remove it to take Home Assistant's";
                faults.add("timezone", format!("{name:?} is not a time zone"), remedy);
                None
            }
        });
        let budget = root.number("budget", 0.01..=100.0, faults).unwrap_or(DEFAULT_BUDGET_PER_WEEK);
        let remedy = "add the table with url and token_file: without it there is nothing to watch";
        let home_assistant = root
            .required("home_assistant", faults, remedy, Section::section)
            .and_then(|section| HomeAssistantConfig::read(section, faults));
        let home_mqtt = root.section("home", faults).and_then(|mut home| {
            let mqtt = home.section("mqtt", faults).and_then(|section| HomeMqttConfig::read(section, faults));
            home.finish(faults);
            mqtt
        });
        // Chosen at set-up, before there is a fleet.
        let sharing = cloud::read_sharing(&mut root, faults).unwrap_or_default();
        let diskless = state == Some(State::InMemory);
        let cloud = match root.section("cloud", faults) {
            Some(section) => CloudConfig::read(section, sharing, diskless, faults),
            None if diskless => {
                faults.add(
                    "cloud.enrol",
                    "is missing: what is in memory only must come from somewhere",
                    enrolment::NEEDED,
                );
                None
            }
            None => None,
        };
        let page = match root.section("page", faults) {
            None => Some(PageConfig::default()),
            Some(section) => PageConfig::read(section, faults),
        };
        let rounds =
            root.section("rounds", faults).map(|section| RoundsConfig::read(section, faults)).unwrap_or_default();
        root.finish(faults);
        let state = match state? {
            State::Directory(path) => path,
            State::InMemory => cloud.as_ref()?.enrolment.as_ref()?.state(),
        };
        Some(Self { state, timezone, budget, home_assistant: home_assistant?, home_mqtt, cloud, page, rounds })
    }
}

/// Value of `state`.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Directory(PathBuf),
    InMemory,
}

/// The state directory: made by the agent when it is missing, so only what stands in its way is a fault.
fn read_state(root: &mut Section<'_>, faults: &mut Faults) -> Option<State> {
    let remedy = "name a directory that the agent may write to, or write \"none\" if the home has no disk";
    let text = root.required("state", faults, remedy, Section::text)?;
    if text == IN_MEMORY {
        return Some(State::InMemory);
    }
    let state = root.resolve(&text);
    if state.exists() && !state.is_dir() {
        faults.add("state", format!("{} is not a directory", state.display()), remedy);
        return None;
    }
    Some(State::Directory(state))
}

#[cfg(test)]
mod tests;
