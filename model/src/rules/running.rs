//! On for longer than ever: a water heater, a dryer or an oven that never stops, a light or a door that was forgotten; and a
//! compressor that never starts again.

use super::Finding;
use super::daily::DailyMax;
use crate::class::DeviceClass;
use crate::features::AnomalyKind;
use crate::grid::STEP_SECONDS;

const HOUR: f32 = 3600.0 / STEP_SECONDS as f32;
/// Runs that must have ended before the length of one means anything.
const RUNS_MIN: u32 = 5;
/// Days on which the entity was seen before it is judged as strictly as ever.
const DAYS_SURE: usize = 7;
/// Before that, a run must be this many times longer still.
const EARLY_FACTOR: f32 = 2.0;
/// Runs a day that make a cycling appliance, such as a compressor.
const CYCLES_PER_DAY: f32 = 6.0;
/// Unknown for longer than this, a run is not followed any further: one hour.
const LOST_STEPS: u32 = 6;

/// How much longer than ever a run must last.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Patience {
    /// Times the longest run of the last four weeks …
    times: f32,
    /// … and at least so many steps longer.
    longer: f32,
}

/// Words in the names of what heats or pumps, however little the part of it draws that is measured.
const HARM_WORDS: &[&str] = &[
    "boiler",
    "heater",
    "heating",
    "furnace",
    "pump",
    "immersion",
    "oven",
    "stove",
    "dryer",
    "iron",
    "ketel",
    "verwarming",
    "pomp",
    "droger",
    "heizung",
    "pumpe",
    "trockner",
    "chaudiere",
    "pompe",
    "caldera",
    "bomba",
];

/// Whether an entity is called after what heats or pumps.
pub(crate) fn heats(entity_id: &str) -> bool {
    let name = entity_id.split_once('.').map_or(entity_id, |(_, name)| name);
    name.split(['_', '.', '-', ' ']).any(|part| HARM_WORDS.contains(&part))
}

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Load {
    /// An appliance.
    Appliance {
        /// Whether it costs money or does harm when it is forgotten.
        harms: bool,
    },
    /// An on/off entity.
    Switch(DeviceClass),
    /// A humidity that is high or not.
    Humidity,
}

/// Follows one entity that is on or off.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    /// None before the first step.
    on: Option<bool>,
    /// Steps of the run, or of the rest, that lasts; while it began unseen it is not learnt.
    lasted: u32,
    began_unseen: bool,
    unknown: u32,
    longest_on: DailyMax,
    longest_off: DailyMax,
    /// Runs that ended; fades so that it counts the last weeks'.
    runs: f32,
    days: f32,
}

impl Running {
    pub(crate) fn new() -> Self {
        Self {
            on: None,
            lasted: 0,
            began_unseen: true,
            unknown: 0,
            longest_on: DailyMax::new(),
            longest_off: DailyMax::new(),
            runs: 0.0,
            days: 0.0,
        }
    }

    /// Takes a step: whether it was on, and whether it was off in between; none while that is not known.
    pub(crate) fn step(&mut self, on: Option<bool>, interrupted: bool) {
        let Some(now) = on else {
            self.unknown = self.unknown.saturating_add(1);
            if self.unknown > LOST_STEPS {
                self.on = None;
            }
            return;
        };
        self.unknown = 0;
        match self.on {
            Some(before) if before == now && !interrupted => self.lasted = self.lasted.saturating_add(1),
            Some(before) => {
                if !self.began_unseen {
                    let longest = if before { &mut self.longest_on } else { &mut self.longest_off };
                    longest.take(self.lasted as f32);
                }
                self.runs += f32::from(u8::from(before));
                (self.on, self.lasted, self.began_unseen) = (Some(now), 1, false);
            }
            None => (self.on, self.lasted, self.began_unseen) = (Some(now), 1, true),
        }
    }

    /// Time passed that nobody saw.
    pub(crate) fn lose(&mut self) {
        self.on = None;
    }

    /// Whether it starts and stops all day and night.
    fn cycles(&self) -> bool {
        self.days >= 2.0 && self.runs / self.days >= CYCLES_PER_DAY
    }

