//! One detector's figures over all test homes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bootstrap::{Interval, bootstrap};
use super::outcome::{HomeOutcome, JudgedPair, measure};
use crate::alarm::Calibration;
use crate::dataset::LabelOrigin;

/// Halvings of the search for the budget that gives the wanted false-alarm rate: 2⁻¹⁴ of the range is closer than one
/// alarm in any test set.
const SEARCH_ROUNDS: usize = 14;

/// Most that the budget is stretched either way in that search.
const STRETCH: f64 = 64.0;

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Faults found.
    pub found: u32,
    /// Faults there were.
    pub of: u32,
}

impl Share {
    /// Found / of; `None` without faults.
    #[must_use]
    pub fn ratio(self) -> Option<f64> {
        (self.of > 0).then(|| f64::from(self.found) / f64::from(self.of))
    }
}

/// One detector's figures. Recall is strict event recall over injected faults; real labelled ones are counted apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Test homes.
    pub homes: u32,
    /// Measured weeks of all homes together.
    pub home_weeks: f64,
    /// Recall with thresholds as deployed.
    pub recall: Interval,
    /// False alarms per home-week with thresholds as deployed.
    pub false_alarms_per_week: Interval,
    /// Recall when thresholds are moved until the test homes' clean twins give the budget exactly: two detectors are
    /// compared by this, so that neither wins by being noisier.
    pub matched_recall: Interval,
    /// Median minutes from a fault's start to its alarm, over the faults found as deployed.
    pub delay_minutes_median: Option<f64>,
    /// Found as deployed, by family (injected faults).
    pub families: BTreeMap<String, Share>,
    /// Found as deployed, by device class (injected faults).
    pub classes: BTreeMap<String, Share>,
    /// Found as deployed, labelled by the recordings' authors.
    pub real: Share,
    /// For each home at the matched rate: injected faults found and there.
    pub matched_by_home: BTreeMap<String, Share>,
}

/// Settings of the intervals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampling {
    pub budget_per_week: f64,
    pub resamples: usize,
    pub confidence: f64,
    pub seed: u64,
}

/// Summarises a detector over judged pairs at a budget of alarms a week.
#[must_use]
pub fn summarise(
    pairs: &[JudgedPair<'_>],
    calibration: &Calibration,
    routine: &Calibration,
    config: &super::gate::GateConfig,
) -> Summary {
    let sampling = config.sampling();
    let deployed = measure(pairs, calibration, routine, sampling.budget_per_week);
    let matched = measure(pairs, calibration, routine, matching_budget(pairs, calibration, routine, &sampling));
    let interval = |statistic: &dyn Fn(&[usize]) -> Option<f64>| {
        bootstrap(pairs.len(), sampling.resamples, sampling.confidence, sampling.seed, statistic)
    };
    let injected = |home: &HomeOutcome| share(home, LabelOrigin::Injected);
    let deployed_shares: Vec<Share> = deployed.iter().map(injected).collect();
    let matched_shares: Vec<Share> = matched.iter().map(injected).collect();
    let mut families: BTreeMap<String, Share> = BTreeMap::new();
    let mut classes: BTreeMap<String, Share> = BTreeMap::new();
    let mut delays = Vec::new();
    for event in deployed.iter().flat_map(|home| &home.events) {
        if event.origin != LabelOrigin::Injected {
            continue;
        }
        let found = u32::from(event.delay_seconds.is_some());
        for share in [
            families.entry(event.family.clone()).or_default(),
            classes.entry(event.class.as_str().to_owned()).or_default(),
        ] {
            share.found += found;
            share.of += 1;
        }
        delays.extend(event.delay_seconds);
    }
    delays.sort_unstable();
    let real = deployed.iter().map(|home| share(home, LabelOrigin::Real)).fold(Share::default(), add);
    Summary {
        homes: pairs.len() as u32,
        home_weeks: deployed.iter().map(|home| home.weeks).sum(),
        recall: interval(&|drawn| pooled(&deployed_shares, drawn)),
        false_alarms_per_week: interval(&|drawn| rate(&deployed, drawn)),
        matched_recall: interval(&|drawn| pooled(&matched_shares, drawn)),
        delay_minutes_median: delays.get(delays.len() / 2).map(|seconds| *seconds as f64 / 60.0),
        families,
        classes,
        real,
        matched_by_home: matched.iter().map(|home| (home.home.clone(), injected(home))).collect(),
    }
}

/// The budget at which these homes' clean twins give `sampling.budget_per_week` false alarms a week.
fn matching_budget(
    pairs: &[JudgedPair<'_>],
    calibration: &Calibration,
    routine: &Calibration,
    sampling: &Sampling,
) -> f64 {
    let all: Vec<usize> = (0..pairs.len()).collect();
    let (mut low, mut high) = ((1.0 / STRETCH).ln(), STRETCH.ln());
    for _ in 0..SEARCH_ROUNDS {
        let middle = f64::midpoint(low, high);
        let outcomes = measure(pairs, calibration, routine, sampling.budget_per_week * middle.exp());
        if rate(&outcomes, &all).unwrap_or(0.0) <= sampling.budget_per_week {
            low = middle;
        } else {
            high = middle;
        }
    }
    sampling.budget_per_week * low.exp()
}

fn share(home: &HomeOutcome, origin: LabelOrigin) -> Share {
    home.events.iter().filter(|event| event.origin == origin).fold(Share::default(), |share, event| Share {
        found: share.found + u32::from(event.delay_seconds.is_some()),
        of: share.of + 1,
    })
}

fn add(left: Share, right: Share) -> Share {
    Share { found: left.found + right.found, of: left.of + right.of }
}

/// Recall over the drawn homes; `None` when they hold no fault.
pub(super) fn pooled(shares: &[Share], drawn: &[usize]) -> Option<f64> {
    drawn.iter().map(|home| shares[*home]).fold(Share::default(), add).ratio()
}

fn rate(outcomes: &[HomeOutcome], drawn: &[usize]) -> Option<f64> {
    let weeks: f64 = drawn.iter().map(|home| outcomes[*home].weeks).sum();
    let count: f64 = drawn.iter().map(|home| f64::from(outcomes[*home].false_alarm_count())).sum();
    (weeks > 0.0).then(|| count / weeks)
}
