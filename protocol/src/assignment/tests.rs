//! An assignment is followed by its home, in its time, once and upwards; everything else has a name.

use aws_lc_rs::signature::Ed25519KeyPair;
use proptest::prelude::*;

use super::*;
use crate::seal::{SealError, SigningKey};

const NOW: i64 = 1_790_000_000;

fn director(seed: u8) -> SigningKey {
    SigningKey::Ed25519(Box::new(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()))
}

fn home() -> HomeId {
    HomeId::new("home-7").unwrap()
}

fn assignment(generation: u64) -> Assignment {
    Assignment {
        home: home(),
        generation,
        order: Order::Install,
        model_version: ModelVersion(3),
        target: "model-3.safetensors".to_owned(),
        sha256: [1; 32],
        length: 120_000,
        not_before: NOW - 60,
        expires_at: NOW + 86_400,
        nonce: [2; 16],
    }
}

fn accept(assignment: &Assignment, last: Option<&Seen>) -> Result<Accepted, AssignmentRefusal> {
    assignment.sign(&director(7)).unwrap().accept(&[director(7).public()], &home(), last, NOW)
}

#[test]
fn a_home_follows_its_own_assignment_and_knows_it_when_it_comes_again() {
    let first = accept(&assignment(1), None).unwrap();
    assert_eq!((first.again, &first.assignment), (false, &assignment(1)));
    assert!(accept(&assignment(1), Some(&first.seen)).unwrap().again);
    assert!(!accept(&assignment(2), Some(&first.seen)).unwrap().again);
}

#[test]
fn a_replay_of_an_older_generation_is_refused() {
    let last = accept(&assignment(5), None).unwrap().seen;
    let refused = accept(&assignment(4), Some(&last)).unwrap_err();
    assert_eq!(refused, AssignmentRefusal::OlderGeneration { found: 4, seen: 5 });
}

#[test]
fn a_generation_is_used_once() {
    let last = accept(&assignment(5), None).unwrap().seen;
    let other = Assignment { model_version: ModelVersion(4), ..assignment(5) };
    assert_eq!(accept(&other, Some(&last)).unwrap_err(), AssignmentRefusal::GenerationReused(5));
}

#[test]
fn another_homes_assignment_is_refused() {
    let found = HomeId::new("home-8").unwrap();
    let other = Assignment { home: found.clone(), ..assignment(1) };
    assert_eq!(accept(&other, None).unwrap_err(), StatementRefusal::OtherHome { noun: "assignment", found }.into());
}

#[test]
fn an_assignment_holds_within_its_time() {
    let late = Assignment { expires_at: NOW, ..assignment(1) };
    assert_eq!(accept(&late, None).unwrap_err(), AssignmentRefusal::Expired(NOW));
    let early = Assignment { not_before: NOW + 1, ..assignment(1) };
    assert_eq!(accept(&early, None).unwrap_err(), AssignmentRefusal::NotYet(NOW + 1));
}

#[test]
fn somebody_elses_signature_is_refused() {
    let signed = assignment(1).sign(&director(8)).unwrap();
    let refused = signed.accept(&[director(7).public()], &home(), None, NOW).unwrap_err();
    let name = hex::encode(director(8).public().id());
    assert_eq!(refused, StatementRefusal::Seal(SealError::UnknownKey(name)).into());
}

#[test]
fn two_directors_may_be_trusted_while_they_change() {
    let trusted = [director(7).public(), director(8).public()];
    for seed in [7, 8] {
        let signed = assignment(1).sign(&director(seed)).unwrap();
        assert!(signed.accept(&trusted, &home(), None, NOW).is_ok());
    }
}

#[test]
fn a_field_outside_its_limits_is_not_even_signed() {
    let base = assignment(1);
    for (bad, field) in [
        (Assignment { generation: 0, ..base.clone() }, "generation"),
        (Assignment { target: "../model".to_owned(), ..base.clone() }, "target"),
        (Assignment { length: ARTIFACT_BYTES_MAX + 1, ..base.clone() }, "length"),
        (Assignment { expires_at: base.not_before, ..base.clone() }, "life"),
        (Assignment { expires_at: i64::MAX, not_before: i64::MIN, ..base.clone() }, "life"),
    ] {
        assert_eq!(bad.sign(&director(7)).unwrap_err(), StatementRefusal::Field { noun: "assignment", field });
    }
}

proptest! {
    #[test]
    fn no_order_of_arrival_moves_a_home_to_an_older_generation(order in prop::collection::vec(1u64..20, 1..40)) {
        let mut last: Option<Seen> = None;
        for generation in order {
            let before = last.as_ref().map_or(0, |seen| seen.generation);
            if let Ok(accepted) = accept(&assignment(generation), last.as_ref()) {
                prop_assert!(accepted.seen.generation >= before);
                last = Some(accepted.seen);
            }
        }
    }
}
