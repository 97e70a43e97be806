//! On for longer than ever: a water heater, a dryer or an oven that never stops, a light or a door that was forgotten; and a
//! compressor that never starts again.

use crate::class::DeviceClass;
use crate::finding::AnomalyKind;
use crate::finding::Finding;
use crate::grid::STEP_SECONDS;
use crate::statistics::daily_max::DailyMax;

const HOUR: f32 = 3600.0 / STEP_SECONDS as f32;
/// Runs that must have ended before the length of one means anything.
const RUNS_MIN: u32 = 5;
/// Days on which the entity was seen before it is judged as strictly as ever.
const DAYS_SURE: usize = 7;
/// Before that, a run must be this many times longer still.
const EARLY_FACTOR: f32 = 2.0;
/// What may stay on without harm says nothing before it was seen for a fortnight, of which so many days are left as they fade: in a
/// home's first week many a door stays open for a night for the first time.
const DAYS_SURE_OF_HARMLESS: f32 = 11.0;
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

/// Words in the names of doors that keep the cold in, or the house shut.
const SHUT_WORDS: &[&str] = &[
    "fridge",
    "freezer",
    "refrigerator",
    "koelkast",
    "vriezer",
    "kuehlschrank",
    "gefrierschrank",
    "frigo",
    "congelateur",
    "nevera",
    "congelador",
    "front",
    "frontdoor",
    "backdoor",
    "entrance",
    "entry",
    "outside",
    "outsidedoor",
    "garage",
    "gate",
    "voordeur",
    "achterdeur",
    "haustuer",
    "garagentor",
    "portail",
    "entree",
    "entrada",
];

/// Whether a door is called after what should be shut again soon.
pub(crate) fn keeps_shut(entity_id: &str, class: DeviceClass) -> bool {
    let door = matches!(class, DeviceClass::Door | DeviceClass::Opening);
    door && is_called(entity_id, SHUT_WORDS)
}

/// Whether an entity is called after what heats or pumps.
pub(crate) fn heats(entity_id: &str) -> bool {
    is_called(entity_id, HARM_WORDS)
}

fn is_called(entity_id: &str, words: &[&str]) -> bool {
    let name = entity_id.split_once('.').map_or(entity_id, |(_, name)| name);
    name.split(['_', '.', '-', ' ']).any(|part| words.contains(&part))
}

/// What kind of thing runs: it decides how long a run is remarkable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Load {
    /// Recognised by its power ([`Shape::Switched`](crate::statistics::shape::Shape::Switched)).
    Appliance {
        /// Whether it costs money or does harm when it is forgotten.
        harms: bool,
    },
    /// An on/off entity.
    Switch {
        /// What it is.
        class: DeviceClass,
        /// Whether it keeps the cold in or the house shut.
        keeps_shut: bool,
    },
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

    /// Takes a step: whether it was on at its end, none while that is not known, and how often it switched. A door is mostly opened and
    /// closed within one step.
    pub(crate) fn step(&mut self, on: Option<bool>, switches: u32) {
        let Some(now) = on else {
            self.unknown = self.unknown.saturating_add(1);
            if self.unknown > LOST_STEPS {
                self.on = None;
            }
            return;
        };
        self.unknown = 0;
        match self.on {
            Some(before) if before == now && switches < 2 => self.lasted = self.lasted.saturating_add(1),
            Some(before) => {
                if !self.began_unseen {
                    self.ended(before, self.lasted as f32);
                }
                if switches >= 2 {
                    self.ended(!before, 1.0);
                }
                self.runs += f32::from(u8::from(before || switches >= 2));
                (self.on, self.lasted, self.began_unseen) = (Some(now), 1, false);
            }
            None => (self.on, self.lasted, self.began_unseen) = (Some(now), 1, true),
        }
    }

    /// A run, or a rest, of so many steps is over.
    fn ended(&mut self, on: bool, steps: f32) {
        let longest = if on { &mut self.longest_on } else { &mut self.longest_off };
        longest.take(steps);
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
            Load::Switch { keeps_shut: true, .. } => Patience { times: 3.0, longer: 1.0 * HOUR },
            Load::Switch { class: DeviceClass::Window, .. } => Patience { times: 2.0, longer: 6.0 * HOUR },
            // A drawer, a door between two rooms, a switch: nobody minds for some hours.
            Load::Switch { .. } => Patience { times: 3.0, longer: 4.0 * HOUR },
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
        let harmless = matches!(load, Load::Switch { keeps_shut: false, .. });
        if harmless && self.days < DAYS_SURE_OF_HARMLESS {
            return None;
        }
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
                running.step(Some(place < on_steps), 0);
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
            running.step(Some(true), 0);
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
            (0..30).for_each(|_| running.step(Some(on), 0));
            assert_eq!(running.finding(fridge).map(|finding| finding.kind), Some(kind), "{on}");
        }
    }

    #[test]
    fn a_washing_machine_that_nobody_uses_for_a_week_says_nothing() {
        let mut running = Running::new();
        days(&mut running, 20, 9, 1);
        (0..1500).for_each(|_| running.step(Some(false), 0));
        assert_eq!(running.finding(HEATER), None);
    }

    #[test]
    fn what_was_used_a_few_times_only_is_not_judged() {
        let mut running = Running::new();
        days(&mut running, 4, 6, 1);
        (0..500).for_each(|_| running.step(Some(true), 0));
        assert_eq!(running.finding(HEATER), None);
    }

    #[test]
    fn a_door_that_was_always_closed_within_a_step_is_told_when_it_stays_open() {
        let mut door = Running::new();
        for _ in 0..10 {
            for step in 0..144 {
                door.step(Some(false), if step % 30 == 0 { 2 } else { 0 });
            }
            door.next_day();
        }
        let load = Load::Switch { class: DeviceClass::Door, keeps_shut: true };
        let told_after = (1..100).find(|_| {
            door.step(Some(true), 0);
            door.finding(load).is_some()
        });
        // An hour longer than the ten minutes that it took at the most.
        assert_eq!(told_after, Some(8));
    }

    #[test]
    fn a_gap_of_hours_ends_a_run_without_a_lesson() {
        let mut running = Running::new();
        days(&mut running, 10, 6, 2);
        (0..10).for_each(|_| running.step(Some(true), 0));
        (0..30).for_each(|_| running.step(None, 0));
        (0..14).for_each(|_| running.step(Some(true), 0));
        assert_eq!(running.finding(HEATER), None);
    }
}
