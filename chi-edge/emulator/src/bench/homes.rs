//! `bench homes`: homes as they are lived with, from the hour of installation, in the recorder's form, one fault at a time.

mod mixed;
mod reference_methods;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use hearthwatch_detector::detector::Model;
use hearthwatch_evaluation::dataset::{DATA_SETS, RecordedHome, registry};
use hearthwatch_evaluation::evaluate::lived::{LivedHome, LivedPlan, LivedSummary, live_through, paired};
use hearthwatch_evaluation::inject::Family;
use hearthwatch_training::Corpus;

use crate::data;

/// Homes of a set, first by name.
const HOMES_MAX: usize = 20;

/// What is measured.
#[derive(Debug, Args)]
pub struct HomesArguments {
    /// Which homes (may be repeated); all of them when left away.
    #[arg(long = "set", value_enum)]
    sets: Vec<Set>,
    /// Injection seeds; 0 tries no fault.
    #[arg(long, default_value_t = 2)]
    seeds: u64,
    /// Most days of a home; a year shows the seasons.
    #[arg(long, default_value_t = 63)]
    days: u16,
    /// Alarms a week that each home asks for (may be repeated: then a table of what each budget gave comes last).
    #[arg(long = "budget", default_values_t = [1.0])]
    budgets: Vec<f64>,
    /// Measure the baseline detector alone, too.
    #[arg(long)]
    baseline: bool,
    /// Measure these artifacts, too (may be repeated).
    #[arg(long = "artifact", value_name = "FILE")]
    artifacts: Vec<PathBuf>,
    /// Have the whole home away now and then: minutes each night, at updates, five hours in a month.
    #[arg(long)]
    outages: bool,
    /// Try the faults also all together in one copy of the home.
    #[arg(long)]
    dense: bool,
    /// Measure what others do on the same homes with the same faults all in one copy, at as many false alarms as the shipped detector raised.
    #[arg(long)]
    rivals: bool,
    /// Measure the homes that set thresholds instead of those that had no part in what ships: to choose a constant by, never to report.
    #[arg(long)]
    calibration_homes: bool,
    /// Print every false alarm.
    #[arg(long)]
    verbose: bool,
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data, else the bundled sets.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where every figure is written as JSON.
    #[arg(long, value_name = "DIR", default_value = "target/bench/homes")]
    out: PathBuf,
}

/// Sets of homes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Set {
    /// Climate, light, sound and air in London.
    London,
    /// Water meters in Alicante and Vancouver.
    Water,
    /// The same water meters, with leaks of 5 to 100 L/h and bursts of 300 to 1,500 L/h.
    Plumbing,
    /// Solar roofs and appliances of 500 W and more: a roof partly dead, an appliance that never stops.
    Costly,
    /// Electricity: homes in California, a house near Paris, a heat pump.
    Power,
    /// Single appliances: plugs in Darmstadt and Sydney.
    Plugs,
    /// Climate in Belgium and Germany.
    Climate,
    /// Doors, motion, rooms.
    Switches,
    /// Rooms, meters of electricity and water, and plugs of four sets in one home.
    Mixed,
}

impl Set {
    fn folders(self) -> &'static [&'static str] {
        match self {
            Self::London => &["southwark_homes"],
            Self::Water | Self::Plumbing => &["daiad_water", "ampds2_gas_water"],
            Self::Power => &["citylearn_2022_homes", "uci_household_power", "ethz_heatpump"],
            Self::Costly => &["citylearn_2022_homes", "uci_household_power", "tracebase_appliances"],
            Self::Plugs => &["tracebase_appliances"],
            Self::Climate => &["uci_appliances_energy", "open_smart_home"],
            Self::Switches => &["kasteren_mit_tl", "casas_al_sample", "hass_robmarkcole"],
            Self::Mixed => &["southwark_homes", "citylearn_2022_homes", "daiad_water", "tracebase_appliances"],
        }
    }

    /// Faults of each entity in a week of each seed: enough of each set to count.
    fn faults_per_entity_week(self) -> f64 {
        match self {
            Self::London | Self::Plugs | Self::Climate | Self::Switches => 0.7,
            Self::Water | Self::Plumbing | Self::Costly | Self::Power | Self::Mixed => 0.5,
        }
    }

    fn families(self) -> &'static [Family] {
        match self {
            Self::Plumbing => Family::PLUMBING,
            Self::Costly => Family::COSTLY,
            _ => Family::EVERY,
        }
    }
}

