//! Chaos: homes that answer, an aggregator that stores, a broker between them, and a fault in every round.
//!
//! After each round everything is mended, and then every answer that a home's outbox took must be in the aggregator's store
//! exactly once, the aggregator must run, and every home must run the newest model, with no word against any. The seed decides the faults and their order; times are the machine's own.

mod answers;
mod fault;
mod mirror;
mod proxy;
mod rounds;
mod world;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;

pub use fault::Fault;
pub use rounds::RoundFault;
use world::World;
pub(crate) use world::mosquitto_process;

/// How a run goes.
#[derive(Debug, Clone, Parser)]
#[command(name = "cargo xtask chaos")]
pub struct Options {
    /// Rounds, half of them on each broker.
    #[arg(long, default_value_t = 50)]
    pub rounds: u32,
    /// Decides faults and their order.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Homes that answer five times a second.
    #[arg(long, default_value_t = 3)]
    pub homes: u32,
    /// Faults in federated rounds, after those rounds; each home breaks a sensor after each, and may not break more.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=150))]
    pub federated: u32,
}

/// Longest that a mended world may take until everything is stored. A lost message is sent again after half a minute.
const SETTLE_MAX: Duration = Duration::from_secs(120);
/// How much longer is waited after that, only to tell a late answer from a lost one: resends back off to a quarter of an hour.
const LATE_MAX: Duration = Duration::from_secs(1200);
/// How long a fault lasts: long enough for answers to fall into it.
const FAULT_LASTS: Duration = Duration::from_millis(800);
/// Time in between: answers flow.
const PEACE: Duration = Duration::from_millis(400);
/// Resident memory that no process may pass, in KiB; a home takes about 15 MiB, the aggregator about 40.
const MEMORY_KIB_MAX: u64 = 256 * 1024;

/// Runs it on both brokers and prints the tally.
///
/// # Errors
/// The first answer that was lost or doubled, with the round, the fault and the seed; or a part that did not come back.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut total = Tally::default();
    let halves = [("mosquitto", options.rounds.div_ceil(2), 0), ("embedded", options.rounds / 2, 1)];
    for (broker, rounds, half) in halves.into_iter().filter(|(_, rounds, _)| *rounds > 0) {
        let tally = play(options, broker, rounds, options.seed.wrapping_mul(2) + half)
            .with_context(|| format!("{broker}, seed {}", options.seed))?;
        total.add(&tally);
    }
    if options.federated > 0 {
        let tally = rounds::play(options.federated, options.seed)
            .with_context(|| format!("federated rounds, seed {}", options.seed))?;
        total.add(&tally);
    }
    println!("\nround tally, seed {}, {} homes", options.seed, options.homes);
    for (fault, count) in &total.faults {
        println!("  {fault:<24} {count}");
    }
    println!("answers taken by outboxes  {}", total.accepted);
    println!("stored exactly once        {}", total.stored);
    println!("lost                       0");
    println!("stored twice               0");
    println!("taken in rounds struck     {}", total.taken);
    println!("largest process            {} MiB", total.memory_kib / 1024);
    println!("longest to settle          {:.1} s", total.settled_after.as_secs_f64());
    println!("took                       {:.0} s", began.elapsed().as_secs_f64());
    let rounds: u32 = total.faults.values().sum();
    println!("{rounds} passed, 0 failed");
    Ok(())
}

/// What a run adds up to.
#[derive(Debug, Default)]
struct Tally {
    faults: std::collections::BTreeMap<&'static str, u32>,
    accepted: usize,
    stored: usize,
    /// Answers that the federated rounds took in which there was a fault.
    taken: usize,
    memory_kib: u64,
    settled_after: Duration,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        for (fault, count) in &other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        self.accepted += other.accepted;
        self.stored += other.stored;
        self.taken += other.taken;
        self.memory_kib = self.memory_kib.max(other.memory_kib);
        self.settled_after = self.settled_after.max(other.settled_after);
    }
}

/// Waits on for what is missing: a loss and a delay are different faults.
fn comes_late(world: &World, accepted: &std::collections::BTreeSet<String>) -> anyhow::Result<String> {
    let began = Instant::now();
    while began.elapsed() < LATE_MAX {
        let stored = world.stored()?;
        if accepted.iter().all(|id| stored.contains_key(id)) {
            return Ok(format!("they came {:.0} s later", began.elapsed().as_secs_f64()));
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(format!("nor {} s later", LATE_MAX.as_secs()))
}

fn play(options: &Options, broker: &str, rounds: u32, seed: u64) -> anyhow::Result<Tally> {
    let mut world = World::build(broker, options.homes, seed)?;
    let mut tally = Tally::default();
    for round in 1..=rounds {
        let fault = world.draw_fault();
        std::thread::sleep(PEACE);
        world.strike(fault).with_context(|| format!("round {round}: {}", fault.name()))?;
        std::thread::sleep(FAULT_LASTS);
        tally.memory_kib = tally.memory_kib.max(world.largest_memory_kib());
        world.mend(fault).with_context(|| format!("round {round}: mending {}", fault.name()))?;
        let began = Instant::now();
        loop {
            // What is taken only now need not be there yet, so the journals are read first.
            let accepted = world.accepted()?;
            let stored = world.stored()?;
            if let Some(twice) = stored.iter().find(|(_, count)| **count > 1) {
                bail!("round {round}, {}: {} is stored {} times", fault.name(), twice.0, twice.1);
            }
            let missing: Vec<_> = accepted.iter().filter(|id| !stored.contains_key(*id)).collect();
            let behind = world.behind()?;
            if missing.is_empty() && behind.is_empty() {
                world.sound().with_context(|| format!("round {round}, {}", fault.name()))?;
                (tally.accepted, tally.stored) = (accepted.len(), accepted.len());
                break;
            }
            if began.elapsed() > SETTLE_MAX && missing.is_empty() {
                let (logs, kept) = (world.logs(), world.keep().display());
                bail!(
                    "round {round}, {}: these homes do not run the newest model after {} s: {behind:?}; all files are in {kept}\n{logs}",
                    fault.name(),
                    SETTLE_MAX.as_secs(),
                );
            }
            if began.elapsed() > SETTLE_MAX {
                let (count, first) = (missing.len(), missing[0]);
                let logs = world.logs();
                let came = comes_late(&world, &accepted)?;
                let kept = world.keep().display();
                bail!(
                    "round {round}, {}: {count} answers are not stored after {} s, among them {first}; {came}; all files are in {kept}\n{logs}",
                    fault.name(),
                    SETTLE_MAX.as_secs(),
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        tally.settled_after = tally.settled_after.max(began.elapsed());
        *tally.faults.entry(fault.name()).or_default() += 1;
        println!(
            "{broker:<10} round {round:>4}  {:<24} settled after {:>5.1} s",
            fault.name(),
            began.elapsed().as_secs_f64()
        );
    }
    if tally.memory_kib > MEMORY_KIB_MAX {
        bail!("a process grew to {} KiB, more than {MEMORY_KIB_MAX}", tally.memory_kib);
    }
    Ok(tally)
}
