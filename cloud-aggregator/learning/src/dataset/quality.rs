//! Whether windows from homes are fit to learn from: schema, ranges, gaps, repeats, and drift. Pure.
//!
//! A window comes with an alarm, so its end is unusual by design. Its first four hours, half a day before, are ordinary
//! life: those are held against the data that the reigning model was trained on.

use std::collections::HashSet;

use hearthwatch_detector::drift::{Binned, FeatureProfile, PSI_ALARM};
use hearthwatch_detector::grid::{FEATURES, Feature, WINDOW_STEPS};
use hearthwatch_ingest::drift::{DriftWatch, ORDINARY_ROWS};
use hearthwatch_store::story::QualityReport;
use sha2::{Digest as _, Sha256};

use super::Example;

/// The extractor holds every feature within this; what lies beyond was not made by it.
const FEATURE_LIMIT: f32 = 12.0;

/// The feature that tells how many steps ago the last report came, as ln(1 + steps) / 3.
const AGE_FEATURE: usize = Feature::ReportAge.index();

/// An age of six hours without a report, on that feature's scale: ln(1 + 36) / 3.
const AGE_GAP: f32 = 1.2037;

/// Windows below which no distribution is compared: 20 × 24 rows are the least that fill ten bins.
const DRIFT_WINDOWS_MIN: usize = 20;

/// What chance alone adds to a stability index in 1 of 1,000 data sets of the same distribution, times the number of windows: the index over ten
/// bins is about χ² with nine degrees of freedom divided by the size of the sample (Yurdakul and Naranjo, Statistical properties of the
/// population stability index, 2020). Rows of one window follow one another, so windows count, not rows.
const CHANCE: f64 = 27.877;

/// Share of windows with a gap beyond which it is worth saying.
const GAP_SHARE_MAX: f64 = 0.2;

/// Looks at examples before a run learns from them. `reference` describes what the reigning model was trained on.
#[must_use]
pub fn check(examples: &[Example], reference: Option<&FeatureProfile>) -> QualityReport {
    let mut check = Check::new(reference);
    examples.iter().for_each(|example| check.add(example));
    check.finish()
}

/// The same look, one example after another: it keeps 32 bytes of each.
pub struct Check<'a> {
    report: QualityReport,
    /// Hashes of the windows, to find repeats.
    seen: HashSet<[u8; 32]>,
    ordinary: Option<Binned<'a>>,
    watch: DriftWatch,
}

impl<'a> Check<'a> {
    /// A look at nothing yet. `reference` describes what the reigning model was trained on.
    #[must_use]
    pub fn new(reference: Option<&'a FeatureProfile>) -> Self {
        let (report, seen, watch) = (QualityReport::default(), HashSet::new(), DriftWatch::default());
        Self { report, seen, ordinary: reference.map(Binned::new), watch }
    }

    /// Looks at the next example.
    pub fn add(&mut self, example: &Example) {
        let report = &mut self.report;
        report.windows += 1;
        *report.classes.entry(example.class.as_str().to_owned()).or_default() += 1;
        report.confirmed += usize::from(example.anomalous);
        if example.window.len() != WINDOW_STEPS * FEATURES {
            report.misshapen += 1;
            return;
        }
        report.out_of_range += usize::from(!example.window.iter().all(in_range));
        report.gaps += usize::from(example.window.chunks_exact(FEATURES).any(|row| row[AGE_FEATURE] >= AGE_GAP));
        let bits: Vec<u8> = example.window.iter().flat_map(|value| value.to_bits().to_be_bytes()).collect();
        report.repeats += usize::from(!self.seen.insert(Sha256::digest(&bits).into()));
        if let Some(ordinary) = &mut self.ordinary {
            ordinary.add(&example.window[..ORDINARY_ROWS * FEATURES]);
        }
        report.moves += u32::from(self.watch.step(example.class, &example.window));
    }

    /// What was found.
    #[must_use]
    pub fn finish(self) -> QualityReport {
        let mut report = self.report;
        if let Some(ordinary) = self.ordinary.filter(|_| report.windows >= DRIFT_WINDOWS_MIN) {
            report.stability = ordinary.psi();
        }
        report.findings = findings(&report);
        report
    }
}

/// Features whose stability index is high, and higher than so few windows explain; each with its index.
pub fn drifted(report: &QualityReport) -> impl Iterator<Item = (usize, f64)> + '_ {
    let limit = PSI_ALARM.max(CHANCE / report.windows.max(1) as f64);
    report.stability.iter().copied().enumerate().filter(move |(_, index)| *index >= limit)
}

