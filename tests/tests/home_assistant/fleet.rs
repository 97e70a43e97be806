//! A fleet of one home: the real aggregator, broker, signer process and signed repository.
//!
//! Only the learner is a stand-in. Its challenger is the network that ships with stricter thresholds, and it lets it through: no gate
//! promotes what one home's answer taught, and what is looked at here is what becomes of a promotion.

use std::path::Path;
use std::sync::Arc;

use hearthwatch_detector::alarm::Calibration;
use hearthwatch_detector::network::{Artifact, ArtifactParts};
use hearthwatch_emulator::demo::Stage;
use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_provision::claims::Claims;
use hearthwatch_tests::fleet::enrolling;
use hearthwatch_tests::learner::{Given, shipped};
use hearthwatch_tests::program;

pub struct Fleet {
    stage: Stage,
    home: HomeId,
}

/// By how much the challenger asks for more before it speaks, in units of the score: another model, and so near to the shipped
/// one that it finds the home's synthetic faults at every hour of the day, else the home refuses it.
const STRICTER: f32 = 0.05;

fn stricter() -> Artifact {
    let shipped = shipped();
    let stricter = |calibration: &Calibration| {
        let mut calibration = calibration.clone();
        for curve in calibration.classes.values_mut().chain([&mut calibration.fallback]) {
            curve.points.iter_mut().for_each(|(_, threshold)| *threshold += STRICTER);
        }
        calibration
    };
    let parts = ArtifactParts {
        weights: shipped.weights().clone(),
        calibration: stricter(shipped.calibration()),
        blend: shipped.blend().clone(),
        baseline: stricter(shipped.baseline_calibration()),
        training: shipped.manifest().training.clone(),
        lineage: shipped.manifest().lineage.clone(),
    };
    Artifact::new(parts).unwrap()
}

impl Fleet {
    /// Starts everything in `folder`, with one home in it.
    pub async fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let home = HomeId::new("home-7").unwrap();
        let now = jiff::Timestamp::now().as_second();
        let emulator = program("hearthwatch-emulator");
        let homes = std::slice::from_ref(&home);
        let stage = Stage::build(&emulator, folder, homes, Arc::new(Given(Some(stricter()))), 1, now).await.unwrap();
        Self { stage, home }
    }

    /// What the home's configuration says of it: no watching beside the old model and no trial, there is no day to wait.
    pub fn configuration(&self) -> String {
        let files = self.stage.layout.home(&self.home);
        let (ca, url) = (files.ca(), &self.stage.url);
        format!(
            "[cloud]\nhome = \"{}\"\n[cloud.mqtt]\nhost = \"localhost\"\nport = {}\nca_file = {ca:?}\ncert_file = {:?}\n\
             key_file = {:?}\n[cloud.updates]\nurl = \"{url}/tuf/\"\nca_file = {ca:?}\nroot_file = {:?}\n\
             director_file = {:?}\nshadow_hours = 0\nprobation_hours = 0\n",
            self.home,
            self.stage.broker.port(),
            files.cert(),
            files.key(),
            files.tuf_root(),
            files.director(),
        )
    }

    /// A claim token that the home may use at each start.
    pub fn reusable_claim(&self) -> String {
        let claims = Claims::at(self.stage.layout.claims());
        claims.issue_reusable(&self.home, jiff::Timestamp::now()).unwrap().reveal().to_owned()
    }

    /// The same for a home without a disk, which enrols with the token in the file `claim`; with `away` at these ports for HTTPS and
    /// MQTT, where nobody answers.
    pub fn enrolling(&self, claim: &str, away: Option<(u16, u16)>) -> String {
        let (ca, mqtt) = (self.stage.layout.ca_cert(), away.map_or(self.stage.broker.port(), |(_, mqtt)| mqtt));
        let url = away.map_or_else(|| self.stage.url.clone(), |(http, _)| format!("https://localhost:{http}"));
        enrolling(&self.home, &ca, Path::new(claim), &url, mqtt)
    }

    /// What stands between the agent and the others in its topics.
    pub fn node(&self) -> &str {
        self.home.as_str()
    }

    /// Rows of answers that the aggregator's store holds.
    pub fn answers(&self) -> u32 {
        let database = self.stage.aggregator.config().data.join(hearthwatch_cloud::aggregator::DATABASE_FILE);
        let store = rusqlite::Connection::open(database).unwrap();
        store.query_row("SELECT count(*) FROM feedback", [], |row| row.get(0)).unwrap()
    }

    /// Retrains, judges, signs and releases; the version that is in charge of the fleet then.
    pub async fn promote(&self) -> ModelVersion {
        self.stage.clock.set(jiff::Timestamp::now().as_second());
        self.stage.aggregator.retrain_now().await.unwrap();
        self.stage.aggregator.state().store.champion().unwrap().expect("the gate let it through").version
    }

    pub async fn end(self) {
        self.stage.strike().await;
    }
}
