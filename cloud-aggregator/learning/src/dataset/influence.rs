//! How much one home may weigh within a class of devices: no more than a share of what all others say of it, whatever it sends.
//!
//! What a home may weigh in all classes together is bounded when a run learns (`hearthwatch_training::defend`). Neither bounds what the other
//! does; the tests here show both halves.

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_protocol::HomeId;

use super::snapshot::Weighed;

/// Most that one home may weigh within a device class, as a share of what all other homes weigh there.
///
/// With a quarter, a hostile home needs three others to agree with it before it outweighs any honest one of them; a fleet
/// of ten like homes is not touched. It bounds a mistake as well as an attack.
pub const SHARE_MAX: f64 = 0.25;

/// Weight that a home keeps in any case: in a class that only few homes have, few answers are all there is. Thirty are three
/// drawn questions at their largest weight.
pub const KEPT_WEIGHT: f64 = 30.0;

/// Scales the weights of homes that weigh too much; leaves all others as they are.
pub(super) fn cap(examples: &mut [Weighed]) {
    let mut weights: BTreeMap<(DeviceClass, HomeId), f64> = BTreeMap::new();
    let mut totals: BTreeMap<DeviceClass, f64> = BTreeMap::new();
    for example in examples.iter() {
        let weight = f64::from(example.weight);
        *weights.entry((example.class, example.key.home.clone())).or_default() += weight;
        *totals.entry(example.class).or_default() += weight;
    }
    for example in examples {
        let own = weights.get(&(example.class, example.key.home.clone())).copied().unwrap_or_default();
        let others = totals.get(&example.class).copied().unwrap_or_default() - own;
        let most = (SHARE_MAX * others).max(KEPT_WEIGHT);
        if own > most {
            example.weight = (f64::from(example.weight) * most / own) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_protocol::{RecordKey, Sequence};
    use hearthwatch_store::fixtures::home;
    use hearthwatch_training::{DefencePolicy, FeedbackExample, HomeAnswer, defend};

    use super::*;

    fn examples(home_name: &str, count: usize) -> Vec<Weighed> {
        of_class(DeviceClass::Power, home_name, count, 1.0)
    }

    fn of_class(class: DeviceClass, home_name: &str, count: usize, weight: f32) -> Vec<Weighed> {
        let key = RecordKey { home: home(home_name), sequence: Sequence(1) };
        vec![Weighed { key, class, weight, answered_at: 0, drawn: false }; count]
    }

    /// What the run makes of the same answers: its quota, and its cap on what one home weighs in all classes together.
    fn defended(examples: &[Weighed]) -> Vec<Weighed> {
        let answer = |example: &Weighed| {
            let (class, weight) = (example.class, example.weight);
            let example_of = FeedbackExample { window: Vec::new(), class, anomalous: true, weight };
            HomeAnswer { home: example.key.home.to_string(), example: example_of }
        };
        let answers: Vec<HomeAnswer> = examples.iter().map(answer).collect();
        let policy = DefencePolicy { reliability: false, ..DefencePolicy::default() };
        let defended = defend(&answers, &policy);
        let left = defended.homes.iter().zip(&defended.examples);
        left.flat_map(|(name, example)| of_class(example.class, name, 1, example.weight)).collect()
    }

    fn share(examples: &[Weighed], home_name: &str) -> f32 {
        weight(examples, home_name) / examples.iter().map(|example| example.weight).sum::<f32>()
    }

    fn only(examples: &[Weighed], class: DeviceClass) -> Vec<Weighed> {
        examples.iter().filter(|example| example.class == class).cloned().collect()
    }

    fn weight(examples: &[Weighed], home_name: &str) -> f32 {
        examples.iter().filter(|example| example.key.home == home(home_name)).map(|example| example.weight).sum()
    }

    #[test]
    fn a_home_that_answers_a_thousand_times_weighs_a_quarter_of_all_others() {
        let mut all = examples("loud", 1000);
        for name in ["a", "b", "c", "d"] {
            all.extend(examples(name, 40));
        }
        cap(&mut all);
        assert!((weight(&all, "loud") - 40.0).abs() < 1e-3);
        assert_eq!(weight(&all, "a"), 40.0, "the others are left alone");
    }

    #[test]
    fn a_home_alone_in_its_class_keeps_thirty() {
        let mut all = examples("a", 3);
        cap(&mut all);
        assert_eq!(weight(&all, "a"), 3.0);
        let mut all = examples("a", 50);
        cap(&mut all);
        assert!((weight(&all, "a") - 30.0).abs() < 1e-4);
    }

    /// Why there are two caps, first half: without this one a home that answers forty drawn questions, each at its largest weight, outweighs a
    /// class that few homes have, and is still far from a tenth of the whole.
    #[test]
    fn the_cap_on_the_whole_does_not_bound_a_home_within_a_class() {
        let mut all: Vec<Weighed> = (0..100).flat_map(|number| examples(&format!("other-{number}"), 40)).collect();
        for name in ["a", "b", "c", "d"] {
            all.extend(of_class(DeviceClass::Water, name, 40, 1.0));
        }
        all.extend(of_class(DeviceClass::Water, "loud", 40, 10.0));
        let uncapped = only(&defended(&all), DeviceClass::Water);
        assert!((share(&uncapped, "loud") - 400.0 / 560.0).abs() < 1e-4);
        cap(&mut all);
        let capped = only(&defended(&all), DeviceClass::Water);
        assert!((share(&capped, "loud") - 40.0 / 200.0).abs() < 1e-4);
    }

    /// Second half: a home that answers a little in every class keeps all of it here, and only the cap on the whole bounds it.
    #[test]
    fn the_cap_within_a_class_does_not_bound_a_home_in_the_whole() {
        use DeviceClass::{Humidity, Power, Temperature, Water};
        let mut all: Vec<Weighed> = (0..19).flat_map(|number| examples(&format!("other-{number}"), 5)).collect();
        for class in [Humidity, Power, Temperature, Water] {
            all.extend(of_class(class, "loud", 10, 2.0));
        }
        cap(&mut all);
        assert!((share(&all, "loud") - 80.0 / 175.0).abs() < 1e-4, "the cap within a class leaves it as it is");
        assert!((share(&defended(&all), "loud") - 0.1).abs() < 1e-4);
    }
}
