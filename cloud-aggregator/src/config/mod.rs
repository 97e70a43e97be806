//! The configuration file, read whole: every fault is found before the first port opens.

mod http;
mod ingest;
mod login;
mod mlflow;
mod mqtt;
mod release;
mod retention;
mod rollout;
mod rounds;
pub mod shown;
mod training;
mod webhooks;

use std::path::{Path, PathBuf};

use hearthwatch_api::http::config::HttpConfig;
use hearthwatch_configuration::{Faults, Section, read_table, read_text};
use hearthwatch_fleet::release::ReleaseConfig;
use hearthwatch_learning::training::TrainingConfig;
use hearthwatch_provision::authority::{HOME_DAYS, HOME_DAYS_RANGE};
use hearthwatch_rounds::RoundsConfig;

pub use ingest::IngestConfig;
pub use mqtt::{MqttConfig, MqttTls};
pub use retention::RetentionConfig;
pub use rollout::RolloutConfig;
pub use webhooks::WebhookConfig;

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
    /// Whether, when and how homes are asked to train.
    pub rounds: RoundsConfig,
    /// How long things are kept.
    pub retention: RetentionConfig,
    /// Who is told of what happens, by HTTP.
    pub webhooks: Vec<WebhookConfig>,
}

impl Config {
    /// A configuration that keeps its data in `data`, and is otherwise silent: for programs that carry an aggregator
    /// inside them.
    #[must_use]
    pub fn in_directory(data: impl Into<PathBuf>) -> Self {
        let training = TrainingConfig::default();
        let (data, certificate_days) = (data.into(), HOME_DAYS);
        let (ingest, rounds) = (IngestConfig::default(), RoundsConfig::default());
        let (mqtt, http, release, rollout) = (None, None, None, None);
        let (enrolment, webhooks, retention) = (None, Vec::new(), RetentionConfig::default());
        Self {
            data,
            enrolment,
            certificate_days,
            mqtt,
            http,
            ingest,
            training,
            release,
            rollout,
            rounds,
            retention,
            webhooks,
        }
    }

    /// Reads `file`.
    ///
    /// # Errors
    /// [`Faults`] with everything that is wrong, each with file, key and remedy.
    pub fn load(file: &Path) -> Result<Self, Faults> {
        let text = read_text(file).map_err(|problem| {
            let mut faults = Faults::none(file);
            faults.add("", problem, "write one; `hearthwatch-cloud serve --help` shows what goes in it");
            faults
        })?;
        Self::parse(&text, file)
    }

    /// Checks `text`, the content of `file`. Relative paths are taken from the directory of `file`.
    ///
    /// # Errors
    /// [`Faults`], as [`Config::load`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, Faults> {
        let mut faults = Faults::none(file);
        let table = match read_table(text) {
            Ok(table) => table,
            Err(problem) => {
                faults.add("", problem, "mend the TOML at the place shown");
                return Err(faults);
            }
        };
        let base = file.parent().unwrap_or_else(|| Path::new(""));
        match Self::read(Section::root(table, base), &mut faults) {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(faults),
        }
    }

    fn read(mut root: Section<'_>, faults: &mut Faults) -> Option<Self> {
        let remedy = "a directory for database, snapshots and models, e.g. data = \"data\"";
        let data = root.required("data", faults, remedy, Section::path);
        let enrolment = root.path("enrolment", faults);
        if let Some(directory) = enrolment.as_ref().filter(|directory| !directory.join("ca/ca.key").is_file()) {
            let remedy = "the directory that `hearthwatch-provision init` filled, with the authority's key in it";
            faults.add("enrolment", format!("{} holds no ca/ca.key", directory.display()), remedy);
        }
        let days = u64::from(*HOME_DAYS_RANGE.start())..=u64::from(*HOME_DAYS_RANGE.end());
        let certificate_days = root.whole("certificate_days", days, faults);
        let certificate_days = certificate_days.and_then(|days| u32::try_from(days).ok()).unwrap_or(HOME_DAYS);
        let remedy = "add [mqtt] with host, port, ca_file, cert_file, key_file, group_file";
        let mqtt = root.required("mqtt", faults, remedy, Section::section);
        let [http, ingest, training, release, rollout, rounds, webhooks, retention] =
            ["http", "ingest", "training", "release", "rollout", "rounds", "webhooks", "retention"]
                .map(|name| root.section(name, faults));
        root.finish(faults);
        let mqtt = mqtt.and_then(|section| MqttConfig::read(section, faults));
        let http = http.map(|section| http::read(section, faults));
        let ingest = ingest.map(|section| ingest::read(section, faults)).unwrap_or_default();
        let training = training.map(|section| training::read(section, faults)).unwrap_or_default();
        let release = release.and_then(|section| release::read(section, faults));
        let rollout = rollout.and_then(|section| RolloutConfig::read(section, faults));
        let rounds = rounds.map(|section| rounds::read(section, faults)).unwrap_or_default();
        let retention = retention.map(|section| retention::read(section, faults)).unwrap_or_default();
        let webhooks = webhooks.map(|section| webhooks::read(section, faults)).unwrap_or_default();
        for (key, there) in
            [("rollout", rollout.is_some()), ("release", release.is_some()), ("enrolment", enrolment.is_some())]
        {
            if rounds.enabled && !there {
                faults.add(
                    key,
                    "is missing, and [rounds] needs it",
                    "write it as `hearthwatch-provision init` does, or set rounds.enabled = false",
                );
            }
        }
        let data = data?;
        Some(Self {
            data,
            enrolment,
            certificate_days,
            mqtt,
            http,
            ingest,
            training,
            release,
            rollout,
            rounds,
            retention,
            webhooks,
        })
    }
}

#[cfg(test)]
mod tests;
