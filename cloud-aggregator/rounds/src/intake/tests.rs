//! What comes of each answer.

use hearthwatch_federation::HomeCounts;
use hearthwatch_protocol::messages::RoundState;
use hearthwatch_protocol::round::{RoundFile, SignedRoundAnswer};
use hearthwatch_protocol::statement::Statement as _;
use hearthwatch_store::rounds::RoundStore as _;
use hearthwatch_store::{Actor, RolloutStore as _};

use super::*;
use crate::bench::{Bench, NOW, counts, delta_body};
use crate::fixtures::key;

const GOOD: f64 = 5e-4;

/// A bench whose first round waits for deltas.
fn training() -> Bench {
    let bench = Bench::new();
    bench.work();
    bench
}

/// The state after a whole answer with `body` that names `file`.
fn answered(bench: &Bench, file: &RoundFile, body: &[u8]) -> RoundState {
    let home = &bench.train[0];
    bench.say_all(home, &bench.parts(home, RoundResult::Delta(*file), body)).state
}

fn refused(reason: RoundRefusal) -> RoundState {
    RoundState::Refused(reason)
}

#[test]
fn an_answer_is_taken_in_parts_of_any_order_and_again_it_is_still_taken() {
    let bench = training();
    let home = bench.train[0].clone();
    let body = delta_body(1, GOOD);
    let parts = bench.parts(&home, RoundResult::Delta(RoundFile::of(&body)), &body);
    assert_eq!(parts.len(), 3, "30 KB in parts of 12 KiB");
    let states = [1, 0, 0, 2, 2, 0].map(|part| bench.say(&home, &parts[part]).state);
    let (wanted, taken) = (RoundState::Wanted, RoundState::Taken);
    assert_eq!(states, [wanted(0), wanted(2), wanted(2), taken, taken, taken]);
    let row = bench.part(&home);
    assert_eq!((row.state, row.bytes), (RoundHomeState::Taken, 29_882));
    assert!((row.norm.unwrap() - 0.086).abs() < 0.002, "{:?}", row.norm);
}

#[test]
fn a_restart_between_two_parts_loses_none() {
    let bench = training();
    let home = bench.train[0].clone();
    let body = delta_body(1, GOOD);
    let parts = bench.parts(&home, RoundResult::Delta(RoundFile::of(&body)), &body);
    bench.say(&home, &parts[0]);
    let bench = bench.restart();
    assert_eq!(bench.say(&home, &parts[1]).state, RoundState::Wanted(2));
    // The home restarted too, and signed the same answer again.
    let again = bench.parts(&home, RoundResult::Delta(RoundFile::of(&body)), &body);
    assert_eq!(bench.say(&home, &again[2]).state, RoundState::Taken);
}

