//! Row by row: what is watched, as what, and what is told of the rest.

use super::*;
use crate::fixtures::file;
use crate::moment::Moment;

fn row<'a>(entity_id: &'a str, device_class: &'a str, unit: &'a str, state: &'a str) -> EventRow<'a> {
    EventRow { at: Moment::parse("600").unwrap(), entity_id, device_class, unit, state_class: "", state, line: 2 }
}

/// A value of the entity that was met first; `new` where it was met by it.
fn value(new: bool, value: Value) -> Seen {
    Seen::Value { entity: 0, new, value }
}

#[test]
fn an_entity_is_watched_from_its_first_row_with_a_kind_that_can_be() {
    let mut watch = Watchlist::default();
    assert_eq!(watch.see(&row("sensor.a", "", "", "unknown")), Seen::LeftOut);
    assert!(watch.infos().is_empty());
    assert_eq!(watch.see(&row("sensor.a", "temperature", "°C", "21")), value(true, Value::Number(21.0)));
    assert_eq!(watch.see(&row("sensor.a", "", "", "")), value(false, Value::Gap));
    assert_eq!(watch.find("sensor.a"), Some(0));
}

#[test]
fn a_named_device_class_is_believed_outside_home_assistants_domains() {
    let mut watch = Watchlist::default();
    watch.see(&row("meter.main", "energy", "kWh", "1"));
    assert_eq!(watch.infos()[0].class, DeviceClass::Energy);
    watch.see(&row("sensor.air_quality", "aqi", "", "41"));
    assert_eq!(watch.infos()[1].class, DeviceClass::GenericNumber);
    assert_eq!(watch.see(&row("sensor.phase", "enum", "", "3")), Seen::LeftOut);
    assert_eq!(watch.see(&row("weather.home", "", "", "sunny")), Seen::LeftOut);
}

#[test]
fn what_is_not_watched_is_counted_and_named_and_our_own_score_is_among_it() {
    let mut watch = Watchlist::default();
    assert_eq!(watch.see(&row("sensor.hearthwatch_score", "", "%", "3")), Seen::LeftOut);
    assert_eq!(watch.see(&row("weather.home", "", "", "sunny")), Seen::LeftOut);
    assert_eq!(
        watch.left_out(),
        ["2 entities of a kind that is not watched (sensor.hearthwatch_score, weather.home; 2 rows)"]
    );
}

#[test]
fn a_value_in_another_unit_of_the_quantity_is_converted_and_counted() {
    let mut watch = Watchlist::default();
    watch.see(&row("sensor.a", "temperature", "°F", "70"));
    assert_eq!(watch.see(&row("sensor.a", "temperature", "°C", "20")), value(false, Value::Number(68.0)));
    assert_eq!(watch.see(&row("sensor.a", "temperature", "", "unavailable")), value(false, Value::Gap));
    assert_eq!(watch.left_out(), ["the unit of 1 row, converted to the one that the entity began with"]);
}

#[test]
fn an_entity_in_the_unit_of_another_quantity_is_learnt_anew() {
    let mut watch = Watchlist::default();
    watch.see(&row("sensor.a", "", "°C", "21"));
    assert_eq!(watch.see(&row("sensor.a", "", "%", "48")), value(true, Value::Number(48.0)));
    assert_eq!((watch.infos()[0].class, watch.infos()[0].unit.as_str()), (DeviceClass::GenericNumber, "%"));
    assert_eq!(watch.left_out(), ["what was learnt of 1 entity whose numbers came to mean something else (sensor.a)"]);
}

#[test]
fn a_counter_that_falls_time_and_again_is_watched_as_a_number_from_then_on() {
    let mut watch = Watchlist::default();
    let litres: Vec<String> = (0..10).map(|step| (900 - 5 * step).to_string()).collect();
    let anew = litres.iter().map(|litres| watch.see(&row("sensor.tank", "", "L", litres)));
    let anew: Vec<bool> = anew.map(|seen| matches!(seen, Seen::Value { new: true, .. })).collect();
    assert_eq!(anew.iter().filter(|anew| **anew).count(), 2, "met, and found out: {anew:?}");
    assert_eq!(watch.infos()[0].class, DeviceClass::GenericNumber);
}

