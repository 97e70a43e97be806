//! A solar roof that makes less than the sun of these days gives: half of the panels, or one phase, is dead.
//!
//! Clouds halve a day, or two; the best hour within three days hardly ever. The highest power of the last three days is held against
//! the lowest that such a highest was in the last weeks. Where the home has a light sensor, that says sooner what the sun gave.

use super::night::Night;
use super::sunlight::Sunlight;
use crate::finding::AnomalyKind;
use crate::finding::Finding;
use crate::statistics::daily_max::DailyMax;

/// Days whose highest is looked at together.
const TOGETHER: usize = 3;
/// Days before them that say what is usual: longer, and the season has moved on.
const BEFORE: usize = 18;
/// Of these days so many must be known.
const BEFORE_MIN: usize = 11;
/// The highest must lie below this share of the lowest usual highest: one of three strings that is dead leaves two thirds.
const SHARE: f32 = 0.70;
/// Below this share of the most a roof makes nothing: not even a dark winter's day at its best is as dark, …
const NOTHING_SHARE: f32 = 0.002;
/// … and the longest night in which roofs are judged ends sooner than after so many steps: 20 hours.
const NOTHING_STEPS: u32 = 120;
/// Watts below which a roof is too small, or the season too dark, to judge.
const WATTS_MIN: f32 = 100.0;
/// A day counts from this hour on: before, its best is still to come.
const FROM_HOUR: f32 = 15.0;

/// Words in the names of what produces.
const WORDS: &[&str] =
    &["pv", "solar", "photovolt", "zonne", "inverter", "wechselrichter", "onduleur", "panel", "fotovolt"];

/// Whether an entity is called after what produces power.
pub fn is_named(entity_id: &str) -> bool {
    let name = entity_id.split_once('.').map_or(entity_id, |(_, name)| name);
    // Short words must stand alone: "pv" is no part of a longer one.
    name.split(['_', '.', '-', ' '])
        .any(|part| WORDS.iter().any(|word| part == *word || (word.len() > 3 && part.contains(word))))
}

/// Holds a roof's daily peak against what its own past or a light sensor allows.
#[derive(Debug, Clone)]
pub(crate) struct Production {
    highest: DailyMax,
    /// The last steps' watts, for a mean of half an hour.
    recent: [f32; 3],
    sunlight: Sunlight,
    night: Night,
    /// Steps in which it made nothing.
    nothing: u32,
    /// What the last afternoon found; it stands until the next one.
    standing: Option<Finding>,
}

impl Production {
    pub(crate) fn new() -> Self {
        Self {
            highest: DailyMax::new(),
            recent: [f32::NAN; 3],
            sunlight: Sunlight::default(),
            night: Night::new(),
            nothing: 0,
            standing: None,
        }
    }

    /// Takes a step's watts, at this hour of the home's day, none while they are not known; the watts that were said last, however long
    /// ago; and what the home's light sensors show.
    pub(crate) fn step(
        &mut self,
        watts: Option<f32>,
        standing: Option<f32>,
        hour: f32,
        lights: &[(u32, f32)],
    ) -> Option<Finding> {
        self.recent.rotate_left(1);
        self.recent[2] = watts.map_or(f32::NAN, f32::abs);
        let mean = self.recent.iter().sum::<f32>() / 3.0;
        let most = self.highest.largest().unwrap_or(0.0);
        let at_night = watts.and_then(|watts| self.night.step(watts.abs(), hour, most));
        if !mean.is_nan() && at_night.is_none() {
            self.highest.take(mean);
            self.sunlight.step(mean, self.highest.largest().unwrap_or(0.0), lights);
        }
        // Nothing is not said again and again.
        if let Some(standing) = standing {
            self.nothing = if standing.abs() < NOTHING_SHARE * most { self.nothing.saturating_add(1) } else { 0 };
        }
        if hour >= FROM_HOUR {
            self.standing = self.nothing_since_the_night().or_else(|| self.by_its_past()).or_else(|| self.by_light());
        }
        at_night.or(self.standing)
    }

    /// Nothing for longer than a night: clouds never take all of it.
    fn nothing_since_the_night(&self) -> Option<Finding> {
        let before = || self.highest.before_today().take(BEFORE).flatten();
        let least = before().reduce(f32::min).filter(|_| before().count() >= BEFORE_MIN)?;
        (least >= WATTS_MIN && self.nothing >= NOTHING_STEPS).then_some(Finding {
            kind: AnomalyKind::Production,
            amount: 0.0,
            usual: least,
        })
    }

