//! Federated rounds with real processes: homes train, one attacks, one is killed while it trains, one withdraws, and the aggregator is
//! killed between two answers. Then rounds that do not wait for every home, and a home that comes late.
//!
//! Without mosquitto on the machine the test says so and does nothing; with `HEARTHWATCH_REQUIRE_MOSQUITTO` set it fails.

use std::path::Path;

use hearthwatch_emulator::data::{self, Source};
use hearthwatch_protocol::messages::RoundRefusal;
use hearthwatch_store::rounds::{RoundDuty, RoundHomeRow, RoundHomeState, RoundOutcome};
use hearthwatch_tests::program;
use hearthwatch_tests::round_fleet::{Plan, RoundFleet, has_mosquitto, lately, print};

/// Homes that train, and those that evaluate.
const TRAIN: usize = 6;
const EVALUATE: usize = 2;
/// The home that turns its delta around.
const ATTACKER: usize = 0;
/// The home that is killed while it trains.
const KILLED: usize = 1;
/// The home that withdraws after the first round.
const WITHDRAWN: usize = 2;

/// Small and quick: what is looked at is the loop.
const ROUNDS: &str = "interval_hours = 0\ndeadline_minutes = 5\nevaluate_minutes = 5\nleast = 5\nleast_evaluators = 1\n\
    steps = 4\nbatch = 32\nreplay_steps = 2\nreplay_batch = 32\n";

fn of<'a>(homes: &'a [RoundHomeRow], fleet: &RoundFleet, place: usize) -> Option<&'a RoundHomeRow> {
    homes.iter().find(|row| row.home == fleet.homes[place].0)
}

/// Whether a delta came whole and sound. Of so few steps an honest one may point away from replay, and is then left out.
fn arrived(row: Option<&RoundHomeRow>) -> bool {
    row.is_some_and(|row| matches!(row.state, RoundHomeState::Taken | RoundHomeState::LeftOut) && row.norm.is_some())
}

/// Chooses a level of sharing on the home's own page, as a resident does.
async fn choose_sharing(fleet: &RoundFleet, place: usize, level: &str) {
    let page = fleet.homes[place].1.page();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let text = http.get(&page).send().await.unwrap().text().await.unwrap();
    let marker = "name=\"token\" value=\"";
    let token = text.split_once(marker).and_then(|(_, rest)| rest.split('"').next()).expect("the page's own secret");
    let form = format!("token={token}&level={level}");
    let request =
        http.post(format!("{page}/sharing")).header("content-type", "application/x-www-form-urlencoded").body(form);
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success() || answer.status().is_redirection(), "{}", answer.status());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_trains_three_rounds_with_an_attacker_a_killed_home_one_that_withdraws_and_a_killed_aggregator() {
    if !has_mosquitto() {
        return;
    }
    let recordings = data::homes(&Source::Bundled, &["citylearn_2022_homes"]).unwrap();
    let recordings: Vec<_> = recordings.into_iter().take(TRAIN + EVALUATE).map(lately).collect();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chi-edge/emulator/data");
    let programs = [(ATTACKER, program("hearthwatch-sign-flip-trainer"))];
    let plan =
        Plan { recordings, evaluators: EVALUATE, programs: &programs, corpus: &corpus, fresh: 0, rounds: ROUNDS };
    let mut fleet = RoundFleet::start(plan).await.unwrap();

    // The first rounds may come before every home has read its recorder.
    let mut first = 1;
    let (row, homes) = loop {
        let (row, homes) = fleet.ended(first).await.unwrap();
        print(&row, &homes);
        if homes.iter().filter(|row| row.duty == RoundDuty::Train).count() == TRAIN {
            break (row, homes);
        }
        first += 1;
    };
    assert!(matches!(row.outcome, Some(RoundOutcome::Held | RoundOutcome::Promoted)), "{}", row.reason);
    let attacker = of(&homes, &fleet, ATTACKER).unwrap();
    assert_eq!((attacker.duty, attacker.state), (RoundDuty::Train, RoundHomeState::LeftOut), "{}", fleet.logs());
    for place in 1..TRAIN {
        assert!(arrived(of(&homes, &fleet, place)), "{}", fleet.logs());
    }
    for place in TRAIN..TRAIN + EVALUATE {
        let evaluator = of(&homes, &fleet, place).unwrap();
        assert_eq!((evaluator.duty, evaluator.state), (RoundDuty::Evaluate, RoundHomeState::Taken));
    }

    choose_sharing(&fleet, WITHDRAWN, "off").await;
    let killed = fleet.homes[KILLED].0.clone();
    fleet.wait_for(first + 1, |_, homes| homes.iter().any(|row| row.home == killed)).await.unwrap();
    fleet.homes[KILLED].1.kill();
    fleet.homes[KILLED].1.start_again().await.unwrap();
    // A home that has just started may know no sensor yet, and then sits a round out.
    let mut back = first + 1;
    loop {
        let (row, homes) = fleet.ended(back).await.unwrap();
        print(&row, &homes);
        if arrived(of(&homes, &fleet, KILLED)) {
            break;
        }
        assert!(back < first + 6, "it never comes back: {}", fleet.homes[KILLED].1.log());
        back += 1;
    }

    fleet.wait_for(back + 1, |_, homes| homes.iter().any(|row| row.state == RoundHomeState::Taken)).await.unwrap();
    fleet.aggregator.kill();
    fleet.aggregator.start().unwrap();
    let (row, homes) = fleet.ended(back + 1).await.unwrap();
    print(&row, &homes);
    assert_eq!(of(&homes, &fleet, WITHDRAWN), None, "who withdrew is not asked");
    let refused: Vec<&str> =
        homes.iter().filter(|row| row.state == RoundHomeState::Refused).map(|row| row.reason.as_str()).collect();
    assert_eq!(refused, [""; 0], "none of {:?}", RoundRefusal::Duplicate);
    assert!((1..TRAIN).filter(|place| *place != WITHDRAWN).all(|place| arrived(of(&homes, &fleet, place))));
    let standing = fleet.standing(ATTACKER).unwrap().unwrap();
    assert!(standing.left_out == standing.rounds && standing.rounds >= 3, "{standing:?}");
    let withdrawn = fleet.standing(WITHDRAWN).unwrap().unwrap();
    assert!(withdrawn.way.iter().all(|byte| *byte == 0), "no sketch of who takes no part");
}

