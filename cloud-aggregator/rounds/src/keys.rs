//! The keys that were certified for homes, read anew only when the ledger's files have changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::seal::PublicKey;
use hearthwatch_provision::Layout;
use hearthwatch_provision::ledger::Ledger;

/// By what a change of the ledger is seen: it is only ever appended to.
type Stamp = [Option<(u64, SystemTime)>; 2];

/// Keys by home.
type Keys = BTreeMap<HomeId, Vec<PublicKey>>;

/// Which keys were certified for which home.
pub struct CertifiedKeys {
    source: Source,
    read: Mutex<Option<(Stamp, Keys)>>,
}

enum Source {
    Ledger { ledger: Ledger, files: [PathBuf; 2] },
    Given(Keys),
}

impl CertifiedKeys {
    /// Those of the ledger of an installation; without one no home has any, and nothing of it is believed.
    #[must_use]
    pub fn of(installation: Option<&Path>) -> Self {
        let source = installation.map_or_else(
            || Source::Given(BTreeMap::new()),
            |directory| {
                let layout = Layout::new(directory);
                let ledger = Ledger::of(&layout);
                let files = [layout.issued(), layout.revoked()];
                Source::Ledger { ledger, files }
            },
        );
        Self { source, read: Mutex::new(None) }
    }

    /// These, for programs that keep no ledger.
    #[must_use]
    pub fn given(keys: BTreeMap<HomeId, Vec<PublicKey>>) -> Self {
        Self { source: Source::Given(keys), read: Mutex::new(None) }
    }

    /// The keys of `home`. A ledger that cannot be read gives none, and is named in the log.
    #[must_use]
    pub fn of_home(&self, home: &HomeId) -> Vec<PublicKey> {
        let (ledger, files) = match &self.source {
            Source::Given(keys) => return keys.get(home).cloned().unwrap_or_default(),
            Source::Ledger { ledger, files } => (ledger, files),
        };
        let stamp = files.each_ref().map(|file| {
            let metadata = std::fs::metadata(file).ok()?;
            Some((metadata.len(), metadata.modified().ok()?))
        });
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.as_ref().is_none_or(|(before, _)| *before != stamp) {
            match ledger.keys() {
                Ok(keys) => *read = Some((stamp, keys)),
                Err(error) => {
                    tracing::error!(%error, "the ledger of keys cannot be read: no answer of a round is believed");
                    return Vec::new();
                }
            }
        }
        read.as_ref().and_then(|(_, keys)| keys.get(home).cloned()).unwrap_or_default()
    }
}
