//! Thermometers whose unit is not the one that they report: a room of 70 °C among rooms of 21 °C is one of 70 °F. Pure.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_detector::unit::Conversion;

use crate::explain::Language;

const CELSIUS: &str = "°C";
const FAHRENHEIT: &str = "°F";

/// Indoors, in °C: what the home's other rooms are.
const ROOM: (f64, f64) = (15.0, 28.0);
/// A room in °F that is reported as °C: 13 to 35 °C.
const ROOM_IN_FAHRENHEIT: (f64, f64) = (55.0, 95.0);
/// Read in the other unit, a room is no further from the others than this, in °C.
const APART_MAX: f64 = 6.0;
/// What is usual of a room spans no more than this, in the unit that it should have: fifteen degrees Fahrenheit.
const SPREAD_MAX: f64 = 15.0;

/// Words in an id or a name after which a temperature is no room's: hot things, cold things, outdoors and electronics.
const NO_ROOM: [&str; 75] = [
    "water",
    "boiler",
    "heater",
    "heating",
    "oven",
    "stove",
    "cooker",
    "pipe",
    "flow",
    "return",
    "supply",
    "sauna",
    "tank",
    "kettle",
    "grill",
    "bbq",
    "smoker",
    "kiln",
    "fireplace",
    "chimney",
    "flue",
    "exhaust",
    "collector",
    "solar",
    "panel",
    "radiator",
    "dryer",
    "washer",
    "dishwasher",
    "engine",
    "cpu",
    "gpu",
    "processor",
    "core",
    "chip",
    "board",
    "device",
    "internal",
    "inverter",
    "battery",
    "charger",
    "server",
    "nas",
    "disk",
    "drive",
    "ssd",
    "router",
    "printer",
    "nozzle",
    "hotend",
    "freezer",
    "fridge",
    "refrigerator",
    "cooler",
    "ice",
    "outdoor",
    "outside",
    "garden",
    "garage",
    "shed",
    "attic",
    "porch",
    "balcony",
    "greenhouse",
    "dew",
    "warmwater",
    "ketel",
    "leiding",
    "aanvoer",
    "retour",
    "vriezer",
    "koelkast",
    "buiten",
    "tuin",
    "schuur",
];

/// A temperature sensor of a room, as far as the check of its unit needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Thermometer {
    /// Its class is a temperature; its unit is the one that it reports in.
    pub info: EntityInfo,
    /// The name that residents see.
    pub name: String,
    /// The newest value, in its own unit; none before the first reading.
    pub now: Option<f64>,
    /// Low, middle and high of the usual range. Where no range is known yet, the newest value stands for all three.
    pub usual: (f64, f64, f64),
}

/// A thermometer whose values fit another unit than the one that it reports.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitDoubt {
    /// Home Assistant's id.
    pub entity_id: String,
    /// The name that residents see.
    pub name: String,
    /// The newest value, as reported.
    pub value: f64,
    /// The reported unit: `°C` or `°F`.
    pub said: &'static str,
    /// The unit in which the value would be plausible: the other one.
    pub looks_like: &'static str,
}

impl UnitDoubt {
    /// It in words, for people; `name` or id, as whoever reads knows it.
    #[must_use]
    pub fn sentence(&self, name: &str, language: Language) -> String {
        let (value, said, looks_like) = (self.value, self.said, self.looks_like);
        language.pick(
            format!(
                "{name} says {value:.1} {said}, which looks like {looks_like}: correct its unit in Home Assistant."
            ),
            format!("{name} zegt {value:.1} {said}, wat op {looks_like} lijkt: verbeter de eenheid in Home Assistant."),
        )
    }
}

/// Those among `thermometers` whose unit is in doubt. The other thermometers of the home show which values are usual there.
#[must_use]
pub fn doubts(thermometers: &[Thermometer]) -> Vec<UnitDoubt> {
    let rooms: Vec<&Thermometer> = thermometers.iter().filter(|one| is_room(one)).collect();
    let mut celsius: Vec<f64> = rooms.iter().filter_map(|one| in_celsius(one)).collect();
    celsius.retain(|middle| (ROOM.0..=ROOM.1).contains(middle));
    celsius.sort_by(f64::total_cmp);
    // Without any other room nobody knows.
    let Some(home) = celsius.get(celsius.len() / 2).copied() else { return Vec::new() };
    rooms.into_iter().filter_map(|one| doubt(one, home)).collect()
}

