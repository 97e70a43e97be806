//! The manifest: what this home runs, signed with the key of its certificate.

use std::path::PathBuf;

use hearthwatch_edge_detection::service::Tally;
use hearthwatch_edge_update::watch::Watch;
use hearthwatch_protocol::manifest::{Manifest, SignedManifest, Vitals};
use hearthwatch_protocol::seal::SigningKey;
use hearthwatch_protocol::statement::{Statement as _, StatementRefusal};
use hearthwatch_protocol::{HomeId, ModelVersion};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::config::CloudConfig;

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignError {
    /// The key's file.
    #[error("{path}: {cause}")]
    Key {
        /// File of the key.
        path: PathBuf,
        /// One line.
        cause: String,
    },
    /// A value of the manifest is out of its bounds.
    #[error(transparent)]
    Manifest(#[from] StatementRefusal),
}

/// What a manifest states besides how the model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    /// Generation and nonce of the assignment that is followed.
    pub assignment: Option<(u64, [u8; 16])>,
    /// The version in use.
    pub model_version: ModelVersion,
    /// Hash of its artifact; zeros for the program's own.
    pub sha256: [u8; 32],
}

/// Signs manifests with the home's key, read anew each time: certificates are renewed while the agent runs.
#[derive(Debug)]
pub(super) struct Signer {
    home: HomeId,
    key_file: PathBuf,
    published: Option<Facts>,
}

impl Signer {
    /// The signer of this home; none when it has no way to the fleet's broker.
    pub fn of(cloud: &CloudConfig) -> Option<Self> {
        let mqtt = cloud.mqtt.as_ref()?;
        Some(Self { home: cloud.home.clone(), key_file: mqtt.key_file.clone(), published: None })
    }

    /// Whether this differs from what was signed last.
    pub fn is_news(&self, facts: &Facts) -> bool {
        self.published.as_ref() != Some(facts)
    }

    /// Signs.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&mut self, facts: Facts, vitals: Option<Vitals>, now: i64) -> Result<SignedManifest, SignError> {
        // The key is read on the worker: 300 bytes, once a day and after each change of the model.
        let bad = |cause: String| SignError::Key { path: self.key_file.clone(), cause };
        let key = match PrivateKeyDer::from_pem_file(&self.key_file).map_err(|error| bad(error.to_string()))? {
            PrivateKeyDer::Pkcs8(der) => SigningKey::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(bad("is no PKCS#8 key".to_owned())),
        };
        let key = key.map_err(|error| bad(error.to_string()))?;
        let (generation, nonce) = facts.assignment.unwrap_or_default();
        let manifest = Manifest {
            home: self.home.clone(),
            nonce,
            generation,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            model_version: facts.model_version,
            sha256: facts.sha256,
            at: now,
            vitals,
        };
        let signed = manifest.sign(&key)?;
        self.published = Some(facts);
        Ok(signed)
    }
}

/// How the model in charge does, from the residents' answers and from the newest watch; none for the program's own model.
pub(super) fn vitals(tally: Tally, watch: &Watch, since: i64, now: i64) -> Option<Vitals> {
    (since > 0 && since <= now).then_some(Vitals {
        since,
        until: now,
        alarms: tally.alarms,
        confirmed: tally.confirmed,
        dismissed: tally.dismissed,
        fault_checks: watch.fault_checks,
        caught: watch.caught,
        caught_before: watch.caught_before,
        compared: watch.compared,
        disagreed: watch.disagreed,
    })
}
