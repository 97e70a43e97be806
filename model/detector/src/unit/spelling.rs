//! How people, spreadsheets and wrong character sets write a unit, and what Home Assistant calls it.

/// Words for units, in small letters and without spaces, and their names in the table.
const WORDS: &[(&str, &str)] = &[
    ("celsius", "°C"),
    ("°celsius", "°C"),
    ("degcelsius", "°C"),
    ("degreec", "°C"),
    ("degreesc", "°C"),
    ("degreecelsius", "°C"),
    ("degreescelsius", "°C"),
    ("gradc", "°C"),
    ("gradcelsius", "°C"),
    ("centigrade", "°C"),
    ("°c", "°C"),
    ("fahrenheit", "°F"),
    ("°fahrenheit", "°F"),
    ("degfahrenheit", "°F"),
    ("degreef", "°F"),
    ("degreesf", "°F"),
    ("degreefahrenheit", "°F"),
    ("degreesfahrenheit", "°F"),
    ("gradf", "°F"),
    ("gradfahrenheit", "°F"),
    ("°f", "°F"),
    ("kelvin", "K"),
    ("°k", "K"),
    ("grad", "°"),
    ("degree", "°"),
    ("degrees", "°"),
    ("deg", "°"),
    ("percent", "%"),
    ("prozent", "%"),
    ("procent", "%"),
    ("pct", "%"),
    ("%rh", "%"),
    ("%rf", "%"),
    ("watt", "W"),
    ("watts", "W"),
    ("kilowatt", "kW"),
    ("kilowatts", "kW"),
    ("voltampere", "VA"),
    ("watthour", "Wh"),
    ("watthours", "Wh"),
    ("wattstunden", "Wh"),
    ("kilowatthour", "kWh"),
    ("kilowatthours", "kWh"),
    ("kilowattstunde", "kWh"),
    ("kilowattstunden", "kWh"),
    ("volt", "V"),
    ("volts", "V"),
    ("millivolt", "mV"),
    ("millivolts", "mV"),
    ("ampere", "A"),
    ("amperes", "A"),
    ("amp", "A"),
    ("amps", "A"),
    ("milliampere", "mA"),
    ("milliamps", "mA"),
    ("hertz", "Hz"),
    ("liter", "L"),
    ("liters", "L"),
    ("litre", "L"),
    ("litres", "L"),
    ("ltr", "L"),
    ("gallon", "gal"),
    ("gallons", "gal"),
    ("cbm", "m³"),
    ("m^3", "m³"),
    ("m**3", "m³"),
    ("kubikmeter", "m³"),
    ("cubicmeter", "m³"),
    ("cubicmeters", "m³"),
    ("cubicmetre", "m³"),
    ("cubicmetres", "m³"),
    ("ft^3", "ft³"),
    ("cubicfeet", "ft³"),
    ("m^3/h", "m³/h"),
    ("cbm/h", "m³/h"),
    ("liter/h", "L/h"),
    ("liter/min", "L/min"),
    ("lpm", "L/min"),
    ("gpm", "gal/min"),
    ("w/m^2", "W/m²"),
    ("ug/m^3", "µg/m³"),
    ("ug/m³", "µg/m³"),
    ("µg/m^3", "µg/m³"),
    ("pascal", "Pa"),
    ("hektopascal", "hPa"),
    ("hectopascal", "hPa"),
    ("millibar", "mbar"),
    ("decibel", "dB"),
];

/// What the table holds besides, and its name in Home Assistant.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("℃", "°C"),
    ("C", "°C"),
    ("degC", "°C"),
    ("℉", "°F"),
    ("F", "°F"),
    ("degF", "°F"),
    ("lux", "lx"),
    ("dB(A)", "dBA"),
    ("fl.oz.", "fl. oz."),
    ("floz", "fl. oz."),
    ("inH2O", "inH₂O"),
];

/// Without spaces, with `µ` (U+00B5), `²`, `³` and `°`, whatever character set they were read in.
fn plain(name: &str) -> String {
    let mended = [("&deg;", "°"), ("&#176;", "°"), ("&sup3;", "³"), ("&micro;", "µ"), ("Â", ""), ("âˆ˜", "°")];
    let mut name: String = name.trim().chars().filter(|letter| !letter.is_whitespace()).collect();
    for (wrong, right) in mended {
        if name.contains(wrong) {
            name = name.replace(wrong, right);
        }
    }
    name = name
        .chars()
        .map(|letter| match letter {
            '₂' => '2',
            '⋅' => '·',
            'º' | '˚' | '∘' => '°',
            other => other,
        })
        .collect();
    // A degree of the oldest PCs read as Latin-1, and one that was lost.
    if let Some(letter @ ("C" | "F")) = name.strip_prefix(['ø', '\u{fffd}', '?']) {
        name = format!("°{letter}");
    }
    ascii(&name)
}

/// With `²`, `³` and `µ` (U+00B5) where they are written otherwise.
pub(super) fn ascii(name: &str) -> String {
    let mut name = name.replace('μ', "µ");
    for (ascii, letter) in [("m3", "m³"), ("ft3", "ft³"), ("m2", "m²"), ("ft2", "ft²")] {
        name = name.replace(ascii, letter);
    }
    name
}

/// The table's name of what is written as a word; [`plain`] of it otherwise.
pub(crate) fn spelled(name: &str) -> String {
    let plain = plain(name);
    let small = plain.to_lowercase();
    WORDS.iter().find(|(word, _)| *word == small).map_or(plain, |(_, name)| (*name).to_owned())
}

/// Home Assistant's name of what the table calls `name`.
pub(super) fn usual(name: &'static str) -> &'static str {
    OTHER_NAMES.iter().find(|(other, _)| *other == name).map_or(name, |(_, usual)| *usual)
}
