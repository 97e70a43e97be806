//! A client of the test repository.

use hearthwatch_mirror::TestRepository;
use jiff::Timestamp;

use crate::fetch::{Patience, UpdateTransport};
use crate::trust::{TrustError, TrustStore, Verified};

/// A home that trusts the repository's root.
pub trait Client {
    fn trust(&self) -> TrustStore;
    async fn refresh(&self) -> Result<Verified, TrustError>;
}

impl Client for TestRepository {
    fn trust(&self) -> TrustStore {
        TrustStore {
            root: self.root.clone(),
            metadata: self.url().join("metadata/").unwrap(),
            targets: self.url().join("targets/").unwrap(),
            directory: self.directory.path().join("client/tuf"),
        }
    }

    async fn refresh(&self) -> Result<Verified, TrustError> {
        let trust = self.trust();
        let partial = self.directory.path().join("client/partial");
        let transport = UpdateTransport::new(None, trust.targets.clone(), partial, Patience::default());
        trust.refresh(transport, Timestamp::now().as_second()).await
    }
}
