//! What a home remembers of rounds outlives a kill at every step; the ledger is bounded and its entries stay.

use std::path::PathBuf;

use aws_lc_rs::signature::Ed25519KeyPair;
use hearthwatch_protocol::round::{RoundFile, RoundWork, TrainRecipe, TrainWork};
use hearthwatch_protocol::seal::SigningKey;
use hearthwatch_protocol::statement::Statement as _;
use sha2::{Digest as _, Sha256};

use super::*;

const NOW: i64 = 1_790_000_000;

struct Home {
    dir: tempfile::TempDir,
    director: SigningKey,
}

fn director(seed: u8) -> SigningKey {
    SigningKey::Ed25519(Box::new(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()))
}

fn home() -> HomeId {
    HomeId::new("home-7").unwrap()
}

fn plan(round: u64) -> RoundPlan {
    RoundPlan {
        home: home(),
        round,
        work: RoundWork::Train(TrainWork {
            base: RoundFile { sha256: [5; 32], length: 120_000 },
            recipe: TrainRecipe { steps: 20, batch: 128, learning_rate: 1e-3, rise_steps: 5, seed: 7 },
            clip: 1.5,
            noise: 0.0,
            server_noise: 0.0,
        }),
        cohort: 12,
        least: 6,
        opens_at: NOW,
        deadline: NOW + 86_400,
        nonce: [2; 16],
    }
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), director: director(1) }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("rounds.sqlite")
    }

    /// As after a kill: everything is read from the disk anew.
    fn open(&self) -> RoundState {
        RoundState::open(&self.file()).unwrap()
    }

    fn stage(&self) -> Option<Stage> {
        self.open().work(&home(), &[self.director.public()], NOW).unwrap().map(|work| work.stage)
    }

    fn take(&self, round: u64) {
        let signed = plan(round).sign(&self.director).unwrap();
        let seen = PlanSeen { round, digest: Sha256::digest(signed.as_bytes()).into() };
        self.open().take(&signed, &plan(round), &seen, NOW).unwrap();
    }

    fn newest(&self) -> RoundEntry {
        RoundState::read_ledger(&self.file(), 1).unwrap().remove(0)
    }
}

#[test]
fn every_step_of_a_round_outlives_a_kill() {
    let home = Home::new();
    assert_eq!((home.stage(), home.open().seen().unwrap()), (None, None));
    home.take(3);
    assert_eq!(home.open().seen().unwrap().unwrap().round, 3);
    assert_eq!(home.stage(), Some(Stage::Planned { begun: 0 }));
    home.open().begin_run(3).unwrap();
    assert_eq!(home.stage(), Some(Stage::Planned { begun: 1 }), "killed in training");
    home.open().begin_run(3).unwrap();
    home.open().forget_run(3).unwrap();
    assert_eq!(home.stage(), Some(Stage::Planned { begun: 1 }), "stopped by a resident");
    let answer = SignedRoundAnswer::from_bytes(vec![9]);
    let figures = JobFigures { entities: 24, norm: 2.5, ..JobFigures::default() };
    home.open().answer(3, &answer, &[1, 2, 255], &figures, NOW + 60).unwrap();
    let answered = |stored| Some(Stage::Answered { answer: answer.clone(), body: vec![1, 2, 255], stored });
    assert_eq!(home.stage(), answered(0));
    home.open().stored(3, 1).unwrap();
    home.open().sent(3, NOW + 70).unwrap();
    home.open().sent(3, NOW + 99).unwrap();
    assert_eq!(home.stage(), answered(1), "the aggregator was restarted between two parts");
    home.open().end(3, Outcome::Taken, None, NOW + 80).unwrap();
    assert_eq!(home.stage(), None);
    assert_eq!(home.open().seen().unwrap().unwrap().round, 3, "the plan is not followed again");
    let entry = RoundEntry {
        trained_at: Some(NOW + 60),
        sent_at: Some(NOW + 70),
        ended_at: Some(NOW + 80),
        bytes: 3,
        figures: Some(figures),
        outcome: Outcome::Taken,
        picture: Some(Picture::of(&[1, 2, 255])),
        ..RoundEntry::of(&plan(3), NOW)
    };
    assert_eq!(home.newest(), entry);
    assert_eq!((entry.model, entry.clip), ([5; 32], 1.5));
}

