//! The configuration of the app (add-on): from the Supervisor, and from the few options of its form.

use std::path::Path;

use hearthwatch_configuration::{Faults, Secret, read_table, read_text};
use hearthwatch_edge_core::preferences::{BUDGET_MAX, BUDGET_MIN};
use hearthwatch_edge_home_assistant::config::HomeAssistantConfig;
use hearthwatch_edge_home_assistant::config::HomeMqttConfig;
use hearthwatch_edge_rounds::config::RoundsConfig;
use hearthwatch_edge_store::outbox::SharingLevel;
use hearthwatch_edge_ui::config::PageConfig;
use serde::Deserialize;

use super::{CloudConfig, Config, DEFAULT_BUDGET_PER_WEEK, Section};

/// Where a Debian image keeps the authorities that it trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The fleet's table in the app's own folder, where a home teaches one.
const FLEET_FILE: &str = "fleet.toml";

/// The form of the app, as the Supervisor keeps it in `options.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppOptions {
    /// From [`BUDGET_MIN`] to [`BUDGET_MAX`].
    pub alarms_a_week: f64,
    /// A word of [`SharingLevel::as_str`].
    pub sharing: String,
    /// Entities that are not watched: ids or globs.
    pub exclude: Vec<String>,
    /// Names or ids.
    pub exclude_areas: Vec<String>,
    /// Labels that keep an entity from being watched.
    pub exclude_labels: Vec<String>,
}

impl Default for AppOptions {
    fn default() -> Self {
        Self {
            alarms_a_week: DEFAULT_BUDGET_PER_WEEK,
            sharing: SharingLevel::default().as_str().to_owned(),
            exclude: Vec::new(),
            exclude_areas: Vec::new(),
            exclude_labels: Vec::new(),
        }
    }
}

/// The broker, as the Supervisor's service `mqtt` returns it. It adds fields between releases.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SupervisorBroker {
    /// Name inside the Supervisor's network.
    pub host: String,
    /// TCP port, usually 1883 or 8883.
    pub port: u16,
    /// Whether TLS is used.
    #[serde(default)]
    pub ssl: bool,
    /// User; none where it lets everybody in.
    #[serde(default)]
    pub username: Option<String>,
    /// None without `username`.
    #[serde(default)]
    pub password: Option<String>,
}

/// An option that is not allowed; the text is shown in the app's log.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OptionsError {
    /// Not a number of alarms a week.
    #[error("alarms_a_week: {0} is not a number from {BUDGET_MIN} to {BUDGET_MAX}")]
    Budget(f64),
    /// Not the name of a [`SharingLevel`].
    #[error("sharing: {0:?} is none of {levels}", levels = SharingLevel::names())]
    Sharing(String),
    /// Faults in `fleet.toml`.
    #[error(transparent)]
    Fleet(#[from] Faults),
}

impl Config {
    /// Builds the configuration of an app from its form and from the Supervisor. `data` is the app's own folder.
    ///
    /// # Errors
    /// [`OptionsError`].
    pub fn of_app(
        options: AppOptions,
        home_assistant: HomeAssistantConfig,
        broker: Option<SupervisorBroker>,
        data: &Path,
    ) -> Result<Self, OptionsError> {
        let budget = options.alarms_a_week;
        if !(BUDGET_MIN..=BUDGET_MAX).contains(&budget) {
            return Err(OptionsError::Budget(budget));
        }
        let sharing = SharingLevel::parse(&options.sharing).ok_or(OptionsError::Sharing(options.sharing))?;
        let home_assistant = HomeAssistantConfig {
            exclude: options.exclude,
            exclude_areas: options.exclude_areas,
            exclude_labels: options.exclude_labels,
            ..home_assistant
        };
        Ok(Self {
            state: data.join("state"),
            timezone: None,
            budget,
            home_assistant,
            home_mqtt: broker.map(HomeMqttConfig::from),
            cloud: read_fleet(data, sharing)?,
            page: Some(PageConfig::behind_ingress()),
            rounds: RoundsConfig::default(),
        })
    }
}

impl From<SupervisorBroker> for HomeMqttConfig {
    fn from(broker: SupervisorBroker) -> Self {
        let credentials = broker.username.filter(|user| !user.is_empty());
        Self {
            host: broker.host,
            port: broker.port,
            credentials: credentials.map(|user| (user, Secret::new(broker.password.unwrap_or_default()))),
            ca_file: broker.ssl.then(|| SYSTEM_AUTHORITIES.into()),
        }
    }
}

/// `fleet.toml` beside the options: the table `[cloud]` of an `edge.toml`, with the files that it names.
fn read_fleet(data: &Path, sharing: SharingLevel) -> Result<Option<CloudConfig>, Faults> {
    let file = data.join(FLEET_FILE);
    if !file.exists() {
        return Ok(None);
    }
    let mut faults = Faults::none(&file);
    let table = match read_text(&file).and_then(|text| read_table(&text)) {
        Ok(table) => table,
        Err(problem) => {
            faults.add("", problem, "mend it, or remove it to stay local");
            return Err(faults);
        }
    };
    let mut root = Section::root(table, data);
    let section = root.required("cloud", &mut faults, "write the table [cloud]", Section::section);
    let fleet = section.and_then(|section| CloudConfig::read(section, sharing, false, &mut faults));
    root.finish(&mut faults);
    if faults.is_empty() { Ok(fleet) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(options: &str, data: &Path) -> Result<Config, OptionsError> {
        let url = "ws://supervisor/core/websocket".parse().unwrap();
        let home_assistant = HomeAssistantConfig::new(url, Secret::new("t"));
        Config::of_app(serde_json::from_str(options).unwrap(), home_assistant, None, data)
    }

    #[test]
    fn an_app_without_options_stays_local_and_shows_its_page_by_ingress() {
        let dir = tempfile::tempdir().unwrap();
        let config = app("{}", dir.path()).unwrap();
        assert_eq!((config.budget, config.cloud, config.home_mqtt), (DEFAULT_BUDGET_PER_WEEK, None, None));
        assert_eq!(config.page, Some(PageConfig::behind_ingress()));
        assert_eq!(config.state, dir.path().join("state"));
    }

    #[test]
    fn options_that_cannot_be_are_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(app(r#"{"alarms_a_week": 0}"#, dir.path()).unwrap_err(), OptionsError::Budget(0.0));
        let error = app(r#"{"sharing": "all"}"#, dir.path()).unwrap_err();
        assert_eq!(error.to_string(), "sharing: \"all\" is none of off, learning, verdicts, windows");
        std::fs::write(dir.path().join("fleet.toml"), "[cloud]\nhome = \"home-7\"\n").unwrap();
        assert!(
            matches!(app("{}", dir.path()).unwrap_err(), OptionsError::Fleet(faults) if faults.list()[0].key == "cloud.mqtt")
        );
    }

    #[test]
    fn a_broker_with_tls_is_checked_against_the_systems_authorities() {
        let broker = |text| HomeMqttConfig::from(serde_json::from_str::<SupervisorBroker>(text).unwrap());
        let plain = broker(
            r#"{"host": "core-mosquitto", "port": 1883, "ssl": false, "username": "addons", "password": "p",
            "protocol": "3.1.1"}"#,
        );
        assert_eq!((plain.ca_file, plain.credentials.unwrap().0.as_str()), (None, "addons"));
        let tls = broker(r#"{"host": "core-mosquitto", "port": 8883, "ssl": true}"#);
        assert_eq!((tls.ca_file, tls.credentials), (Some(SYSTEM_AUTHORITIES.into()), None));
    }
}
