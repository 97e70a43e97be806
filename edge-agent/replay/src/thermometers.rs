//! The unit of a home's thermometers where the file has none: one for all of them, by the values of rooms.

use std::collections::HashSet;

use hearthwatch_detector::class::DeviceClass;

use super::guess;
use super::number;

/// °F of rooms and weather that nobody has in °C.
const FAHRENHEIT: std::ops::RangeInclusive<f64> = 50.0..=125.0;
/// °C of rooms that few have in °F.
const CELSIUS: std::ops::RangeInclusive<f64> = 5.0..=38.0;

/// First values of entities without attributes.
#[derive(Debug, Default)]
pub struct Thermometers {
    seen: HashSet<Box<str>>,
    fahrenheit: u32,
    celsius: u32,
}

impl Thermometers {
    /// Takes a state of an entity; only its first value counts.
    pub fn push(&mut self, entity_id: &str, state: &str) {
        if self.seen.contains(entity_id) {
            return;
        }
        let rewritten = number::rewrite(state, None).map(|number| number.text);
        let state = rewritten.as_deref().unwrap_or(state);
        let Some(guess) = guess::of(entity_id, state) else { return };
        self.seen.insert(entity_id.into());
        if guess.class != DeviceClass::Temperature || guess::is_hot(entity_id) {
            return;
        }
        if let Ok(value) = state.trim().parse::<f64>() {
            self.fahrenheit += u32::from(FAHRENHEIT.contains(&value));
            self.celsius += u32::from(CELSIUS.contains(&value));
        }
    }

    /// Whether they are in °F; none where it cannot be known.
    #[must_use]
    pub fn fahrenheit(&self) -> Option<bool> {
        (self.fahrenheit != self.celsius).then_some(self.fahrenheit > self.celsius)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(values: &[(&str, &str)]) -> Option<bool> {
        let mut all = Thermometers::default();
        values.iter().for_each(|(id, state)| all.push(id, state));
        all.fahrenheit()
    }

    #[test]
    fn rooms_tell_for_a_freezer_and_what_is_hot_tells_nothing() {
        assert_eq!(told(&[("sensor.freezer_temperature", "-0.4"), ("sensor.attic_temperature", "68.5")]), Some(true));
        assert_eq!(told(&[("sensor.boiler_temperature", "68"), ("sensor.attic_temperature", "20,5")]), Some(false));
        assert_eq!(told(&[("sensor.freezer_temperature", "-18")]), None);
        assert_eq!(
            told(&[
                ("sensor.a_temperature", "unknown"),
                ("sensor.a_temperature", "70"),
                ("sensor.a_temperature", "20")
            ]),
            Some(true)
        );
    }
}
