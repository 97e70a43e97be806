//! Which classes the network judges: it earns each of them on calibration homes, or the baseline detector keeps it.

use std::collections::BTreeSet;

use hearthwatch_detector::alarm::{Blend, Calibration};
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::network::Scorer;
use hearthwatch_evaluation::evaluate::{Contender, Evaluation, GatePolicy, paired_difference, replay};

use super::config::RetrainConfig;
use super::prepare::Prepared;

/// The classes that a network earned on the calibration homes, which it was not trained on, only stopped by, with thresholds and
/// budget as deployed. The blend must let it speak everywhere.
pub(super) fn earned(
    prepared: &Prepared,
    scorer: &Scorer,
    (calibration, blend): (&Calibration, &Blend),
    config: &RetrainConfig,
) -> BTreeSet<DeviceClass> {
    let contender = Contender::Network { scorer, calibration, blend, baseline: &prepared.baseline };
    let network = replay(&prepared.calibrate, contender, config.gate.budget_per_week, config.threads, |_| {});
    ahead(&network, &prepared.baseline_on_calibrate, &config.gate)
}

/// The classes in which the paired interval over homes lies above zero. A class of one home proves nothing about another,
/// and few faults prove nothing at all.
fn ahead(network: &Evaluation, baseline: &Evaluation, policy: &GatePolicy) -> BTreeSet<DeviceClass> {
    let by_class = network.summary().by_class;
    let enough = by_class.iter().filter(|(_, share)| share.all >= policy.slice_events_min);
    enough
        .filter(|(class, _)| {
            let (ours, theirs) = (network.of_class(class), baseline.of_class(class));
            paired_difference(&ours, &theirs, policy.coverage, policy.resamples, policy.seed).low > 0.0
        })
        .filter_map(|(class, _)| DeviceClass::parse(class))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearthwatch_evaluation::fixtures::evaluation::{events, made_up};

    /// Homes with twenty faults of each class, so many of them found.
    fn evaluation(found: &[&[(DeviceClass, usize)]]) -> Evaluation {
        let home = |home: &&[(DeviceClass, usize)]| {
            home.iter().flat_map(|(class, found)| events("spike", class.as_str(), *found, 20)).collect()
        };
        made_up(1.0, 0, found.iter().map(home))
    }

    #[test]
    fn a_class_is_earned_where_every_home_says_so_and_not_where_they_disagree() {
        let (power, water) = (DeviceClass::Power, DeviceClass::Water);
        let network = evaluation(&[&[(power, 15), (water, 15)], &[(power, 12), (water, 5)]]);
        let baseline = evaluation(&[&[(power, 10), (water, 10)], &[(power, 10), (water, 10)]]);
        assert_eq!(ahead(&network, &baseline, &GatePolicy::default()), BTreeSet::from([power]));
    }

    #[test]
    fn one_home_or_few_faults_earn_nothing() {
        let power = DeviceClass::Power;
        let (network, baseline) = (evaluation(&[&[(power, 20)]]), evaluation(&[&[(power, 0)]]));
        assert_eq!(ahead(&network, &baseline, &GatePolicy::default()), BTreeSet::new());
        let (network, baseline) =
            (evaluation(&[&[(power, 20)], &[(power, 20)]]), evaluation(&[&[(power, 0)], &[(power, 0)]]));
        let strict = GatePolicy { slice_events_min: 41, ..GatePolicy::default() };
        assert_eq!(ahead(&network, &baseline, &strict), BTreeSet::new());
        assert_eq!(ahead(&network, &baseline, &GatePolicy::default()), BTreeSet::from([power]));
    }
}
