//! Faults in federated rounds, in a fleet of its own: real agents that train on recordings.
//!
//! After each fault the round that was open must end by itself with an outcome. Then its rows, the aggregator's log and the homes' ledgers
//! must agree, no number of a round be skipped, no answer count twice, every home raise an alarm and take its resident's answer, the
//! scripted home's answers be stored exactly once, and the lineage verify.

mod agreement;
mod fault;
mod world;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};

pub use fault::RoundFault;
use hearthwatch_store::rounds::RoundOutcome;
use world::RoundWorld;

use super::{FAULT_LASTS, Tally};

/// Longest until the round that was struck has ended and everybody agrees on it: both of its deadlines, and a receipt after them.
const SETTLE_MAX: Duration = Duration::from_secs(420);
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Makes so many `faults`.
///
/// # Errors
/// The first thing that does not hold, with the fault; the files are kept then.
pub fn play(faults: u32, seed: u64) -> anyhow::Result<Tally> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut world = RoundWorld::build(seed, faults as usize).await?;
        let mut tally = Tally::default();
        for number in 1..=faults {
            let fault = world.draw_fault();
            let struck = strike(&mut world, fault, number, &mut tally).await;
            if let Err(error) = struck {
                let (logs, kept) = (world.logs(), world.keep());
                bail!("fault {number}, {}: {error:#}; all files are in {kept}\n{logs}", fault.name());
            }
        }
        tally.accepted = world.accepted()?.len();
        tally.stored = tally.accepted;
        Ok(tally)
    })
}

async fn strike(world: &mut RoundWorld, fault: RoundFault, number: u32, tally: &mut Tally) -> anyhow::Result<()> {
    let struck = world.strike(fault).await?;
    tokio::time::sleep(FAULT_LASTS).await;
    tally.memory_kib = tally.memory_kib.max(world.largest_memory_kib());
    world.mend(&struck).await.context("mending")?;
    let began = Instant::now();
    // Detection waits for no round.
    world.alarms_go_on().await?;
    loop {
        let unsettled = world.unsettled(struck.round)?;
        if unsettled.is_empty() {
            break;
        }
        if began.elapsed() > SETTLE_MAX {
            bail!("{}: after {} s: {}", struck.what, SETTLE_MAX.as_secs(), unsettled.join("; "));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    world.verify_lineage()?;
    tally.settled_after = tally.settled_after.max(began.elapsed());
    *tally.faults.entry(fault.name()).or_default() += 1;
    let (round, taken) = world.round(struck.round)?;
    tally.taken += taken;
    println!(
        "federated  fault {number:>4}  {:<24} settled after {:>5.1} s: round {} {}, {taken} taken; struck: {}",
        fault.name(),
        began.elapsed().as_secs_f64(),
        round.number,
        round.outcome.map_or("open", RoundOutcome::as_str),
        struck.what
    );
    Ok(())
}
