//! The director over a store: begins, orders, stops, goes back, and does nothing twice.

use aws_lc_rs::signature::Ed25519KeyPair;
use hearthwatch_protocol::messages::{UpdateOutcome, UpdateResult};
use hearthwatch_store::clock::ManualClock;
use hearthwatch_store::{IngestBatch, fixtures};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::fixtures::{NOW, Releaser};
use crate::hook::NoRelease;
use crate::rollout::manual::{Asked, RolloutAction, act};

const HOUR: i64 = 3_600;

fn key() -> SigningKey {
    SigningKey::Ed25519(Box::new(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()))
}

pub(super) struct Stage {
    releaser: Releaser,
    pub director: Director,
}

impl Stage {
    pub fn new(policy: &str, homes: usize) -> Self {
        let releaser = Releaser::new(Arc::new(NoRelease));
        let clock = Arc::new(ManualClock::new(NOW));
        let policy = Policy::named(policy).unwrap();
        let director = Director::new(releaser.store.clone(), releaser.metrics.clone(), clock, key(), policy, None);
        for index in 0..homes {
            releaser.store.enrol_home(&home(index), NOW).unwrap();
        }
        Self { releaser, director }
    }

    /// The same, with a first release on its way.
    pub fn released(policy: &str, homes: usize) -> Self {
        let stage = Self::new(policy, homes);
        stage.release(1);
        stage.work(0);
        stage
    }

    pub fn store(&self) -> &dyn Store {
        self.releaser.store.as_ref()
    }

    pub fn release(&self, version: u64) {
        let sha256 = hex::encode(Sha256::digest(format!("model {version}")));
        let model = self.store().add_model(&fixtures::model(&format!("run-{version}"), &sha256)).unwrap();
        assert_eq!(model.version.0, version);
        let row = fixtures::release(model.version, &sha256);
        self.store().put_release(&row).unwrap();
    }

    pub fn work(&self, hours: i64) {
        self.director.work(self.store(), NOW + hours * HOUR).unwrap();
    }

    fn orders(&self) -> Vec<Assignment> {
        let rows = self.store().assignments().unwrap();
        rows.iter().map(|row| row.signed.read(&[key().public()]).unwrap()).collect()
    }

    fn ended(&self, version: u64, result: &UpdateResult, hours: i64) {
        let (model_version, at) = (ModelVersion(version), NOW + hours * HOUR);
        let outcome = UpdateOutcome { model_version, stage: None, result: result.clone(), at };
        let orders = self.store().assignments().unwrap();
        let of = orders.into_iter().filter(|row| row.model_version.0 == version);
        let outcomes = of.map(|row| (row.home, outcome.clone())).collect();
        self.store().apply(&IngestBatch { outcomes, at: NOW + hours * HOUR, ..IngestBatch::default() }).unwrap();
    }

    fn action(&self, version: u64, action: RolloutAction, reason: &str, now: i64) {
        act(&self.director, self.store(), &asked(version, action, reason, now)).unwrap();
    }

    pub fn state(&self, version: u64) -> RolloutState {
        let rows = self.store().rollouts(None, 0).unwrap();
        rows.into_iter().find(|row| row.model_version.0 == version).unwrap().state
    }
}

pub(super) fn asked(version: u64, action: RolloutAction, reason: &str, now: i64) -> Asked<'_> {
    let (version, actor) = (ModelVersion(version), Actor::Token("kim".to_owned()));
    Asked { version, action, reason, actor, row_version: None, now }
}

fn home(index: usize) -> HomeId {
    HomeId::new(format!("home-{index}")).unwrap()
}

#[test]
fn an_immediate_release_orders_every_home_once_and_completes() {
    let stage = Stage::released("immediate", 5);
    let orders = stage.orders();
    assert_eq!(orders.len(), 5);
    assert!(orders.iter().all(|order| order.generation == 1 && order.model_version.0 == 1));
    assert_eq!(stage.state(1), RolloutState::Complete);
    stage.work(1);
    assert_eq!(stage.orders(), orders, "nothing new is said twice");
}

#[test]
fn a_home_that_comes_later_gets_what_all_have() {
    let stage = Stage::released("immediate", 2);
    stage.store().enrol_home(&home(9), NOW).unwrap();
    stage.work(1);
    assert_eq!(stage.orders().len(), 3);
}

