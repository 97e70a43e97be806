//! The words of entity ids that show what an entity is: English, Dutch, German, French and Spanish, as Home Assistant
//! writes them in ids (small letters, no accents).

use hearthwatch_detector::class::DeviceClass as C;

/// Words that mean the same.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// In small letters, as in ids, with a space between two; no word stands in two rows of a table.
    pub texts: &'static str,
    /// The class that they mean.
    pub class: C,
    /// The unit that goes with them most often.
    pub unit: &'static str,
    /// They count only where no other word does.
    pub weak: bool,
    /// They stand before what they are of (French, Spanish), so that the first of its kind decides.
    pub leads: bool,
}

impl Words {
    const fn weak(self) -> Self {
        Self { weak: true, ..self }
    }

    const fn leads(self) -> Self {
        Self { leads: true, ..self }
    }
}

const fn n(class: C, unit: &'static str, texts: &'static str) -> Words {
    Words { texts, class, unit, weak: false, leads: false }
}

const fn b(class: C, texts: &'static str) -> Words {
    n(class, "", texts)
}

/// Words of numbers that are times, versions and the like.
pub const NOT_WATCHED_NUMBERS: &str = "uptime timestamp version date datetime time duration laufzeit boot restart latitude longitude azimuth \
    elevation price cost tariff preis kosten prix precio prijs";

/// Words of what is on or off and says nothing about the home.
pub const NOT_WATCHED_BINARIES: &[Words] = &[b(C::GenericBinary, "connectivity update online")];

/// For entities whose state is a number.
pub const NUMBER_WORDS: &[Words] = &[
    n(C::Temperature, "°C", "temperature temp temperatur temperatuur dewpoint"),
    n(C::Temperature, "°C", "temperatura").leads(),
    n(C::Temperature, "°C", "thermometer dew").weak(),
    n(
        C::Humidity,
        "%",
        "humidity hum rh luftfeuchtigkeit feuchtigkeit luftfeuchte feuchte luchtvochtigheid vochtigheid",
    ),
    n(C::Humidity, "%", "humidite humedad").leads(),
    n(C::CarbonDioxide, "ppm", "co2 eco2 dioxide kohlendioxid"),
    n(C::CarbonMonoxide, "ppm", "co").weak(),
    n(C::CarbonMonoxide, "ppm", "monoxide"),
    n(C::Voc, "ppb", "voc tvoc"),
    n(C::Pm25, "µg/m³", "pm25 pm2"),
    n(C::Pm10, "µg/m³", "pm10"),
    n(C::Pm1, "µg/m³", "pm1"),
    n(C::Power, "W", "power watt watts leistung vermogen wattage"),
    n(C::Power, "kW", "kw").weak(),
    n(C::Power, "W", "puissance potencia").leads(),
    n(C::Power, "W", "w").weak(),
    n(C::Energy, "kWh", "energy kwh energie stromverbrauch stroomverbruik stromzahler stromzaehler"),
    n(C::Energy, "Wh", "wh").weak(),
    n(C::Energy, "kWh", "energia").leads(),
    n(C::Energy, "kWh", "verbrauch").weak(),
    n(C::Water, "m³", "water wasser eau agua").weak(),
    n(C::Water, "m³", "wasserzahler wasserverbrauch waterverbruik watermeter"),
    n(C::Gas, "m³", "gas gaz").weak(),
    n(C::Gas, "m³", "gaszahler gasverbruik gasverbrauch gasmeter"),
    n(C::VolumeFlowRate, "L/min", "flow durchfluss debit debiet caudal"),
    n(C::Voltage, "V", "voltage volt volts spannung spanning"),
    n(C::Voltage, "V", "tension voltaje").leads(),
    n(C::Current, "A", "current corriente").weak(),
    n(C::Current, "A", "amps ampere stromstarke stroomsterkte"),
    n(C::Battery, "%", "battery batt batterie batterij bateria akku accu soc"),
    n(C::Illuminance, "lx", "illuminance lux brightness helligkeit beleuchtungsstarke lichtsterkte"),
    n(C::Illuminance, "lx", "light").weak(),
    n(C::Illuminance, "lx", "luminosite eclairement luminosidad iluminancia").leads(),
    n(C::Irradiance, "W/m²", "irradiance radiation"),
    n(C::Pressure, "hPa", "pressure luftdruck druck luchtdruk druk barometer"),
    n(C::Pressure, "hPa", "pression presion").leads(),
    n(C::SoundPressure, "dB", "noise loudness"),
    n(C::GenericNumber, "%", "moisture bodenfeuchte"),
    // Named after a quantity and no such: a share, a factor, a signal.
    n(C::GenericNumber, "", "factor faktor signal rssi linkquality lqi speed count counter pulse pulses impulse index"),
    n(C::GenericNumber, "Hz", "frequency frequenz"),
    n(C::GenericNumber, "", "apparent").weak(),
];

/// For entities whose state is on or off.
pub const BINARY_WORDS: &[Words] = &[
    b(C::Motion, "motion pir movement bewegung beweging mouvement movimiento bewegungsmelder"),
    b(C::Occupancy, "occupancy occupied presence anwesenheit prasenz aanwezigheid presencia bezetting"),
    b(C::Door, "door deur voordeur achterdeur tur tuer haustur haustuer porte puerta"),
    b(C::Door, "garage").weak(),
    b(C::Window, "window raam fenster fenetre ventana"),
    b(C::Opening, "contact kontakt opening").weak(),
    b(C::Moisture, "leak leakage flood moisture wet lek lekkage waterlek leck wasserleck fuite fuga inundacion"),
    b(C::Smoke, "smoke rook rookmelder rauch rauchmelder fumee humo"),
    b(C::Smoke, "fire").weak(),
    b(C::GasAlarm, "gas gaz"),
    b(C::CarbonMonoxideAlarm, "co monoxide kohlenmonoxid koolmonoxide"),
    b(C::Vibration, "vibration trilling"),
    b(C::Tamper, "tamper sabotage"),
    b(C::Sound, "sound noise"),
    b(C::Heat, "heat").weak(),
    b(C::Heat, "overheat overheating"),
    // Named after a danger and no such: its battery, its fault, its test, its lamp.
    b(
        C::GenericBinary,
        "battery batterie batterij bateria low fault problem error test charging lock light silence mute led \
         valve pump heater boiler heating pressure power enabled",
    ),
];
