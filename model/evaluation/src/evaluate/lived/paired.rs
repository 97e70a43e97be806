//! Two detectors on the same homes: what the one finds more than the other, with intervals over homes.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{FaultOutcome, LivedHome};
use crate::evaluate::bootstrap::{Interval, bootstrap};

const COVERAGE: f64 = 0.9;
const RESAMPLES: usize = 2000;
const SEED: u64 = 1;

/// What `left` finds more than `right` of the faults that both tried, and raises more false alarms a week; then class by class. Homes
/// are paired by position and must be the same.
#[must_use]
pub fn paired(left: &[LivedHome], right: &[LivedHome]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "  found more {}; false alarms a week more {}",
        shown(more_found(left, right, |_| true)),
        shown(more_false(left, right))
    );
    let classes: BTreeSet<&str> = left.iter().flat_map(|home| &home.faults).map(|fault| fault.class.as_str()).collect();
    for class in classes {
        let _ = writeln!(text, "    {class:<30} {}", shown(more_found(left, right, |fault| fault.class == class)));
    }
    text
}

fn shown(interval: Interval) -> String {
    format!("{:+.3} ({:+.3} to {:+.3})", interval.point, interval.low, interval.high)
}

fn more_found(left: &[LivedHome], right: &[LivedHome], counts: impl Fn(&FaultOutcome) -> bool) -> Interval {
    let of = |home: &LivedHome| {
        let faults = || home.faults.iter().filter(|fault| counts(fault));
        (faults().filter(|fault| fault.delay_s.is_some()).count() as f64, faults().count() as f64)
    };
    difference(left, right, of)
}

fn more_false(left: &[LivedHome], right: &[LivedHome]) -> Interval {
    difference(left, right, |home| (home.false_alarms.len() as f64, home.weeks))
}

/// A part and the whole.
type Ratio = (f64, f64);

/// The difference of two pooled ratios.
fn difference(left: &[LivedHome], right: &[LivedHome], of: impl Fn(&LivedHome) -> Ratio) -> Interval {
    let pairs: Vec<(Ratio, Ratio)> = left
        .iter()
        .zip(right)
        .map(|(left, right)| (of(left), of(right)))
        .filter(|(left, right)| left.1 > 0.0 && right.1 > 0.0)
        .collect();
    let ratio = |homes: &mut dyn Iterator<Item = (f64, f64)>| {
        let (part, all) = homes.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        if all > 0.0 { part / all } else { 0.0 }
    };
    bootstrap(&pairs, COVERAGE, RESAMPLES, SEED, &|pairs: &[&(Ratio, Ratio)]| {
        ratio(&mut pairs.iter().map(|pair| pair.0)) - ratio(&mut pairs.iter().map(|pair| pair.1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detector_beside_itself_finds_no_more() {
        let fault = |delay_s| FaultOutcome {
            family: "spike".into(),
            class: "power".into(),
            entity_id: "sensor.p".into(),
            day: 30.0,
            hours: 1.0,
            delay_s,
            kind: None,
            withheld: false,
        };
        let home = |found: bool| LivedHome {
            weeks: 5.0,
            faults: vec![fault(Some(600)), fault(found.then_some(600))],
            ..LivedHome::named("a")
        };
        let same = paired(&[home(false), home(true)], &[home(false), home(true)]);
        assert!(same.starts_with("  found more +0.000 (+0.000 to +0.000); false alarms a week more +0.000"), "{same}");
        let more = paired(&[home(true), home(true)], &[home(false), home(false)]);
        assert!(more.contains("found more +0.500 (+0.500 to +0.500)") && more.contains("power"), "{more}");
    }
}