/// Homes under what is shipped, and the same homes under another.
type Beside = (Vec<LivedHome>, Vec<LivedHome>);

/// Measures and prints a table for each set.
///
/// # Errors
/// When the recordings or the shipped model cannot be read, or a file cannot be written.
pub fn run(arguments: &HomesArguments) -> anyhow::Result<()> {
    let all: Vec<&str> = DATA_SETS.iter().map(|set| set.name).collect();
    let source = data::find(arguments.data.as_deref(), &all)?;
    let mut models = vec![("shipped".to_owned(), Arc::new(Model::shipped()?))];
    if arguments.baseline {
        models.push(("baseline".to_owned(), Arc::new(Model::baseline())));
    }
    for path in &arguments.artifacts {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        models.push((path.display().to_string(), Arc::new(Model::from_artifact(&bytes, 0)?)));
    }
    let sets = if arguments.sets.is_empty() { Set::value_variants() } else { &arguments.sets };
    let mut measured: Vec<(Set, Vec<RecordedHome>)> = Vec::new();
    for set in sets {
        let homes = data::homes(&source, set.folders())?;
        let homes = if arguments.calibration_homes { calibrating(homes) } else { held_out(homes) };
        let mut homes = if *set == Set::Mixed { mixed::mixed(&homes) } else { homes };
        homes.truncate(HOMES_MAX);
        if homes.is_empty() {
            println!("{set:?}: no recordings that had no part in what ships, in {source:?}");
            continue;
        }
        let homes = homes.iter().filter_map(|home| first_days(home, arguments.days)).collect();
        measured.push((*set, homes));
    }
    write_protocol(arguments, &measured)?;
    let mut budgets = String::new();
    let mut together: BTreeMap<(usize, &str), Beside> = BTreeMap::new();
    for (set, homes) in &measured {
        let mut shipped: Vec<Vec<LivedHome>> = Vec::new();
        for (name, model) in &models {
            for (place, budget) in arguments.budgets.iter().enumerate() {
                let plan = LivedPlan {
                    budget_per_week: *budget,
                    seeds: (1..=arguments.seeds).collect(),
                    faults_per_entity_week: set.faults_per_entity_week(),
                    families: set.families().to_vec(),
                    outages: arguments.outages,
                    dense: arguments.dense || arguments.rivals,
                };
                let lived = on_two_threads(homes, model, &plan);
                report(*set, name, *budget, &lived, arguments)?;
                let _ = writeln!(budgets, "  {set:?}, {name}: {}", LivedSummary::of(&lived).at_budget(*budget));
                if arguments.rivals && name == "shipped" {
                    reference_methods::beside(*set, *budget, homes, &lived, &plan, &arguments.out)?;
                }
                match shipped.get(place) {
                    Some(shipped) => {
                        println!("  what is shipped beside this\n{}", paired(shipped, &lived));
                        let (left, right) = together.entry((place, name)).or_default();
                        left.extend(shipped.iter().cloned());
                        right.extend(lived);
                    }
                    None => shipped.push(lived),
                }
            }
        }
    }
    for ((place, name), (left, right)) in together.iter().filter(|_| measured.len() > 1) {
        let budget = arguments.budgets[*place];
        println!(
            "all sets together, {budget} a week asked for: what is shipped beside {name}\n{}",
            paired(left, right)
        );
    }
    if arguments.budgets.len() > 1 {
        println!("\nasked against given\n{budgets}");
    }
    Ok(())
}