    /// Less than the least that as many days brought before.
    fn by_its_past(&self) -> Option<Finding> {
        let days: Vec<Option<f32>> =
            std::iter::once(self.highest.today()).chain(self.highest.before_today()).take(TOGETHER + BEFORE).collect();
        let best = |days: &[Option<f32>]| -> Option<f32> {
            days.iter().all(Option::is_some).then(|| days.iter().flatten().copied().fold(0.0, f32::max))
        };
        let now = best(days.get(..TOGETHER)?)?;
        let earlier: Vec<f32> = days[TOGETHER..].windows(TOGETHER).filter_map(best).collect();
        let usual = earlier.iter().copied().reduce(f32::min).filter(|_| earlier.len() >= BEFORE_MIN)?;
        (usual >= WATTS_MIN && now < SHARE * usual).then_some(Finding {
            kind: AnomalyKind::Production,
            amount: now,
            usual,
        })
    }

    /// Less of the light than the least of it before, and no more at its best than half of the days before: a lamp that was left on
    /// beside the light sensor changes nothing of what the roof makes.
    fn by_light(&self) -> Option<Finding> {
        let left = self.sunlight.too_little()?;
        let mut before: Vec<f32> = self.highest.before_today().skip(1).take(BEFORE).flatten().collect();
        before.sort_unstable_by(f32::total_cmp);
        let median = before.get(before.len() / 2).copied().filter(|median| *median >= WATTS_MIN)?;
        let now = self.highest.today()?.max(self.highest.before_today().next()??);
        (now < median).then_some(Finding { kind: AnomalyKind::Production, amount: now, usual: now / left })
    }

    pub(crate) fn next_day(&mut self) {
        self.highest.next_day();
        self.sunlight.next_day();
        self.night.next_day();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day's sun in watts by step, under so much cloud.
    fn day(production: &mut Production, peak: f32) -> bool {
        let mut found = false;
        for step in 0..144 {
            let hour = step as f32 / 6.0;
            let height = (1.0 - ((hour - 13.0) / 6.0).powi(2)).max(0.0);
            found |= production.step(Some(peak * height), Some(peak * height), hour, &[]).is_some();
        }
        production.next_day();
        found
    }

    #[test]
    fn half_of_the_panels_dead_is_told_within_three_days_and_two_dark_days_are_not() {
        let mut production = Production::new();
        for number in 0..21 {
            let cloud = if number % 5 == 4 { 0.4 } else { 1.0 };
            assert!(!day(&mut production, 4000.0 * cloud));
        }
        assert!(!day(&mut production, 1200.0) && !day(&mut production, 1200.0));
        assert!(!day(&mut production, 4000.0));
        let found = (1..6).find(|_| day(&mut production, 2000.0));
        assert_eq!(found, Some(3));
    }

    #[test]
    fn a_roof_that_makes_nothing_is_told_on_the_first_afternoon() {
        let mut production = Production::new();
        for number in 0..21 {
            assert!(!day(&mut production, if number % 5 == 4 { 1000.0 } else { 4000.0 }));
        }
        assert!(!day(&mut production, 300.0) && day(&mut production, 0.0));
    }

    /// Days end at midnight in UTC, which is in the afternoon west of the ocean.
    #[test]
    fn an_afternoon_that_gets_dark_after_the_day_ended_is_no_dead_roof() {
        let mut production = Production::new();
        for _ in 0..21 {
            for step in 0..144u32 {
                let hour = (step as f32 / 6.0 + 16.5) % 24.0;
                let height = (1.0 - ((hour - 12.0) / 4.0).powi(2)).max(0.0);
                assert!(
                    production.step(Some(4000.0 * height), Some(4000.0 * height), hour, &[]).is_none(),
                    "at {hour}"
                );
            }
            production.next_day();
        }
    }

    #[test]
    fn a_short_word_must_stand_alone() {
        assert!(
            is_named("sensor.pv_power") && is_named("sensor.solaredge_ac_power") && is_named("sensor.zonnepanelen")
        );
        assert!(!is_named("sensor.spv2_power") && !is_named("sensor.washer_power"));
    }
}
