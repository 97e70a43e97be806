//! `bench network`: the network against the baseline detector, fold by fold, over several training seeds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hearthwatch_detector::detector::Model;
use hearthwatch_detector::network::Artifact;
use hearthwatch_evaluation::dataset::{DATA_SETS, RecordedHome};
use hearthwatch_evaluation::evaluate::{Contender, Evaluation, Share, Summary, paired_difference, replay};
use hearthwatch_evaluation::inject::Family;
use hearthwatch_training::{
    Candidate, Corpus, Faults, Progress, RetrainConfig, RetrainRequest, cross_fit, leave_set_out, never_stops, prepare,
    prepare_test,
};

use crate::data;
use crate::screen::Screen;

const LONDON: &str = "southwark_homes";
const BELGIUM: &str = "uci_appliances_energy";

/// Who trains and who tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Fold {
    /// London homes train, other London homes test, each once, in later weeks. These weights never ship.
    L,
    /// The sets that may ship, without Belgium, train; Belgium tests.
    B,
    /// The weights that ship, as they ship, on every London home: neither they nor their thresholds saw one.
    S,
}

/// What is measured.
#[derive(Debug, Args)]
pub struct NetworkArguments {
    /// Which recordings train and which are measured.
    #[arg(long, value_enum, default_value_t = Fold::L)]
    fold: Fold,
    /// Training seeds.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Families that are never trained on, by name (`drift,time_shift`): what is found of them nobody taught.
    #[arg(long, value_delimiter = ',', value_name = "FAMILIES")]
    left_out: Vec<String>,
    /// Parts of fold L that are run; all five test every home once.
    #[arg(long, default_value_t = 5)]
    parts: usize,
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Also writes each artifact here, for `bench detection` and others to measure.
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
}

/// Trains where the fold asks for it, measures, prints.
///
/// # Errors
/// When recordings are missing or a run fails.
pub fn run(arguments: &NetworkArguments) -> anyhow::Result<()> {
    let all: Vec<&str> = DATA_SETS.iter().map(|set| set.name).collect();
    let source = data::find(arguments.data.as_deref(), &all)?;
    let wanted: Vec<&str> = match arguments.fold {
        Fold::L | Fold::S => vec![LONDON],
        Fold::B => DATA_SETS.iter().filter(|set| set.usage.may_ship()).map(|set| set.name).collect(),
    };
    let homes = data::homes(&source, &wanted)?;
    let tests = if arguments.fold == Fold::B { BELGIUM } else { LONDON };
    anyhow::ensure!(
        homes.iter().any(|home| home.set == tests),
        "{tests} is not in {source:?}; name a folder with --data"
    );
    match arguments.fold {
        Fold::S => shipped(&homes),
        Fold::L => trained(&cross_fit(homes)[..arguments.parts.clamp(1, 5)], arguments),
        Fold::B => trained(&[leave_set_out(homes, BELGIUM)], arguments),
    }
}

/// The weights that ship, and the baseline detector as it ships.
fn shipped(homes: &[RecordedHome]) -> anyhow::Result<()> {
    let config = RetrainConfig::longer(1);
    let pairs = prepare_test(homes, &config);
    let Model::Network { scorer, calibration, blend, baseline, .. } = Model::shipped()? else {
        anyhow::bail!("no network ships");
    };
    let contender =
        Contender::Network { scorer: &scorer, calibration: &calibration, blend: &blend, baseline: &baseline };
    let budget = config.gate.budget_per_week;
    let network = replay(&pairs, contender, budget, config.threads, |_| {});
    let baseline = replay(&pairs, Contender::Baseline(&baseline), budget, config.threads, |_| {});
    print(&[("network, as shipped".to_owned(), network)], &baseline);
    Ok(())
}