/// What will be measured and how, before anything is: `homes.protocol.json`.
fn write_protocol(arguments: &HomesArguments, measured: &[(Set, Vec<RecordedHome>)]) -> anyhow::Result<()> {
    let sets: Vec<serde_json::Value> = measured
        .iter()
        .map(|(set, homes)| {
            let homes: Vec<String> = homes.iter().map(RecordedHome::full_name).collect();
            let families: Vec<&str> = set.families().iter().map(|family| family.as_str()).collect();
            serde_json::json!({
                "set": format!("{set:?}"), "homes": homes, "faults_per_entity_week": set.faults_per_entity_week(),
                "families": families,
            })
        })
        .collect();
    let protocol = serde_json::json!({
        "sets": sets, "budgets": arguments.budgets, "seeds": arguments.seeds, "days": arguments.days,
        "outages": arguments.outages, "dense": arguments.dense, "rivals": arguments.rivals, "calibration_homes": arguments.calibration_homes,
        "rivals' threshold": "the one that raises as many false alarms on these clean homes as the shipped detector after three weeks",
        "found": "an alarm of the entity while the fault lasts or in the step after it, and none within six hours of that one without the fault",
        "false": "an alarm outside of the recording's own labelled faults, without injected ones",
        "intervals": "90 %, percentile bootstrap over homes",
    });
    std::fs::create_dir_all(&arguments.out)?;
    let path = arguments.out.join("homes.protocol.json");
    std::fs::write(&path, serde_json::to_string_pretty(&protocol)?).with_context(|| path.display().to_string())?;
    println!("protocol written to {}", path.display());
    Ok(())
}

/// Homes that had no part in what ships: no weights were trained on them, no threshold was set by them.
fn held_out(homes: Vec<RecordedHome>) -> Vec<RecordedHome> {
    let may_ship = |home: &RecordedHome| registry::find(&home.set).is_ok_and(|set| set.usage.may_ship());
    let (used, mut kept): (Vec<_>, Vec<_>) = homes.into_iter().partition(may_ship);
    kept.extend(Corpus::split(used).test);
    kept.sort_by_key(RecordedHome::full_name);
    kept
}

/// Homes that what ships took its thresholds from; the weights were not trained on them.
fn calibrating(homes: Vec<RecordedHome>) -> Vec<RecordedHome> {
    let may_ship = |home: &RecordedHome| registry::find(&home.set).is_ok_and(|set| set.usage.may_ship());
    Corpus::split(homes.into_iter().filter(may_ship).collect()).calibrate
}

fn first_days(home: &RecordedHome, days: u16) -> Option<RecordedHome> {
    let (first, _) = home.span()?;
    Some(home.between(first - 1, first + i64::from(days) * 86_400))
}

fn on_two_threads(homes: &[RecordedHome], model: &Arc<Model>, plan: &LivedPlan) -> Vec<LivedHome> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let done = std::sync::Mutex::new(vec![None; homes.len()]);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(home) = homes.get(place) else { break };
                    let lived = live_through(home, model, plan);
                    eprintln!(
                        "  {}: {} false alarms, {} faults tried",
                        lived.home,
                        lived.false_alarms.len(),
                        lived.faults.len()
                    );
                    done.lock().expect("no thread panics while it holds this")[place] = Some(lived);
                }
            });
        }
    });
    done.into_inner().expect("every thread ended").into_iter().flatten().collect()
}

fn report(set: Set, model: &str, budget: f64, lived: &[LivedHome], arguments: &HomesArguments) -> anyhow::Result<()> {
    println!("\n{set:?}, {model}, {budget} a week asked for\n{}", LivedSummary::of(lived));
    if arguments.verbose {
        for home in lived {
            for alarm in &home.false_alarms {
                println!("  {} day {:.1} {:?} {}", home.home, alarm.day, alarm.kind, alarm.reason);
            }
        }
    }
    std::fs::create_dir_all(&arguments.out)?;
    let path = arguments.out.join(format!("{set:?}-{}-{budget}.json", model.replace('/', "-")).to_lowercase());
    std::fs::write(&path, serde_json::to_string(lived)?).with_context(|| path.display().to_string())
}
