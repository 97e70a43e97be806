//! The configuration file, read whole: every fault is found before the first port opens.

mod http;
mod ingest;
mod mlflow;
mod mqtt;
mod release;
mod rollout;
mod section;
mod training;

use std::path::{Path, PathBuf};

use hearthwatch_api::http::config::HttpConfig;
use hearthwatch_fleet::release::ReleaseConfig;
use hearthwatch_learning::training::TrainingConfig;
use hearthwatch_provision::authority::{HOME_DAYS, HOME_DAYS_RANGE};
pub use ingest::IngestConfig;
pub use mqtt::{MqttConfig, MqttTls};
pub use rollout::RolloutConfig;
pub use section::{Fault, Faults, Section};

/// Everything the aggregator is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Directory of the database, the snapshots and the models.
    pub data: PathBuf,
    /// The directory that `hearthwatch-provision init` filled: homes with a claim token may enrol here.
    pub enrolment: Option<PathBuf>,
    /// Life of the certificates that homes get here, in days.
    pub certificate_days: u32,
    /// The fleet's broker; without it nothing is taken in.
    pub mqtt: Option<MqttConfig>,
    /// The admin API; without it there is none.
    pub http: Option<HttpConfig>,
    /// What is asked of answers.
    pub ingest: IngestConfig,
    /// When and how to retrain.
    pub training: TrainingConfig,
    /// The signed repository; without it a promoted model waits.
    pub release: Option<ReleaseConfig>,
    /// Who signs orders to homes; without it they get none.
    pub rollout: Option<RolloutConfig>,
}

impl Config {
    /// A configuration that keeps its data in `data`, and is otherwise silent: for programs that carry an aggregator
    /// inside them.
    #[must_use]
    pub fn in_directory(data: impl Into<PathBuf>) -> Self {
        let training = TrainingConfig::default();
        let (data, certificate_days) = (data.into(), HOME_DAYS);
        let ingest = IngestConfig::default();
        let (mqtt, http, release, rollout) = (None, None, None, None);
        Self { data, enrolment: None, certificate_days, mqtt, http, ingest, training, release, rollout }
    }

    /// Reads `file`.
    ///
    /// # Errors
    /// [`Faults`] with everything that is wrong, each with its key and remedy.
    pub fn load(file: &Path) -> Result<Self, Faults> {
        let whole = |problem: String, remedy: &str| Faults {
            file: file.to_owned(),
            list: vec![Fault { key: String::new(), problem, remedy: remedy.to_owned() }],
        };
        let text = std::fs::read_to_string(file).map_err(|error| {
            whole(error.to_string(), "write one; `hearthwatch-cloud serve --help` shows what goes in it")
        })?;
        let directory = file.parent().unwrap_or_else(|| Path::new(""));
        Self::parse(&text, directory).map_err(|list| Faults { file: file.to_owned(), list })
    }

    /// Reads the text of a configuration file that lies in `directory`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str, directory: &Path) -> Result<Self, Vec<Fault>> {
        let table = text.parse::<toml::Table>().map_err(|error| {
            let problem = error.to_string().trim_end().to_owned();
            vec![Fault { key: String::new(), problem, remedy: "mend the TOML at the place shown".to_owned() }]
        })?;
        let mut faults = Vec::new();
        let mut root = Section::new("", table, directory, &mut faults);
        let data = root.required_path("data", "a directory for database, snapshots and models, e.g. data = \"data\"");
        let enrolment = root.path("enrolment");
        if let Some(directory) = enrolment.as_ref().filter(|directory| !directory.join("ca/ca.key").is_file()) {
            let remedy = "the directory that `hearthwatch-provision init` filled, with the authority's key in it";
            root.fault("enrolment", format!("{} holds no ca/ca.key", directory.display()), remedy);
        }
        let days = i64::from(*HOME_DAYS_RANGE.start())..=i64::from(*HOME_DAYS_RANGE.end());
        let certificate_days = root.number("certificate_days", days, i64::from(HOME_DAYS));
        let certificate_days = u32::try_from(certificate_days).unwrap_or(HOME_DAYS);
        let tables = ["mqtt", "http", "ingest", "training", "release", "rollout"].map(|name| root.table(name));
        if tables[0].is_none() {
            root.fault("mqtt", "is missing", "add [mqtt] with host, port, ca_file, cert_file, key_file, group_file");
        }
        root.finish();
        let [mqtt, http, ingest, training, release, rollout] = tables;
        let mqtt = mqtt.and_then(|table| MqttConfig::read(Section::new("mqtt", table, directory, &mut faults)));
        let http = http.and_then(|table| http::read(Section::new("http", table, directory, &mut faults)));
        let ingest = ingest::read(Section::new("ingest", ingest.unwrap_or_default(), directory, &mut faults));
        let training = training::read(Section::new("training", training.unwrap_or_default(), directory, &mut faults));
        let release = release.and_then(|table| release::read(Section::new("release", table, directory, &mut faults)));
        let rollout =
            rollout.and_then(|table| RolloutConfig::read(Section::new("rollout", table, directory, &mut faults)));
        match data {
            Some(data) if faults.is_empty() => {
                Ok(Self { data, enrolment, certificate_days, mqtt, http, ingest, training, release, rollout })
            }
            _ => Err(faults),
        }
    }
}

#[cfg(test)]
mod tests;
