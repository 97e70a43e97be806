//! What an entity is, guessed from its id and its first value: the history panel's download has neither class nor unit.
//!
//! Nothing else is looked at, so a recording that is cut short is judged as the whole one is.

use hearthwatch_detector::class::DeviceClass as C;
use hearthwatch_detector::reading::Value;
use hearthwatch_edge_core::state;

use super::guess_words::{BINARY_WORDS, NOT_WATCHED_BINARIES, NOT_WATCHED_NUMBERS, NUMBER_WORDS, Words};

/// Class and unit from an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guess {
    /// A device class of numbers or of states.
    pub class: C,
    /// Its unit; empty for on/off and for numbers of no known kind.
    pub unit: &'static str,
}

/// Highest °C that a room or the weather has; what is warmer and not named after something hot is in °F.
const ROOM_MAX: f64 = 45.0;
/// Highest °F that a room or the weather has.
const ROOM_MAX_FAHRENHEIT: f64 = 125.0;
/// Words of things that are hotter than a room.
const HOT: [&str; 18] = [
    "boiler",
    "water",
    "wasser",
    "kessel",
    "heater",
    "oven",
    "cpu",
    "chip",
    "processor",
    "core",
    "solar",
    "flow",
    "supply",
    "return",
    "tank",
    "engine",
    "device",
    "aanvoer",
];

/// What keeps cold, in English, German, Dutch and French.
const FREEZERS: [&str; 7] =
    ["freezer", "gefrierschrank", "gefriertruhe", "tiefkuhl", "tiefkuehl", "vriezer", "congelateur"];
/// °C of a freezer: nothing else about one is below zero.
const FROZEN: std::ops::RangeInclusive<f64> = -40.0..=-5.0;

/// What `entity_id` is, when its first value is `state`; none when it is not a thing that is watched, or `state` is a gap.
#[must_use]
pub fn of(entity_id: &str, state: &str) -> Option<Guess> {
    let (domain, name) = entity_id.split_once('.').unwrap_or(("sensor", entity_id));
    if state::is_gap(state) {
        return None;
    }
    let binary = matches!(state::value_of(C::GenericBinary, state), Ok(Value::Binary(_)));
    let number = match state::value_of(C::GenericNumber, state) {
        Ok(Value::Number(number)) => Some(number),
        _ => None,
    };
    match domain {
        "sensor" | "number" | "input_number" => match number {
            Some(number) => number_of(name, number),
            None => binary.then(|| on_off(name)),
        },
        "binary_sensor" => (binary && word_of(name, NOT_WATCHED_BINARIES).is_none()).then(|| on_off(name)),
        "switch" | "light" | "input_boolean" | "fan" if binary => Some(Guess { class: C::GenericBinary, unit: "" }),
        _ => None,
    }
}

/// Whether a name is of something that is hotter than a room.
#[must_use]
pub fn is_hot(name: &str) -> bool {
    HOT.iter().any(|hot| name.contains(hot))
}

/// The class of a number in `unit` whose id has a word for it, where the unit alone leaves several: % is humidity or a
/// battery, m³ gas or water.
#[must_use]
pub fn class_in(entity_id: &str, unit: &str) -> Option<&'static str> {
    let name = entity_id.split_once('.').map_or(entity_id, |(_, name)| name);
    let class = word_of(name, NUMBER_WORDS)?.class;
    let fits = match unit {
        "%" => matches!(class, C::Humidity | C::Battery),
        "ppm" => matches!(class, C::CarbonDioxide | C::CarbonMonoxide | C::Voc),
        "µg/m³" | "ug/m3" | "μg/m³" => matches!(class, C::Pm25 | C::Pm10 | C::Pm1 | C::Voc),
        "m³" | "m3" | "ft³" | "CCF" | "L" | "gal" => matches!(class, C::Gas | C::Water),
        _ => false,
    };
    fits.then(|| class.as_str())
}

fn on_off(name: &str) -> Guess {
    let class = word_of(name, BINARY_WORDS).map_or(C::GenericBinary, |word| word.class);
    Guess { class, unit: "" }
}

fn number_of(name: &str, number: f64) -> Option<Guess> {
    let nothing_known = Guess { class: C::GenericNumber, unit: "" };
    if tokens(name).any(|token| NOT_WATCHED_NUMBERS.contains(&token)) {
        return None;
    }
    let Some(word) = word_of(name, NUMBER_WORDS) else {
        let frozen = FREEZERS.iter().any(|word| name.contains(word)) && FROZEN.contains(&number);
        return Some(if frozen { Guess { class: C::Temperature, unit: "°C" } } else { nothing_known });
    };
    let has = |text: &str| tokens(name).any(|token| token == text);
    let unit = match word.class {
        C::Temperature if number > ROOM_MAX && number <= ROOM_MAX_FAHRENHEIT && !is_hot(name) => "°F",
        C::Power if has("kw") => "kW",
        C::Energy if has("wh") => "Wh",
        C::Energy if has("mwh") => "MWh",
        C::Water if has("l") || has("liter") || has("liters") || has("litres") => "L",
        C::Voltage if has("mv") => "mV",
        C::Current if has("ma") => "mA",
        _ => word.unit,
    };
    let info = hearthwatch_detector::reading::EntityInfo {
        entity_id: String::new(),
        class: word.class,
        unit: unit.to_owned(),
    };
    // A humidity of 400 is none.
    let possible = info.physics().is_none_or(|(low, high)| (low..=high).contains(&number));
    Some(if possible { Guess { class: word.class, unit } } else { nothing_known })
}

