//! What Hearthwatch makes of Home Assistant's own names: its device classes and state classes, as of 2026.11.
//!
//! A name that is not in these tables is no name of Home Assistant's: the unit tells then. A test compares the tables with
//! the list of names beside this file, and the suite that runs beside a real Home Assistant compares them with its code.

use super::DeviceClass as Class;

/// What is made of a device class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// It is watched as this class.
    Watched(Class),
    /// It is not watched, and why.
    NotWatched(&'static str),
}

use Meaning::{NotWatched, Watched};

/// A text that is one of a list.
const NO_NUMBER: Meaning = NotWatched("a word or a moment, not a number");
/// A number that is not of the house.
const NUMBER: Meaning = Watched(Class::GenericNumber);
const ON_OFF: Meaning = Watched(Class::GenericBinary);

/// Device classes of `sensor`, and of `number` as far as that has them.
pub const SENSOR: &[(&str, Meaning)] = &[
    ("date", NO_NUMBER),
    ("enum", NO_NUMBER),
    ("timestamp", NO_NUMBER),
    ("uptime", NO_NUMBER),
    ("absolute_humidity", NUMBER),
    ("apparent_power", Watched(Class::Power)),
    ("aqi", NUMBER),
    ("area", NUMBER),
    ("atmospheric_pressure", Watched(Class::Pressure)),
    ("battery", Watched(Class::Battery)),
    ("blood_glucose_concentration", NUMBER),
    ("carbon_dioxide", Watched(Class::CarbonDioxide)),
    ("carbon_monoxide", Watched(Class::CarbonMonoxide)),
    ("conductivity", NUMBER),
    ("current", Watched(Class::Current)),
    ("data_rate", NUMBER),
    ("data_size", Watched(Class::Count)),
    ("distance", NUMBER),
    ("duration", NotWatched("a span of time: it runs with the clock, or somebody sets it")),
    ("energy", Watched(Class::Energy)),
    ("energy_distance", NUMBER),
    ("energy_storage", NUMBER),
    ("frequency", NUMBER),
    ("gas", Watched(Class::Gas)),
    ("humidity", Watched(Class::Humidity)),
    ("illuminance", Watched(Class::Illuminance)),
    ("irradiance", Watched(Class::Irradiance)),
    ("moisture", NUMBER),
    ("monetary", NotWatched("money: it follows a tariff")),
    ("nitrogen_dioxide", NUMBER),
    ("nitrogen_monoxide", NUMBER),
    ("nitrous_oxide", NUMBER),
    ("ozone", NUMBER),
    ("ph", NUMBER),
    ("pm1", Watched(Class::Pm1)),
    ("pm10", Watched(Class::Pm10)),
    ("pm25", Watched(Class::Pm25)),
    ("pm4", NUMBER),
    ("power", Watched(Class::Power)),
    ("power_factor", NUMBER),
    ("precipitation", NUMBER),
    ("precipitation_intensity", NUMBER),
    ("pressure", Watched(Class::Pressure)),
    ("radon", NUMBER),
    ("reactive_energy", Watched(Class::Count)),
    ("reactive_power", Watched(Class::Power)),
    ("signal_strength", NUMBER),
    ("sound_pressure", Watched(Class::SoundPressure)),
    ("speed", NUMBER),
    ("sulphur_dioxide", NUMBER),
    ("temperature", Watched(Class::Temperature)),
    ("temperature_delta", NUMBER),
    ("volatile_organic_compounds", Watched(Class::Voc)),
    ("volatile_organic_compounds_parts", Watched(Class::Voc)),
    ("voltage", Watched(Class::Voltage)),
    ("volume", Watched(Class::Count)),
    ("volume_flow_rate", Watched(Class::VolumeFlowRate)),
    ("volume_storage", NUMBER),
    ("water", Watched(Class::Water)),
    ("weight", NUMBER),
    ("wind_direction", AN_ANGLE),
    ("wind_speed", NUMBER),
];

