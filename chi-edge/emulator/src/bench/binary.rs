//! `bench binary`: on/off entities left open, gone silent, active at night; and what their detectors cost in false alarms.
//!
//! Thresholds come from recordings whose licence lets what is learnt from them ship (the first 60 % of each); the rest of
//! those, and the homes that may only be measured on, are the test.

mod disturb;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use hearthwatch_detector::alarm::{Calibration, CalibrationCurve};
use hearthwatch_detector::detector::Model;
use hearthwatch_evaluation::dataset::{DATA_SETS, RecordedHome};
use hearthwatch_evaluation::evaluate::{
    EntityTrace, Evaluation, HomeTrace, Record, Share, TestHome, baseline_scores, calibrate, evaluate, fan_out,
};

use crate::data;
use disturb::disturb;

const DAY: i64 = 86_400;
/// Days that a detector learns before it is measured: half of the shortest recordings.
const WARM_UP_DAYS: i64 = 7;
/// Share of a calibration recording, from its start, that thresholds come from.
const CALIBRATION_SHARE: f64 = 0.6;
/// Episodes that a point of a curve must rest on.
const EPISODES_MIN: f64 = 10.0;
/// The rarest rate that a curve answers for, a week: once in twenty years.
const RAREST: f32 = 1e-3;
/// Sets that thresholds may be learnt from.
const CALIBRATION_SETS: [&str; 3] = ["hass_robmarkcole", "windesheim_b4b2022", "uci_occupancy_detection"];
/// Sets that are measured on.
const TEST_SETS: [&str; 3] = ["hass_robmarkcole", "kasteren_mit_tl", "casas_al_sample"];

/// What is measured.
#[derive(Debug, Args)]
pub struct BinaryArguments {
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Seeds of the events; all are pooled.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Alarms a week that each home asks for.
    #[arg(long, default_value_t = 1.0)]
    budget: f64,
    /// Writes the thresholds to this file: `model/shipped/binary-calibration.json` is made so.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// Measures and prints.
///
/// # Errors
/// When recordings cannot be read or the thresholds not be written.
pub fn run(arguments: &BinaryArguments) -> anyhow::Result<()> {
    let source = data::find(arguments.data.as_deref(), &DATA_SETS.iter().map(|set| set.name).collect::<Vec<_>>())?;
    let own = thresholds(&data::homes(&source, &CALIBRATION_SETS)?);
    if let Some(path) = &arguments.write {
        std::fs::write(path, serde_json::to_vec_pretty(&own)?)?;
        println!("written to {}", path.display());
    }
    let shared = Model::baseline().baseline_calibration().clone();
    let detectors = [
        ("pooled thresholds of numbers", Arc::new(Model::Baseline { calibration: without_binary(shared.clone()) })),
        ("own thresholds", Arc::new(Model::Baseline { calibration: without_binary(shared).with_binary(&own) })),
    ];
    for set in TEST_SETS {
        let homes: Vec<RecordedHome> = data::homes(&source, &[set])?.iter().map(binary_only).collect();
        if homes.is_empty() {
            println!("\n{set}: not in {source:?}");
            continue;
        }
        let tests: Vec<TestHome> =
            (1..=arguments.seeds).flat_map(|seed| homes.iter().map(move |home| twin(home, seed))).collect();
        println!("\n{set}: {} homes, budget {} alarms a home-week", homes.len(), arguments.budget);
        for (name, model) in &detectors {
            print(name, &evaluate(&tests, model, arguments.budget));
        }
    }
    Ok(())
}

/// Thresholds of on/off entities from the first part of these recordings.
fn thresholds(homes: &[RecordedHome]) -> Calibration {
    let trace = |home: &RecordedHome| {
        let (first, last) = home.span().unwrap_or_default();
        let cut = binary_only(&home.between(first - 1, cut_of(first, last)));
        HomeTrace::extract(&cut, first + WARM_UP_DAYS * DAY)
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let traces = fan_out(homes, threads, trace, |_| {});
    let scores: Vec<Vec<Vec<f32>>> = traces.iter().map(baseline_scores).collect();
    let records: Vec<Record<'_>> = traces.iter().zip(&scores).map(|(home, scores)| Record { home, scores }).collect();
    let mut calibration = calibrate(&records, None);
    let weeks = |wanted: &dyn Fn(&EntityTrace) -> bool| -> f64 {
        let of_home = |home: &HomeTrace| {
            let entities = home.entities.iter().filter(|entity| wanted(entity)).count();
            entities as f64 * (home.until - home.from).max(0) as f64 / (7 * DAY) as f64
        };
        traces.iter().map(of_home).sum()
    };
    for (class, curve) in &mut calibration.classes {
        settle(curve, weeks(&|entity| entity.class == *class));
    }
    settle(&mut calibration.fallback, weeks(&|_| true));
    calibration
}

/// Keeps the part of a curve that was counted, not guessed: a handful of episodes in a single home says nothing of rarer
/// ones (there, a sensor that really died outweighs all else). Beyond, the score goes by its own scale, which is
/// −ln(how often a week): one more for each e-fold of the rate.
fn settle(curve: &mut CalibrationCurve, entity_weeks: f64) {
    let counted = (EPISODES_MIN / entity_weeks.max(1.0)) as f32;
    curve.points.retain(|(rate, _)| *rate >= counted);
    if let Some((rate, threshold)) = curve.points.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0)) {
        curve.points.insert(0, (RAREST, threshold + (rate / RAREST).ln()));
    }
}

