//! Sensors that measure carbon monoxide in numbers: when what they say is a danger.
//!
//! The limits are those at which EN 50291-1 makes a household alarm sound: 30 ppm for two hours, 50 ppm for an hour, 100 ppm for ten
//! minutes, 300 ppm at once (the standard allows three minutes). They are counted on the readings' own times, and between readings:
//! a sensor that says 60 ppm once and nothing more for an hour is a danger after that hour.

use super::danger::Turn;
use crate::reading::Value;

/// From so many ppm on for so many seconds it is a danger.
const LIMITS: [(f32, i64); 4] = [(30.0, 7_200), (50.0, 3_600), (100.0, 600), (300.0, 0)];

/// Milligrams in a cubic metre that one ppm makes, at 20 °C and 1013 hPa.
const MILLIGRAMS: f32 = 1.165;

/// What one sensor says.
#[derive(Debug, Clone, Copy, Default)]
struct Air {
    ppm: f32,
    /// Since when it is above each of [`LIMITS`].
    since: [Option<i64>; LIMITS.len()],
    warns: bool,
}

impl Air {
    fn is_due(&self, at: i64) -> bool {
        let lasted = |since: i64| at.saturating_sub(since);
        LIMITS.iter().zip(self.since).any(|((_, seconds), since)| since.is_some_and(|since| lasted(since) >= *seconds))
    }

    /// What began in a time that has not come yet began now: the clock was set back, or the reading's time was wrong.
    fn begun_by(&mut self, at: i64) {
        self.since.iter_mut().flatten().for_each(|since| *since = (*since).min(at));
    }
}

/// Every such sensor, by the entity's index.
#[derive(Debug, Clone, Default)]
pub(super) struct CarbonMonoxide(Vec<Option<Air>>);

impl CarbonMonoxide {
    /// Takes a reading in `unit`; tells whether it became, or ceased to be, a danger. What is not known is no danger and ends none.
    pub(super) fn take(&mut self, entity: u32, at: i64, value: Value, unit: &str) -> Option<Turn> {
        let index = entity as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        let ppm = match value {
            Value::Number(number) if number.is_finite() => ppm(number as f32, unit),
            _ => {
                if let Some(air) = self.0[index].as_mut().filter(|air| !air.warns) {
                    air.since = Default::default();
                }
                return None;
            }
        };
        let known = self.0[index].is_some();
        let air = self.0[index].get_or_insert_default();
        air.begun_by(at);
        // What stood until now counts up to now, before the new value takes its place.
        let stood = !air.warns && air.is_due(at);
        air.ppm = ppm;
        for ((limit, _), since) in LIMITS.iter().zip(&mut air.since) {
            *since = (ppm >= *limit).then(|| since.unwrap_or(at));
        }
        let low = ppm < LIMITS[0].0;
        match (air.warns, air.is_due(at) || (stood && !low)) {
            (false, true) => {
                air.warns = true;
                Some(Turn::On { known })
            }
            (true, _) if low => {
                air.warns = false;
                Some(Turn::Off)
            }
            _ => None,
        }
    }

    /// The sensors that became a danger by `at` without another reading.
    pub(super) fn tick(&mut self, at: i64) -> Vec<u32> {
        let mut new = Vec::new();
        for (entity, air) in (0u32..).zip(&mut self.0) {
            let Some(air) = air else { continue };
            air.begun_by(at);
            if !air.warns && air.is_due(at) {
                air.warns = true;
                new.push(entity);
            }
        }
        new
    }

    /// How many ppm a sensor measures that is a danger now.
    pub(super) fn danger(&self, entity: u32) -> Option<f32> {
        self.0.get(entity as usize).copied().flatten().filter(|air| air.warns).map(|air| air.ppm)
    }

    /// Every sensor that is a danger now.
    pub(super) fn warning(&self) -> Vec<u32> {
        (0u32..).zip(&self.0).filter(|(_, air)| air.is_some_and(|air| air.warns)).map(|(entity, _)| entity).collect()
    }

    /// Forgets a sensor: it means something else from now on.
    pub(super) fn forget(&mut self, entity: u32) {
        if let Some(air) = self.0.get_mut(entity as usize) {
            *air = None;
        }
    }
}

fn ppm(number: f32, unit: &str) -> f32 {
    match unit {
        "mg/m³" => number / MILLIGRAMS,
        "µg/m³" | "μg/m³" => number / 1_000.0 / MILLIGRAMS,
        "ppb" => number / 1_000.0,
        _ => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(readings: &[(i64, f64)]) -> (CarbonMonoxide, Vec<Option<Turn>>) {
        let mut sensors = CarbonMonoxide::default();
        let turns = readings.iter().map(|(at, number)| sensors.take(0, *at, Value::Number(*number), "ppm")).collect();
        (sensors, turns)
    }

    #[test]
    fn what_kills_soon_is_a_danger_at_once_and_what_is_little_only_after_hours() {
        assert_eq!(after(&[(0, 2.0), (60, 310.0)]).1, [None, Some(Turn::On { known: true })]);
        let (mut sensors, turns) = after(&[(0, 0.0), (60, 35.0)]);
        assert_eq!(turns, [None, None]);
        assert_eq!(sensors.tick(7_000), Vec::<u32>::new());
        assert_eq!(sensors.tick(7_260), [0], "nothing more was said: it still stands at 35 ppm");
        assert_eq!(sensors.danger(0), Some(35.0));
        assert_eq!(sensors.tick(7_860), Vec::<u32>::new(), "told once");
    }

    #[test]
    fn a_puff_is_no_danger_and_what_ends_is_over() {
        let (mut sensors, turns) = after(&[(0, 0.0), (60, 120.0), (300, 8.0), (400, 60.0), (4_000, 62.0)]);
        assert_eq!(turns[..4], [None, None, None, None]);
        assert_eq!(turns[4], Some(Turn::On { known: true }), "an hour above 50 ppm");
        assert_eq!(sensors.take(0, 4_100, Value::Gap, "ppm"), None, "what is not known ends nothing");
        assert_eq!(sensors.warning(), [0]);
        assert_eq!(sensors.take(0, 4_200, Value::Number(5.0), "ppm"), Some(Turn::Off));
    }

    #[test]
    fn a_clock_that_was_set_back_and_times_that_cannot_be_delay_no_danger_beyond_its_limit() {
        let (mut sensors, _) = after(&[(86_400, 0.0), (86_460, 60.0)]);
        assert_eq!(sensors.tick(600), Vec::<u32>::new(), "the clock was set back by a day");
        assert_eq!(sensors.tick(600 + 3_600), [0]);
        let (mut sensors, turns) = after(&[(i64::MAX, 60.0), (i64::MIN, 60.0)]);
        assert_eq!(turns, [None, None]);
        assert_eq!(sensors.tick(0), [0], "since the beginning of all times");
    }

    #[test]
    fn milligrams_are_told_from_parts_per_million() {
        let mut sensors = CarbonMonoxide::default();
        assert_eq!(sensors.take(0, 0, Value::Number(340.0), "mg/m³"), None, "292 ppm");
        assert_eq!(sensors.take(0, 1, Value::Number(360.0), "mg/m³"), Some(Turn::On { known: true }), "309 ppm");
    }
}
