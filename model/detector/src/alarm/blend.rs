//! How network and baseline detector share the judgement, class by class: which of them judges, and how much of the baseline
//! detector's surprise is added to the network's logit.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::class::DeviceClass;
use crate::finding::AnomalyKind;

/// Weights of the baseline score beside the logit. Chosen on calibration homes, carried by the artifact.
///
/// Both are logarithms of odds: the logit by its loss, the baseline score by construction. Were the two independent, they
/// would simply add; since they look at the same values, the weight says how much of the second is news. Only surprise
/// beyond once a week is added, so that where the routine sees nothing the logit stands alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blend {
    /// By class; 0 leaves the logit alone.
    pub classes: BTreeMap<DeviceClass, f32>,
    /// For classes without a weight of their own.
    pub fallback: f32,
    /// The classes that the network judges: those for which it was seen ahead of the baseline detector on homes that it was not
    /// trained on. The baseline detector stays in charge of the others. None: it judges every class, as artifacts of formats
    /// 1 and 2 do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_charge: Option<BTreeSet<DeviceClass>>,
}

/// How much more a statistic of the baseline detector must say where the network sees nothing unusual. Chosen on the calibration homes:
/// it takes from the network's false alarms what it costs the two together, and loses next to no fault (docs/measurements/2026-11-30-training-tries.md).
const DOUBT: f32 = 1.0;

/// What a network that counts for an entity adds to the threshold of the baseline detector; `margin` is how far its score lies above the
/// fleet's threshold. A rule is not doubted.
#[must_use]
pub fn doubt(kind: AnomalyKind, margin: f32) -> f32 {
    if margin < 0.0 && !kind.is_rule() { DOUBT } else { 0.0 }
}

impl Blend {
    /// Largest weight: beyond it the logit no longer matters, and the baseline detector might as well speak alone.
    pub const WEIGHT_MAX: f32 = 8.0;

    /// The same weight for every class.
    #[must_use]
    pub fn uniform(weight: f32) -> Self {
        Self { classes: BTreeMap::new(), fallback: weight, in_charge: None }
    }

    /// Whether the network judges a class; the baseline detector does otherwise.
    #[must_use]
    pub fn judges(&self, class: DeviceClass) -> bool {
        self.in_charge.as_ref().is_none_or(|classes| classes.contains(&class))
    }

    /// The weight for a class.
    #[must_use]
    pub fn weight(&self, class: DeviceClass) -> f32 {
        self.classes.get(&class).copied().unwrap_or(self.fallback)
    }

    /// What is held against the network's threshold.
    #[must_use]
    pub fn score(&self, class: DeviceClass, logit: f32, baseline: f32) -> f32 {
        let surprise = if baseline > 0.0 { baseline } else { 0.0 };
        logit + self.weight(class) * surprise
    }

    /// Whether every weight is a number from 0 to [`Self::WEIGHT_MAX`].
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.classes.values().chain([&self.fallback]).all(|weight| (0.0..=Self::WEIGHT_MAX).contains(weight))
    }

    /// Whether it adds nothing anywhere: what artifacts of the first format meant.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.classes.is_empty() && self.fallback == 0.0 && self.in_charge.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_surprise_beyond_once_a_week_is_added() {
        let blend = Blend::uniform(0.5);
        assert_eq!(blend.score(DeviceClass::Power, -2.0, 3.0), -0.5);
        assert_eq!(blend.score(DeviceClass::Power, -2.0, -3.0), -2.0);
        assert_eq!(blend.score(DeviceClass::Power, -2.0, f32::NAN), -2.0);
    }

    #[test]
    fn a_class_has_its_own_weight_or_the_common_one() {
        let blend = Blend { classes: BTreeMap::from([(DeviceClass::Water, 2.0)]), ..Blend::uniform(0.0) };
        assert_eq!(blend.score(DeviceClass::Water, 1.0, 1.0), 3.0);
        assert_eq!(blend.score(DeviceClass::Power, 1.0, 1.0), 1.0);
    }

    #[test]
    fn the_network_judges_every_class_unless_a_list_says_which() {
        assert!(DeviceClass::ALL.iter().all(|class| Blend::uniform(1.0).judges(*class)));
        let blend = Blend { in_charge: Some(BTreeSet::from([DeviceClass::Power])), ..Blend::uniform(1.0) };
        assert!(blend.judges(DeviceClass::Power) && !blend.judges(DeviceClass::Water));
        assert!(!blend.is_nothing());
    }

    #[test]
    fn weights_out_of_range_are_unsound() {
        assert!(Blend::default().is_sound() && Blend::default().is_nothing());
        assert!(!Blend::uniform(f32::NAN).is_sound());
        assert!(!Blend::uniform(-0.1).is_sound());
        assert!(!Blend::uniform(9.0).is_sound());
    }
}