#[test]
fn a_binary_sensor_of_which_nothing_is_said_waits_for_a_value_to_be_guessed_from() {
    let mut watch = Watchlist::new(Arc::default(), true);
    assert_eq!(watch.see(&row("binary_sensor.attic_smoke", "", "", "unavailable")), Seen::LeftOut);
    watch.see(&row("binary_sensor.attic_smoke", "", "", "off"));
    assert_eq!(watch.infos()[0].class, DeviceClass::Smoke);
    assert_eq!(watch.see(&row("sensor.hearthwatch_score", "", "", "3")), Seen::LeftOut);
}

#[test]
fn a_comma_before_the_decimals_is_a_point() {
    for (text, point) in [
        ("21,5", "21.5"),
        ("-1.234,5", "-1234.5"),
        (" 0,25 ", "0.25"),
        ("1,234.50", "1234.50"),
        ("1,234,567", "1234567"),
    ] {
        assert_eq!(number::rewrite(text, None).map(|number| number.text).as_deref(), Some(point));
    }
    for text in ["21.5", "1,2,3", "a,5", ",5", "on", "12,"] {
        assert_eq!(number::rewrite(text, None), None, "{text}");
    }
}

fn row_at<'a>(line: u64, unit: &'a str, state: &'a str) -> EventRow<'a> {
    EventRow { line, ..row("sensor.a", "temperature", unit, state) }
}

#[test]
fn spellings_of_a_unit_are_one_unit_and_a_change_to_an_unknown_one_is_told() {
    let mut watch = Watchlist::default();
    for (line, unit) in [(2, "ºC"), (3, "Celsius"), (4, "°C"), (5, "Â°C"), (6, "C")] {
        let seen = watch.see(&row_at(line, unit, "21.5"));
        assert_eq!(seen, Seen::Value { entity: 0, new: line == 2, value: Value::Number(21.5) }, "{unit}");
    }
    assert_eq!(watch.infos()[0].unit, "°C");
    assert_eq!(watch.left_out(), Vec::<String>::new());
    watch.see(&row_at(7, "°Q", "21.5"));
    watch.see(&row_at(8, "°C", "21.5"));
    watch.see(&row_at(9, "°Q", "21.5"));
    assert_eq!(
        watch.notes(),
        [
            "units that changed to one that is not known, so that the numbers mean something else from there on: sensor.a from `°C` to \
          `°Q` at line 7; write Home Assistant's names of units"
        ]
    );
}

#[test]
fn slips_in_a_list_of_entities_are_told() {
    let file = file(".csv", "entity_id,device_class,unit\nsensor.a,temprature,°C\nsensor.b,temperature,°C\n");
    let mut watch = Watchlist::new(Arc::new(Entities::read(file.path()).unwrap()), true);
    watch.see(&row("sensor.a", "", "", "21.5"));
    assert_eq!(
        watch.notes(),
        [
            "--entities names classes that Home Assistant does not have: `temprature` of sensor.a; mend their spelling \
             (temperature, humidity, power, door, …)",
            "--entities names what the recording does not have: sensor.b; look for a slip in the ids",
        ]
    );
}

#[test]
fn guessed_thermometers_of_one_home_are_in_one_unit() {
    let mut watch = Watchlist::new(Arc::default(), true).with_fahrenheit(Some(true));
    watch.see(&row("sensor.freezer_temperature", "", "", "-0.4"));
    assert_eq!(watch.infos()[0].unit, "°F");
}

#[test]
fn a_state_that_is_no_value_is_quoted_with_what_to_write() {
    let mut watch = Watchlist::default();
    let Seen::Fault { what, .. } = watch.see(&row("sensor.a", "temperature", "°C", "warm")) else { panic!() };
    assert_eq!(
        what,
        "the state `warm` of sensor.a (temperature) is not a number; write a number, or nothing for a gap"
    );
    let Seen::Fault { what, .. } = watch.see(&row("binary_sensor.b", "door", "", "ajar")) else { panic!() };
    assert_eq!(
        what,
        "the state `ajar` of binary_sensor.b (door) is neither on nor off; write on or off, or nothing for a gap"
    );
}
