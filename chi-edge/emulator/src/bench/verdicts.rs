//! `bench verdicts`: what a home's own answers spare it, and what they cost.
//!
//! Recurring nuisances are found in the recordings and put into copies of them. The same home is then lived through three
//! times: nobody answers; nuisances are dismissed and real events confirmed, hours later; as many dismissals fall on
//! alarms drawn at random. The split is by time within the home: only what comes after a dismissal counts.

mod life;
mod nuisance;
mod tally;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use hearthwatch_detector::detector::Model;
use hearthwatch_evaluation::dataset::{DATA_SETS, RecordedHome};
use hearthwatch_evaluation::evaluate::fan_out;
use hearthwatch_evaluation::inject::{Family, InjectionPlan, inject};
use jiff::tz::TimeZone;

use crate::data;
use life::{Habit, Life, World};
use nuisance::Nuisance;
use tally::Tally;

/// Days of warm-up at the start of each home.
const WARM_UP_DAYS: i64 = 14;
/// Real events of each entity in a week: enough to measure recall, few enough not to crowd out the nuisances.
const EVENTS_PER_WEEK: f64 = 1.5;

/// What is measured.
#[derive(Debug, Args)]
pub struct VerdictsArguments {
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data, else the bundled sets.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Seeds of nuisances, events and delays.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Alarms a week that each home asks for.
    #[arg(long, default_value_t = 3.0)]
    budget: f64,
    /// Most homes of each set.
    #[arg(long, default_value_t = 20)]
    homes: usize,
    /// Days of each recording, from its start.
    #[arg(long, default_value_t = 56)]
    days: i64,
}

/// One home under both ways of answering.
#[derive(Debug, Clone, Copy, Default)]
struct Answered {
    verdicts: Tally,
    random: Tally,
}

/// Measures and prints.
///
/// # Errors
/// When the recordings or the shipped model cannot be read.
pub fn run(arguments: &VerdictsArguments) -> anyhow::Result<()> {
    let wanted = ["southwark_homes", "citylearn_2022_homes", "uci_appliances_energy", "open_smart_home"];
    let source = data::find(arguments.data.as_deref(), &DATA_SETS.iter().map(|set| set.name).collect::<Vec<_>>())?;
    let mut homes: Vec<RecordedHome> = Vec::new();
    for set in wanted {
        let cut = |home: RecordedHome| match home.span() {
            Some((start, _)) => home.between(start - 1, start + arguments.days * 86_400),
            None => home,
        };
        homes.extend(data::homes(&source, &[set])?.into_iter().take(arguments.homes).map(cut));
    }
    anyhow::ensure!(!homes.is_empty(), "no recordings in {source:?}; name a folder with --data");
    println!(
        "{} homes, {} alarms a home-week asked for, seeds 1 to {}; 90 % intervals over homes",
        homes.len(),
        arguments.budget,
        arguments.seeds
    );
    println!(
        "after k dismissals: nuisances: their alarms afterwards/without answers, share spared | recall: found without → with answers, change in points"
    );
    let models = [("network", Arc::new(Model::shipped()?)), ("routine detector", Arc::new(Model::baseline()))];
    for (name, model) in &models {
        println!("\n{name:<28} |{:^31} |{:^31} | recall", "k = 1", "k = 2");
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for kind in ["natural", "injected"] {
            let mut answered: Vec<Answered> = Vec::new();
            for seed in 1..=arguments.seeds {
                let measure = |home: &RecordedHome| match kind {
                    "natural" => natural(home, model, arguments.budget, seed),
                    _ => planted(home, model, arguments.budget, seed),
                };
                answered.extend(fan_out(&homes, threads, measure, |_| {}));
            }
            let verdicts: Vec<Tally> = answered.iter().map(|home| home.verdicts).collect();
            let random: Vec<Tally> = answered.iter().map(|home| home.random).collect();
            println!("{}", tally::line(&format!("{kind}, answered"), &verdicts, 1));
            println!("{}", tally::line(&format!("{kind}, at random"), &random, 1));
        }
    }
    Ok(())
}

/// Nuisances that the recording has by itself.
fn natural(home: &RecordedHome, model: &Arc<Model>, budget: f64, seed: u64) -> Answered {
    let Some(from) = judged_from(home) else { return Answered::default() };
    let zone = TimeZone::get(&home.timezone).unwrap_or(TimeZone::UTC);
    let twin = World { home, from, nuisances: &[], model, budget, seed }.live(Habit::Silent);
    let nuisances = nuisance::find(&twin.alarms, &zone);
    if nuisances.is_empty() {
        return Answered::default();
    }
    measure(home, &nuisances, &twin, (from, seed), model, budget)
}

/// Nuisances put into a copy.
fn planted(home: &RecordedHome, model: &Arc<Model>, budget: f64, seed: u64) -> Answered {
    let Some(from) = judged_from(home) else { return Answered::default() };
    let (home, nuisances) = nuisance::plant(home, seed, from);
    let twin = World { home: &home, from, nuisances: &nuisances, model, budget, seed }.live(Habit::Silent);
    measure(&home, &nuisances, &twin, (from, seed), model, budget)
}

fn judged_from(home: &RecordedHome) -> Option<i64> {
    let (first, last) = home.span()?;
    let from = first + WARM_UP_DAYS * 86_400;
    (from < last).then_some(from)
}

/// Repeats on the home as it is, recall on a copy with real events; `twin` is the home's life without answers or events.
fn measure(
    home: &RecordedHome,
    nuisances: &[Nuisance],
    twin: &Life,
    (from, seed): (i64, u64),
    model: &Arc<Model>,
    budget: f64,
) -> Answered {
    let zone = TimeZone::get(&home.timezone).unwrap_or(TimeZone::UTC);
    let families = vec![Family::Spike, Family::LevelShift, Family::Drift, Family::Stuck, Family::NoiseBurst];
    let faulty = inject(home, &InjectionPlan { seed, events_per_entity_week: EVENTS_PER_WEEK, families }, from);
    let quiet = World { home, from, nuisances, model, budget, seed };
    let eventful = World { home: &faulty, ..quiet };
    let unanswered = eventful.live(Habit::Silent);
    let tally = |habit| {
        let mut tally = Tally::default();
        tally.count_repeats(nuisances, &quiet.live(habit), twin, &zone);
        tally.count_recall(&faulty, nuisances, (&eventful.live(habit), &unanswered, twin), &zone);
        tally
    };
    Answered { verdicts: tally(Habit::Answers), random: tally(Habit::AtRandom) }
}
