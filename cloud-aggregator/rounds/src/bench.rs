//! A fleet for this crate's tests: a store, homes with keys, and a director whose trainer takes no time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_federation::{ClassCounts, Delta, Histogram, HomeCounts, Quantised};
use hearthwatch_ingest::RoundIntake as _;
use hearthwatch_protocol::messages::{RoundPart, RoundReceipt, RoundState};
use hearthwatch_protocol::round::{ClassCount, DeclineReason, RoundAnswer, RoundFile, RoundOffer, RoundResult};
use hearthwatch_protocol::seal::SigningKey;
use hearthwatch_protocol::statement::Statement as _;
use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_store::artifact_store::ArtifactStore;
use hearthwatch_store::clock::ManualClock;
use hearthwatch_store::fixtures::{home, release};
use hearthwatch_store::release::{ReleaseError, Releases};
use hearthwatch_store::rounds::{RoundHomeRow, RoundRow, RoundStage, RoundStore as _};
use hearthwatch_store::{ReleaseRow, SqliteStore, Store};
use hearthwatch_telemetry::metrics::Metrics;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::cohort::is_evaluator;
use crate::config::RoundsConfig;
use crate::director::{Parts, RoundDirector};
use crate::files::RoundFiles;
use crate::fixtures::{StubTrainer, key};
use crate::intake::AnswerIntake;
use crate::keys::CertifiedKeys;
use crate::strategies::StrategyName;

/// The time at which tests begin.
pub const NOW: i64 = 1_767_225_600;

/// Share of homes that evaluate.
const SHARE: f64 = 0.3;

/// Lets nothing out; the tests look at what was promoted.
struct Nothing;

#[async_trait]
impl Releases for Nothing {
    async fn release(&self, version: ModelVersion, _: &str) -> Result<ReleaseRow, ReleaseError> {
        Ok(release(version, "aa"))
    }

    async fn release_pending(&self, _: &str) -> Result<Option<ReleaseRow>, ReleaseError> {
        Ok(None)
    }
}

pub struct Bench {
    pub directory: tempfile::TempDir,
    pub store: Arc<SqliteStore>,
    pub intake: AnswerIntake,
    pub director: RoundDirector,
    pub clock: Arc<ManualClock>,
    pub config: RoundsConfig,
    /// Homes that train, by name.
    pub train: Vec<HomeId>,
    /// Homes that evaluate, by name.
    pub evaluators: Vec<HomeId>,
    pub promoted: Mutex<Vec<ModelVersion>>,
    keys: BTreeMap<HomeId, u8>,
}

pub fn config() -> RoundsConfig {
    RoundsConfig {
        enabled: true,
        interval_hours: 1,
        deadline_minutes: 60,
        evaluate_minutes: 60,
        least: 3,
        least_evaluators: 2,
        evaluator_share: SHARE,
        strategy: StrategyName::Mean,
        ..RoundsConfig::default()
    }
}

impl Bench {
    /// Four homes that train and five that evaluate, all willing.
    pub fn new() -> Self {
        Self::with(config(), StubTrainer::default())
    }

    pub fn with(config: RoundsConfig, trainer: StubTrainer) -> Self {
        Self::with_homes(config, trainer, 4)
    }

    /// So many homes that train and five that evaluate.
    pub fn with_homes(config: RoundsConfig, trainer: StubTrainer, count: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let named: Vec<HomeId> = (0..40).map(|number| home(&format!("home-{number:02}"))).collect();
        let (evaluators, train): (Vec<HomeId>, Vec<HomeId>) =
            named.into_iter().partition(|home| is_evaluator(home, SHARE));
        let (train, evaluators) = (train[..count].to_vec(), evaluators[..5].to_vec());
        let keys = (1..).zip(train.iter().chain(&evaluators)).map(|(seed, home)| (home.clone(), seed)).collect();
        let clock = Arc::new(ManualClock::new(NOW));
        let (store, intake, director) = open(&directory, &keys, &clock, &config, trainer);
        let promoted = Mutex::default();
        let bench = Self { directory, store, intake, director, clock, config, train, evaluators, promoted, keys };
        for name in bench.keys.keys() {
            bench.store.enrol_home(name, NOW).unwrap();
            bench.offer(name, true);
        }
        bench
    }

    /// The process ended, and another one starts on the same files.
    pub fn restart(self) -> Self {
        self.restart_with(StubTrainer::default())
    }

    pub fn restart_with(self, trainer: StubTrainer) -> Self {
        let Self { directory, clock, config, train, evaluators, promoted, keys, .. } = self;
        let (store, intake, director) = open(&directory, &keys, &clock, &config, trainer);
        Self { directory, store, intake, director, clock, config, train, evaluators, promoted, keys }
    }

    fn key(&self, home: &HomeId) -> SigningKey {
        key(self.keys[home])
    }

    /// Minutes after [`NOW`].
    pub fn at(&self, minutes: i64) {
        self.clock.set(NOW + minutes * 60);
    }

    pub fn now(&self) -> i64 {
        use hearthwatch_store::clock::Clock as _;
        self.clock.now()
    }

    /// Lets the director look.
    pub fn work(&self) {
        let promoted = self.director.work(self.store.as_ref(), self.now()).unwrap();
        self.promoted.lock().unwrap().extend(promoted);
    }

    pub fn round(&self, number: u64) -> RoundRow {
        self.store.round(number).unwrap().unwrap()
    }

