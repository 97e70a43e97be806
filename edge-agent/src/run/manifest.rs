//! The manifest: what this home runs, signed with the key of its certificate.

use std::path::PathBuf;

use hearthwatch_edge_cloud::identity::sign::{SignError, sign};
use hearthwatch_edge_detection::service::Tally;
use hearthwatch_edge_update::watch::Watch;
use hearthwatch_protocol::manifest::{Manifest, SignedManifest, Vitals};
use hearthwatch_protocol::{HomeId, ModelVersion};

use crate::config::CloudConfig;

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
        let signed = sign(&manifest, &self.key_file)?;
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