/// The words of an id, as `_` and `.` part them, with the digits behind them (`temp2`) away.
fn tokens(name: &str) -> impl Iterator<Item = &str> {
    name.split(|letter: char| !letter.is_alphanumeric()).filter(|token| !token.is_empty())
}

/// The word that decides what an id is. In English, German and Dutch it is the last (`battery_voltage` is a voltage); in
/// French and Spanish the first of those that lead. A weak word counts only without another.
fn word_of<'w>(name: &str, words: &'w [Words]) -> Option<&'w Words> {
    let mut found: Option<&Words> = None;
    let mut before = "";
    for token in tokens(name) {
        let bare = token.trim_end_matches(|letter: char| letter.is_ascii_digit());
        // `pm2_5` is two tokens.
        let joined = if before == "pm2" && token == "5" { "pm25" } else { token };
        before = token;
        let exact = |token: &str| each(words).find(|(text, _)| *text == token);
        let Some((_, word)) = exact(joined).or_else(|| exact(bare)).or_else(|| compound(bare, words)) else { continue };
        if word.leads {
            return Some(word);
        }
        if !word.weak || found.is_none_or(|found| found.weak) {
            found = Some(word);
        }
    }
    found
}

/// A long word at the end of a longer one: `wohnzimmertemperatur`.
fn compound<'w>(token: &str, words: &'w [Words]) -> Option<(&'w str, &'w Words)> {
    /// Letters from which a word within another is no chance.
    const LONG: usize = 5;
    each(words).filter(|(text, _)| text.len() >= LONG && token.ends_with(text)).max_by_key(|(text, _)| text.len())
}

/// Every word of a table, with its row.
fn each(words: &[Words]) -> impl Iterator<Item = (&str, &Words)> {
    words.iter().flat_map(|row| row.texts.split(' ').map(move |text| (text, row)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(id: &str, state: &str) -> Option<(C, &'static str)> {
        of(id, state).map(|guess| (guess.class, guess.unit))
    }

    #[test]
    fn numbers_are_known_by_the_last_word_that_names_a_quantity() {
        for (id, state, class, unit) in [
            ("sensor.attic_temperature", "20.1", C::Temperature, "°C"),
            ("sensor.temp_2", "20.1", C::Temperature, "°C"),
            ("sensor.bathroom_humidity", "55", C::Humidity, "%"),
            ("sensor.door_battery", "88", C::Battery, "%"),
            ("sensor.battery_voltage", "2.95", C::Voltage, "V"),
            ("sensor.current_temperature", "19", C::Temperature, "°C"),
            ("sensor.fridge_current", "0.4", C::Current, "A"),
            ("sensor.water_temperature", "55", C::Temperature, "°C"),
            ("sensor.living_room_temperature", "70.3", C::Temperature, "°F"),
            ("sensor.pm2_5", "7", C::Pm25, "µg/m³"),
            ("sensor.office_co2", "640", C::CarbonDioxide, "ppm"),
            ("sensor.plug_power", "120.5", C::Power, "W"),
            ("sensor.energy_total", "5230.1", C::Energy, "kWh"),
            ("sensor.gas_meter", "801.22", C::Gas, "m³"),
            ("sensor.wohnzimmertemperatur", "21", C::Temperature, "°C"),
            ("sensor.bad_luftfeuchtigkeit", "60", C::Humidity, "%"),
            ("sensor.woonkamer_vochtigheid", "50", C::Humidity, "%"),
            ("sensor.temperatura_bateria", "30", C::Temperature, "°C"),
            ("sensor.puissance_batterie", "300", C::Power, "W"),
            ("sensor.gefrierschrank", "-18.2", C::Temperature, "°C"),
            ("sensor.gefrierschrank", "80", C::GenericNumber, ""),
            ("sensor.ping", "12", C::GenericNumber, ""),
            ("sensor.air_humidity", "400", C::GenericNumber, ""),
        ] {
            assert_eq!(guessed(id, state), Some((class, unit)), "{id}");
        }
    }

    #[test]
    fn on_and_off_are_known_by_their_words_and_a_low_battery_of_a_smoke_detector_is_no_smoke() {
        for (id, state, class) in [
            ("binary_sensor.hall_motion", "on", C::Motion),
            ("binary_sensor.front_door", "off", C::Door),
            ("binary_sensor.kueche_fenster", "off", C::Window),
            ("binary_sensor.sink_leak", "off", C::Moisture),
            ("binary_sensor.detecteur_fumee", "off", C::Smoke),
            ("binary_sensor.smoke_detector_battery_low", "off", C::GenericBinary),
            ("binary_sensor.something", "on", C::GenericBinary),
            ("switch.heater_power", "on", C::GenericBinary),
            ("sensor.back_door", "closed", C::Door),
        ] {
            assert_eq!(guessed(id, state), Some((class, "")), "{id}");
        }
    }

    #[test]
    fn times_texts_gaps_and_other_domains_are_not_guessed() {
        for (id, state) in [
            ("sensor.weather_text", "sunny"),
            ("sensor.attic_temperature", "unavailable"),
            ("sensor.router_uptime", "81233"),
            ("weather.home", "12"),
            ("binary_sensor.nas_connectivity", "on"),
        ] {
            assert_eq!(of(id, state), None, "{id}");
        }
    }

    #[test]
    fn a_word_tells_apart_what_shares_a_unit() {
        assert_eq!(class_in("sensor.hall_humidity", "%"), Some("humidity"));
        assert_eq!(class_in("sensor.gas_meter", "m³"), Some("gas"));
        assert_eq!(class_in("sensor.disk_use", "%"), None);
        assert_eq!(class_in("sensor.attic_temperature", "%"), None);
    }
}
