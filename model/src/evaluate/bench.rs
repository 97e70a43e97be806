//! The detection benchmark: every detector on the same homes, in one table.

use std::fmt;

use serde::Serialize;

use super::calibrate::calibrate;
use super::fan_out::fan_out;
use super::gate::GateConfig;
use super::judge::{Detector, Judged};
use super::outcome::JudgedPair;
use super::summary::{Summary, summarise};
use super::trace::{HomePair, HomeTrace};
use crate::alarm::Calibration;
use crate::dataset::RecordedHome;
use crate::inject::{Family, InjectionPlan, inject};
use crate::network::Artifact;

/// What is measured, and how.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchConfig {
    /// Seed of the injector.
    pub seed: u64,
    /// Faults of each entity in a week.
    pub events_per_entity_week: f64,
    /// Days of warm-up at the start of each home.
    pub warm_up_days: i64,
    /// Threads.
    pub threads: usize,
    /// Budget and intervals.
    pub gate: GateConfig,
}

impl Default for BenchConfig {
    fn default() -> Self {
        Self { seed: 1, events_per_entity_week: 0.5, warm_up_days: 14, threads: 2, gate: GateConfig::default() }
    }
}

/// One detector's line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchRow {
    /// `network`, `routine`, `ewma z-score`, `static z-score`.
    pub detector: String,
    /// Its figures.
    pub summary: Summary,
}

/// The benchmark's result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchTable {
    /// The settings.
    pub config: BenchConfig,
    /// One line a detector.
    pub rows: Vec<BenchRow>,
}

/// Measures the network (when one is given), the routine detector and two z-score rivals on `test`, each with thresholds
/// from `calibration` homes. The network keeps the thresholds of its artifact: it is measured as it ships.
#[must_use]
pub fn bench(
    network: Option<&Artifact>,
    calibration: &[RecordedHome],
    test: &[RecordedHome],
    config: &BenchConfig,
) -> BenchTable {
    let from = |home: &RecordedHome| home.span().map_or(0, |(first, _)| first + config.warm_up_days * 86_400);
    let quiet: Vec<HomeTrace> =
        fan_out(calibration, config.threads, |home| HomeTrace::extract(home, from(home)), |_| {});
    let plan = InjectionPlan {
        seed: config.seed,
        events_per_entity_week: config.events_per_entity_week,
        families: Family::ALL.to_vec(),
    };
    let pairs: Vec<HomePair> = fan_out(
        test,
        config.threads,
        |home| HomePair {
            clean: HomeTrace::extract(home, from(home)),
            faulty: HomeTrace::extract(&inject(home, &plan, from(home)), from(home)),
        },
        |_| {},
    );
    let fit = |detector: Detector<'_>| -> Calibration {
        let judged: Vec<Vec<Judged>> = quiet.iter().map(|home| detector.judge(home)).collect();
        let homes: Vec<(&HomeTrace, &[Judged])> =
            quiet.iter().zip(&judged).map(|(home, judged)| (home, judged.as_slice())).collect();
        calibrate(&homes)
    };
    let routine = fit(Detector::Routine);
    let mut rows = Vec::new();
    if let Some(artifact) = network {
        let scorer = artifact.scorer();
        let judged = JudgedPair::judge_all(&pairs, Detector::Network(&scorer), config.threads, |_| {});
        let summary = summarise(&judged, artifact.calibration(), artifact.routine_calibration(), &config.gate);
        rows.push(BenchRow { detector: "network".to_owned(), summary });
    }
    for (name, detector) in [
        ("routine", Detector::Routine),
        ("ewma z-score", Detector::EwmaZ),
        ("static z-score", Detector::StaticZ),
    ] {
        let own = fit(detector);
        let judged = JudgedPair::judge_all(&pairs, detector, config.threads, |_| {});
        let summary = summarise(&judged, &own, &routine, &config.gate);
        rows.push(BenchRow { detector: name.to_owned(), summary });
    }
    BenchTable { config: config.clone(), rows }
}

impl fmt::Display for BenchTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.rows.first() else { return write!(f, "nothing was measured") };
        let faults: u32 = first.summary.families.values().map(|share| share.of).sum();
        writeln!(
            f,
            "{} test homes, {:.1} home-weeks, {faults} injected faults, {} real ones; budget {} false alarms per \
             home-week; intervals {:.0} % over homes",
            first.summary.homes,
            first.summary.home_weeks,
            first.summary.real.of,
            self.config.gate.budget_per_week,
            100.0 * self.config.gate.confidence
        )?;
        writeln!(
            f,
            "{:<15} {:>22} {:>20} {:>18} {:>12} {:>6}",
            "detector", "recall at the budget", "recall deployed", "false/home-week", "delay (min)", "real"
        )?;
        for row in &self.rows {
            let summary = &row.summary;
            let interval = |interval: &super::Interval| {
                format!("{:.3} ({:.2}-{:.2})", interval.value, interval.low, interval.high)
            };
            writeln!(
                f,
                "{:<15} {:>22} {:>20} {:>18} {:>12} {:>6}",
                row.detector,
                interval(&summary.matched_recall),
                interval(&summary.recall),
                interval(&summary.false_alarms_per_week),
                summary.delay_minutes_median.map_or("-".to_owned(), |minutes| format!("{minutes:.0}")),
                format!("{}/{}", summary.real.found, summary.real.of)
            )?;
        }
        write!(f, "found as deployed, by family:")?;
        for family in first.summary.families.keys() {
            write!(f, "\n  {family:<12}")?;
            for row in &self.rows {
                let share = row.summary.families.get(family).copied().unwrap_or_default();
                write!(f, " {:>8}", format!("{}/{}", share.found, share.of))?;
            }
        }
        Ok(())
    }
}
