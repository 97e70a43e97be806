//! A freezer or a fridge that gets warm beyond its own range for long enough to spoil what is in it.

use crate::finding::AnomalyKind;
use crate::finding::Finding;
use crate::grid::STEP_SECONDS;

const HOUR: u32 = (3600 / STEP_SECONDS) as u32;
/// Below this median, °C, indoors, it is a freezer whatever it is called.
const FREEZER_MEDIAN: f32 = -12.0;
/// A freezer that is called one is one below this median, °C.
const NAMED_FREEZER_MEDIAN: f32 = -5.0;
/// Medians of what may be a fridge, °C; it must also be called one.
const FRIDGE_MEDIANS: std::ops::RangeInclusive<f32> = 0.0..=9.0;
/// Food in a freezer is safe for long below this, °C.
const FREEZER_SAFE: f32 = -12.0;
/// Food in a fridge is safe for long below this, °C.
const FRIDGE_SAFE: f32 = 8.0;
/// How far above its own range it must be, °C, …
const BEYOND: f32 = 2.0;
/// … for so many steps: a load of shopping, a defrost cycle are over by then.
const LASTING: u32 = 2 * HOUR;
/// So far above its range, °C, half an hour is enough.
const FAR_BEYOND: f32 = 6.0;
const LASTING_FAR: u32 = HOUR / 2;

const FREEZER_WORDS: &[&str] = &[
    "freezer",
    "vriezer",
    "diepvries",
    "gefrier",
    "tiefkuehl",
    "tiefkuhl",
    "congelat",
    "congelador",
    "frys",
    "freezeri",
];
const FRIDGE_WORDS: &[&str] = &[
    "fridge",
    "refrigerator",
    "koelkast",
    "kuehlschrank",
    "kuhlschrank",
    "frigo",
    "nevera",
    "kylskap",
    "kjoleskap",
    "koleskab",
];

/// What is learnt of one at midnight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ColdRange {
    /// The highest of its last fortnight but for one in a hundred steps, °C.
    pub(crate) usual: f32,
    /// What food stands, °C.
    safe: f32,
}

impl ColdRange {
    /// What an entity of this name with this median and 99 % quantile (°C) is; none for what is neither freezer nor fridge.
    pub(crate) fn of(entity_id: &str, outdoor: bool, median: f32, usual: f32) -> Option<Self> {
        let named = |words: &[&str]| words.iter().any(|word| entity_id.contains(word));
        if outdoor {
            return None;
        }
        let freezer = median <= FREEZER_MEDIAN || (named(FREEZER_WORDS) && median <= NAMED_FREEZER_MEDIAN);
        let fridge = (named(FRIDGE_WORDS) || named(FREEZER_WORDS)) && FRIDGE_MEDIANS.contains(&median);
        match (freezer, fridge) {
            (true, _) => Some(Self { usual, safe: FREEZER_SAFE }),
            (_, true) => Some(Self { usual, safe: FRIDGE_SAFE }),
            _ => None,
        }
    }
}

/// Follows one freezer or fridge.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColdStore {
    range: Option<ColdRange>,
    beyond: u32,
    far: u32,
}

impl ColdStore {
    /// What the fortnight says that it is. One that is warm now stays what it was until it is cold again.
    pub(crate) fn learn(&mut self, range: Option<ColdRange>) {
        if self.beyond == 0 {
            self.range = range;
        }
    }

    /// Takes a step's temperature, °C; none while it is not known.
    pub(crate) fn step(&mut self, celsius: Option<f32>) -> Option<Finding> {
        let range = self.range?;
        let celsius = celsius?;
        let limit = (range.usual + BEYOND).max(range.safe);
        // Above what food stands by far, whatever its range.
        self.beyond = if celsius > limit { self.beyond.saturating_add(1) } else { 0 };
        self.far = if celsius > (range.usual + FAR_BEYOND).max(range.safe) { self.far.saturating_add(1) } else { 0 };
        (self.beyond >= LASTING || self.far >= LASTING_FAR).then_some(Finding {
            kind: AnomalyKind::Warm,
            amount: self.beyond as f32 / HOUR as f32,
            usual: range.usual,
        })
    }

    /// Whether it is known to be a freezer or a fridge.
    pub(crate) fn is_learnt(&self) -> bool {
        self.range.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freezer() -> ColdStore {
        let mut store = ColdStore::default();
        store.learn(ColdRange::of("sensor.garage_freezer", false, -18.5, -16.8));
        store
    }

    #[test]
    fn a_thawing_freezer_is_told_before_food_spoils_and_a_short_opening_is_not() {
        let mut store = freezer();
        for _ in 0..6 {
            assert_eq!(store.step(Some(-11.5)), None);
        }
        assert_eq!(store.step(Some(-17.0)), None);
        let found = (1..40).find(|step| store.step(Some(-17.0 + 0.4 * *step as f32)).is_some());
        assert!(found.is_some_and(|steps| steps <= 24), "{found:?}");
    }

    #[test]
    fn a_freezer_that_stands_at_eight_degrees_is_told_after_half_an_hour() {
        let mut store = freezer();
        let found = (1..40).find(|_| store.step(Some(8.0)).is_some());
        assert_eq!(found, Some(3));
    }

    #[test]
    fn a_fridge_must_be_called_one_and_a_garden_is_none() {
        assert!(ColdRange::of("sensor.kitchen_fridge", false, 4.5, 7.0).is_some());
        assert!(ColdRange::of("sensor.cellar", false, 4.5, 7.0).is_none());
        assert!(ColdRange::of("sensor.garden_freezer_side", true, -15.0, -5.0).is_none());
        assert!(ColdRange::of("sensor.probe_3", false, -19.0, -16.0).is_some());
    }

    #[test]
    fn what_warmed_slowly_does_not_become_usual_while_it_lasts() {
        let mut store = freezer();
        (0..20).for_each(|_| {
            store.step(Some(-5.0));
        });
        store.learn(ColdRange::of("sensor.garage_freezer", false, -6.0, -4.0));
        assert!(store.step(Some(-5.0)).is_some());
    }
}