#[test]
fn a_round_that_declined_stays_so_and_one_without_a_receipt_takes_a_late_one() {
    let home = Home::new();
    home.take(1);
    home.open().decline(1, &SignedRoundAnswer::from_bytes(vec![9]), "out_of_memory").unwrap();
    assert!(matches!(home.stage(), Some(Stage::Answered { body, .. }) if body.is_empty()));
    home.open().end(1, Outcome::Taken, None, NOW).unwrap();
    assert_eq!((home.newest().outcome, home.newest().reason.as_str()), (Outcome::Declined, "out_of_memory"));
    home.take(2);
    home.open().end(2, Outcome::Missed, Some("no receipt"), NOW + 9).unwrap();
    home.open().end(2, Outcome::Taken, Some(""), NOW + 20).unwrap();
    let entry = home.newest();
    assert_eq!((entry.outcome, entry.reason.as_str(), entry.ended_at), (Outcome::Taken, "", Some(NOW + 9)));
}

#[test]
fn a_newer_plan_takes_the_place_of_the_one_in_hand() {
    let home = Home::new();
    home.take(1);
    home.take(2);
    let ledger = home.open().ledger(9).unwrap();
    let standing: Vec<(u64, Outcome)> = ledger.iter().map(|entry| (entry.round, entry.outcome)).collect();
    assert_eq!(standing, [(2, Outcome::Open), (1, Outcome::Superseded)]);
}

#[test]
fn a_plan_of_a_director_who_is_trusted_no_more_is_given_up() {
    let home = Home::new();
    home.take(1);
    assert_eq!(home.open().work(&super::tests::home(), &[director(2).public()], NOW).unwrap(), None);
    assert_eq!(home.newest().outcome, Outcome::Missed);
    assert_eq!(home.stage(), None);
}

#[test]
fn the_ledger_keeps_the_newest_rounds_of_a_bounded_number() {
    let home = Home::new();
    let mut state = home.open();
    for round in 1..=ROUNDS_KEPT_MAX + 5 {
        let signed = plan(round).sign(&home.director).unwrap();
        state.take(&signed, &plan(round), &PlanSeen { round, digest: [0; 32] }, NOW).unwrap();
    }
    let ledger = state.ledger(u32::MAX).unwrap();
    assert_eq!(ledger.len() as u64, ROUNDS_KEPT_MAX);
    assert_eq!((ledger[0].round, ledger.last().unwrap().round), (ROUNDS_KEPT_MAX + 5, 6));
}

#[test]
fn a_home_without_rounds_has_an_empty_ledger_and_no_file() {
    let home = Home::new();
    assert_eq!(RoundState::read_ledger(&home.file(), 10).unwrap(), []);
    assert!(!home.file().exists());
    assert!(!home.open().has_offered().unwrap());
    home.open().offering().unwrap();
    assert!(home.open().has_offered().unwrap());
}

#[test]
fn a_disk_without_room_for_an_answer_has_room_to_say_so() {
    let home = Home::new();
    home.take(1);
    let mut state = home.open();
    let pages: i64 = state.database.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    state.database.pragma_update(None, "max_page_count", pages + 2).unwrap();
    let answer = SignedRoundAnswer::from_bytes(vec![9]);
    let error = state.answer(1, &answer, &[7; 30_000], &JobFigures::default(), NOW).unwrap_err();
    assert!(error.is_full(), "{error}");
    state.decline(1, &answer, "disk").unwrap();
    assert_eq!(home.newest().reason, "disk");
}

#[test]
fn a_ledger_of_the_first_version_is_read_on() {
    let home = Home::new();
    let old = Connection::open(home.file()).unwrap();
    old.execute_batch(crate::schema::VERSION_1).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    let insert = "INSERT INTO ledger (round, judges, planned_at, bytes, clip, model, cohort, outcome, reason)
        VALUES (7, 1, 5, 30, 0, x'00', 12, 'taken', '')";
    old.execute_batch(insert).unwrap();
    drop(old);
    home.take(8);
    let ledger = home.open().ledger(10).unwrap();
    let read: Vec<_> = ledger.iter().map(|entry| (entry.round, entry.evaluates, entry.least)).collect();
    assert_eq!(read, [(8, false, 6), (7, true, 0)]);
}
