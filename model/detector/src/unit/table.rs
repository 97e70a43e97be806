//! The table: for each quantity its units, as multiples of a base unit.

use super::Quantity;

/// A unit with its name; see [`super::Unit`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) quantity: Quantity,
    pub(super) zero: f64,
    pub(super) times: f64,
    pub(super) over: f64,
}

/// Temperatures in °C: name, where their zero lies, times, over.
const TEMPERATURES: &[(&str, f64, f64, f64)] = &[
    ("°C", 0.0, 1.0, 1.0),
    ("℃", 0.0, 1.0, 1.0),
    ("C", 0.0, 1.0, 1.0),
    ("degC", 0.0, 1.0, 1.0),
    ("°F", 32.0, 5.0, 9.0),
    ("℉", 32.0, 5.0, 9.0),
    ("F", 32.0, 5.0, 9.0),
    ("degF", 32.0, 5.0, 9.0),
    ("K", 273.15, 1.0, 1.0),
];

/// Cubic feet and US gallons in litres.
const FT3: f64 = 28.316_846_592;
const GALLON: f64 = 3.785_411_784;
/// Kibibytes and up, in bytes.
const KI: f64 = 1024.0;

/// The other quantities: each unit is so many base units.
const UNITS: &[(Quantity, &[(&str, f64)])] = &[
    (Quantity::Angle, &[("°", 1.0)]),
    (
        Quantity::Area,
        &[
            ("m²", 1.0),
            ("cm²", 1e-4),
            ("mm²", 1e-6),
            ("km²", 1e6),
            ("in²", 6.4516e-4),
            ("ft²", 0.092_903_04),
            ("yd²", 0.836_127_36),
            ("mi²", 2_589_988.110_336),
            ("ac", 4_046.856_422_4),
            ("ha", 1e4),
        ],
    ),
    (Quantity::ApparentPower, &[("VA", 1.0), ("mVA", 1e-3), ("kVA", 1e3)]),
    (Quantity::Conductivity, &[("µS/cm", 1.0), ("mS/cm", 1e3), ("S/cm", 1e6)]),
    (Quantity::Current, &[("A", 1.0), ("mA", 1e-3), ("µA", 1e-6), ("kA", 1e3)]),
    (
        Quantity::DataRate,
        &[
            ("bit/s", 0.125),
            ("kbit/s", 125.0),
            ("Mbit/s", 125e3),
            ("Gbit/s", 125e6),
            ("B/s", 1.0),
            ("kB/s", 1e3),
            ("MB/s", 1e6),
            ("GB/s", 1e9),
            ("KiB/s", KI),
            ("MiB/s", KI * KI),
            ("GiB/s", KI * KI * KI),
        ],
    ),
    (
        Quantity::DataSize,
        &[
            ("bit", 0.125),
            ("kbit", 125.0),
            ("Mbit", 125e3),
            ("Gbit", 125e6),
            ("B", 1.0),
            ("kB", 1e3),
            ("MB", 1e6),
            ("GB", 1e9),
            ("TB", 1e12),
            ("PB", 1e15),
            ("EB", 1e18),
            ("ZB", 1e21),
            ("YB", 1e24),
            ("KiB", KI),
            ("MiB", KI * KI),
            ("GiB", KI * KI * KI),
            ("TiB", KI * KI * KI * KI),
            ("PiB", KI * KI * KI * KI * KI),
            ("EiB", KI * KI * KI * KI * KI * KI),
            ("ZiB", KI * KI * KI * KI * KI * KI * KI),
            ("YiB", KI * KI * KI * KI * KI * KI * KI * KI),
        ],
    ),
    (Quantity::Density, &[("µg/m³", 1.0), ("mg/m³", 1e3), ("g/m³", 1e6), ("µg/ft³", 35.314_666_721)]),
    (
        Quantity::Energy,
        &[
            ("Wh", 1.0),
            ("mWh", 1e-3),
            ("kWh", 1e3),
            ("MWh", 1e6),
            ("GWh", 1e9),
            ("TWh", 1e12),
            ("J", 1.0 / 3600.0),
            ("kJ", 1.0 / 3.6),
            ("MJ", 1e3 / 3.6),
            ("GJ", 1e6 / 3.6),
            ("cal", 4.184 / 3600.0),
            ("kcal", 4.184 / 3.6),
            ("Mcal", 4.184e3 / 3.6),
            ("Gcal", 4.184e6 / 3.6),
            ("thm", 105.505_585_262e6 / 3600.0),
        ],
    ),
    (Quantity::Frequency, &[("Hz", 1.0), ("mHz", 1e-3), ("kHz", 1e3), ("MHz", 1e6), ("GHz", 1e9)]),
    (Quantity::Illuminance, &[("lx", 1.0), ("lux", 1.0), ("klx", 1e3)]),
    (Quantity::Irradiance, &[("W/m²", 1.0), ("BTU/(h·ft²)", 3.154_590_745)]),
    (
        Quantity::Length,
        &[
            ("m", 1.0),
            ("mm", 1e-3),
            ("cm", 1e-2),
            ("km", 1e3),
            ("in", 0.0254),
            ("ft", 0.3048),
            ("yd", 0.9144),
            ("mi", 1_609.344),
            ("nmi", 1_852.0),
        ],
    ),
    (
        Quantity::Mass,
        &[
            ("g", 1.0),
            ("kg", 1e3),
            ("mg", 1e-3),
            ("µg", 1e-6),
            ("oz", 453.592_37 / 16.0),
            ("lb", 453.592_37),
            ("st", 453.592_37 * 14.0),
        ],
    ),
    (
        Quantity::Power,
        &[
            ("W", 1.0),
            ("mW", 1e-3),
            ("kW", 1e3),
            ("MW", 1e6),
            ("GW", 1e9),
            ("TW", 1e12),
            ("BTU/h", 1_055.055_852_62 / 3600.0),
        ],
    ),
    (
        Quantity::Pressure,
        &[
            ("Pa", 1.0),
            ("mPa", 1e-3),
            ("hPa", 1e2),
            ("kPa", 1e3),
            ("bar", 1e5),
            ("cbar", 1e3),
            ("mbar", 1e2),
            ("inHg", 3_386.389),
            ("mmHg", 133.322_387_415),
            ("psi", 6_894.757_293_168),
            ("inH2O", 249.088_908_333_334_8),
            ("atm", 101_325.0),
        ],
    ),
    (Quantity::Radiation, &[("Bq/m³", 1.0), ("pCi/L", 37.0)]),
    (Quantity::Ratio, &[("ppb", 1e-3), ("ppm", 1.0), ("%", 1e4)]),
    (Quantity::ReactiveEnergy, &[("varh", 1.0), ("kvarh", 1e3)]),
    (Quantity::ReactivePower, &[("var", 1.0), ("mvar", 1e-3), ("kvar", 1e3)]),
    (Quantity::Sound, &[("dB", 1.0), ("dBA", 1.0), ("dB(A)", 1.0)]),
    (
        Quantity::Speed,
        &[
            ("m/s", 1.0),
            ("m/min", 1.0 / 60.0),
            ("mm/s", 1e-3),
            ("km/h", 1.0 / 3.6),
            ("ft/s", 0.3048),
            ("in/s", 0.0254),
            ("mph", 1_609.344 / 3600.0),
            ("kn", 1_852.0 / 3600.0),
            ("mm/h", 1e-3 / 3600.0),
            ("mm/d", 1e-3 / 86_400.0),
            ("in/h", 0.0254 / 3600.0),
            ("in/d", 0.0254 / 86_400.0),
        ],
    ),
    (
        Quantity::Time,
        &[("s", 1.0), ("µs", 1e-6), ("ms", 1e-3), ("min", 60.0), ("h", 3600.0), ("d", 86_400.0), ("w", 604_800.0)],
    ),
    (Quantity::Voltage, &[("V", 1.0), ("µV", 1e-6), ("mV", 1e-3), ("kV", 1e3), ("MV", 1e6)]),
    (
        Quantity::Volume,
        &[
            ("L", 1.0),
            ("mL", 1e-3),
            ("m³", 1e3),
            ("ft³", FT3),
            ("CCF", 1e2 * FT3),
            ("MCF", 1e3 * FT3),
            ("gal", GALLON),
            ("fl.oz.", GALLON / 128.0),
            ("floz", GALLON / 128.0),
        ],
    ),
    (
        Quantity::VolumeFlow,
        &[
            ("L/h", 1.0),
            ("L/min", 60.0),
            ("L/s", 3600.0),
            ("mL/s", 3.6),
            ("m³/h", 1e3),
            ("m³/min", 6e4),
            ("m³/s", 3.6e6),
            ("ft³/min", 60.0 * FT3),
            ("gal/h", GALLON),
            ("gal/min", 60.0 * GALLON),
            ("gal/d", GALLON / 24.0),
        ],
    ),
];

/// Every unit with its factors to the base unit of its quantity.
pub(super) fn rows() -> impl Iterator<Item = Row> {
    let temperatures = TEMPERATURES.iter().map(|(name, zero, times, over)| Row {
        name,
        quantity: Quantity::Temperature,
        zero: *zero,
        times: *times,
        over: *over,
    });
    let others = UNITS.iter().flat_map(|(quantity, units)| {
        units.iter().map(|(name, times)| Row { name, quantity: *quantity, zero: 0.0, times: *times, over: 1.0 })
    });
    temperatures.chain(others)
}