/// Two of four deltas are enough, and nothing is ever too old.
const BUFFERED: &str = "interval_hours = 0\ndeadline_minutes = 10\nevaluate_minutes = 5\nleast = 2\nleast_evaluators = 1\n\
    steps = 4\nbatch = 32\nreplay_steps = 2\nreplay_batch = 32\nrounds_per_series = 1000\n\
    strategy = \"clipped-mean\"\nbuffered = true\nbuffer_size = 2\nstaleness_max = 1000\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_was_off_when_its_round_went_on_counts_in_a_later_one() {
    if !has_mosquitto() {
        return;
    }
    let recordings = data::homes(&Source::Bundled, &["citylearn_2022_homes"]).unwrap();
    let recordings: Vec<_> = recordings.into_iter().take(5).map(lately).collect();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chi-edge/emulator/data");
    let plan = Plan { recordings, evaluators: 1, programs: &[], corpus: &corpus, fresh: 0, rounds: BUFFERED };
    let mut fleet = RoundFleet::start(plan).await.unwrap();
    let home = fleet.homes[0].0.clone();
    let asked = |row: &&RoundHomeRow| row.home == home;
    let mut number = 1;
    while fleet.ended(number).await.unwrap().1.iter().find(asked).is_none_or(|row| !arrived(Some(row))) {
        number += 1;
    }
    fleet.homes[0].1.kill();
    let straggling = loop {
        number += 1;
        let (row, homes) = fleet.ended(number).await.unwrap();
        print(&row, &homes);
        if homes.iter().find(asked).is_some_and(|row| row.state == RoundHomeState::Straggling) {
            break number;
        }
        assert!(number < 20, "{}", fleet.logs());
    };
    // Rounds go on without it.
    let (row, _) = fleet.ended(straggling + 2).await.unwrap();
    assert!(row.aggregate.is_some(), "{}", row.reason);
    fleet.homes[0].1.start_again().await.unwrap();
    let counts = |row: &RoundHomeRow| row.home == home && row.counted_in.is_some();
    let (_, homes) = fleet.wait_for(straggling, |_, homes| homes.iter().any(counts)).await.unwrap();
    let counted_in = homes.iter().find(asked).and_then(|row| row.counted_in).unwrap();
    assert!(counted_in > straggling + 2);
    let (row, homes) = fleet.ended(counted_in).await.unwrap();
    print(&row, &homes);
    let counted = homes.iter().find(asked).unwrap();
    let weighs = format!("trained in round {straggling}, counts 0.");
    assert!(counted.state == RoundHomeState::Taken && counted.reason.starts_with(&weighs), "{counted:?}");
}
