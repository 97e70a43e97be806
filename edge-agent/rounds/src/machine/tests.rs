//! Every way in which a round goes wrong in a home has its step, and all end by the deadline.

use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::round::{MaskTerms, MaskedTrainWork, RoundFile, RoundWork, TrainRecipe, TrainWork};
use rand::SeedableRng as _;

use super::*;

const OPENS: i64 = 1_790_000_000;
const DEADLINE: i64 = OPENS + 86_400;

fn plan() -> RoundPlan {
    RoundPlan {
        home: HomeId::new("home-7").unwrap(),
        round: 3,
        work: RoundWork::Train(TrainWork {
            base: RoundFile { sha256: [1; 32], length: 120_000 },
            recipe: TrainRecipe { steps: 20, batch: 128, learning_rate: 1e-3, rise_steps: 5, seed: 7 },
            clip: 1.0,
            noise: 0.0,
            server_noise: 0.0,
        }),
        cohort: 12,
        least: 6,
        opens_at: OPENS,
        deadline: DEADLINE,
        nonce: [2; 16],
    }
}

fn planned(begun: u8) -> Work {
    Work { stage: Stage::Planned { begun }, ..Work::new(plan()) }
}

fn answered(body: &[u8]) -> Work {
    let answer = SignedRoundAnswer::from_bytes(vec![1]);
    Work { stage: Stage::Answered { answer, body: body.to_vec(), stored: 0 }, ..Work::new(plan()) }
}

/// A willing home whose machine is idle and has the models.
fn good() -> Around {
    let never = Retry::default();
    Around { willing: true, fetched: true, fetching: never, unfit: None, rested_at: 0, sending: never }
}

#[test]
fn a_good_round_is_fetched_trained_sent_and_waits_for_its_receipt() {
    let missing = Around { fetched: false, ..good() };
    assert_eq!(next(None, &good(), OPENS), Next::Rest);
    assert_eq!(next(Some(&planned(0)), &missing, OPENS), Next::Fetch);
    assert_eq!(next(Some(&planned(0)), &good(), OPENS), Next::Train(86_400 - SENDING_SECONDS));
    assert_eq!(next(Some(&answered(b"body")), &good(), OPENS), Next::Send);
    let sent = Around { sending: Retry::default().after_sending(OPENS), ..good() };
    assert_eq!(next(Some(&answered(b"body")), &sent, OPENS), Next::Wait(OPENS + 60, Waits::Receipt));
    assert_eq!(next(Some(&answered(b"body")), &sent, OPENS + 60), Next::Send, "no receipt came");
}

#[test]
fn a_run_that_was_killed_is_tried_a_second_time_and_not_a_third() {
    assert!(matches!(next(Some(&planned(1)), &good(), OPENS), Next::Train(_)));
    let tired = Around { rested_at: OPENS + 300, ..good() };
    assert_eq!(next(Some(&planned(1)), &tired, OPENS), Next::Wait(OPENS + 300, Waits::Rest));
    assert_eq!(next(Some(&planned(2)), &good(), OPENS), Next::Decline(DeclineReason::Crashed));
}

#[test]
fn models_that_cannot_be_had_are_tried_six_times_within_the_round() {
    let mut around = Around { fetched: false, ..good() };
    let mut now = OPENS;
    let mut tries = 0;
    loop {
        match next(Some(&planned(0)), &around, now) {
            Next::Fetch => {
                tries += 1;
                around.fetching = around.fetching.after_fetch(now);
            }
            Next::Wait(until, Waits::Models) => now = until,
            step => {
                assert_eq!(step, Next::Decline(DeclineReason::ModelUnavailable));
                break;
            }
        }
    }
    assert_eq!((tries, now - OPENS), (FETCHES_MAX, 60 * (1 + 2 + 4 + 8 + 16)));
    let late = Around { fetched: false, ..good() };
    let step = next(Some(&planned(0)), &late, DEADLINE - SENDING_SECONDS);
    assert_eq!(step, Next::Decline(DeclineReason::ModelUnavailable));
}

