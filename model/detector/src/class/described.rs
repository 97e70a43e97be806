//! Which class an entity has, by what Home Assistant says of it.

use super::home_assistant::{self, Meaning, StateClass};
use super::{DeviceClass, Shape};
use crate::unit::{Quantity, Unit};

/// An entity as Home Assistant describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Described<'a> {
    /// Its id. One without a domain (`kitchen_temperature`) is taken for a sensor's.
    pub entity_id: &'a str,
    /// Its device class; none, or empty, where it has none.
    pub device_class: Option<&'a str>,
    /// Its state class; none, or empty, where it has none.
    pub state_class: Option<&'a str>,
    /// Its unit; none, or empty, where it has none.
    pub unit: Option<&'a str>,
}

impl<'a> Described<'a> {
    fn device_class(&self) -> Option<&'a str> {
        self.device_class.map(str::trim).filter(|name| !name.is_empty())
    }

    fn state_class(&self) -> Option<StateClass> {
        self.state_class.map(str::trim).and_then(home_assistant::state_class)
    }

    fn unit(&self) -> Option<&'a str> {
        self.unit.map(str::trim).filter(|unit| !unit.is_empty())
    }

    /// What its values may tell of its kind, when it is watched as `class`.
    ///
    /// Nothing where the state class says it. To these three classes Home Assistant's `measurement` does not apply, and is
    /// written all the same.
    #[must_use]
    pub fn shape(&self, class: DeviceClass) -> Shape {
        let misnamed = matches!(class, DeviceClass::Energy | DeviceClass::Water | DeviceClass::Gas);
        match self.state_class() {
            None => {}
            Some(StateClass::Measurement) if misnamed => {}
            Some(_) => return Shape::settled(),
        }
        let adds_up = |name: &str| matches!(name, "distance" | "precipitation" | "weight" | "number");
        let named = self.device_class().is_some_and(|name| !adds_up(name));
        Shape::open(class, named, self.unit().unwrap_or_default())
    }
}

impl DeviceClass {
    /// The class of an entity whose state class is not known; see [`DeviceClass::of`].
    #[must_use]
    pub fn guess(entity_id: &str, device_class: Option<&str>, unit: Option<&str>) -> Option<Self> {
        Self::of(&Described { entity_id, device_class, state_class: None, unit })
    }

    /// The class of an entity as Home Assistant describes it, or none when it is not watched: times, texts, images.
    #[must_use]
    pub fn of(described: &Described<'_>) -> Option<Self> {
        let domain = described.entity_id.split_once('.').map_or("sensor", |(domain, _)| domain);
        match domain {
            "sensor" => Self::of_sensor(described),
            // What can be set counts nothing.
            "number" | "input_number" => {
                Self::of_sensor(described).map(|class| if class.counter() { Self::GenericNumber } else { class })
            }
            "binary_sensor" => match described.device_class() {
                Some(name) => match home_assistant::binary_sensor(name) {
                    Some(Meaning::Watched(class)) => Some(class),
                    Some(Meaning::NotWatched(_)) => None,
                    None => Some(Self::parse(name).filter(|class| class.is_binary()).unwrap_or(Self::GenericBinary)),
                },
                None => Some(Self::GenericBinary),
            },
            "switch" | "light" | "input_boolean" | "fan" => Some(Self::GenericBinary),
            _ => None,
        }
    }

    fn of_sensor(described: &Described<'_>) -> Option<Self> {
        let (unit, state_class) = (described.unit(), described.state_class());
        // Home Assistant takes whatever has a unit or a state class for a number.
        let otherwise = || unit.map(Self::of_unit).or_else(|| state_class.map(|_| Self::GenericNumber));
        let class = match described.device_class() {
            Some(name) => match home_assistant::sensor(name) {
                Some(Meaning::Watched(class)) => Some(class),
                Some(Meaning::NotWatched(_)) => None,
                // A number may carry a name that means an on/off state elsewhere.
                None => Self::parse(name).filter(|class| !class.is_binary()).or_else(otherwise),
            },
            None => otherwise(),
        }?;
        match state_class {
            Some(StateClass::Angle) => None,
            Some(StateClass::Total) if class == Self::GenericNumber => Some(Self::Count),
            Some(StateClass::Measurement) if class == Self::Count => Some(Self::GenericNumber),
            _ => Some(class),
        }
    }

