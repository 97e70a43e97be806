//! How much one home may weigh: no more than a share of what all others say of the same class, whatever it sends.

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_protocol::HomeId;

/// Something that weighs, for a home and a device class.
pub(super) trait Weighing {
    fn home(&self) -> &HomeId;
    fn class(&self) -> DeviceClass;
    fn weight(&mut self) -> &mut f32;
}

/// Most that one home may weigh within a device class, as a share of what all other homes weigh there.
///
/// With a quarter, a hostile home needs three others to agree with it before it outweighs any honest one of them; a fleet
/// of ten like homes is not touched. It bounds a mistake as well as an attack.
pub const SHARE_MAX: f64 = 0.25;

/// Weight that a home keeps in any case: in a class that only few homes have, few answers are all there is. Thirty are three
/// drawn questions at their largest weight.
pub const KEPT_WEIGHT: f64 = 30.0;

/// Scales the weights of homes that weigh too much; leaves all others as they are.
pub(super) fn cap<T: Weighing>(examples: &mut [T]) {
    let mut weights: BTreeMap<(DeviceClass, HomeId), f64> = BTreeMap::new();
    let mut totals: BTreeMap<DeviceClass, f64> = BTreeMap::new();
    for example in examples.iter_mut() {
        let weight = f64::from(*example.weight());
        *weights.entry((example.class(), example.home().clone())).or_default() += weight;
        *totals.entry(example.class()).or_default() += weight;
    }
    for example in examples {
        let own = weights.get(&(example.class(), example.home().clone())).copied().unwrap_or_default();
        let others = totals.get(&example.class()).copied().unwrap_or_default() - own;
        let most = (SHARE_MAX * others).max(KEPT_WEIGHT);
        if own > most {
            let weight = example.weight();
            *weight = (f64::from(*weight) * most / own) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_store::fixtures::home;

    use super::*;

    struct Example {
        home: HomeId,
        weight: f32,
    }

    impl Weighing for Example {
        fn home(&self) -> &HomeId {
            &self.home
        }

        fn class(&self) -> DeviceClass {
            DeviceClass::Power
        }

        fn weight(&mut self) -> &mut f32 {
            &mut self.weight
        }
    }

    fn examples(home_name: &str, count: usize) -> Vec<Example> {
        (0..count).map(|_| Example { home: home(home_name), weight: 1.0 }).collect()
    }

    fn weight(examples: &[Example], home_name: &str) -> f32 {
        examples.iter().filter(|example| example.home == home(home_name)).map(|example| example.weight).sum()
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
}
