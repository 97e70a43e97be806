//! What a solar roof makes of the light that a sensor of the home sees, day by day.
//!
//! Clouds and seasons take from both alike: their ratio stays while the roof is whole, and falls on the first day on which a part
//! of it is dead. A light sensor is believed as far as its own days agree: one in a room with lamps and curtains has wide days, of
//! which the lowest says little.

use crate::statistics::daily_max::DailyMax;

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
    /// Watts for each unit of light, once a day; none on days with too little daylight.
    ratios: DailyMax,
    watts: f32,
    light: f32,
    steps: u16,
}

impl Light {
    fn new(entity: u32) -> Self {
        Self { entity, ratios: DailyMax::new(), watts: 0.0, light: 0.0, steps: 0 }
    }

    fn today(&self) -> Option<f32> {
        (self.steps >= STEPS_MIN && self.light > 0.0).then(|| self.watts / self.light)
    }

    /// How much of the least that was usual is left; none while too little is known.
    fn share_left(&self) -> Option<f32> {
        let mut days = self.ratios.before_today();
        let latest = self.today()?.max(days.next()??);
        let before: Vec<f32> = days.take(BEFORE).flatten().collect();
        let lowest = before.iter().copied().fold(f32::INFINITY, f32::min);
        (before.len() >= BEFORE_MIN && lowest > 0.0).then(|| latest / lowest)
    }

    fn next_day(&mut self) {
        if let Some(ratio) = self.today() {
            self.ratios.take(ratio);
        }
        self.ratios.next_day();
        (self.watts, self.light, self.steps) = (0.0, 0.0, 0);
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
            if self.lights.len() < LIGHTS_MAX && self.lights.iter().all(|light| light.entity != entity) {
                self.lights.push(Light::new(entity));
            }
            if let Some(light) = self.lights.iter_mut().find(|light| light.entity == entity) {
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
        self.lights.iter_mut().for_each(Light::next_day);
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
        let found = sunlight.too_little().is_some();
        sunlight.next_day();
        found
    }

    #[test]
    fn a_roof_of_which_half_is_dead_is_found_on_the_second_day_in_any_weather_and_dark_days_are_no_fault() {
        let mut sunlight = Sunlight::default();
        let clouds = [1.0, 0.3, 0.8, 0.25, 0.6, 0.9, 0.35];
        for number in 0..28 {
            assert!(!day(&mut sunlight, clouds[number % 7], 1.0, 0.0), "day {number}");
        }
        assert!(!day(&mut sunlight, 1.0, 0.5, 0.0));
        assert!(day(&mut sunlight, 0.3, 0.5, 0.0));
    }

    #[test]
    fn a_lamp_beside_the_light_sensor_on_some_days_is_no_fault_of_the_roof() {
        let mut sunlight = Sunlight::default();
        for number in 0..28 {
            let lamp = if number % 3 == 0 { 140.0 } else { 0.0 };
            assert!(!day(&mut sunlight, 0.7, 1.0, lamp), "day {number}");
        }
    }
}
