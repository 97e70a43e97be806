//! A room that gets cold where heating runs: a boiler that burns for nothing, a radiator that is shut, a window that is open.

use crate::finding::AnomalyKind;
use crate::finding::Finding;
use crate::grid::STEP_SECONDS;
use crate::statistics::daily_max::DailyMax;

/// Steps that are looked back upon, three hours.
const LOOK_BACK: usize = (3 * 3_600 / STEP_SECONDS) as usize;
/// In so many of them the heating must have run.
const HEATED_MIN: u32 = 12;
/// So much colder than three hours ago, K, …
const FALLEN: f32 = 1.0;
/// … and than ever in four weeks, K.
const COLDER: f32 = 1.0;
/// Days that say what is usual.
const DAYS_MIN: usize = 14;

/// Words in the names of what warms rooms. Water is warmed by others.
const HEATING_WORDS: &[&str] = &[
    "boiler",
    "heating",
    "furnace",
    "heatpump",
    "radiator",
    "verwarming",
    "ketel",
    "cv",
    "heizung",
    "warmepumpe",
    "chauffage",
    "chaudiere",
    "caldera",
];

/// Whether an entity is called after what warms rooms.
pub(crate) fn warms_rooms(entity_id: &str) -> bool {
    let name = entity_id.split_once('.').map_or(entity_id, |(_, name)| name);
    let mut parts = name.split(['_', '.', '-', ' ']);
    name.contains("heat_pump") || (!name.contains("water") && parts.any(|part| HEATING_WORDS.contains(&part)))
}

/// Follows the temperature of one room.
#[derive(Debug, Clone)]
pub(crate) struct ColdRoom {
    /// With the sign turned: a day's lowest is the largest.
    lowest: DailyMax,
    /// The newest three hours, °C, the oldest first.
    lately: std::collections::VecDeque<f32>,
    heated: std::collections::VecDeque<bool>,
    /// While the room is too cold: the lowest of the weeks before.
    usual_before: Option<f32>,
}

impl ColdRoom {
    pub(crate) fn new() -> Self {
        Self {
            lowest: DailyMax::new(),
            lately: std::collections::VecDeque::with_capacity(LOOK_BACK + 1),
            heated: std::collections::VecDeque::with_capacity(LOOK_BACK + 1),
            usual_before: None,
        }
    }

    /// Takes a step: the temperature, °C, none while it is not known, and whether something warmed the home.
    pub(crate) fn step(&mut self, celsius: Option<f32>, heats: bool) -> Option<Finding> {
        let Some(celsius) = celsius else {
            self.lose();
            return None;
        };
        self.lately.push_back(celsius);
        self.heated.push_back(heats);
        if self.lately.len() > LOOK_BACK {
            self.lately.pop_front();
            self.heated.pop_front();
        }
        let usual = self.lowest.before_today().flatten().map(|negative| -negative).reduce(f32::min);
        let known = self.lowest.known() > DAYS_MIN;
        let fallen = self.lately.front().is_some_and(|first| first - celsius >= FALLEN);
        let full = self.lately.len() == LOOK_BACK;
        let heated = u32::try_from(self.heated.iter().filter(|heated| **heated).count()).unwrap_or(0) >= HEATED_MIN;
        let begins = usual.filter(|usual| known && full && fallen && heated && celsius <= usual - COLDER);
        // Once told it lasts until the room is as warm as it ever was.
        self.usual_before = self.usual_before.or(begins).filter(|usual| celsius < *usual);
        self.lowest.take(-celsius);
        self.usual_before.map(|usual| Finding { kind: AnomalyKind::Cold, amount: celsius, usual })
    }

    pub(crate) fn lose(&mut self) {
        self.lately.clear();
        self.heated.clear();
        self.usual_before = None;
    }

    pub(crate) fn next_day(&mut self) {
        self.lowest.next_day();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_weeks() -> ColdRoom {
        let mut room = ColdRoom::new();
        for _ in 0..21 {
            for step in 0..144 {
                let celsius = 18.5 + 2.0 * (step as f32 / 144.0 * std::f32::consts::TAU).sin();
                assert_eq!(room.step(Some(celsius), step % 3 != 0), None);
            }
            room.next_day();
        }
        room
    }

    fn falls(room: &mut ColdRoom, heats: bool) -> Option<(usize, Finding)> {
        (0..60).find_map(|step| Some((step, room.step(Some(18.0 - 0.1 * step as f32), heats)?)))
    }

    #[test]
    fn a_room_that_falls_below_what_it_ever_was_while_heating_runs_is_told() {
        let (step, found) = falls(&mut three_weeks(), true).expect("found");
        assert_eq!((step, found.kind), (25, AnomalyKind::Cold));
        assert!((found.amount - 15.5).abs() < 1e-3 && (found.usual - 16.5).abs() < 1e-2, "{found:?}");
    }

    #[test]
    fn without_heating_a_cold_room_is_no_fault_of_it() {
        assert_eq!(falls(&mut three_weeks(), false), None);
    }

    #[test]
    fn it_lasts_until_the_room_is_as_warm_as_it_was() {
        let mut room = three_weeks();
        falls(&mut room, true);
        assert!(room.step(Some(16.4), false).is_some());
        assert_eq!(room.step(Some(16.6), false), None);
    }

    #[test]
    fn what_warms_rooms_is_known_by_name() {
        assert!(warms_rooms("sensor.boiler_power") && warms_rooms("switch.living_heating"));
        assert!(warms_rooms("sensor.heat_pump_power") && warms_rooms("binary_sensor.cv_ketel"));
        assert!(!warms_rooms("sensor.water_heater_power") && !warms_rooms("sensor.oven"));
    }
}
