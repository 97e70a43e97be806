//! How fast a home is judged, and how much memory that takes.
//!
//! The load is made up (a daily wave with noise), since only its size matters here: detection is measured elsewhere, on real
//! recordings. One thread does everything, as in the running agent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::detector::{AlarmMode, DetectorConfig, HomeDetector, Model};
use hearthwatch_detector::grid::{FEATURES, STEP_SECONDS, WINDOW_STEPS};
use hearthwatch_detector::network::Scorer;
use hearthwatch_detector::reading::{EntityInfo, Reading, Value};

/// How much is measured.
#[derive(Debug, Args)]
pub struct MeasureArguments {
    /// Entities of the home.
    #[arg(long, default_value_t = 300)]
    entities: u32,
    /// Days of history before the measured day; 15 fill every window.
    #[arg(long, default_value_t = 15)]
    days: i64,
    /// Timed calls of the scorer for each batch size.
    #[arg(long, default_value_t = 200)]
    calls: usize,
    /// Only the scorer, printed as JSON: what `cargo xtask bench edge` holds against ONNX Runtime.
    #[arg(long)]
    scorer: bool,
    /// With `--scorer`: also 30 days of 300 entities.
    #[arg(long, requires = "scorer")]
    backfill: bool,
}

/// Batch sizes that the pages name.
const BATCHES: [usize; 3] = [1, 32, 256];

/// Prints the figures.
///
/// # Errors
/// When the shipped model cannot be loaded.
pub fn run(arguments: &MeasureArguments) -> anyhow::Result<()> {
    let model = Arc::new(Model::shipped().context("the shipped model")?);
    if arguments.scorer {
        let Model::Network { scorer, .. } = &*model else { anyhow::bail!("the model that ships has no network") };
        println!("{}", scorer_json(scorer, arguments));
        return Ok(());
    }
    println!("agent {} on {} thread, {} entities", env!("CARGO_PKG_VERSION"), 1, arguments.entities);
    scorer(&model, arguments.calls);
    // A home's history is bounded, so a step must cost the same however long it has been running.
    for days in [arguments.days, 2 * arguments.days] {
        home(&model, days, arguments);
    }
    Ok(())
}

/// Latency of the network alone, at the batch sizes that the pages name.
fn scorer(model: &Model, calls: usize) {
    let Model::Network { scorer, .. } = model else { return };
    println!("{:>6} {:>12} {:>12} {:>14}", "batch", "median µs", "p99 µs", "windows/s");
    for batch in BATCHES {
        let times = batch_times(scorer, batch, calls);
        let median = quantile(&times, 0.5);
        println!(
            "{batch:>6} {:>12.1} {:>12.1} {:>14.0}",
            micros(median),
            micros(quantile(&times, 0.99)),
            batch as f64 / median.as_secs_f64()
        );
    }
}

/// Sorted durations of so many calls on one batch.
fn batch_times(scorer: &Scorer, batch: usize, calls: usize) -> Vec<Duration> {
    let windows: Vec<f32> =
        (0..batch * WINDOW_STEPS * FEATURES).map(|number| ((number % 97) as f32 / 48.0) - 1.0).collect();
    let classes = vec![DeviceClass::Temperature.index(); batch];
    // The first call of a process also detects the processor's kernels.
    std::hint::black_box(scorer.score(&windows, &classes));
    sorted((0..calls).map(|_| timed(|| scorer.score(&windows, &classes))).collect())
}

/// The scorer's figures for a program that compares.
fn scorer_json(scorer: &Scorer, arguments: &MeasureArguments) -> serde_json::Value {
    let batches: serde_json::Map<String, serde_json::Value> = BATCHES
        .into_iter()
        .map(|batch| {
            let times = batch_times(scorer, batch, arguments.calls);
            let figures = serde_json::json!({
                "median_us": micros(quantile(&times, 0.5)), "best_us": micros(quantile(&times, 0.0)),
            });
            (batch.to_string(), figures)
        })
        .collect();
    let backfill = arguments.backfill.then(|| backfill(scorer).as_secs_f64());
    serde_json::json!({ "batches": batches, "backfill_s": backfill })
}

/// Thirty days of 300 entities, scored as a rescoring of a home's history does: what overlapping windows share is computed
/// once.
fn backfill(scorer: &Scorer) -> Duration {
    const ENTITIES: usize = 300;
    const STEPS: usize = 30 * 144;
    let rows: Vec<f32> =
        (0..(STEPS + WINDOW_STEPS - 1) * FEATURES).map(|number| ((number % 89) as f32 / 44.0) - 1.0).collect();
    timed(|| {
        for _ in 0..ENTITIES {
            std::hint::black_box(scorer.score_series(&rows, DeviceClass::Temperature.index()));
        }
    })
}

/// A whole home: history, then one day step by step.
fn home(model: &Arc<Model>, days: i64, arguments: &MeasureArguments) {
    let config = DetectorConfig { timezone: jiff::tz::TimeZone::UTC, budget_per_week: 1.0, salt: b"measure".to_vec() };
    let mut detector = HomeDetector::new(config, Arc::clone(model));
    for number in 0..arguments.entities {
        let (class, unit) = match number % 4 {
            0 => (DeviceClass::Temperature, "°C"),
            1 => (DeviceClass::Humidity, "%"),
            2 => (DeviceClass::Power, "W"),
            _ => (DeviceClass::Illuminance, "lx"),
        };
        let entity_id = format!("sensor.measured_{number}");
        detector.add_entity(EntityInfo { entity_id, class, unit: unit.to_owned() });
    }
    let steps_a_day = 86_400 / STEP_SECONDS;
    let (quiet, all) = (days * steps_a_day, (days + 1) * steps_a_day);
    let mut times = Vec::new();
    for step in 1..=all {
        let at = step * STEP_SECONDS;
        for entity in 0..arguments.entities {
            detector.observe(&Reading { at, entity, value: Value::Number(wave(entity, step, steps_a_day)) });
        }
        let mode = if step <= quiet { AlarmMode::LearnOnly } else { AlarmMode::Raise };
        let time = timed(|| detector.close_step(at, mode));
        if step > quiet {
            times.push(time);
        }
    }
    let times = sorted(times);
    let (median, worst) = (quantile(&times, 0.5), quantile(&times, 0.99));
    println!(
        "step of {} entities after {days} days: median {:.2} ms, p99 {:.2} ms, {:.1} µs an entity",
        arguments.entities,
        micros(median) / 1000.0,
        micros(worst) / 1000.0,
        micros(median) / f64::from(arguments.entities)
    );
    println!("one core busy {:.4} % of the time with scoring", 100.0 * median.as_secs_f64() / STEP_SECONDS as f64);
    if let Some(kibibytes) = resident_kibibytes() {
        println!("resident memory {:.1} MB", kibibytes as f64 * 1024.0 / 1e6);
    }
}

/// A daily wave with hash noise: cheap, seeded by the entity, different at every step.
fn wave(entity: u32, step: i64, steps_a_day: i64) -> f64 {
    let phase = std::f64::consts::TAU * (step % steps_a_day) as f64 / steps_a_day as f64;
    let mut hash = (u64::from(entity) << 32) ^ u64::try_from(step).unwrap_or_default();
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^= hash >> 29;
    let noise = (hash % 1000) as f64 / 1000.0 - 0.5;
    20.0 + 5.0 * (phase + f64::from(entity)).sin() + noise
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed()
}

fn sorted(mut times: Vec<Duration>) -> Vec<Duration> {
    times.sort_unstable();
    times
}

fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// `VmRSS` of this process; none where there is no `/proc`.
fn resident_kibibytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
