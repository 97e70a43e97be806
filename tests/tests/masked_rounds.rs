//! Masked rounds with real processes: the server learns the sum of a group. One home is killed in the middle of the exchanges, and one that
//! was asked never answers.
//!
//! Without mosquitto on the machine the test says so and does nothing; with `HEARTHWATCH_REQUIRE_MOSQUITTO` set it fails.

use std::path::Path;

use hearthwatch_emulator::data::{self, Source};
use hearthwatch_store::rounds::{RoundDuty, RoundHomeRow, RoundHomeState, RoundStage};
use hearthwatch_tests::round_fleet::{Plan, RoundFleet, has_mosquitto, lately, print};

/// Homes that train, and those that evaluate.
const TRAIN: usize = 7;
const EVALUATE: usize = 1;
/// The home that is killed while a round's exchanges go on.
const KILLED: usize = 1;
/// The home that is gone before a round opens, and is asked.
const GONE: usize = 2;
/// Rounds that are waited for where one may come too early or too late for a home.
const ROUNDS_MAX: u64 = 8;

/// Small and quick: what is looked at is the loop.
const ROUNDS: &str = "masked = true\ngroup = 4\nexchange_minutes = 2\ninterval_hours = 0\ndeadline_minutes = 4\nevaluate_minutes = 4\n\
    least = 5\nleast_evaluators = 1\nstrategy = \"coordinate-median\"\nsteps = 4\nbatch = 32\nreplay_steps = 2\nreplay_batch = 32\n";

fn trained(homes: &[RoundHomeRow]) -> impl Iterator<Item = &RoundHomeRow> {
    homes.iter().filter(|row| row.duty == RoundDuty::Train)
}

/// Homes whose delta is in a sum that was used.
fn in_a_sum(homes: &[RoundHomeRow]) -> usize {
    trained(homes).filter(|row| row.state == RoundHomeState::Taken).count()
}

fn of<'a>(homes: &'a [RoundHomeRow], fleet: &RoundFleet, place: usize) -> Option<&'a RoundHomeRow> {
    homes.iter().find(|row| row.home == fleet.homes[place].0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_trains_masked_rounds_with_a_home_killed_in_the_exchanges_and_one_that_never_answers() {
    if !has_mosquitto() {
        return;
    }
    let recordings = data::homes(&Source::Bundled, &["citylearn_2022_homes"]).unwrap();
    let recordings: Vec<_> = recordings.into_iter().take(TRAIN + EVALUATE).map(lately).collect();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chi-edge/emulator/data");
    let plan = Plan { recordings, evaluators: EVALUATE, programs: &[], corpus: &corpus, fresh: 0, rounds: ROUNDS };
    let mut fleet = RoundFleet::start(plan).await.unwrap();

    // The first rounds may come before every home has read its recorder.
    let mut whole = 1;
    loop {
        let (row, homes) = fleet.ended(whole).await.unwrap();
        print(&row, &homes);
        if in_a_sum(&homes) == TRAIN {
            assert!(row.aggregate.is_some(), "{}", fleet.logs());
            for row in trained(&homes) {
                let masked = format!("masked, in the sum of group-0 of {TRAIN} homes: no norm of its own is known");
                assert_eq!((row.reason.as_str(), row.norm, row.similarity), (masked.as_str(), None, None));
            }
            break;
        }
        assert!(whole < ROUNDS_MAX, "never all of them: {}", fleet.logs());
        whole += 1;
    }
    let page = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = page.get(fleet.homes[0].1.page()).send().await.unwrap().text().await.unwrap();
    assert!(page.contains(&format!("masked: the server sees the sum of {TRAIN} homes")), "{page}");

    // It keeps its word to take part, and is asked; nobody answers.
    fleet.homes[GONE].1.kill();
    let exchanges =
        |stage: RoundStage| matches!(stage, RoundStage::Sharing | RoundStage::Masking | RoundStage::Unmasking);
    let mut round = whole + 1;
    loop {
        let gone = fleet.homes[GONE].0.clone();
        let begun = fleet.wait_for(round, |row, _| exchanges(row.stage) || row.stage == RoundStage::Ended).await;
        let (_, homes) = begun.unwrap();
        if homes.iter().any(|row| row.home == gone && row.state == RoundHomeState::Late) {
            break;
        }
        // It had answered before it was killed.
        assert!(round < whole + ROUNDS_MAX, "it is never asked: {}", fleet.logs());
        fleet.ended(round).await.unwrap();
        round += 1;
    }
    fleet.homes[KILLED].1.kill();
    fleet.homes[KILLED].1.start_again().await.unwrap();
    let (row, homes) = fleet.ended(round).await.unwrap();
    print(&row, &homes);
    assert!(row.aggregate.is_some(), "{}: {}", row.reason, fleet.logs());
    let gone = of(&homes, &fleet, GONE).unwrap();
    assert_eq!((gone.state, gone.reason.as_str()), (RoundHomeState::Late, "no keys came in time"));
    assert!((TRAIN - 2..TRAIN).contains(&in_a_sum(&homes)), "the others, with or without the one that was killed");
    let killed = of(&homes, &fleet, KILLED).unwrap();
    assert!(matches!(killed.state, RoundHomeState::Taken | RoundHomeState::Late), "{killed:?}");

    // And it takes part again.
    let mut back = round + 1;
    loop {
        let (row, homes) = fleet.ended(back).await.unwrap();
        print(&row, &homes);
        if of(&homes, &fleet, KILLED).is_some_and(|row| row.state == RoundHomeState::Taken) {
            break;
        }
        assert!(back < round + ROUNDS_MAX, "it never comes back: {}", fleet.homes[KILLED].1.log());
        back += 1;
    }
}
