//! A barrier of labelled learning: retrain, let the gate judge, and let every home take what it promotes.

use std::time::Instant;

use anyhow::Context;
use hearthwatch_evaluation::evaluate::{GateReport, GateVerdict};
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::messages::UpdateResult;
use hearthwatch_store::RunRow;

use super::agent::FleetAgent;
use super::home::SimulatedHome;
use super::stage::Stage;
use super::table::Round;
use crate::screen::{Screen, spoken};

/// A barrier: retrain, let the gate judge, and if it promotes, let every home verify, swap and prove the new model.
pub async fn teach(
    stage: &Stage,
    homes: &mut [SimulatedHome],
    agents: &mut [FleetAgent],
    screen: &Screen,
) -> anyhow::Result<Round> {
    let start = Instant::now();
    let before = stage.aggregator.state().store.champion()?.map(|model| model.version);
    let run = train(stage, screen).await?;
    let report: GateReport = serde_json::from_str(run.report.as_deref().context("a finished run has a gate report")?)?;
    let champion = stage.aggregator.state().store.champion()?.map(|model| model.version);
    let released = champion.filter(|version| Some(*version) != before);
    let verdict = match &report.verdict {
        GateVerdict::Promote => "Promote".to_owned(),
        GateVerdict::Hold { reasons } => format!("Hold: {}", reasons.join("; ")),
    };
    let learning_s = start.elapsed().as_secs_f64();
    screen.say(format!("gate after {}: {verdict}", spoken(start.elapsed())));
    let start = Instant::now();
    if let Some(version) = released {
        update_all(version, homes, agents, screen).await?;
    }
    let snapshot = stage.aggregator.state().store.snapshot(&run.snapshot)?.context("the run's snapshot is stored")?;
    Ok(Round {
        answers: usize::try_from(snapshot.rows).unwrap_or(usize::MAX),
        snapshot: run.snapshot,
        verdict,
        figures: figures(&report),
        gate: report,
        released: released.map(|version| version.0),
        learning_s,
        updating_s: start.elapsed().as_secs_f64(),
    })
}

async fn train(stage: &Stage, screen: &Screen) -> anyhow::Result<RunRow> {
    let bar = screen.bar("learn", 1);
    let mut status = stage.aggregator.training_status();
    let mut training = std::pin::pin!(stage.aggregator.retrain_now());
    let run = loop {
        tokio::select! {
            run = &mut training => break run?,
            Ok(()) = status.changed() => {
                let status = status.borrow_and_update().clone();
                let loss = status.loss.map(|loss| format!(", loss {loss:.4}")).unwrap_or_default();
                bar.message(format!("{}{loss}", status.phase));
                bar.reach(status.done, status.total.max(1));
            }
        }
    };
    bar.finish("");
    Ok(run)
}

/// Every agent verifies, swaps and proves the release; the homes go on with what proved itself.
pub async fn update_all(
    version: ModelVersion,
    homes: &mut [SimulatedHome],
    agents: &mut [FleetAgent],
    screen: &Screen,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let bar = screen.bar("update", homes.len() as u64);
    let mut installed = 0;
    for (home, agent) in homes.iter_mut().zip(agents) {
        let result = agent.update(home, version).await?;
        match result {
            UpdateResult::Installed => installed += 1,
            UpdateResult::Refused { reason } => screen.say(format!("  {} refused model {version}: {reason}", home.id)),
            UpdateResult::RolledBack { reason, to } => {
                screen.say(format!("  {} went back to model {to}: {reason}", home.id));
            }
        }
        bar.advance(1);
    }
    bar.finish(format!(
        "model {version} signed, verified and in charge in {installed} of {} homes after {}",
        homes.len(),
        spoken(start.elapsed())
    ));
    Ok(())
}

/// The gate's figures in lines.
fn figures(report: &GateReport) -> Vec<String> {
    let mut lines =
        vec![format!("candidate         {}", report.candidate), format!("routine detector  {}", report.baseline)];
    lines.extend(report.champion.iter().map(|champion| format!("champion          {champion}")));
    lines.extend(report.control.iter().map(|control| format!("without feedback  {control}")));
    lines.extend(report.comparisons.iter().map(|comparison| {
        let interval = comparison.recall;
        format!(
            "recall against the {}: {:+.3}, interval {:+.3} to {:+.3}",
            comparison.against, interval.point, interval.low, interval.high
        )
    }));
    lines
}
