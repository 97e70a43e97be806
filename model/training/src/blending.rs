//! Choosing the blend: how much the baseline detector counts beside a network, decided on calibration homes.

use std::collections::BTreeMap;

use hearthwatch_detector::alarm::Blend;
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::network::Scorer;
use hearthwatch_evaluation::evaluate::{Contender, Evaluation, Share, replay};

use super::config::RetrainConfig;
use super::prepare::{Prepared, network_thresholds};

/// Faults of a class on calibration homes below which it takes the weight that is best for all: with fewer, the best of
/// several weights is the luckiest.
const CLASS_FAULTS_MIN: u32 = 30;

/// Tries each configured weight on the calibration homes, thresholds and budget as deployed, and takes the one that finds
/// most faults: for each class with enough of them, for the others together. Ties go to the smaller weight.
pub(super) fn choose(prepared: &Prepared, scorer: &Scorer, config: &RetrainConfig) -> Blend {
    let weights = &config.blend_weights;
    if weights.len() < 2 {
        return Blend::uniform(weights.first().copied().unwrap_or(0.0));
    }
    let tried: Vec<(f32, Evaluation)> =
        weights.iter().map(|weight| (*weight, found(prepared, scorer, *weight, config))).collect();
    best(&tried)
}

fn found(prepared: &Prepared, scorer: &Scorer, weight: f32, config: &RetrainConfig) -> Evaluation {
    let blend = Blend::uniform(weight);
    let calibration = network_thresholds(prepared, scorer, &blend, config.threads);
    let contender =
        Contender::Network { scorer, calibration: &calibration, blend: &blend, baseline: &prepared.baseline };
    replay(&prepared.calibrate, contender, config.gate.budget_per_week, config.threads, |_| {})
}

fn best(tried: &[(f32, Evaluation)]) -> Blend {
    let summaries: Vec<_> = tried.iter().map(|(weight, evaluation)| (*weight, evaluation.summary())).collect();
    let first_best = |shares: &mut dyn Iterator<Item = (f32, Share)>| {
        shares
            .fold(None, |best: Option<(f32, Share)>, one| match best {
                Some(best) if best.1.found >= one.1.found => Some(best),
                _ => Some(one),
            })
            .map_or(0.0, |(weight, _)| weight)
    };
    let fallback = first_best(&mut summaries.iter().map(|(weight, summary)| (*weight, summary.recall)));
    let mut classes = BTreeMap::new();
    for (name, share) in summaries.iter().take(1).flat_map(|(_, summary)| &summary.by_class) {
        let Some(class) = DeviceClass::parse(name).filter(|_| share.all >= CLASS_FAULTS_MIN) else { continue };
        let of_class = |(weight, summary): &(f32, hearthwatch_evaluation::evaluate::Summary)| {
            (*weight, summary.by_class.get(name).copied().unwrap_or_default())
        };
        classes.insert(class, first_best(&mut summaries.iter().map(of_class)));
    }
    Blend { classes, ..Blend::uniform(fallback) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearthwatch_evaluation::fixtures::evaluation::{events, made_up};

    fn evaluation(found: &[(DeviceClass, usize, usize)]) -> Evaluation {
        let home = found.iter().flat_map(|(class, found, all)| events("spike", class.as_str(), *found, *all));
        made_up(1.0, 0, [home.collect()])
    }

    #[test]
    fn a_class_with_many_faults_has_its_own_weight_and_the_others_share_one() {
        let (power, water) = (DeviceClass::Power, DeviceClass::Water);
        let tried = [
            (0.0, evaluation(&[(power, 20, 40), (water, 1, 5)])),
            (1.0, evaluation(&[(power, 20, 40), (water, 4, 5)])),
            (2.0, evaluation(&[(power, 10, 40), (water, 5, 5)])),
        ];
        assert_eq!(best(&tried), Blend { classes: BTreeMap::from([(power, 0.0)]), ..Blend::uniform(1.0) });
    }
}