/// An angle.
const AN_ANGLE: Meaning = NotWatched("an angle: 359° and 1° are neighbours, which no mean of numbers knows");

/// Device classes of `binary_sensor`.
const BINARY_SENSOR: &[(&str, Meaning)] = &[
    ("battery", ON_OFF),
    ("battery_charging", ON_OFF),
    ("carbon_monoxide", Watched(Class::CarbonMonoxideAlarm)),
    ("cold", ON_OFF),
    ("connectivity", NotWatched("whether a device is reached: its silence is told by itself")),
    ("door", Watched(Class::Door)),
    ("garage_door", Watched(Class::Door)),
    ("gas", Watched(Class::GasAlarm)),
    ("glass_break", ON_OFF),
    ("heat", Watched(Class::Heat)),
    ("light", ON_OFF),
    ("lock", ON_OFF),
    ("moisture", Watched(Class::Moisture)),
    ("motion", Watched(Class::Motion)),
    ("moving", ON_OFF),
    ("occupancy", Watched(Class::Occupancy)),
    ("opening", Watched(Class::Opening)),
    ("plug", ON_OFF),
    ("power", ON_OFF),
    ("presence", Watched(Class::Presence)),
    ("problem", ON_OFF),
    ("running", ON_OFF),
    ("safety", Watched(Class::Safety)),
    ("smoke", Watched(Class::Smoke)),
    ("sound", Watched(Class::Sound)),
    ("tamper", Watched(Class::Tamper)),
    ("update", NotWatched("news of software")),
    ("vibration", Watched(Class::Vibration)),
    ("window", Watched(Class::Window)),
];

/// What a state class says of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateClass {
    /// The value of now.
    Measurement,
    /// A direction.
    Angle,
    /// An amount that adds up: consumption is its difference.
    Total,
}

/// The state classes of `sensor`.
pub const STATE_CLASSES: &[(&str, StateClass)] = &[
    ("measurement", StateClass::Measurement),
    ("measurement_angle", StateClass::Angle),
    ("total", StateClass::Total),
    ("total_increasing", StateClass::Total),
];

/// What is made of a device class of `sensor` or `number`.
#[must_use]
pub fn sensor(name: &str) -> Option<Meaning> {
    of(SENSOR, name)
}

/// What is made of a device class of `binary_sensor`.
#[must_use]
pub fn binary_sensor(name: &str) -> Option<Meaning> {
    of(BINARY_SENSOR, name)
}

/// What a state class says.
#[must_use]
pub fn state_class(name: &str) -> Option<StateClass> {
    of(STATE_CLASSES, name)
}

fn of<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == name).map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every name of 2026.11.0, one a line, after its domain.
    const NAMES: &str = include_str!("home-assistant-2026.11.0.txt");

    #[test]
    fn every_name_of_home_assistant_has_a_meaning_and_no_other_has() {
        let mut known = 0;
        for line in NAMES.lines() {
            let (domain, name) = line.split_once(' ').unwrap();
            let found = match domain {
                "sensor" | "number" => sensor(name).is_some(),
                "binary_sensor" => binary_sensor(name).is_some(),
                "state_class" => state_class(name).is_some(),
                other => panic!("{other}"),
            };
            assert!(found, "{line}");
            known += usize::from(domain != "number");
        }
        assert_eq!(known, SENSOR.len() + BINARY_SENSOR.len() + STATE_CLASSES.len());
    }

    #[test]
    fn a_sensor_is_a_number_and_a_binary_sensor_on_or_off() {
        let binary = |meaning: &Meaning| matches!(meaning, Watched(class) if class.is_binary());
        let number = |meaning: &Meaning| matches!(meaning, Watched(class) if !class.is_binary());
        assert!(!SENSOR.iter().any(|(_, meaning)| binary(meaning)));
        assert!(!BINARY_SENSOR.iter().any(|(_, meaning)| number(meaning)));
    }
}
