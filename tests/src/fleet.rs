//! A fleet in this process, with one home that has no disk.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use hearthwatch_emulator::demo::Stage;
use hearthwatch_protocol::HomeId;
use hearthwatch_provision::claims::{ClaimToken, Claims};
use jiff::Timestamp;

use crate::learner::Given;
use crate::program;

/// A fleet with one home, which has a token that may be used again.
pub struct Fleet {
    /// All but the home.
    pub stage: Stage,
    /// What the home enrols with at each start.
    pub token: ClaimToken,
    /// Its name, of this process alone: two runs on one machine share its memory.
    pub home: HomeId,
    folder: tempfile::TempDir,
}

impl Fleet {
    /// Starts broker, aggregator, signer process and pages for a home whose name begins with `name`.
    ///
    /// # Errors
    /// The part that did not start.
    pub async fn of(name: &str) -> anyhow::Result<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir()?;
        let home = HomeId::new(format!("{name}-{}", std::process::id()))?;
        let now = Timestamp::now();
        let homes = std::slice::from_ref(&home);
        let emulator = program("hearthwatch-emulator");
        let stage = Stage::build(&emulator, folder.path(), homes, Arc::new(Given(None)), 1, now.as_second()).await?;
        let token = Claims::at(stage.layout.claims()).issue_reusable(&home, now)?;
        std::fs::write(folder.path().join("claim"), token.reveal())?;
        Ok(Self { stage, token, home, folder })
    }

    /// What the home's configuration says of it, where its servers are at these ports.
    #[must_use]
    pub fn tables(&self, http: u16, mqtt: u16) -> String {
        let (ca, claim) = (self.stage.layout.ca_cert(), self.folder.path().join("claim"));
        enrolling(&self.home, &ca, &claim, &format!("https://localhost:{http}"), mqtt)
    }

    /// Where it serves HTTPS.
    ///
    /// # Errors
    /// When its address names no port.
    pub fn http_port(&self) -> anyhow::Result<u16> {
        let port = self.stage.url.rsplit(':').next().context("a port")?;
        Ok(port.trim_end_matches('/').parse()?)
    }

    /// Where its broker listens.
    #[must_use]
    pub fn mqtt_port(&self) -> u16 {
        self.stage.broker.port()
    }
}

/// What the configuration of a home without a disk says of its fleet, whose pages are at `url` and whose broker listens at the port `mqtt`
/// of this machine; the home enrols with the token in the file `claim`.
#[must_use]
pub fn enrolling(home: &HomeId, ca: &Path, claim: &Path, url: &str, mqtt: u16) -> String {
    format!(
        "[cloud]\nhome = \"{home}\"\n[cloud.enrol]\nurl = \"{url}\"\nca_file = {ca:?}\ntoken_file = {claim:?}\n\
         [cloud.mqtt]\nhost = \"localhost\"\nport = {mqtt}\n[cloud.updates]\nurl = \"{url}/tuf/\"\nca_file = {ca:?}\n"
    )
}