#[test]
fn what_is_not_a_sound_delta_is_refused_with_the_reason_and_stays_so() {
    let good = delta_body(1, GOOD);
    let mut infinite = good.clone();
    let scale = infinite.windows(6).position(|bytes| bytes == b"scales").unwrap() + 6 + 2;
    infinite[scale..scale + 4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let short = hearthwatch_federation::Quantised { scales: vec![1.0], levels: vec![1, 2, 3] }.to_bytes().unwrap();
    let cut = good[..good.len() - 1].to_vec();
    let rows: Vec<(RoundRefusal, RoundFile, Vec<u8>)> = vec![
        (RoundRefusal::Digest, RoundFile { sha256: [1; 32], ..RoundFile::of(&good) }, good.clone()),
        (RoundRefusal::Digest, RoundFile::of(&good), cut.clone()),
        (RoundRefusal::Malformed, RoundFile::of(&cut), cut),
        (RoundRefusal::Malformed, RoundFile::of(&good), good[..100].to_vec()),
        (RoundRefusal::Shape, RoundFile::of(&short), short),
        (RoundRefusal::NotFinite, RoundFile::of(&infinite), infinite),
        (RoundRefusal::Norm, RoundFile::of(&delta_body(1, 1.0)), delta_body(1, 1.0)),
    ];
    for (reason, file, body) in rows {
        let bench = training();
        assert_eq!(answered(&bench, &file, &body), refused(reason));
        let row = bench.part(&bench.train[0]);
        assert_eq!((row.state, row.reason.as_str()), (RoundHomeState::Refused, reason.as_str()));
        assert_eq!(bench.store.round_body(1, &bench.train[0]).unwrap(), b"", "nothing of it is kept");
        assert_eq!(answered(&bench, &RoundFile::of(&good), &good), refused(reason), "a second try");
    }
}

#[test]
fn who_may_not_answer_is_told_why_and_changes_nothing() {
    let bench = training();
    let (home, other) = (bench.train[0].clone(), bench.evaluators[0].clone());
    let body = delta_body(1, GOOD);
    let result = RoundResult::Delta(RoundFile::of(&body));
    let sound = bench.parts(&home, result, &body).remove(0);
    let nonce = bench.part(&home).nonce;
    let answer = RoundAnswer { home: home.clone(), round: 1, nonce, result, at: NOW };
    let with = |answer: &RoundAnswer, seed: u8| RoundPart { answer: answer.sign(&key(seed)).unwrap(), ..sound.clone() };
    let own = 1;
    let other_nonce = RoundAnswer { nonce: [9; 16], ..answer.clone() };
    let no_round = RoundAnswer { round: 7, ..answer.clone() };
    let garbage = RoundPart { answer: SignedRoundAnswer::from_bytes(vec![1, 2]), ..sound.clone() };
    for (part, round, reason) in [
        (with(&answer, 99), 1, RoundRefusal::Signature),
        (garbage, 1, RoundRefusal::Signature),
        (with(&other_nonce, own), 1, RoundRefusal::Base),
        (with(&no_round, own), 7, RoundRefusal::NotInCohort),
    ] {
        assert_eq!(bench.say(&home, &part), RoundReceipt { round, state: refused(reason) });
    }
    assert_eq!(bench.say(&other, &sound).state, refused(RoundRefusal::Signature), "another home's answer");
    assert_eq!(bench.part(&home).state, RoundHomeState::Planned);
    assert_eq!(bench.say(&home, &sound).state, RoundState::Wanted(1));
}

#[test]
fn a_second_answer_is_a_duplicate_and_one_after_the_deadline_is_late() {
    let bench = training();
    bench.send_delta(&bench.train[0]);
    let other = delta_body(50, GOOD);
    assert_eq!(answered(&bench, &RoundFile::of(&other), &other), refused(RoundRefusal::Duplicate));
    bench.at(60);
    assert_eq!(bench.send_delta(&bench.train[1]).state, refused(RoundRefusal::Late));
    assert_eq!(bench.send_delta(&bench.train[0]).state, RoundState::Taken, "what was taken stays taken");
    assert_eq!(bench.decline(&bench.train[1]).state, refused(RoundRefusal::Late));
}

#[test]
fn a_home_that_declines_is_done_and_says_so_as_often_as_it_likes() {
    let bench = training();
    let home = &bench.train[0];
    assert_eq!(bench.decline(home).state, RoundState::Taken);
    assert_eq!(bench.decline(home).state, RoundState::Taken);
    let row = bench.part(home);
    assert_eq!((row.state, row.reason.as_str()), (RoundHomeState::Declined, "no_time"));
    assert_eq!(bench.send_delta(home).state, refused(RoundRefusal::Late));
}

#[test]
fn an_excluded_home_is_refused_and_one_that_is_taken_back_is_asked_in_the_next_round() {
    let bench = training();
    let home = bench.train[0].clone();
    let row = |at| hearthwatch_store::rollouts::ExclusionRow {
        home: home.clone(),
        reason: "odd".to_owned(),
        by: Actor::System,
        at,
        lifted: None,
    };
    bench.store.exclude_home(&row(NOW)).unwrap();
    assert_eq!(bench.send_delta(&home).state, refused(RoundRefusal::Excluded));
    bench.store.lift_exclusion(&home, &Actor::System, NOW + 1).unwrap();
    assert_eq!(bench.send_delta(&home).state, refused(RoundRefusal::Excluded), "this round is over for it");
    bench.at(60);
    bench.work();
    bench.at(61);
    bench.work();
    assert_eq!(bench.part(&home).round, 2);
}

#[test]
fn consent_that_is_taken_back_takes_the_delta_with_it_and_an_older_word_does_not_return_it() {
    let bench = training();
    let home = bench.train[0].clone();
    bench.send_delta(&home);
    bench.at(1);
    bench.offer(&home, false);
    let row = bench.part(&home);
    assert_eq!((row.state, row.reason.as_str()), (RoundHomeState::Declined, "no_consent"));
    assert_eq!(bench.store.round_body(1, &home).unwrap(), b"");
    bench.at(0);
    bench.offer(&home, true);
    assert!(!bench.store.offer(&home).unwrap().unwrap().willing);
}

#[test]
fn an_offer_that_is_not_signed_by_the_homes_key_is_not_believed() {
    let bench = training();
    let (one, other) = (bench.train[0].clone(), bench.train[1].clone());
    let offer = hearthwatch_protocol::round::RoundOffer {
        home: one.clone(),
        willing: false,
        classes: vec![],
        at: NOW + 9,
        masks: false,
    };
    bench.intake.offer(bench.store.as_ref(), &one, &offer.sign(&key(99)).unwrap()).unwrap();
    bench.intake.offer(bench.store.as_ref(), &other, &offer.sign(&key(1)).unwrap()).unwrap();
    assert!([one, other].iter().all(|home| bench.store.offer(home).unwrap().unwrap().willing));
}

#[test]
fn counts_of_other_models_than_were_asked_about_are_refused() {
    let bench = training();
    bench.send_deltas();
    bench.work();
    let home = &bench.evaluators[0];
    let body = HomeCounts { models: vec![counts(3), counts(3)] }.to_bytes().unwrap();
    let parts = bench.parts(home, RoundResult::Counts(RoundFile::of(&body)), &body);
    assert_eq!(bench.say_all(home, &parts).state, refused(RoundRefusal::Shape));
    let delta = delta_body(1, GOOD);
    let home = &bench.evaluators[1];
    let parts = bench.parts(home, RoundResult::Delta(RoundFile::of(&delta)), &delta);
    assert_eq!(bench.say_all(home, &parts).state, refused(RoundRefusal::Malformed), "a delta instead of counts");
    assert_eq!(bench.send_counts(&bench.evaluators[2], [3, 2, 1]).state, RoundState::Taken);
}
