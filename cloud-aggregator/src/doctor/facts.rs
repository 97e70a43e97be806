//! What can be seen from outside of a running aggregator, or of one that will not start.
//!
//! Nothing here disturbs it: the broker sees a TLS connection without a word of MQTT (a second client of the same name would end the first
//! one's session), the database is read, and nothing is written but one small file.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearthwatch_link::TlsFiles;
use hearthwatch_provision::inspect::certificates::validity;
use hearthwatch_provision::signer::client::SignerClient;
use hearthwatch_store::sqlite::{Contents, contents};
use jiff::Timestamp;

use crate::aggregator::DATABASE_FILE;
use crate::config::{Config, MqttConfig};
use crate::data_lock::{DataLock, DataLockError};
use crate::health_check;

/// How long the signer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Name of the file that is written for a trial.
const TRIAL: &str = ".doctor";

/// Everything that was seen.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// When, Unix seconds.
    pub now: i64,
    /// Why nothing can be written into the data directory; none if it can.
    pub unwritable: Option<String>,
    /// Share of the data directory's disk that is free, 0 to 1; none if that is not known.
    pub free: Option<f64>,
    /// Whether an aggregator has the data directory.
    pub running: bool,
    /// What the database holds, or why it cannot be read; none if there is none yet.
    pub database: Option<Result<Contents, String>>,
    /// Version of the schema that this program writes.
    pub schema_known: u32,
    /// Admin tokens in force; none without a database.
    pub admins: Option<usize>,
    /// Certificates with the end of their life, Unix seconds; none where a file cannot be read.
    pub certificates: Vec<(PathBuf, Option<i64>)>,
    /// Why the broker cannot be reached; none if it can, or none is configured.
    pub broker: Option<Result<String, String>>,
    /// Why nobody answers where the aggregator listens, or, if it does not run, why it could not listen.
    pub http: Option<Result<(), String>>,
    /// Why the signer does not answer; none if it does, or none is configured.
    pub signer: Option<Result<(), String>>,
    /// When metadata of the repository expires, Unix seconds, by role.
    pub metadata: BTreeMap<String, i64>,
    /// Whether a repository is configured.
    pub repository: Option<PathBuf>,
    /// Folders in the folder of recorded sets; none if none is configured.
    pub sets: Option<usize>,
}

/// Looks at everything that `config` names. Blocks, for some seconds where something is out of reach.
#[must_use]
pub fn gather(config: &Config, now: i64) -> Facts {
    let running = matches!(DataLock::try_take(&config.data), Err(DataLockError::Taken(_)));
    let database = config.data.join(DATABASE_FILE);
    let database = database.is_file().then(|| contents(&database).map_err(|error| error.to_string()));
    let sets = config.training.corpus.as_deref().map(|folder| {
        let entries =
            std::fs::read_dir(folder).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
        entries.iter().filter(|entry| entry.path().is_dir()).count()
    });
    Facts {
        now,
        unwritable: trial(&config.data).err().map(|error| error.to_string()),
        free: free(&config.data),
        running,
        admins: matches!(database, Some(Ok(_))).then(|| admins(config, now)).flatten(),
        database,
        schema_known: hearthwatch_store::sqlite::SCHEMA,
        certificates: certificates(config),
        broker: config.mqtt.as_ref().map(broker),
        http: config.http.as_ref().map(|_| http(config, running)),
        signer: config.release.as_ref().map(|release| signer(&release.signer_socket)),
        metadata: config.release.as_ref().map(|release| metadata(&release.repository)).unwrap_or_default(),
        repository: config.release.as_ref().map(|release| release.repository.clone()),
        sets,
    }
}

fn trial(data: &Path) -> std::io::Result<()> {
    let file = data.join(TRIAL);
    let written = std::fs::write(&file, [0; 4096]);
    let removed = std::fs::remove_file(&file);
    written.and(removed)
}

fn free(data: &Path) -> Option<f64> {
    let disk = rustix::fs::statvfs(data).ok()?;
    (disk.f_blocks > 0).then(|| disk.f_bavail as f64 / disk.f_blocks as f64)
}

/// Read without a migration: the program may be older than the database.
fn admins(config: &Config, now: i64) -> Option<usize> {
    hearthwatch_store::sqlite::admin_tokens(&config.data.join(DATABASE_FILE), now).ok()
}

fn certificates(config: &Config) -> Vec<(PathBuf, Option<i64>)> {
    let http = config.http.as_ref().and_then(|http| http.tls.as_ref()).map(|tls| tls.cert_file.clone());
    let mqtt = config.mqtt.as_ref().and_then(|mqtt| mqtt.tls.as_ref());
    let mqtt = mqtt.into_iter().flat_map(|tls| [tls.ca_file.clone(), tls.cert_file.clone()]);
    let end = |path: &PathBuf| {
        let pem = std::fs::read_to_string(path).ok()?;
        Some(validity(&pem)?.1)
    };
    http.into_iter().chain(mqtt).map(|path| (path.clone(), end(&path))).collect()
}

/// Where the broker was reached, or why not.
fn broker(mqtt: &MqttConfig) -> Result<String, String> {
    let tls = mqtt.tls.as_ref().map(|tls| TlsFiles {
        ca: tls.ca_file.clone(),
        cert: Some(tls.cert_file.clone()),
        key: Some(tls.key_file.clone()),
    });
    hearthwatch_link::reach(&mqtt.host, mqtt.port, tls.as_ref()).map(|()| format!("{}:{}", mqtt.host, mqtt.port))
}

/// Asks the running aggregator; of one that does not run, whether it could listen.
fn http(config: &Config, running: bool) -> Result<(), String> {
    let Some(http) = &config.http else { return Ok(()) };
    if !running {
        return TcpListener::bind(http.listen).map(drop).map_err(|error| format!("{}: {error}", http.listen));
    }
    let authority = config.mqtt.as_ref().and_then(|mqtt| mqtt.tls.as_ref()).map(|tls| tls.ca_file.as_path());
    let asked = on_runtime(health_check::ask(http.listen, authority.filter(|_| http.tls.is_some())));
    asked.and_then(|answer| answer.map_err(|error| format!("{error:#}")))
}

fn signer(socket: &Path) -> Result<(), String> {
    let client = SignerClient::new(socket);
    let asked = on_runtime(async move { tokio::time::timeout(PATIENCE, client.describe()).await });
    match asked? {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

fn on_runtime<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    Ok(runtime.block_on(work))
}

/// When the newest metadata of each role expires.
fn metadata(repository: &Path) -> BTreeMap<String, i64> {
    let mut found: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    let entries = std::fs::read_dir(repository.join("metadata"));
    for entry in entries.map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default() {
        let read = || {
            let bytes = std::fs::read(entry.path()).ok()?;
            let json: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
            let signed = json.get("signed")?;
            let role = signed.get("_type")?.as_str()?.to_owned();
            let expires: Timestamp = signed.get("expires")?.as_str()?.parse().ok()?;
            Some((role, (signed.get("version")?.as_u64()?, expires.as_second())))
        };
        if let Some((role, newest)) = read() {
            let known = found.entry(role).or_insert(newest);
            *known = (*known).max(newest);
        }
    }
    found.into_iter().map(|(role, (_, expires))| (role, expires)).collect()
}
