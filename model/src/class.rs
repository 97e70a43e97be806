//! What kind of thing an entity measures: the one input besides its numbers that every home shares.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is not a device class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no device class is called {0:?}")]
pub struct UnknownClass(pub String);

macro_rules! classes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A device class, by Home Assistant's names where it has one.
        ///
        /// The order is part of the trained weights (see [`DeviceClass::index`]): new classes go to the end.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum DeviceClass {
            $($(#[$doc])* $variant,)*
        }

        impl DeviceClass {
            /// Every class, in the order of [`DeviceClass::index`].
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Home Assistant's name of the class.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The inverse of [`DeviceClass::as_str`].
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    // Home Assistant tells these apart by unit or by use; to us they behave alike.
                    "volatile_organic_compounds_parts" => Some(Self::Voc),
                    "atmospheric_pressure" => Some(Self::Pressure),
                    "apparent_power" | "reactive_power" => Some(Self::Power),
                    "garage_door" => Some(Self::Door),
                    "light" | "lock" | "problem" | "running" | "plug" | "cold" => Some(Self::GenericBinary),
                    _ => None,
                }
            }
        }
    };
}

classes! {
    /// Air or water temperature.
    Temperature = "temperature",
    /// Relative humidity.
    Humidity = "humidity",
    /// Light level.
    Illuminance = "illuminance",
    /// Noise level.
    SoundPressure = "sound_pressure",
    /// Air or pipe pressure.
    Pressure = "pressure",
    /// Volatile organic compounds.
    Voc = "volatile_organic_compounds",
    /// Carbon dioxide, measured or estimated.
    CarbonDioxide = "carbon_dioxide",
    /// Particles up to 2.5 µm.
    Pm25 = "pm25",
    /// Electric power.
    Power = "power",
    /// Electric energy, a meter that only counts up.
    Energy = "energy",
    /// Water volume, a meter that only counts up.
    Water = "water",
    /// Gas volume, a meter that only counts up.
    Gas = "gas",
    /// Flow of water or gas.
    VolumeFlowRate = "volume_flow_rate",
    /// Electric potential.
    Voltage = "voltage",
    /// Electric current.
    Current = "current",
    /// Charge of a battery.
    Battery = "battery",
    /// Movement seen.
    Motion = "motion",
    /// Somebody is in the room.
    Occupancy = "occupancy",
    /// Somebody is at home.
    Presence = "presence",
    /// A door is open.
    Door = "door",
    /// A window is open.
    Window = "window",
    /// Wet where it should be dry.
    Moisture = "moisture",
    /// A number of no known kind.
    GenericNumber = "number",
    /// An on/off state of no known kind: a switch, a light.
    GenericBinary = "binary",
    /// Particles up to 1 µm.
    Pm1 = "pm1",
    /// Particles up to 10 µm.
    Pm10 = "pm10",
    /// Carbon monoxide.
    CarbonMonoxide = "carbon_monoxide",
    /// Solar irradiance.
    Irradiance = "irradiance",
    /// Something that opens and closes and is neither door nor window.
    Opening = "opening",
    /// Smoke seen.
    Smoke = "smoke",
    /// Shaking felt.
    Vibration = "vibration",
    /// Noise heard, yes or no.
    Sound = "sound",
    /// Heat beyond what is safe, yes or no.
    Heat = "heat",
    /// Something is unsafe, yes or no.
    Safety = "safety",
    /// A device is tampered with, yes or no.
    Tamper = "tamper",
    /// Gas found, yes or no. Home Assistant calls it `gas`, as it calls the meter.
    GasAlarm = "gas_alarm",
    /// Carbon monoxide found, yes or no. Home Assistant calls it `carbon_monoxide`, as it calls the concentration.
    CarbonMonoxideAlarm = "carbon_monoxide_alarm",
}

impl DeviceClass {
    /// The class of an entity as Home Assistant describes it, or none when it is not watched: times, texts, images.
    ///
    /// An id without a domain (`kitchen_temperature`) is taken for a sensor's.
    #[must_use]
    pub fn guess(entity_id: &str, device_class: Option<&str>, unit: Option<&str>) -> Option<Self> {
        let domain = entity_id.split_once('.').map_or("sensor", |(domain, _)| domain);
        let named = device_class.map(str::trim).filter(|name| !name.is_empty());
        let unit = unit.map(str::trim).filter(|unit| !unit.is_empty());
        match domain {
            "sensor" | "number" | "input_number" => match named {
                Some("timestamp" | "date" | "enum" | "uptime" | "duration" | "monetary") => None,
                // A number may carry a name that means an on/off state elsewhere: the moisture of soil.
                Some(name) => Self::parse(name).filter(|class| !class.is_binary()).or_else(|| unit.map(Self::of_unit)),
                None => unit.map(Self::of_unit),
            },
            "binary_sensor" => match named {
                Some("update" | "connectivity") => None,
                Some("gas") => Some(Self::GasAlarm),
                Some("carbon_monoxide") => Some(Self::CarbonMonoxideAlarm),
                // A binary sensor may carry a name that means a number elsewhere: a low battery.
                Some(name) => Some(Self::parse(name).filter(|class| class.is_binary()).unwrap_or(Self::GenericBinary)),
                None => Some(Self::GenericBinary),
            },
            "switch" | "light" | "input_boolean" | "fan" => Some(Self::GenericBinary),
            _ => None,
        }
    }

