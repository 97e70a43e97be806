//! What only one of them names does not get in: the director's word against the image repository's.

use aws_lc_rs::signature::Ed25519KeyPair;
use hearthwatch_protocol::assignment::{Assignment, AssignmentRefusal, Order, SignedAssignment};
use hearthwatch_protocol::seal::{SealError, SigningKey};
use hearthwatch_protocol::statement::{Statement as _, StatementRefusal};
use hearthwatch_protocol::{HomeId, ModelVersion};
use sha2::{Digest, Sha256};

use super::client::Client;
use super::updates::{HOUR, Home, model};
use crate::director::both_name;
use crate::trust::TrustError;
use crate::{DirectorConfig, Trigger, Watching};

fn key(seed: u8) -> SigningKey {
    SigningKey::Ed25519(Box::new(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()))
}

fn id(name: &str) -> HomeId {
    HomeId::new(name).unwrap()
}

struct Directed {
    home: Home,
}

impl Directed {
    /// A home that a director watches over, and a mirror with these models.
    async fn new(probation_seconds: i64, models: &[(u64, &str)]) -> Self {
        let mut home = Home::new(0).await;
        home.watching = Watching { shadow_seconds: 0, probation_seconds };
        home.director = Some(DirectorConfig { home: id("home-7"), keys: vec![key(1).public()] });
        home.restart();
        home.repository.publish(1, models).await;
        Self { home }
    }

    fn assignment(&self, generation: u64, version: u64, word: &str) -> Assignment {
        Assignment {
            home: id("home-7"),
            generation,
            order: Order::Install,
            model_version: ModelVersion(version),
            target: format!("model-{version}.safetensors"),
            sha256: Sha256::digest(word).into(),
            length: word.len() as u64,
            not_before: self.home.now - 10,
            expires_at: self.home.now + 86_400,
            nonce: [9; 16],
        }
    }

    async fn assign(&mut self, assignment: &Assignment) -> Option<(u64, String)> {
        self.take(assignment.sign(&key(1)).unwrap()).await
    }

    async fn take(&mut self, signed: SignedAssignment) -> Option<(u64, String)> {
        model(&self.home.on(Trigger::Assigned(signed), 0.0).await)
    }

    async fn listed(&self, version: u64) -> Option<crate::trust::Offer> {
        self.home.repository.refresh().await.unwrap().offer(ModelVersion(version)).unwrap()
    }

    fn refused(&self, reason: &str) -> u64 {
        self.home.updater.counts().get("refused", reason)
    }
}

#[tokio::test]
async fn what_both_name_gets_in_and_a_notice_alone_does_not() {
    let mut directed = Directed::new(0, &[(1, "one"), (2, "two")]).await;
    assert_eq!(model(&directed.home.notice(2).await), None, "nobody has assigned it");
    let assignment = directed.assignment(1, 1, "one");
    assert_eq!(directed.assign(&assignment).await, Some((1, "one".to_owned())), "not the newest: the assigned one");
    assert_eq!(directed.home.updater.assignment(), Some(&assignment));
    assert_eq!(directed.assign(&assignment).await, None, "a broker may repeat itself");
    assert_eq!(model(&directed.home.on(Trigger::Timer, 0.0).await), None);
}

#[tokio::test]
async fn what_only_the_director_names_or_names_otherwise_does_not_get_in() {
    let mut directed = Directed::new(0, &[(1, "one")]).await;
    let other_bytes = directed.assignment(1, 1, "0ne");
    let longer = Assignment { length: 4, ..directed.assignment(2, 1, "one") };
    let renamed = Assignment { target: "model-9.safetensors".to_owned(), ..directed.assignment(3, 1, "one") };
    let unlisted = directed.assignment(4, 7, "seven");
    for (assignment, field) in [(other_bytes, "hash"), (longer, "length"), (renamed, "name")] {
        assert_eq!(directed.assign(&assignment).await, None);
        let error = TrustError::Disagree { target: assignment.target.clone(), field };
        assert_eq!(both_name(&assignment, directed.listed(1).await, directed.home.now), Err(error));
    }
    assert_eq!(directed.assign(&unlisted).await, None);
    assert_eq!((directed.refused("disagree"), directed.refused("not_listed")), (3, 1));
}

#[tokio::test]
async fn each_forgery_has_its_own_refusal_and_changes_nothing() {
    let mut directed = Directed::new(0, &[(1, "one"), (2, "two")]).await;
    directed.assign(&directed.assignment(5, 1, "one")).await.unwrap();
    let good = directed.assignment(6, 2, "two");
    let stranger = good.sign(&key(2)).unwrap();
    let mut cut = good.sign(&key(1)).unwrap().as_bytes().to_vec();
    let last = cut.len() - 1;
    cut[last] ^= 1;
    let reused = Assignment { model_version: ModelVersion(2), ..directed.assignment(5, 2, "two") };
    let sign = |assignment: Assignment| assignment.sign(&key(1)).unwrap();
    let now = directed.home.now;
    let cases = [
        (stranger, "assignment_signature"),
        (SignedAssignment::from_bytes(cut), "assignment_signature"),
        (sign(Assignment { home: id("home-8"), ..good.clone() }), "assignment_other_home"),
        (sign(Assignment { generation: 4, ..good.clone() }), "assignment_replayed"),
        (sign(reused), "assignment_reused"),
        (sign(Assignment { expires_at: now, ..good.clone() }), "assignment_expired"),
    ];
    for (signed, reason) in cases {
        let before = directed.refused(reason);
        assert_eq!(directed.take(signed).await, None, "{reason}");
        assert_eq!(directed.refused(reason), before + 1, "{reason}");
        assert_eq!(directed.home.updater.assignment().unwrap().generation, 5, "{reason}");
    }
    assert_eq!(directed.assign(&good).await, Some((2, "two".to_owned())));
}