    fn patience(&self, load: Load) -> Patience {
        match load {
            Load::Appliance { harms: true } => Patience { times: 1.5, longer: 1.5 * HOUR },
            Load::Appliance { .. } if self.cycles() => Patience { times: 2.5, longer: 4.0 * HOUR },
            // A computer or a lamp that stays on harms nobody.
            Load::Appliance { .. } => Patience { times: 3.0, longer: 24.0 * HOUR },
            // A wet day outside keeps a bathroom damp for hours; mould takes days.
            Load::Humidity => Patience { times: 3.0, longer: 6.0 * HOUR },
            Load::Switch(DeviceClass::Door | DeviceClass::Opening) => Patience { times: 3.0, longer: 1.0 * HOUR },
            Load::Switch(DeviceClass::Window) => Patience { times: 2.0, longer: 6.0 * HOUR },
            Load::Switch(_) => Patience { times: 2.0, longer: 8.0 * HOUR },
        }
    }

    /// Whether enough was seen for the length of a run to mean anything.
    pub(crate) fn is_learnt(&self) -> bool {
        self.runs >= RUNS_MIN as f32
    }

    /// What the run, or the rest, that lasts amounts to.
    pub(crate) fn finding(&self, load: Load) -> Option<Finding> {
        if !self.is_learnt() {
            return None;
        }
        let hours = |steps: f32| steps / HOUR;
        let lasted = self.lasted as f32;
        let early = if (self.days as usize) < DAYS_SURE { EARLY_FACTOR } else { 1.0 };
        if self.on? {
            let longest = self.longest_on.largest()?;
            let Patience { times, longer } = self.patience(load);
            let limit = (longest * times).max(longest + longer) * early;
            (lasted > limit).then(|| Finding {
                kind: AnomalyKind::Running,
                amount: hours(lasted),
                usual: hours(longest),
            })
        } else {
            let longest = self.longest_off.largest()?;
            let limit = (longest * 3.0).max(longest + 3.0 * HOUR) * early;
            let stopped = self.cycles() && matches!(load, Load::Appliance { .. }) && lasted > limit;
            stopped.then(|| Finding { kind: AnomalyKind::Stopped, amount: hours(lasted), usual: hours(longest) })
        }
    }

    pub(crate) fn next_day(&mut self) {
        self.longest_on.next_day();
        self.longest_off.next_day();
        const FADE: f32 = 1.0 - 1.0 / 28.0;
        self.runs *= FADE;
        self.days = self.days * FADE + 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEATER: Load = Load::Appliance { harms: true };

    fn days(running: &mut Running, days: usize, on_steps: usize, runs_a_day: usize) {
        for _ in 0..days {
            for step in 0..144 {
                let place = step % (144 / runs_a_day);
                running.step(Some(place < on_steps), false);
            }
            running.next_day();
        }
    }

    #[test]
    fn a_heater_that_never_stops_is_told_soon_after_its_longest_run() {
        let mut running = Running::new();
        days(&mut running, 10, 6, 2);
        let mut told_after = 0;
        while running.finding(HEATER).is_none() {
            running.step(Some(true), false);
            told_after += 1;
        }
        // An hour was the longest: told when it has lasted two and a half.
        assert_eq!(told_after, 16);
        assert_eq!(running.finding(HEATER).map(|finding| finding.kind), Some(AnomalyKind::Running));
    }

    #[test]
    fn a_compressor_that_never_starts_is_told_and_one_that_never_stops_too() {
        let fridge = Load::Appliance { harms: false };
        for (on, kind) in [(false, AnomalyKind::Stopped), (true, AnomalyKind::Running)] {
            let mut running = Running::new();
            days(&mut running, 10, 3, 16);
            assert_eq!(running.finding(fridge), None);
            (0..30).for_each(|_| running.step(Some(on), false));
            assert_eq!(running.finding(fridge).map(|finding| finding.kind), Some(kind), "{on}");
        }
    }

    #[test]
    fn a_washing_machine_that_nobody_uses_for_a_week_says_nothing() {
        let mut running = Running::new();
        days(&mut running, 20, 9, 1);
        (0..1500).for_each(|_| running.step(Some(false), false));
        assert_eq!(running.finding(HEATER), None);
    }

    #[test]
    fn what_was_used_a_few_times_only_is_not_judged() {
        let mut running = Running::new();
        days(&mut running, 4, 6, 1);
        (0..500).for_each(|_| running.step(Some(true), false));
        assert_eq!(running.finding(HEATER), None);
    }

    #[test]
    fn a_gap_of_hours_ends_a_run_without_a_lesson() {
        let mut running = Running::new();
        days(&mut running, 10, 6, 2);
        (0..10).for_each(|_| running.step(Some(true), false));
        (0..30).for_each(|_| running.step(None, false));
        (0..14).for_each(|_| running.step(Some(true), false));
        assert_eq!(running.finding(HEATER), None);
    }
}