    fn of_unit(unit: &str) -> Self {
        match unit {
            "°C" | "°F" | "K" | "C" | "degC" => Self::Temperature,
            "lx" | "lux" => Self::Illuminance,
            "dB" | "dBA" | "dB(A)" => Self::SoundPressure,
            "hPa" | "kPa" | "Pa" | "mbar" | "bar" | "inHg" | "mmHg" | "psi" => Self::Pressure,
            "ppb" => Self::Voc,
            "W" | "kW" | "VA" => Self::Power,
            "kWh" | "Wh" | "MWh" => Self::Energy,
            "L" | "gal" => Self::Water,
            "L/min" | "L/h" | "m³/h" | "m3/h" | "gal/min" => Self::VolumeFlowRate,
            "V" | "mV" => Self::Voltage,
            "A" | "mA" => Self::Current,
            "W/m²" | "W/m2" => Self::Irradiance,
            _ => Self::GenericNumber,
        }
    }

    /// Whether the entity is on or off rather than a number.
    #[must_use]
    pub fn is_binary(self) -> bool {
        matches!(
            self,
            Self::Motion
                | Self::Occupancy
                | Self::Presence
                | Self::Door
                | Self::Window
                | Self::Moisture
                | Self::GenericBinary
                | Self::Opening
                | Self::Smoke
                | Self::Vibration
                | Self::Sound
                | Self::Heat
                | Self::Safety
                | Self::Tamper
                | Self::GasAlarm
                | Self::CarbonMonoxideAlarm
        )
    }

    /// Whether a sensor of this class exists to warn of danger to people or to the house. Each time it turns on is an alarm
    /// by itself: at once, critical, and outside of every budget, mute and answer.
    #[must_use]
    pub fn warns_of_danger(self) -> bool {
        matches!(
            self,
            Self::Smoke
                | Self::Moisture
                | Self::Heat
                | Self::Safety
                | Self::Tamper
                | Self::GasAlarm
                | Self::CarbonMonoxideAlarm
        )
    }

    /// The class's row in the network's embedding: its place in [`DeviceClass::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The lowest and highest value that the physical quantity can have in a home, in the class's base unit (°C, %, lx,
    /// dB, hPa, ppb, ppm, µg/m³, W, V, A, W/m²); [`EntityInfo::physics`](crate::reading::EntityInfo::physics)
    /// converts. Wide on purpose: what lies outside is a broken sensor (−127 °C, 0 ppm), not an unusual day.
    #[must_use]
    pub fn physics(self) -> Option<(f64, f64)> {
        match self {
            Self::Temperature => Some((-60.0, 150.0)),
            // Capacitive sensors overshoot saturation by a percent or two.
            Self::Humidity => Some((-2.0, 105.0)),
            Self::Illuminance => Some((-1.0, 250_000.0)),
            Self::SoundPressure => Some((-20.0, 180.0)),
            Self::Pressure => Some((-1_000.0, 1_000_000.0)),
            Self::Voc => Some((0.0, 1_000_000.0)),
            Self::CarbonDioxide => Some((100.0, 100_000.0)),
            Self::CarbonMonoxide => Some((0.0, 100_000.0)),
            Self::Pm25 | Self::Pm1 | Self::Pm10 => Some((0.0, 100_000.0)),
            Self::Power => Some((-1_000_000.0, 1_000_000.0)),
            Self::Voltage => Some((-2_000.0, 2_000.0)),
            Self::Current => Some((-10_000.0, 10_000.0)),
            // Some devices say −1 when they run on mains.
            Self::Battery => Some((-1.0, 105.0)),
            Self::Irradiance => Some((-50.0, 2_000.0)),
            _ => None,
        }
    }

    /// Whether values spread over decades, so that they are read through a logarithm.
    #[must_use]
    pub fn heavy_tailed(self) -> bool {
        self.counter()
            || matches!(
                self,
                Self::Illuminance
                    | Self::Voc
                    | Self::CarbonDioxide
                    | Self::CarbonMonoxide
                    | Self::Pm25
                    | Self::Pm1
                    | Self::Pm10
                    | Self::Power
                    | Self::Current
                    | Self::VolumeFlowRate
                    | Self::Irradiance
            )
    }

    /// Whether the state is a meter that only counts up (`total_increasing`): its differences are what is watched.
    #[must_use]
    pub fn counter(self) -> bool {
        matches!(self, Self::Energy | Self::Water | Self::Gas)
    }

    /// The smallest difference worth calling a difference, in the values the detector works on (after the logarithm
    /// where [`DeviceClass::heavy_tailed`]). A floor under every learnt scale: a sensor that hardly moves must not turn
    /// its last digit into an alarm.
    #[must_use]
    pub fn resolution(self) -> f32 {
        match self {
            Self::Temperature => 0.15,
            Self::Humidity => 0.75,
            Self::SoundPressure => 0.75,
            Self::Battery => 1.0,
            Self::Voltage => 0.1,
            class if class.heavy_tailed() => 0.05,
            class if class.is_binary() => 0.05,
            _ => 0.02,
        }
    }
}

impl fmt::Display for DeviceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for DeviceClass {
    type Error = UnknownClass;
    fn try_from(name: String) -> Result<Self, UnknownClass> {
        Self::parse(&name).ok_or(UnknownClass(name))
    }
}

impl From<DeviceClass> for String {
    fn from(class: DeviceClass) -> Self {
        class.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_parses_from_its_own_name_and_sits_at_its_index() {
        for (index, class) in DeviceClass::ALL.iter().enumerate() {
            assert_eq!(DeviceClass::parse(class.as_str()), Some(*class));
            assert_eq!(class.index(), index);
        }
    }

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
