//! What a solar roof makes of the light that a sensor of the home sees, day by day.
//!
//! Clouds and seasons take from both alike: their ratio stays while the roof is whole, and falls on the first day on which a part
//! of it is dead. A light sensor is believed as far as its own days agree: one in a room with lamps and curtains has wide days, of
//! which the lowest says little.

use super::daily::DAYS;

/// Light sensors that are compared; a home has one or two.
const LIGHTS_MAX: usize = 4;
/// Production above this share of the roof's highest is daylight, in which lamps count for little.
const DAYLIGHT_SHARE: f32 = 0.05;
/// Steps of daylight that make a day: two hours.
const STEPS_MIN: u16 = 12;
/// Days that say what is usual, …
const BEFORE: usize = 18;
/// … of which so many must be known.
const BEFORE_MIN: usize = 9;
/// Today and yesterday must both lie below this share of the lowest of them.
const SHARE: f32 = 0.75;

/// One light sensor beside the roof.
#[derive(Debug, Clone)]
struct Light {
    entity: u32,
    /// Watts for each unit of light by day, newest first; the first place is today's. NaN where there was too little.
    ratios: [f32; DAYS],
    watts: f32,
    light: f32,
    steps: u16,
}

impl Light {
    fn today(&self) -> Option<f32> {
        (self.steps >= STEPS_MIN && self.light > 0.0).then(|| self.watts / self.light)
    }

    /// How much of the least that was usual is left; none while too little is known.
    fn share_left(&self) -> Option<f32> {
        let (today, yesterday) = (self.today()?, Some(self.ratios[1]).filter(|ratio| !ratio.is_nan())?);
        let before = self.ratios[2..2 + BEFORE].iter().copied().filter(|ratio| !ratio.is_nan());
        let known = before.clone().count();
        let lowest = before.fold(f32::INFINITY, f32::min);
        (known >= BEFORE_MIN && lowest > 0.0).then(|| today.max(yesterday) / lowest)
    }
}

/// The light sensors of a home beside one roof.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sunlight {
    lights: Vec<Light>,
}

impl Sunlight {
    /// Takes a step: the roof's watts, its highest of four weeks, and what each light sensor shows.
    pub(crate) fn step(&mut self, watts: f32, highest: f32, lights: &[(u32, f32)]) {
        if watts < DAYLIGHT_SHARE * highest {
            return;
        }
        for &(entity, shown) in lights.iter().filter(|(_, shown)| *shown > 0.0) {
            let place = self.lights.iter().position(|light| light.entity == entity);
            let place = place.unwrap_or_else(|| {
                if self.lights.len() < LIGHTS_MAX {
                    self.lights.push(Light { entity, ratios: [f32::NAN; DAYS], watts: 0.0, light: 0.0, steps: 0 });
                }
                self.lights.len() - 1
            });
            let light = &mut self.lights[place];
            if light.entity == entity {
                light.watts += watts;
                light.light += shown;
                light.steps = light.steps.saturating_add(1);
            }
        }
    }

    /// The least share of what was usual that any light sensor says is left, where that is too little today and yesterday.
    pub(crate) fn too_little(&self) -> Option<f32> {
        let left = self.lights.iter().filter_map(Light::share_left).reduce(f32::min)?;
        (left < SHARE).then_some(left)
    }

    pub(crate) fn next_day(&mut self) {
        for light in &mut self.lights {
            light.ratios[0] = light.today().unwrap_or(f32::NAN);
            light.ratios.rotate_right(1);
            light.ratios[0] = f32::NAN;
            (light.watts, light.light, light.steps) = (0.0, 0.0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day under so much cloud, the roof making `share` of what it can.
    fn day(sunlight: &mut Sunlight, cloud: f32, share: f32, lamp: f32) -> bool {
        for step in 0..60 {
            let sun = (1.0 - (step as f32 / 30.0 - 1.0).powi(2)) * cloud;
            sunlight.step(4_000.0 * sun * share, 4_000.0, &[(7, 300.0 * sun + lamp)]);
        }
        let told = sunlight.too_little().is_some();
        sunlight.next_day();
        told
    }

    #[test]
    fn half_of_a_roof_is_missed_on_the_second_day_whatever_the_weather_and_dark_days_are_not() {
        let mut sunlight = Sunlight::default();
        let clouds = [1.0, 0.3, 0.8, 0.25, 0.6, 0.9, 0.35];
        for number in 0..28 {
            assert!(!day(&mut sunlight, clouds[number % 7], 1.0, 0.0), "day {number}");
        }
        assert!(!day(&mut sunlight, 1.0, 0.5, 0.0));
        assert!(day(&mut sunlight, 0.3, 0.5, 0.0));
    }

    #[test]
    fn a_lamp_beside_the_sensor_on_some_days_makes_it_a_poor_witness_and_no_alarm() {
        let mut sunlight = Sunlight::default();
        for number in 0..28 {
            let lamp = if number % 3 == 0 { 140.0 } else { 0.0 };
            assert!(!day(&mut sunlight, 0.7, 1.0, lamp), "day {number}");
        }
    }
}