    fn of_unit(unit: &str) -> Self {
        match Unit::find(unit).map(|unit| unit.quantity) {
            Some(Quantity::Temperature) => Self::Temperature,
            Some(Quantity::Illuminance) => Self::Illuminance,
            Some(Quantity::Sound) => Self::SoundPressure,
            Some(Quantity::Pressure) => Self::Pressure,
            Some(Quantity::Ratio) if unit == "ppb" => Self::Voc,
            Some(Quantity::Power | Quantity::ApparentPower | Quantity::ReactivePower) => Self::Power,
            Some(Quantity::Energy) => Self::Energy,
            Some(Quantity::Volume) if matches!(unit, "L" | "l" | "gal") => Self::Water,
            Some(Quantity::Volume | Quantity::DataSize | Quantity::ReactiveEnergy) => Self::Count,
            Some(Quantity::VolumeFlow) => Self::VolumeFlowRate,
            Some(Quantity::Voltage) => Self::Voltage,
            Some(Quantity::Current) => Self::Current,
            Some(Quantity::Irradiance) => Self::Irradiance,
            _ => Self::GenericNumber,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_battery_binary_sensor_is_not_a_battery_level() {
        assert_eq!(
            DeviceClass::guess("binary_sensor.door_battery", Some("battery"), None),
            Some(DeviceClass::GenericBinary)
        );
        assert_eq!(DeviceClass::guess("sensor.door_battery", Some("battery"), Some("%")), Some(DeviceClass::Battery));
    }

    #[test]
    fn a_warner_of_gas_is_no_gas_meter_and_moisture_of_soil_no_leak() {
        let guess = DeviceClass::guess;
        assert_eq!(guess("binary_sensor.kitchen", Some("gas"), None), Some(DeviceClass::GasAlarm));
        assert_eq!(guess("sensor.kitchen", Some("gas"), Some("m³")), Some(DeviceClass::Gas));
        assert_eq!(guess("binary_sensor.hall", Some("carbon_monoxide"), None), Some(DeviceClass::CarbonMonoxideAlarm));
        assert_eq!(guess("sensor.hall", Some("carbon_monoxide"), Some("ppm")), Some(DeviceClass::CarbonMonoxide));
        assert_eq!(guess("sensor.ficus", Some("moisture"), Some("%")), Some(DeviceClass::GenericNumber));
        assert_eq!(guess("binary_sensor.sink", Some("moisture"), None), Some(DeviceClass::Moisture));
        for name in ["smoke", "moisture", "heat", "safety", "tamper", "gas", "carbon_monoxide"] {
            assert!(guess("binary_sensor.one", Some(name), None).is_some_and(DeviceClass::warns_of_danger), "{name}");
        }
    }

    #[test]
    fn the_state_class_tells_what_counts() {
        let of = |device_class, state_class, unit| {
            DeviceClass::of(&Described { entity_id: "sensor.one", device_class, state_class, unit })
        };
        let (rising, total, now) = (Some("total_increasing"), Some("total"), Some("measurement"));
        assert_eq!(of(Some("data_size"), rising, Some("GB")), Some(DeviceClass::Count));
        assert_eq!(of(Some("data_size"), None, Some("GB")), Some(DeviceClass::Count));
        assert_eq!(of(Some("data_size"), now, Some("GiB")), Some(DeviceClass::GenericNumber), "what is free on a disk");
        assert_eq!(of(Some("data_rate"), now, Some("MB/s")), Some(DeviceClass::GenericNumber));
        assert_eq!(of(None, rising, Some("cycles")), Some(DeviceClass::Count));
        assert_eq!(of(None, total, None), Some(DeviceClass::Count));
        assert_eq!(of(None, now, None), Some(DeviceClass::GenericNumber), "a number though it has no unit");
        assert_eq!(of(Some("precipitation"), rising, Some("mm")), Some(DeviceClass::Count));
        assert_eq!(of(Some("energy"), total, Some("kWh")), Some(DeviceClass::Energy));
        assert_eq!(of(Some("energy_storage"), now, Some("kWh")), Some(DeviceClass::GenericNumber));
        assert_eq!(of(Some("temperature_delta"), now, Some("°C")), Some(DeviceClass::GenericNumber));
        assert_eq!(of(None, None, Some("m³")), Some(DeviceClass::Count));
        assert_eq!(of(Some("aqi"), None, None), Some(DeviceClass::GenericNumber));
        assert_eq!(of(None, Some("measurement_angle"), Some("°")), None);
        assert_eq!(DeviceClass::guess("number.limit", Some("energy"), Some("kWh")), Some(DeviceClass::GenericNumber));
    }

    #[test]
    fn times_texts_and_images_are_not_watched() {
        assert_eq!(DeviceClass::guess("sensor.last_boot", Some("timestamp"), None), None);
        assert_eq!(DeviceClass::guess("sensor.weather_text", None, None), None);
        assert_eq!(DeviceClass::guess("camera.porch", None, None), None);
    }

    #[test]
    fn a_unit_tells_the_class_where_no_name_does() {
        assert_eq!(DeviceClass::guess("sensor.attic", None, Some("°C")), Some(DeviceClass::Temperature));
        assert_eq!(DeviceClass::guess("attic", None, Some("furlong")), Some(DeviceClass::GenericNumber));
    }
}