fn trained(parts: &[Corpus], arguments: &NetworkArguments) -> anyhow::Result<()> {
    let left_out = families(&arguments.left_out)?;
    let kept: Vec<Family> = Family::ALL.iter().copied().filter(|family| !left_out.contains(family)).collect();
    let config = RetrainConfig::longer(1);
    let config = RetrainConfig { faults: Faults { train_families: kept, ..config.faults }, ..config };
    let screen = Screen::new();
    let bar = screen.bar("learn", 1);
    let mut networks: Vec<(String, Evaluation)> = Vec::new();
    let mut baseline = Evaluation::default();
    for (number, corpus) in parts.iter().enumerate() {
        let mut show = never_stops(|progress: Progress| match progress {
            Progress::Preparing { done, total } => {
                bar.message(format!("part {number}: extracting features"));
                bar.reach(done as u64, total as u64);
            }
            Progress::Training { epoch, epochs, step, steps, loss } => {
                bar.message(format!("part {number}: epoch {epoch} of at most {epochs}, loss {loss:.4}"));
                bar.reach(((epoch - 1) * steps + step) as u64, (epochs * steps) as u64);
            }
            Progress::Evaluating { .. } => bar.message(format!("part {number}: measuring")),
        });
        let prepared = prepare(corpus, None, &config, &mut show)?;
        baseline.extend(prepared.baseline_evaluation().clone());
        for seed in 1..=arguments.seeds {
            let seeded = RetrainConfig { seed, ..config.clone() };
            let candidate = RetrainRequest::on_prepared(&prepared, &seeded).run(&mut show)?;
            let name = format!("network, seed {seed}");
            if let Some(folder) = &arguments.save {
                save(folder, &format!("{:?}-{number}-{seed}", arguments.fold), &candidate)?;
            }
            println!("part {number}, {name}: {} epochs, {}", candidate.history.len(), blend_of(&candidate)?);
            match networks.iter_mut().find(|(known, _)| *known == name) {
                Some((_, evaluation)) => evaluation.extend(candidate.evaluation),
                None => networks.push((name, candidate.evaluation)),
            }
        }
    }
    bar.finish("done");
    print(&networks, &baseline);
    if !left_out.is_empty() {
        for (name, evaluation) in networks.iter().chain([&("routine detector".to_owned(), baseline)]) {
            let summary = evaluation.summary();
            let shares = left_out.iter().filter_map(|family| summary.by_family.get(family.as_str()));
            let (found, all) = shares.fold((0, 0), |(found, all), share| (found + share.found, all + share.all));
            println!("{name}: left-out families {:.3} ({found} of {all})", Share { found, all }.ratio());
        }
    }
    Ok(())
}

fn families(names: &[String]) -> anyhow::Result<Vec<Family>> {
    let find = |name: &String| {
        let known = Family::ALL.iter().copied().find(|family| family.as_str() == name);
        known.ok_or_else(|| {
            let all: Vec<_> = Family::ALL.iter().map(|family| family.as_str()).collect();
            anyhow::anyhow!("no family is called `{name}`; there are {}", all.join(", "))
        })
    };
    names.iter().map(find).collect()
}

fn save(folder: &std::path::Path, name: &str, candidate: &Candidate) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(format!("{}.safetensors", name.to_lowercase())), &candidate.artifact)?;
    Ok(())
}

fn blend_of(candidate: &Candidate) -> anyhow::Result<String> {
    let artifact = Artifact::parse(&candidate.artifact)?;
    let blend = artifact.blend();
    let classes: Vec<_> = blend.classes.iter().map(|(class, weight)| format!("{class} {weight}")).collect();
    Ok(format!("routine score added with weight {} ({})", blend.fallback, classes.join(", ")))
}

fn print(networks: &[(String, Evaluation)], baseline: &Evaluation) {
    const COVERAGE: f64 = 0.9;
    const RESAMPLES: usize = 2000;
    let summary = baseline.summary();
    println!(
        "\n{} homes, {:.1} home-weeks, {} faults; budget 1 alarm a home-week; 90 % intervals over homes",
        summary.homes, summary.home_weeks, summary.recall.all
    );
    println!("{:<22} {:<52} {:>32}", "detector", "strict recall, false alarms", "recall less the routine's");
    for (name, evaluation) in networks {
        let ahead = paired_difference(evaluation, baseline, COVERAGE, RESAMPLES, 1);
        let difference = format!("{:+.3} ({:+.3} to {:+.3})", ahead.point, ahead.low, ahead.high);
        println!("{name:<22} {:<52} {difference:>32}", evaluation.summary().to_string());
    }
    println!("{:<22} {summary}", "routine detector");
    slices("class", networks, &summary, |summary| &summary.by_class);
    slices("family", networks, &summary, |summary| &summary.by_family);
}

/// Recall by class or family: pooled over the networks, and the baseline detector's.
fn slices(
    what: &str,
    networks: &[(String, Evaluation)],
    baseline: &Summary,
    of: fn(&Summary) -> &BTreeMap<String, Share>,
) {
    println!("{what:<28} {:>18} {:>20}", "networks, pooled", "routine detector");
    for (name, share) in of(baseline) {
        let (mut found, mut all) = (0, 0);
        for (_, evaluation) in networks {
            let summary = evaluation.summary();
            let share = of(&summary).get(name).copied().unwrap_or_default();
            found += share.found;
            all += share.all;
        }
        let cell = |share: Share| format!("{:.2} ({}/{})", share.ratio(), share.found, share.all);
        println!("  {name:<26} {:>18} {:>20}", cell(Share { found, all }), cell(*share));
    }
}
