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

const fn number(class: C, unit: &'static str, texts: &'static str) -> Words {
    Words { texts, class, unit, weak: false, leads: false }
}

const fn on_off(class: C, texts: &'static str) -> Words {
    number(class, "", texts)
}

/// Words of numbers that are times, versions and the like.
pub const NOT_WATCHED_NUMBERS: &[&str] = &[
    "uptime",
    "timestamp",
    "version",
    "date",
    "datetime",
    "time",
    "duration",
    "laufzeit",
    "boot",
    "restart",
    "latitude",
    "longitude",
    "azimuth",
    "elevation",
    "price",
    "cost",
    "tariff",
    "preis",
    "kosten",
    "prix",
    "precio",
    "prijs",
];

/// Words of what is on or off and says nothing about the home.
pub const NOT_WATCHED_BINARIES: &[Words] = &[on_off(C::GenericBinary, "connectivity update online")];

/// For entities whose state is a number.
pub const NUMBER_WORDS: &[Words] = &[
    number(C::Temperature, "°C", "temperature temp temperatur temperatuur dewpoint"),
    number(C::Temperature, "°C", "temperatura").leads(),
    number(C::Temperature, "°C", "thermometer dew").weak(),
    number(
        C::Humidity,
        "%",
        "humidity hum rh luftfeuchtigkeit feuchtigkeit luftfeuchte feuchte luchtvochtigheid vochtigheid",
    ),
    number(C::Humidity, "%", "humidite humedad").leads(),
    number(C::CarbonDioxide, "ppm", "co2 eco2 dioxide kohlendioxid"),
    number(C::CarbonMonoxide, "ppm", "co").weak(),
    number(C::CarbonMonoxide, "ppm", "monoxide"),
    number(C::Voc, "ppb", "voc tvoc"),
    number(C::Pm25, "µg/m³", "pm25 pm2"),
    number(C::Pm10, "µg/m³", "pm10"),
    number(C::Pm1, "µg/m³", "pm1"),
    number(C::Power, "W", "power watt watts leistung vermogen wattage"),
    number(C::Power, "kW", "kw").weak(),
    number(C::Power, "W", "puissance potencia").leads(),
    number(C::Power, "W", "w").weak(),
    number(C::Energy, "kWh", "energy kwh energie stromverbrauch stroomverbruik stromzahler stromzaehler"),
    number(C::Energy, "Wh", "wh").weak(),
    number(C::Energy, "kWh", "energia").leads(),
    number(C::Energy, "kWh", "verbrauch").weak(),
    number(C::Water, "m³", "water wasser eau agua").weak(),
    number(C::Water, "m³", "wasserzahler wasserverbrauch waterverbruik watermeter"),
    number(C::Gas, "m³", "gas gaz").weak(),
    number(C::Gas, "m³", "gaszahler gasverbruik gasverbrauch gasmeter"),
    number(C::VolumeFlowRate, "L/min", "flow durchfluss debit debiet caudal"),
    number(C::Voltage, "V", "voltage volt volts spannung spanning"),
    number(C::Voltage, "V", "tension voltaje").leads(),
    number(C::Current, "A", "current corriente").weak(),
    number(C::Current, "A", "amps ampere stromstarke stroomsterkte"),
    number(C::Battery, "%", "battery batt batterie batterij bateria akku accu soc"),
    number(C::Illuminance, "lx", "illuminance lux brightness helligkeit beleuchtungsstarke lichtsterkte"),
    number(C::Illuminance, "lx", "light").weak(),
    number(C::Illuminance, "lx", "luminosite eclairement luminosidad iluminancia").leads(),
    number(C::Irradiance, "W/m²", "irradiance radiation"),
    number(C::Pressure, "hPa", "pressure luftdruck druck luchtdruk druk barometer"),
    number(C::Pressure, "hPa", "pression presion").leads(),
    number(C::SoundPressure, "dB", "noise loudness"),
    number(C::GenericNumber, "%", "moisture bodenfeuchte"),
    // Named after a quantity and no such: a share, a factor, a signal.
    number(
        C::GenericNumber,
        "",
        "factor faktor signal rssi linkquality lqi speed count counter pulse pulses impulse index",
    ),
    number(C::GenericNumber, "Hz", "frequency frequenz"),
    number(C::GenericNumber, "", "apparent").weak(),
];

/// For entities whose state is on or off.
pub const BINARY_WORDS: &[Words] = &[
    on_off(C::Motion, "motion pir movement bewegung beweging mouvement movimiento bewegungsmelder"),
    on_off(C::Occupancy, "occupancy occupied presence anwesenheit prasenz aanwezigheid presencia bezetting"),
    on_off(C::Door, "door deur voordeur achterdeur tur tuer haustur haustuer porte puerta"),
    on_off(C::Door, "garage").weak(),
    on_off(C::Window, "window raam fenster fenetre ventana"),
    on_off(C::Opening, "contact kontakt opening").weak(),
    on_off(C::Moisture, "leak leakage flood moisture wet lek lekkage waterlek leck wasserleck fuite fuga inundacion"),
    on_off(C::Smoke, "smoke rook rookmelder rauch rauchmelder fumee humo"),
    on_off(C::Smoke, "fire").weak(),
    on_off(C::GasAlarm, "gas gaz"),
    on_off(C::CarbonMonoxideAlarm, "co monoxide kohlenmonoxid koolmonoxide"),
    on_off(C::Vibration, "vibration trilling"),
    on_off(C::Tamper, "tamper sabotage"),
    on_off(C::Sound, "sound noise"),
    on_off(C::Heat, "heat").weak(),
    on_off(C::Heat, "overheat overheating"),
    // Named after a danger and no such: its battery, its fault, its test, its lamp.
    on_off(
        C::GenericBinary,
        "battery batterie batterij bateria low fault problem error test charging lock light silence mute led \
         valve pump heater boiler heating pressure power enabled",
    ),
];
