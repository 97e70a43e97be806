//! A federated round of the demonstration: homes write down their history, the aggregator asks them, and a line on the screen says what came of it.

use std::time::{Duration, Instant};

use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_store::rounds::{RoundHomeRow, RoundRow, RoundStage};

use super::agent::FleetAgent;
use super::home::SimulatedHome;
use super::learn;
use super::round_report::FederatedRound;
use super::stage::Stage;
use super::teach::update_all;
use crate::screen::{Screen, spoken};

/// Longest wait for a round; reached only where a part has failed.
const PATIENCE: Duration = Duration::from_secs(900);

/// How often the aggregator's store is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Holds round `number` at virtual time `at`, and lets every home take the model that it became, if it became one.
///
/// # Errors
/// When a home cannot put down what it lived through, too few homes can train, or the round does not end.
pub async fn hold(
    stage: &Stage,
    (number, at): (u64, i64),
    homes: &mut [SimulatedHome],
    agents: &mut [FleetAgent],
    screen: &Screen,
) -> anyhow::Result<FederatedRound> {
    let start = Instant::now();
    if number == 1 {
        // No round opens yet, and homes offer themselves by this clock.
        stage.round_clock.set(at);
        if stage.aggregator.state().store.champion()?.is_none() {
            screen.say("no model has passed the gate: rounds begin at the network that ships, and \"the model in use\" is that");
        }
    }
    let able = tokio::task::block_in_place(|| remember(agents, homes))?;
    let (train, least) = (able.iter().filter(|home| learn::is_asked_to_train(home)).count(), stage.least());
    anyhow::ensure!(
        train >= least,
        "{train} homes know a sensor for long enough to train, and a round needs {least}: ask for more --homes"
    );
    offered(stage, agents, able.len()).await?;
    // Turned only now: a round must not open before every home has put down its last days.
    stage.round_clock.set(at);
    stage.aggregator.hold_rounds();
    let (row, asked) = ended(stage, number, agents, screen).await?;
    let mut round = FederatedRound::of(&row, &asked)?;
    screen.say(format!("{} ({})", round.line(), spoken(start.elapsed())));
    if let Some(run) = &row.run {
        let version = released(stage, run).await?;
        update_all(version, homes, agents, screen).await?;
        round.released = Some(version.0);
    }
    Ok(round)
}

/// Every home writes what it has lived through, on every core. Returns those that can train or evaluate.
fn remember(agents: &mut [FleetAgent], homes: &[SimulatedHome]) -> anyhow::Result<Vec<HomeId>> {
    let lane = homes.len().div_ceil(std::thread::available_parallelism().map_or(1, usize::from)).max(1);
    std::thread::scope(|scope| {
        let one = |(agents, homes): (&mut [FleetAgent], &[SimulatedHome])| {
            let mut able = Vec::new();
            for (agent, home) in agents.iter_mut().zip(homes) {
                if agent.remember(home)? {
                    able.push(home.id.clone());
                }
            }
            anyhow::Ok(able)
        };
        let lanes: Vec<_> =
            agents.chunks_mut(lane).zip(homes.chunks(lane)).map(|lane| scope.spawn(move || one(lane))).collect();
        let mut able = Vec::new();
        for lane in lanes {
            able.extend(lane.join().map_err(|_| anyhow::anyhow!("the thread that writes histories broke"))??);
        }
        Ok(able)
    })
}

/// Waits until as many homes as can take part have offered to.
async fn offered(stage: &Stage, agents: &[FleetAgent], able: usize) -> anyhow::Result<()> {
    let store = &stage.aggregator.state().store;
    until("the homes' offers to take part", agents, || {
        let offers = store.offers_after(None, 0)?;
        let able_to = offers.iter().filter(|offer| offer.willing && !offer.classes.is_empty()).count();
        Ok((able_to >= able).then_some(()))
    })
    .await
}

/// Waits for the end of round `number`.
async fn ended(
    stage: &Stage,
    number: u64,
    agents: &[FleetAgent],
    screen: &Screen,
) -> anyhow::Result<(RoundRow, Vec<RoundHomeRow>)> {
    let store = &stage.aggregator.state().store;
    let bar = screen.bar("round", 4);
    let row = until(&format!("the end of round {number}"), agents, || {
        let Some(row) = store.round(number)? else { return Ok(None) };
        let (done, doing) = match row.stage {
            RoundStage::Training => (0, "homes train"),
            RoundStage::Sharing | RoundStage::Masking | RoundStage::Unmasking => (0, "homes mask their deltas"),
            RoundStage::Aggregating => (1, "deltas become one, and replay"),
            RoundStage::Evaluating => (2, "other homes evaluate"),
            RoundStage::Judging => (3, "the gate"),
            RoundStage::Ended => return Ok(Some(row)),
        };
        bar.message(format!("{number}: {doing}"));
        bar.reach(done, 4);
        Ok(None)
    })
    .await?;
    bar.clear();
    let homes = store.round_homes(number, None, 0)?;
    Ok((row, homes))
}

/// Waits until the model of `run` is the fleet's.
async fn released(stage: &Stage, run: &str) -> anyhow::Result<ModelVersion> {
    let store = &stage.aggregator.state().store;
    until("the release of a round's model", &[], || {
        Ok(store.champion()?.filter(|model| model.run == run).map(|model| model.version))
    })
    .await
}

/// Looks again and again until `look` finds something.
async fn until<T>(
    what: &str,
    agents: &[FleetAgent],
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        let late = begun.elapsed() > PATIENCE || agents.iter().any(FleetAgent::has_left_rounds);
        anyhow::ensure!(!late, "{what} did not come; log.txt in the run's folder says what the parts did");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
