//! The detection benchmark: every detector on the same homes, in one table.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::bootstrap::{Interval, paired_difference};
use super::outcome::{Evaluation, Summary};
use super::rival::{StaticZ, evaluate_static_z};
use super::watch::{TestHome, evaluate};
use crate::dataset::RecordedHome;
use crate::detector::Model;
use crate::inject::{Family, InjectionPlan, inject};

/// What is measured, and how.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchConfig {
    /// Seed of the injector and of the bootstrap.
    pub seed: u64,
    /// Faults of each entity in a week.
    pub events_per_entity_week: f64,
    /// Days of warm-up at the start of each home.
    pub warm_up_days: i64,
    /// Alarms a week that each home asks for.
    pub budget_per_week: f64,
    /// Coverage of the intervals.
    pub coverage: f64,
    /// Bootstrap resamples.
    pub resamples: usize,
}

impl Default for BenchConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            events_per_entity_week: 0.25,
            warm_up_days: 14,
            budget_per_week: 1.0,
            coverage: 0.9,
            resamples: 2000,
        }
    }
}

/// One detector's line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchRow {
    /// `network`, `routine detector` or `z-score`.
    pub detector: String,
    /// Its figures.
    pub summary: Summary,
    /// Recall of the first row less this one's, paired by home; absent for the first row.
    pub behind_first: Option<Interval>,
}

/// The benchmark's result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchTable {
    /// The settings.
    pub config: BenchConfig,
    /// One line a detector.
    pub rows: Vec<BenchRow>,
}

/// Measures the models and the z-score rival on `test` homes as deployed. The rival's threshold comes from `calibration`
/// homes; the models bring theirs.
#[must_use]
pub fn bench(
    models: &[(String, Arc<Model>)],
    calibration: &[RecordedHome],
    test: &[RecordedHome],
    config: &BenchConfig,
) -> BenchTable {
    let twins = |homes: &[RecordedHome]| -> Vec<TestHome> { homes.iter().map(|home| twin(home, config)).collect() };
    let tests = twins(test);
    let mut evaluations: Vec<(String, Evaluation)> =
        models.iter().map(|(name, model)| (name.clone(), evaluate(&tests, model, config.budget_per_week))).collect();
    let rival = StaticZ::calibrate(&twins(calibration), config.budget_per_week);
    evaluations.push(("z-score".to_owned(), evaluate_static_z(&tests, rival)));
    let first = evaluations[0].1.clone();
    let rows = evaluations
        .into_iter()
        .enumerate()
        .map(|(index, (detector, evaluation))| BenchRow {
            detector,
            summary: evaluation.summary(),
            behind_first: (index > 0)
                .then(|| paired_difference(&first, &evaluation, config.coverage, config.resamples, config.seed)),
        })
        .collect();
    BenchTable { config: config.clone(), rows }
}

fn twin(home: &RecordedHome, config: &BenchConfig) -> TestHome {
    let from = home.span().map_or(0, |(first, _)| first + config.warm_up_days * 86_400);
    let plan = InjectionPlan {
        seed: config.seed,
        events_per_entity_week: config.events_per_entity_week,
        families: Family::ALL.to_vec(),
    };
    TestHome { faulty: inject(home, &plan, from), clean: home.clone(), from }
}

impl fmt::Display for BenchTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.rows.first() else { return write!(f, "nothing was measured") };
        writeln!(
            f,
            "{} test homes, {:.1} home-weeks, {} faults; budget {} alarms a home-week",
            first.summary.homes, first.summary.home_weeks, first.summary.recall.all, self.config.budget_per_week
        )?;
        writeln!(
            f,
            "{:<18} {:>14} {:>8} {:>22} {:>12} {:>14}",
            "detector", "found", "recall", "first row less this", "false/week", "delay (min)"
        )?;
        for row in &self.rows {
            let summary = &row.summary;
            let behind = row.behind_first.map_or("-".to_owned(), |interval| {
                format!("{:+.3} ({:+.3} to {:+.3})", interval.point, interval.low, interval.high)
            });
            writeln!(
                f,
                "{:<18} {:>14} {:>8.3} {:>22} {:>12.2} {:>14}",
                row.detector,
                format!("{} of {}", summary.recall.found, summary.recall.all),
                summary.recall.ratio(),
                behind,
                summary.false_alarms_per_week,
                summary.median_delay_s.map_or("-".to_owned(), |seconds| format!("{}", seconds / 60))
            )?;
        }
        write!(f, "found by family:")?;
        for family in first.summary.by_family.keys() {
            write!(f, "\n  {family:<14}")?;
            for row in &self.rows {
                let share = row.summary.by_family.get(family).copied().unwrap_or_default();
                write!(f, " {:>9}", format!("{}/{}", share.found, share.all))?;
            }
        }
        Ok(())
    }
}