    pub fn stage(&self) -> Option<RoundStage> {
        self.store.rounds(None, 1).unwrap().pop().map(|round| round.stage)
    }

    /// The home's part in its newest round.
    pub fn part(&self, home: &HomeId) -> RoundHomeRow {
        self.store.newest_round_home(home).unwrap().unwrap()
    }

    pub fn offer(&self, home: &HomeId, willing: bool) {
        let classes = vec![ClassCount { class: "temperature".to_owned(), entities: 8 }];
        let masks = self.config.masks.is_some();
        self.say_offer(&RoundOffer { home: home.clone(), willing, classes, at: self.now(), masks });
    }

    pub fn say_offer(&self, offer: &RoundOffer) {
        let home = &offer.home;
        self.intake.offer(self.store.as_ref(), home, &offer.sign(&self.key(home)).unwrap()).unwrap();
    }

    /// The home's answer to its plan with this body, in parts.
    pub fn parts(&self, home: &HomeId, result: RoundResult, body: &[u8]) -> Vec<RoundPart> {
        let row = self.part(home);
        let answer = RoundAnswer { home: home.clone(), round: row.round, nonce: row.nonce, result, at: self.now() };
        RoundPart::cut(&answer.sign(&self.key(home)).unwrap(), body)
    }

    pub fn say(&self, home: &HomeId, part: &RoundPart) -> RoundReceipt {
        self.intake.part(self.store.as_ref(), home, part).unwrap()
    }

    /// Says all parts; what the home is told after the last.
    pub fn say_all(&self, home: &HomeId, parts: &[RoundPart]) -> RoundReceipt {
        parts.iter().map(|part| self.say(home, part)).last().unwrap()
    }

    pub fn send_delta(&self, home: &HomeId) -> RoundReceipt {
        let body = delta_body(u64::from(self.keys[home]), 5e-4);
        let parts = self.parts(home, RoundResult::Delta(RoundFile::of(&body)), &body);
        self.say_all(home, &parts)
    }

    /// Sends this delta, whatever it is.
    pub fn send(&self, home: &HomeId, delta: &Delta) -> RoundReceipt {
        let body = Quantised::of(delta).to_bytes().unwrap();
        let parts = self.parts(home, RoundResult::Delta(RoundFile::of(&body)), &body);
        self.say_all(home, &parts)
    }

    pub fn send_counts(&self, home: &HomeId, found: [usize; 3]) -> RoundReceipt {
        let body = HomeCounts { models: found.map(counts).to_vec() }.to_bytes().unwrap();
        let parts = self.parts(home, RoundResult::Counts(RoundFile::of(&body)), &body);
        self.say_all(home, &parts)
    }

    /// All homes that train send their delta.
    pub fn send_deltas(&self) {
        self.train.iter().for_each(|home| assert_eq!(self.send_delta(home).state, RoundState::Taken));
    }

    /// All homes that evaluate find the same.
    pub fn send_all_counts(&self, found: [usize; 3]) {
        self.evaluators.iter().for_each(|home| assert_eq!(self.send_counts(home, found).state, RoundState::Taken));
    }

    /// All homes that train decline.
    pub fn decline_all(&self) {
        self.train.iter().for_each(|home| assert_eq!(self.decline(home).state, RoundState::Taken));
    }

    pub fn decline(&self, home: &HomeId) -> RoundReceipt {
        let parts = self.parts(home, RoundResult::Declined(DeclineReason::NoTime), &[]);
        self.say_all(home, &parts)
    }
}

fn open(
    directory: &tempfile::TempDir,
    keys: &BTreeMap<HomeId, u8>,
    clock: &Arc<ManualClock>,
    config: &RoundsConfig,
    trainer: StubTrainer,
) -> (Arc<SqliteStore>, AnswerIntake, RoundDirector) {
    let store = Arc::new(SqliteStore::open(&directory.path().join("aggregator.db")).unwrap());
    let metrics = Arc::new(Metrics::new());
    let certified = keys.iter().map(|(home, seed)| (home.clone(), vec![key(*seed).public()])).collect();
    let intake = AnswerIntake::new(Arc::new(CertifiedKeys::given(certified)), clock.clone(), Arc::clone(&metrics));
    let parts = Parts {
        store: store.clone(),
        metrics,
        clock: clock.clone(),
        key: Arc::new(key(200)),
        trainer: Arc::new(trainer),
        files: RoundFiles::new(ArtifactStore::new(directory.path()), &directory.path().join("repository")),
        releases: Arc::new(Nothing),
        wake: intake.wake(),
    };
    (store, intake, RoundDirector::new(parts, config.clone()))
}

/// A delta of independent values with this deviation, as it travels; 29,798 of them at 5e-4 have norm .086.
pub fn delta_body(seed: u64, deviation: f64) -> Vec<u8> {
    let delta = Delta::zero().noised(deviation, &mut ChaCha8Rng::seed_from_u64(seed));
    Quantised::of(&delta).to_bytes().unwrap()
}

/// Clean days score 1, and so many of 20 faults score 9; the others score as days do.
pub fn counts(found: usize) -> BTreeMap<DeviceClass, ClassCounts> {
    let (mut days, mut faults) = (Histogram::default(), Histogram::default());
    (0..112).for_each(|_| days.add(1.0));
    days.add(4.0);
    (0..20).for_each(|fault| faults.add(if fault < found { 9.0 } else { 0.1 }));
    BTreeMap::from([(DeviceClass::Temperature, ClassCounts { days, faults })])
}
