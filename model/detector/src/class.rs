//! What kind of thing an entity measures: the one input besides its numbers that every home shares.

mod described;
pub mod home_assistant;
mod shape;
mod units;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::unit::{Conversion, Quantity, Unit};
pub use described::Described;
pub use shape::Shape;

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
    /// An amount of no class of its own that adds up: data, cycles, a volume of whatever.
    Count = "count",
}

impl DeviceClass {
    /// Whether the entity is on or off rather than a number.
    #[must_use]
    pub fn is_binary(self) -> bool {
        self.warns_of_danger()
            || matches!(
                self,
                Self::Motion
                    | Self::Occupancy
                    | Self::Presence
                    | Self::Door
                    | Self::Window
                    | Self::GenericBinary
                    | Self::Opening
                    | Self::Vibration
                    | Self::Sound
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

    /// The limits of [`DeviceClass::physics`] in `unit`; in the class's base unit where the two do not convert.
    #[must_use]
    pub fn physics_in(self, unit: &str) -> Option<(f64, f64)> {
        let (low, high) = self.physics()?;
        let base = match (self, Unit::find(unit).map(|unit| unit.quantity)) {
            (Self::Temperature, _) => "°C",
            (Self::Pressure, _) => "hPa",
            (Self::Power, Some(Quantity::ApparentPower)) => "VA",
            (Self::Power, Some(Quantity::ReactivePower)) => "var",
            (Self::Power, _) => "W",
            (Self::Voltage, _) => "V",
            (Self::Current, _) => "A",
            (Self::Irradiance, _) => "W/m²",
            (Self::Illuminance, _) => "lx",
            (Self::Voc, Some(Quantity::Ratio)) => "ppb",
            (Self::CarbonDioxide | Self::CarbonMonoxide, _) => "ppm",
            (Self::Voc | Self::Pm25 | Self::Pm1 | Self::Pm10, _) => "µg/m³",
            _ => return Some((low, high)),
        };
        let convert = Conversion::between(self, base, unit);
        Some(convert.map_or((low, high), |way| (way.apply(low), way.apply(high))))
    }

    /// The lowest and highest value that the physical quantity can have in a home, in the class's base unit (°C, %, lx,
    /// dB, hPa, ppb, ppm, µg/m³, W, V, A, W/m²); [`DeviceClass::physics_in`] converts. Wide on purpose: what lies outside is a broken sensor (−127 °C, 0 ppm), not an unusual day.
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

    /// Whether the state is an amount that adds up (`total_increasing`, `total`): its differences are what is watched.
    #[must_use]
    pub fn counter(self) -> bool {
        matches!(self, Self::Energy | Self::Water | Self::Gas | Self::Count)
    }

    /// Whether its two states are open and closed.
    #[must_use]
    pub fn opens(self) -> bool {
        matches!(self, Self::Door | Self::Window | Self::Opening)
    }

    /// Whether it measures what is being used or produced now, which sets in from one moment to the next.
    #[must_use]
    pub fn is_use(self) -> bool {
        matches!(
            self,
            Self::Energy
                | Self::Water
                | Self::Gas
                | Self::VolumeFlowRate
                | Self::Power
                | Self::Current
                | Self::Irradiance
        )
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
            // Of what, nobody knows: a cycle now and then, or gigabytes.
            Self::Count => 0.2,
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
    fn limits_follow_the_unit() {
        let limits = |class: DeviceClass, unit| class.physics_in(unit);
        assert_eq!(limits(DeviceClass::Temperature, "°F"), Some((-76.0, 302.0)));
        assert_eq!(limits(DeviceClass::Power, "kW"), Some((-1000.0, 1000.0)));
        assert_eq!(limits(DeviceClass::Power, "mVA"), Some((-1e9, 1e9)));
        assert_eq!(limits(DeviceClass::Pressure, "Pa"), Some((-1e5, 1e8)));
        assert_eq!(limits(DeviceClass::Pm25, "mg/m³"), Some((0.0, 100.0)));
        assert_eq!(limits(DeviceClass::CarbonMonoxide, "mg/m³"), Some((0.0, 100_000.0)), "they do not convert");
        assert_eq!(limits(DeviceClass::Temperature, "furlong"), Some((-60.0, 150.0)));
        assert_eq!(limits(DeviceClass::Energy, "kWh"), None);
    }
}