#[test]
fn the_next_release_supersedes_and_generations_rise() {
    let stage = Stage::released("immediate", 2);
    stage.release(2);
    stage.work(1);
    assert_eq!(stage.state(1), RolloutState::Superseded);
    assert!(stage.orders().iter().all(|order| order.generation == 2 && order.model_version.0 == 2));
}

#[test]
fn waves_open_by_time_and_reports_and_a_pause_holds_them() {
    let stage = Stage::released("staged", 50);
    assert_eq!(stage.orders().len(), 1, "two percent of fifty");
    stage.work(72);
    assert_eq!(stage.orders().len(), 1, "the canary has not told yet");
    stage.ended(1, &UpdateResult::Installed, 72);
    stage.action(1, RolloutAction::Pause, "look", NOW + 73 * HOUR);
    stage.work(80);
    assert_eq!(stage.orders().len(), 1, "paused");
    stage.action(1, RolloutAction::Resume, "fine", NOW + 83 * HOUR);
    stage.work(84);
    assert_eq!(stage.orders().len(), 5);
    stage.action(1, RolloutAction::Promote, "all", NOW + 85 * HOUR);
    stage.work(86);
    assert_eq!(stage.orders().len(), 50);
}

#[test]
fn a_release_that_does_not_install_stops_and_its_homes_are_ordered_back() {
    let stage = Stage::released("staged", 300);
    stage.action(1, RolloutAction::Promote, "first", NOW);
    stage.work(0);
    stage.release(2);
    stage.work(1);
    let fault_checks = stage.orders().iter().filter(|order| order.model_version.0 == 2).count();
    assert_eq!(fault_checks, 6);
    stage.ended(2, &UpdateResult::Refused { reason: "golden vectors differ".to_owned() }, 2);
    stage.work(3);
    assert_eq!(stage.state(2), RolloutState::RolledBack);
    let orders = stage.orders();
    assert!(orders.iter().all(|order| order.model_version.0 == 1));
    assert_eq!(orders.iter().filter(|order| order.order == Order::RollBack).count(), fault_checks);
    assert_eq!(stage.store().champion().unwrap().unwrap().version, ModelVersion(1));
    let line = &stage.store().audit(None, 1).unwrap()[0];
    assert_eq!((&line.actor, line.action.as_str()), (&Actor::System, "rollout.rolled_back"));
    stage.work(4);
    assert_eq!(stage.orders(), orders, "going back is done once");
}

#[test]
fn an_order_that_is_half_over_is_renewed_with_a_new_nonce() {
    let stage = Stage::released("immediate", 1);
    stage.work(8 * 24);
    let rows = stage.store().assignment_history().unwrap();
    assert_eq!(rows.len(), 2);
    assert_ne!(rows[0].nonce, rows[1].nonce);
}

#[test]
fn a_generation_that_does_not_rise_is_not_stored() {
    let stage = Stage::released("immediate", 1);
    let row = stage.store().assignments().unwrap().remove(0);
    let rollout = stage.store().rollout(ModelVersion(1)).unwrap().unwrap();
    let refused = stage.store().add_assignments(&rollout, &[row]).unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { table: "assignments", .. }), "{refused}");
}

#[test]
fn a_home_that_tells_its_end_without_end_hides_nobody_elses() {
    let stage = Stage::released("immediate", 40);
    let failed = UpdateResult::RolledBack { reason: "deaf".to_owned(), to: ModelVersion(0) };
    stage.ended(1, &failed, 1);
    let before = stage.director.look(stage.store(), ModelVersion(1)).unwrap().unwrap();
    let flood = |number| (home(0), UpdateOutcome::installed(ModelVersion(1), NOW + 2 * HOUR + number));
    let outcomes: Vec<_> = (0..5_000).map(flood).collect();
    stage.store().apply(&IngestBatch { outcomes, at: NOW + 2 * HOUR, ..IngestBatch::default() }).unwrap();
    let after = stage.director.look(stage.store(), ModelVersion(1)).unwrap().unwrap();
    assert_eq!((before.evidence.failed, after.evidence.failed, after.evidence.installed), (40, 39, 1));
    assert_eq!((after.reported, stage.store().outcomes(Some(ModelVersion(1)), 0).unwrap().len()), (40, 40));
    assert!(after.findings[0].alarms());
}