#[test]
fn a_machine_that_is_never_fit_declines_while_the_fleet_can_still_hear_it() {
    let hot = Around { unfit: Some(Unfit::Hot), ..good() };
    let step = next(Some(&planned(0)), &hot, OPENS);
    assert_eq!(step, Next::Wait(OPENS + LOOK_AGAIN_SECONDS, Waits::Fit(Unfit::Hot)));
    let last = DEADLINE - SENDING_SECONDS - RUN_SECONDS_MIN;
    let step = next(Some(&planned(0)), &hot, last);
    assert_eq!(step, Next::Wait(last + 1, Waits::Fit(Unfit::Hot)));
    assert_eq!(next(Some(&planned(0)), &hot, last + 1), Next::Decline(DeclineReason::NoTime));
    assert_eq!(next(Some(&planned(0)), &good(), last), Next::Train(RUN_SECONDS_MIN));
    // A night that begins after the round's end.
    let by_day = Around { unfit: Some(Unfit::Hours(DEADLINE + 5)), ..good() };
    assert!(matches!(next(Some(&planned(0)), &by_day, OPENS), Next::Wait(until, _) if until == last + 1));
}

#[test]
fn consent_that_is_taken_back_ends_the_round_at_whatever_step_it_is() {
    let unwilling = Around { willing: false, fetched: false, ..good() };
    assert_eq!(next(Some(&planned(0)), &unwilling, OPENS), Next::Decline(DeclineReason::NoConsent));
    assert_eq!(next(Some(&answered(b"body")), &unwilling, OPENS), Next::End(Outcome::Withdrawn));
    assert_eq!(next(Some(&answered(b"")), &unwilling, OPENS), Next::Send, "that there is nothing may be said");
}

#[test]
fn a_broker_that_is_away_for_the_whole_round_ends_it_at_the_deadline() {
    let mut around = good();
    let mut now = OPENS;
    let mut sent = 0;
    loop {
        match next(Some(&answered(b"body")), &around, now) {
            Next::Send => {
                sent += 1;
                around.sending = around.sending.after_sending(now);
            }
            Next::Wait(until, Waits::Receipt) => {
                assert!(until > now && until <= DEADLINE);
                now = until;
            }
            step => {
                assert_eq!((step, now), (Next::End(Outcome::Missed), DEADLINE));
                break;
            }
        }
    }
    assert!((90..110).contains(&sent), "{sent}");
}

#[test]
fn at_the_deadline_every_round_ends() {
    for work in [planned(0), planned(9), answered(b"body"), answered(b"")] {
        for now in [DEADLINE, DEADLINE + 86_400, i64::MAX] {
            assert_eq!(next(Some(&work), &good(), now), Next::End(Outcome::Missed));
        }
    }
}

#[test]
fn a_masked_round_waits_for_requests_until_the_end_that_its_plan_names_and_ends_at_once_when_consent_is_taken_back() {
    let RoundWork::Train(train) = plan().work else { panic!("other work") };
    let until = DEADLINE + 14_400;
    let masks = MaskTerms { group: 4, threshold: 0.7, until };
    let masked = RoundPlan { work: RoundWork::MaskedTrain(MaskedTrainWork { train, masks }), ..plan() };
    let mut random = rand::rngs::StdRng::seed_from_u64(1);
    let (masks, _) = Masks::begin(&[1, 2], &mut random).unwrap();
    let of = |stage| Work { stage, masks: Some(Box::new(masks.clone())), plan: masked.clone() };
    let grouped = of(Stage::Grouped);
    assert_eq!(next(Some(&grouped), &good(), DEADLINE), Next::Wait(until, Waits::Group));
    assert_eq!(next(Some(&grouped), &good(), until), Next::End(Outcome::Missed));
    let unwilling = Around { willing: false, ..good() };
    assert_eq!(next(Some(&grouped), &unwilling, DEADLINE), Next::End(Outcome::Withdrawn));
    let answer = SignedRoundAnswer::from_bytes(vec![1]);
    let answered = of(Stage::Answered { answer, body: b"shares".to_vec(), stored: 0 });
    assert_eq!(next(Some(&answered), &good(), DEADLINE), Next::Send, "exchanges go on after the plan's deadline");
    let planned = Work { stage: Stage::Planned { begun: 0 }, ..Work::new(masked.clone()) };
    assert_eq!(next(Some(&planned), &good(), DEADLINE), Next::End(Outcome::Missed), "training does not");
}