/// Windows that no home with our agent sends: of another size, beyond the range, or copies.
#[must_use]
pub fn faulty(report: &QualityReport) -> usize {
    report.misshapen + report.out_of_range + report.repeats
}

fn in_range(value: &f32) -> bool {
    value.is_finite() && value.abs() <= FEATURE_LIMIT
}

fn findings(report: &QualityReport) -> Vec<String> {
    let mut said = Vec::new();
    let all = report.windows;
    for (count, what) in [
        (report.misshapen, "have another size than a window"),
        (report.out_of_range, "hold values that no extractor gives"),
        (report.repeats, "are copies of another one"),
    ] {
        if count > 0 {
            said.push(format!("{count} of {all} windows {what}"));
        }
    }
    if report.gaps as f64 > GAP_SHARE_MAX * all as f64 {
        said.push(format!("{} of {all} windows have six silent hours in them", report.gaps));
    }
    for (feature, index) in drifted(report) {
        said.push(format!("feature {feature} has drifted: stability index {index:.2}, {PSI_ALARM} is much"));
    }
    if report.moves > 0 {
        said.push(format!("the usual size of residuals moved {} times", report.moves));
    }
    said
}

#[cfg(test)]
mod tests {
    use hearthwatch_detector::class::DeviceClass;
    use hearthwatch_protocol::{ModelVersion, RecordKey, Sequence};
    use hearthwatch_store::fixtures::home;

    use super::*;

    /// A window whose values depend on `number`; every row reports.
    fn example(number: u64, by: f32) -> Example {
        let mut window: Vec<f32> = (0..WINDOW_STEPS * FEATURES)
            .map(|place| by + ((place as u64 * 31 + number * 17) % 100) as f32 / 100.0)
            .collect();
        window.chunks_exact_mut(FEATURES).for_each(|row| row[AGE_FEATURE] = 0.0);
        Example {
            key: RecordKey { home: home("a"), sequence: Sequence(number) },
            class: DeviceClass::Power,
            model_version: ModelVersion::ROUTINE,
            anomalous: number.is_multiple_of(2),
            weight: 1.0,
            window,
        }
    }

    fn profile() -> FeatureProfile {
        let rows: Vec<f32> = (0..100).flat_map(|number| example(number, 0.0).window).collect();
        FeatureProfile::of(&rows).unwrap()
    }

    #[test]
    fn ordinary_windows_give_no_finding() {
        let examples: Vec<_> = (0..40).map(|number| example(number, 0.0)).collect();
        let report = check(&examples, Some(&profile()));
        assert_eq!((report.windows, report.confirmed, report.classes["power"]), (40, 20, 40));
        assert_eq!(report.stability.len(), FEATURES);
        assert_eq!(report.findings, Vec::<String>::new());
    }

    #[test]
    fn every_fault_is_counted_and_said() {
        let mut examples: Vec<_> = (0..4).map(|number| example(number, 0.0)).collect();
        examples[0].window.pop();
        examples[1].window[5] = f32::NAN;
        examples[2].window[AGE_FEATURE] = 1.3;
        examples.push(examples[3].clone());
        let report = check(&examples, None);
        assert_eq!((report.misshapen, report.out_of_range, report.gaps, report.repeats), (1, 1, 1, 1));
        let size = "1 of 5 windows have another size than a window";
        let values = "1 of 5 windows hold values that no extractor gives";
        assert_eq!(report.findings, [size, values, "1 of 5 windows are copies of another one"]);
        assert_eq!(faulty(&report), 3);
    }

    #[test]
    fn ordinary_rows_unlike_the_training_data_are_drift_and_a_few_windows_tell_nothing() {
        let moved = |count| (0..count).map(|number| example(number, 0.8)).collect::<Vec<_>>();
        let report = check(&moved(30), Some(&profile()));
        assert!(report.findings[0].starts_with("feature 0 has drifted: stability index "), "{:?}", report.findings);
        assert!(check(&moved(10), Some(&profile())).stability.is_empty());
    }

    #[test]
    fn an_index_that_so_few_windows_give_by_chance_is_no_drift() {
        let of = |windows, index| QualityReport { windows, stability: vec![0.1, index], ..QualityReport::default() };
        let places = |report: QualityReport| drifted(&report).collect::<Vec<_>>();
        assert_eq!(places(of(40, 0.69)), []);
        assert_eq!(places(of(40, 0.70)), [(1, 0.70)]);
        assert_eq!(places(of(1_000, 0.24)), []);
        assert_eq!(places(of(1_000, 0.25)), [(1, 0.25)]);
    }
}
