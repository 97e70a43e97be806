//! What the fleet's side is made of, from the configuration and the files that it names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hearthwatch_detector::detector::{Model, SHIPPED_VERSION};
use hearthwatch_edge_cloud::uplink::{self, UplinkConfig};
use hearthwatch_edge_update::{DirectorConfig, ModelProof, Step, Updater, UpdaterConfig};
use hearthwatch_link::{LinkConfig, TlsFiles};
use hearthwatch_protocol::seal::{PublicKey, trusted_keys};
use hearthwatch_protocol::{HomeId, ModelVersion};

use super::super::unix_now;
use super::super::wiring::StartError;
use crate::config::{CloudMqttConfig, UpdatesConfig};

/// Largest TUF root or file of keys that is read; an honest root has about 4 KiB.
const TRUSTED_BYTES_MAX: u64 = 64 * 1024;

/// The network that ships where the tree holds one, else the baseline detector.
pub(super) fn own_model() -> Arc<Model> {
    Arc::new(Model::shipped().unwrap_or_else(|error| {
        tracing::info!(reason = %error, "no network ships with this program; the routine detector is in charge");
        Model::baseline()
    }))
}

/// What an updater is made of, once the files that trust begins with are there.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) home: HomeId,
    pub(super) updates: UpdatesConfig,
    /// Folder of slots, TUF metadata and half-fetched files.
    pub(super) directory: PathBuf,
    /// The model inside the program; used where no slot holds one.
    pub(super) own: Arc<Model>,
}

impl Entry {
    /// Opens it, with the model to start with.
    pub(super) fn boot(&self) -> Result<(Updater<ModelProof>, Step<Model>), StartError> {
        let config = updater_config(&self.home, &self.updates, &self.directory)?;
        let own_version = ModelVersion(SHIPPED_VERSION);
        Ok(Updater::boot(config, ModelProof, Arc::clone(&self.own), own_version, unix_now())?)
    }
}

fn updater_config(home: &HomeId, updates: &UpdatesConfig, directory: &Path) -> Result<UpdaterConfig, StartError> {
    let root = read_trusted(&updates.root_file)?;
    let keys = updates.director_file.as_deref().map(directors).transpose()?;
    let director = keys.map(|keys| DirectorConfig { home: home.clone(), keys });
    Ok(UpdaterConfig {
        url: updates.url.clone(),
        ca: updates.ca_file.clone(),
        root,
        directory: directory.to_owned(),
        director,
        watching: updates.watching,
        policy: updates.policy,
    })
}

/// The director's keys, from their file.
pub(in crate::run) fn directors(path: &Path) -> Result<Vec<PublicKey>, StartError> {
    let bad = |cause: String| StartError::Trusted { path: path.to_owned(), source: std::io::Error::other(cause) };
    let text = String::from_utf8(read_trusted(path)?).map_err(|error| bad(error.to_string()))?;
    trusted_keys(&text).map_err(|error| bad(error.to_string()))
}

/// A small file that trust begins with.
fn read_trusted(path: &Path) -> Result<Vec<u8>, StartError> {
    let read = || -> std::io::Result<Vec<u8>> {
        use std::io::Read;
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(TRUSTED_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|source| StartError::Trusted { path: path.to_owned(), source })
}

pub(in crate::run) fn uplink_config(home: &HomeId, mqtt: &CloudMqttConfig, directed: bool, seed: u64) -> UplinkConfig {
    let tls =
        TlsFiles { ca: mqtt.ca_file.clone(), cert: Some(mqtt.cert_file.clone()), key: Some(mqtt.key_file.clone()) };
    UplinkConfig {
        home: home.clone(),
        link: LinkConfig { tls: Some(tls), ..LinkConfig::new(mqtt.host.clone(), mqtt.port, home.as_str()) },
        directed,
        resend: uplink::RESEND,
        clock: Arc::new(unix_now),
        seed,
    }
}
