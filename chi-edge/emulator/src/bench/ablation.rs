//! `bench ablation`: what federated weights learnt, and how much of it each part of the deployed decision lets through.
//!
//! The same weights are judged in several ways: as homes run them, with every class, with thresholds from weeks that did not train,
//! and with a network that need not prove itself on each entity first. Each way runs at many budgets, so that arms compare at as
//! many false alarms. Weights made here are never shipped.

mod arms;
mod curve;
mod decisions;
mod setup;
mod sheet;
mod weights;

use std::path::PathBuf;

use clap::Args;
use hearthwatch_detector::network::Artifact;
use hearthwatch_evaluation::dataset::DATA_SETS;
use hearthwatch_evaluation::evaluate::{Baseline, Protocol, Stage};
use hearthwatch_evaluation::inject::Family;
use hearthwatch_training::{Corpus, Faults, Prepared, RetrainConfig, held_out_loss, never_stops, prepare};

use super::SHIPPED;
use super::detection::{Parts, Set};
use crate::data;
use arms::Arm;
use decisions::{Decision, Scores};
use setup::{Design, Group, Setup, Setups};
use sheet::Sheet;
use weights::{Made, Maker};

/// Each budget is this many times the one before it.
const BUDGET_STEP: f64 = 1.3;
/// Budgets below and above one alarm a home-week: from .46 to 4.8.
const BUDGETS_BELOW: i32 = 3;
const BUDGETS_ABOVE: i32 = 6;

/// What is measured.
#[derive(Debug, Args)]
pub struct AblationArguments {
    /// Who trains on what, and who is judged.
    #[arg(long, value_enum, default_value_t = Design::Homes)]
    design: Design,
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Training seeds.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// The first training seed: tries are chosen with other seeds than they are reported with.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Measures these arms alone (a part of the name; may be repeated), and what they are held against.
    #[arg(long = "arm", value_name = "TEXT")]
    arms: Vec<String>,
    /// Decides in these ways alone (a part of the name; may be repeated).
    #[arg(long = "decision", value_name = "TEXT")]
    decisions: Vec<String>,
    /// Also measures changes of the recipe, one at a time.
    #[arg(long)]
    tries: bool,
    /// Prints the loss on each fold's calibration homes alone, and judges no home: for choosing among the tries.
    #[arg(long)]
    choosing: bool,
    /// Measures the first so many folds alone.
    #[arg(long)]
    folds: Option<usize>,
    /// Folder in which trained weights are kept, and taken from in a later run; they hang on the arm's name, fold and seed alone.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Where every figure is written, home by home.
    #[arg(long, value_name = "DIR", default_value = "target/bench/ablation")]
    out: PathBuf,
    /// Threads for extraction, scoring and the training of homes.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// Measures and prints a table for each way to decide and each group of homes that is judged.
///
/// # Errors
/// When recordings cannot be read, a training run fails or a file cannot be written.
pub fn run(arguments: &AblationArguments) -> anyhow::Result<()> {
    let source = data::find(arguments.data.as_deref(), &DATA_SETS.iter().map(|set| set.name).collect::<Vec<_>>())?;
    let london = data::homes(&source, Set::London.folders())?;
    anyhow::ensure!(london.len() > 8, "the London homes are not in {source:?}; name a folder with --data");
    let parts = Parts::of(Set::London, &london, &source)?;
    let mut protocol = Protocol::new(Set::London.rules(), &london, &|home| parts.part(home), vec![1, 2, 3]);
    protocol.budgets = (-BUDGETS_BELOW..=BUDGETS_ABOVE).map(|step| BUDGET_STEP.powi(step)).collect();
    // Volumes under surfaces cost more than all the rest and are not asked for here.
    protocol.surface.thresholds = 0;
    let families = Family::EVERY.to_vec();
    let config = RetrainConfig {
        threads: arguments.threads,
        faults: Faults { train_families: families, ..RetrainConfig::longer(1).faults },
        ..RetrainConfig::longer(1)
    };
    let shippable: Vec<&str> = DATA_SETS.iter().filter(|set| set.usage.may_ship()).map(|set| set.name).collect();
    eprintln!("extracting the recordings that are replayed");
    let replay = prepare(&Corpus::split(data::homes(&source, &shippable)?), None, &config, &mut never_stops(|_| {}))?;
    let bench = Bench { arguments, protocol, config, replay, shipped: Artifact::parse(SHIPPED)? };
    let sheet = bench.measure(&Setups::new(arguments.design, &london))?;
    if arguments.choosing {
        return Ok(());
    }
    let text = sheet.to_string();
    println!(
        "design {}, {} London homes, training seeds {} to {}; 90 % intervals over homes\n\n{text}",
        arguments.design.name(),
        london.len(),
        arguments.first_seed,
        arguments.first_seed + arguments.seeds - 1
    );
    std::fs::create_dir_all(&arguments.out)?;
    let file = |ending: &str| arguments.out.join(format!("{}.{ending}", arguments.design.name()));
    std::fs::write(file("txt"), &text)?;
    std::fs::write(file("json"), serde_json::to_string(&sheet)?)?;
    println!("written to {}", arguments.out.display());
    Ok(())
}

/// What all folds and seeds share.
struct Bench<'a> {
    arguments: &'a AblationArguments,
    protocol: Protocol,
    config: RetrainConfig,
    replay: Prepared,
    shipped: Artifact,
}