fn doubt(one: &Thermometer, home: f64) -> Option<UnitDoubt> {
    let (low, middle, high) = one.usual;
    let said = unit_of(&one.info)?;
    let (plausible, looks_like) = if said == CELSIUS { (ROOM_IN_FAHRENHEIT, FAHRENHEIT) } else { (ROOM, CELSIUS) };
    let truly = Conversion::between(DeviceClass::Temperature, looks_like, CELSIUS)?.apply(middle);
    let doubtful = (plausible.0..=plausible.1).contains(&middle)
        && high - low <= SPREAD_MAX
        && (truly - home).abs() <= APART_MAX
        && !(ROOM.0..=ROOM.1).contains(&in_celsius(one)?);
    doubtful.then(|| UnitDoubt {
        entity_id: one.info.entity_id.clone(),
        name: one.name.clone(),
        value: one.now.unwrap_or(middle),
        said,
        looks_like,
    })
}

fn unit_of(info: &EntityInfo) -> Option<&'static str> {
    [CELSIUS, FAHRENHEIT].into_iter().find(|unit| *unit == info.unit)
}

fn in_celsius(one: &Thermometer) -> Option<f64> {
    Some(Conversion::between(one.info.class, &one.info.unit, CELSIUS)?.apply(one.usual.1))
}

fn is_room(one: &Thermometer) -> bool {
    let words = format!("{} {}", one.info.entity_id, one.name).to_lowercase();
    one.info.class == DeviceClass::Temperature
        && !words.split(|letter: char| !letter.is_alphanumeric()).any(|word| NO_ROOM.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(id: &str, unit: &str, usual: (f64, f64, f64)) -> Thermometer {
        let info = EntityInfo { entity_id: id.to_owned(), class: DeviceClass::Temperature, unit: unit.to_owned() };
        Thermometer { info, name: String::new(), now: None, usual }
    }

    fn doubted(thermometers: &[Thermometer]) -> Vec<String> {
        doubts(thermometers).iter().map(|doubt| doubt.sentence(&doubt.entity_id, Language::English)).collect()
    }

    #[test]
    fn a_room_of_seventy_celsius_among_rooms_of_twenty_one_looks_like_fahrenheit() {
        let rooms = [
            of("sensor.kitchen", "°C", (19.0, 21.0, 23.0)),
            of("sensor.bedroom", "°C", (17.0, 18.5, 20.0)),
            of("sensor.study", "°C", (66.0, 70.0, 73.0)),
        ];
        let words = "sensor.study says 70.0 °C, which looks like °F: correct its unit in Home Assistant.";
        assert_eq!(doubted(&rooms), [words]);
        let dutch = "Werkkamer zegt 70.0 °C, wat op °F lijkt: verbeter de eenheid in Home Assistant.";
        assert_eq!(doubts(&rooms)[0].sentence("Werkkamer", Language::Dutch), dutch);
    }

    #[test]
    fn a_room_of_twenty_one_fahrenheit_among_rooms_of_seventy_looks_like_celsius() {
        let rooms = [of("sensor.kitchen", "°F", (66.0, 70.0, 73.0)), of("sensor.study", "°F", (20.0, 21.6, 22.0))];
        let words = "sensor.study says 21.6 °F, which looks like °C: correct its unit in Home Assistant.";
        assert_eq!(doubted(&rooms), [words]);
    }

    #[test]
    fn what_is_hot_or_cold_by_its_nature_or_swings_widely_is_not_doubted() {
        let kitchen = of("sensor.kitchen", "°C", (19.0, 21.0, 23.0));
        for other in [
            of("sensor.hot_water", "°C", (60.0, 65.0, 70.0)),
            of("sensor.ketel_aanvoer", "°C", (60.0, 70.0, 72.0)),
            of("sensor.plug_device_temperature", "°C", (60.0, 65.0, 67.0)),
            of("sensor.sauna", "°C", (60.0, 70.0, 72.0)),
            of("sensor.something", "°C", (20.0, 70.0, 90.0)),
            of("sensor.freezer", "°F", (15.0, 18.0, 20.0)),
            of("sensor.outside", "°F", (15.0, 21.0, 25.0)),
            of("sensor.warm_room", "°C", (24.0, 27.0, 29.0)),
        ] {
            assert_eq!(doubted(&[kitchen.clone(), other]), Vec::<String>::new());
        }
        let alone = of("sensor.study", "°C", (66.0, 70.0, 73.0));
        assert_eq!(doubted(&[alone]), Vec::<String>::new(), "without another room nobody knows");
    }
}
