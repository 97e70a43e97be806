//! Whether a device computes what the processor does, and how fast it trains.
//!
//! This is what the GPU bundle runs on a machine that has nothing else of the project.

use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use hearthwatch_detector::network::{CLASS_SLOTS, DeviceKind, Scorer, WINDOW_VALUES, initial_weights};

use crate::stepper::TrainStepBench;

/// Largest difference of an output between two devices: their kernels add in another order, that is all.
const TOLERANCE: f32 = 1e-3;

/// Windows that are compared.
const WINDOWS: usize = 64;

/// Steps before the clock runs: kernels are chosen, and compiled where the device does so.
const WARM_UP_STEPS: usize = 10;

/// What is measured.
#[derive(Debug, Args)]
pub struct MeasureTrainingArguments {
    /// `flex`, `ndarray` or `cuda`, as far as this program was built with them.
    #[arg(long, default_value = "flex")]
    device: String,
    /// Windows of a step.
    #[arg(long, default_value_t = 256)]
    batch: usize,
    /// Seconds to time.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Figures as JSON, for a program that compares.
    #[arg(long)]
    json: bool,
}

/// Compares, times, prints.
///
/// # Errors
/// A device that is not there, or that computes something else.
pub fn run(arguments: &MeasureTrainingArguments) -> anyhow::Result<()> {
    let kind = DeviceKind::parse(&arguments.device)?;
    ensure!(arguments.batch > 0, "--batch must be at least 1");
    let worst = worst_difference(kind)?;
    let mut bench = TrainStepBench::new(kind, arguments.batch)?;
    (0..WARM_UP_STEPS).for_each(|_| {
        bench.step();
    });
    let (start, limit) = (Instant::now(), Duration::from_secs(arguments.seconds));
    let mut steps = 0_u32;
    while start.elapsed() < limit || steps == 0 {
        bench.step();
        steps += 1;
    }
    let rate = f64::from(steps) * arguments.batch as f64 / start.elapsed().as_secs_f64();
    if arguments.json {
        let figures = serde_json::json!({
            "device": kind.as_str(), "batch": arguments.batch, "samples_per_s": rate, "worst_difference": worst,
        });
        println!("{figures}");
    } else {
        println!("device {}: outputs within {worst:.1e} of the processor's", kind.as_str());
        println!("training, batch {}: {rate:.0} samples/s over {steps} steps", arguments.batch);
    }
    ensure!(worst <= TOLERANCE, "{} computes something else: outputs differ by {worst}", kind.as_str());
    Ok(())
}

/// The largest difference of an output between the device and the processor, same weights and windows.
fn worst_difference(kind: DeviceKind) -> anyhow::Result<f32> {
    let weights = initial_weights(1);
    let windows: Vec<f32> =
        (0..WINDOWS * WINDOW_VALUES).map(|place| ((place * 7919) % 401) as f32 / 100.0 - 2.0).collect();
    let classes: Vec<usize> = (0..WINDOWS).map(|window| window % CLASS_SLOTS).collect();
    let reference = Scorer::new(&weights)?.score(&windows, &classes);
    let found = Scorer::on(&weights, &kind.open()?).score(&windows, &classes);
    let differences = reference.iter().zip(&found).flat_map(|(left, right)| {
        let quantiles = left.quantiles.iter().zip(&right.quantiles).map(|(left, right)| (left - right).abs());
        quantiles.chain([(left.logit - right.logit).abs()])
    });
    // Written so that a NaN is the worst of all.
    Ok(differences.fold(0.0, |worst, one| if one <= worst { worst } else { one }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_computes_what_it_computes() {
        assert!(worst_difference(DeviceKind::Flex).unwrap() <= 1e-6);
    }
}