#[tokio::test]
async fn a_replay_is_known_after_a_restart() {
    let mut directed = Directed::new(0, &[(1, "one"), (2, "two")]).await;
    let old = directed.assignment(1, 1, "one");
    directed.assign(&old).await;
    directed.assign(&directed.assignment(2, 2, "two")).await.unwrap();
    directed.home.restart();
    assert_eq!(directed.home.updater.assignment().unwrap().generation, 2);
    assert_eq!(directed.assign(&old).await, None);
    assert_eq!(directed.refused("assignment_replayed"), 1);
}

#[tokio::test]
async fn an_early_assignment_waits_for_its_turn_in_the_wave() {
    let mut directed = Directed::new(0, &[(1, "one")]).await;
    let turn = directed.home.now + 120;
    let early = Assignment { not_before: turn, ..directed.assignment(1, 1, "one") };
    assert_eq!(directed.assign(&early).await, None);
    assert!(directed.home.updater.next_check() <= turn);
    directed.home.now = turn;
    assert_eq!(model(&directed.home.on(Trigger::Timer, 0.0).await), Some((1, "one".to_owned())));
}

#[tokio::test]
async fn only_an_order_to_roll_back_leads_down_even_when_the_mirror_no_longer_has_the_bytes() {
    let mut directed = Directed::new(0, &[(1, "one"), (2, "two")]).await;
    directed.assign(&directed.assignment(1, 1, "one")).await.unwrap();
    directed.assign(&directed.assignment(2, 2, "two")).await.unwrap();
    assert_eq!(directed.assign(&directed.assignment(3, 1, "one")).await, None, "an install does not lead down");
    std::fs::remove_file(directed.home.repository.target("model-1.safetensors")).unwrap();
    let order = Assignment { order: Order::RollBack, ..directed.assignment(4, 1, "one") };
    assert_eq!(directed.assign(&order).await, Some((1, "one".to_owned())), "the other slot still holds it");
    assert_eq!(directed.assign(&directed.assignment(5, 2, "two")).await, Some((2, "two".to_owned())), "and up again");
}

#[tokio::test]
async fn a_rollout_that_is_halted_takes_back_what_is_on_trial() {
    let mut directed = Directed::new(HOUR, &[(1, "one"), (2, "two")]).await;
    directed.assign(&directed.assignment(1, 1, "one")).await.unwrap();
    directed.home.now += HOUR;
    directed.home.on(Trigger::Timer, 0.0).await;
    directed.assign(&directed.assignment(2, 2, "two")).await.unwrap();
    let order = Assignment { order: Order::RollBack, ..directed.assignment(3, 1, "one") };
    assert_eq!(directed.assign(&order).await, Some((1, "one".to_owned())));
    assert_eq!(directed.assign(&directed.assignment(4, 2, "two")).await, Some((2, "two".to_owned())), "resumed");
}

#[tokio::test]
async fn a_clock_that_was_never_set_follows_nobody_yet() {
    let mut directed = Directed::new(0, &[(1, "one")]).await;
    let (now, assignment) = (directed.home.now, directed.assignment(1, 1, "one"));
    directed.home.now = 1_000;
    assert_eq!(directed.assign(&assignment).await, None);
    let stranger = assignment.sign(&key(2)).unwrap();
    directed.take(stranger).await;
    assert_eq!(directed.refused("assignment_signature"), 1, "whose it is can be told without a clock");
    directed.home.now = now;
    assert_eq!(model(&directed.home.on(Trigger::Timer, 0.0).await), Some((1, "one".to_owned())));
}

#[test]
fn refusals_are_told_apart_by_one_word() {
    let noun = "assignment";
    let refusals: [AssignmentRefusal; 7] = [
        StatementRefusal::Seal(SealError::Signature).into(),
        StatementRefusal::Field { noun, field: "target" }.into(),
        StatementRefusal::OtherHome { noun, found: id("home-8") }.into(),
        AssignmentRefusal::OlderGeneration { found: 1, seen: 2 },
        AssignmentRefusal::GenerationReused(1),
        AssignmentRefusal::Expired(0),
        AssignmentRefusal::NotYet(0),
    ];
    let words: std::collections::BTreeSet<_> = refusals.iter().map(crate::director::reason).collect();
    assert_eq!(words.len(), refusals.len());
}