fn cut_of(first: i64, last: i64) -> i64 {
    first + ((last - first) as f64 * CALIBRATION_SHARE) as i64
}

/// The home with its on/off entities alone.
fn binary_only(home: &RecordedHome) -> RecordedHome {
    let mut place = vec![None; home.entities.len()];
    let mut entities = Vec::new();
    for (entity, info) in home.entities.iter().enumerate().filter(|(_, info)| info.class.is_binary()) {
        place[entity] = Some(entities.len() as u32);
        entities.push(info.clone());
    }
    let readings = home.readings.iter().filter_map(|reading| {
        let entity = place.get(reading.entity as usize).copied().flatten()?;
        Some(hearthwatch_detector::reading::Reading { entity, ..*reading })
    });
    RecordedHome { readings: readings.collect(), entities, labels: Vec::new(), ..home.clone() }
}

fn without_binary(mut calibration: Calibration) -> Calibration {
    calibration.classes.retain(|class, _| !class.is_binary());
    calibration
}

/// A test home. Of a recording that thresholds came from only what comes after is judged.
fn twin(home: &RecordedHome, seed: u64) -> TestHome {
    let (first, last) = home.span().unwrap_or_default();
    let calibrated = CALIBRATION_SETS.contains(&home.set.as_str());
    let from = if calibrated { cut_of(first, last) } else { first + WARM_UP_DAYS * DAY };
    TestHome { faulty: disturb(home, seed, from), clean: home.clone(), from }
}

fn print(name: &str, evaluation: &Evaluation) {
    let summary = evaluation.summary();
    let delay = summary.median_delay_s.map_or("-".to_owned(), |seconds| format!("{:.1} h", seconds as f64 / 3600.0));
    println!(
        "  {name:<30} recall {:.3} ({}/{}), {:.2} false alarms a home-week (worst {:.2}) over {:.1} home-weeks, delay {delay}",
        summary.recall.ratio(),
        summary.recall.found,
        summary.recall.all,
        summary.false_alarms_per_week,
        summary.false_alarms_per_week_max,
        summary.home_weeks
    );
    let share = |(name, share): (&String, &Share)| format!("{name} {}/{}", share.found, share.all);
    let families: Vec<String> = summary.by_family.iter().map(share).collect();
    let classes: Vec<String> = summary.by_class.iter().map(share).collect();
    println!("    {} | {}", families.join(", "), classes.join(", "));
}