impl Bench<'_> {
    fn measure(&self, setups: &Setups<'_>) -> anyhow::Result<Sheet> {
        let arguments = self.arguments;
        let arms = Arm::chosen(arguments.design, &arguments.arms, arguments.tries);
        let mut sheet = Sheet::new(&self.protocol, arms.clone());
        let maker = Maker {
            design: arguments.design,
            shipped: &self.shipped,
            replay: &self.replay,
            config: &self.config,
            keep: arguments.keep.as_deref(),
        };
        for seed in arguments.first_seed..arguments.first_seed + arguments.seeds {
            let folds = setups.of(&self.protocol, seed, arguments.threads)?;
            for setup in folds.iter().take(arguments.folds.unwrap_or(usize::MAX)) {
                if arguments.choosing {
                    self.print_losses(&maker, &arms, setup, seed)?;
                    continue;
                }
                let stages: Vec<[Stage<'_>; 2]> = setup.groups.iter().map(|group| self.stages(setup, group)).collect();
                for arm in &arms {
                    eprintln!("seed {seed}, fold {}: {}", setup.fold.number, arm.name);
                    self.judge(arm, maker.make(arm, setup, seed)?, (setup, &stages), seed, &mut sheet);
                }
            }
        }
        Ok(sheet)
    }

    /// The lower, the better; nothing is learnt of the homes that are judged.
    fn print_losses(&self, maker: &Maker<'_>, arms: &[Arm], setup: &Setup, seed: u64) -> anyhow::Result<()> {
        anyhow::ensure!(!setup.chosen_by.is_empty(), "--choosing wants the design homes");
        for arm in arms {
            let Some(weights) = maker.weights(arm, setup, seed)? else { continue };
            let loss = held_out_loss(&weights, &setup.chosen_by, &self.config)?;
            println!("seed {seed}, fold {}, loss {loss:.4}: {}", setup.fold.number, arm.name);
        }
        Ok(())
    }

    /// With thresholds from the first weeks, and with those from later ones.
    fn stages<'s>(&'s self, setup: &'s Setup, group: &Group) -> [Stage<'s>; 2] {
        [&group.early, &group.late]
            .map(|homes| Stage::new(&self.protocol, &setup.fold, homes.clone(), self.config.threads))
    }

    /// Every group of homes in every way to decide, the scores computed once.
    fn judge(&self, arm: &Arm, made: Made, (setup, stages): (&Setup, &[[Stage<'_>; 2]]), seed: u64, sheet: &mut Sheet) {
        let scores = Scores::new(match made {
            Made::Baseline => Box::new(Baseline),
            Made::Network(network) => network,
        });
        for (group, stages) in setup.groups.iter().zip(stages) {
            for decision in Decision::chosen(&self.arguments.decisions) {
                let judged = decision.over(&scores, &self.shipped);
                let calibrated = stages[usize::from(decision.late)].calibrated(&judged);
                let (homes, kept) = (calibrated.run(&group.twins, seed), calibrated.kept_budget(&group.late));
                sheet.add((group.name, decision.name, arm.name), &homes, kept);
            }
        }
    }
}
