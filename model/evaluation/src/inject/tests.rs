//! What injected copies promise.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::reading::EntityInfo;

use super::*;

const DAY: i64 = 86_400;

/// Six weeks of a temperature, a power, a water meter and a motion sensor, every ten minutes.
fn home() -> RecordedHome {
    let entity = |entity_id: &str, class| EntityInfo { entity_id: entity_id.into(), class, unit: String::new() };
    let entities = vec![
        entity("sensor.room_temperature", DeviceClass::Temperature),
        entity("sensor.power", DeviceClass::Power),
        entity("sensor.water_meter", DeviceClass::Water),
        entity("binary_sensor.motion", DeviceClass::Motion),
        entity("sensor.outdoor_temperature", DeviceClass::Temperature),
        entity("sensor.room_humidity", DeviceClass::Humidity),
        entity("sensor.outdoor_humidity", DeviceClass::Humidity),
        entity("binary_sensor.front_door", DeviceClass::Door),
    ];
    let mut readings = Vec::new();
    let mut litres = 0.0;
    for step in 0..6 * 7 * 144_i64 {
        let at = (step + 1) * 600;
        let phase = step as f64 * std::f64::consts::TAU / 144.0;
        let wobble = f64::from((step * 7919 % 101) as u32) / 50.0 - 1.0;
        litres += (wobble * 3.0).max(0.0);
        for (entity, value) in [
            Value::Number(21.0 + phase.sin() + 0.2 * wobble),
            Value::Number(200.0 + 150.0 * phase.sin() + 40.0 * wobble),
            Value::Number(litres),
            Value::Binary(step % 5 == 0),
            Value::Number(5.0 + 4.0 * phase.sin() + wobble),
            Value::Number(45.0 - 3.0 * phase.sin() + wobble),
            Value::Number(85.0 - 8.0 * phase.sin() + wobble),
            Value::Binary(step % 37 == 0),
        ]
        .into_iter()
        .enumerate()
        {
            readings.push(Reading { at, entity: entity as u32, value });
        }
    }
    RecordedHome {
        name: "made".into(),
        set: "tests".into(),
        timezone: "UTC".into(),
        entities,
        readings,
        labels: Vec::new(),
    }
}

fn plan(families: &[Family]) -> InjectionPlan {
    InjectionPlan { seed: 5, events_per_entity_week: 1.5, families: families.to_vec() }
}

#[test]
fn the_same_plan_gives_the_same_copy_and_another_seed_another_one() {
    let home = home();
    let copy = inject(&home, &plan(Family::ALL), 14 * DAY);
    assert_eq!(copy, inject(&home, &plan(Family::ALL), 14 * DAY));
    let other = InjectionPlan { seed: 6, ..plan(Family::ALL) };
    assert_ne!(copy.labels, inject(&home, &other, 14 * DAY).labels);
}

#[test]
fn nothing_outside_the_labels_changes_except_what_a_meter_keeps() {
    let home = home();
    let copy = inject(&home, &plan(Family::ALL), 14 * DAY);
    assert!(copy.labels.len() > 10, "{} faults", copy.labels.len());
    assert!(copy.labels.iter().all(|label| label.start > 14 * DAY && label.origin == LabelOrigin::Injected));
    let inside = |reading: &Reading| {
        copy.labels
            .iter()
            .any(|label| label.entity == reading.entity && label.start <= reading.at && reading.at <= label.end)
    };
    let outside = |home: &RecordedHome| -> Vec<Reading> {
        home.readings.iter().filter(|reading| reading.entity != 2 && !inside(reading)).copied().collect()
    };
    assert_eq!(outside(&home), outside(&copy));
}

#[test]
fn every_family_leaves_its_mark_somewhere() {
    let home = home();
    for family in Family::EVERY {
        let copy = inject(&home, &plan(&[*family]), 7 * DAY);
        assert!(!copy.labels.is_empty(), "{} never fits", family.as_str());
        assert!(copy.labels.iter().all(|label| label.family == family.as_str()));
        assert_ne!(copy.readings, home.readings);
    }
}

#[test]
fn leaving_an_entity_out_changes_no_other_entitys_faults() {
    let home = home();
    let mut smaller = home.clone();
    smaller.entities.pop();
    smaller.readings.retain(|reading| reading.entity != 7);
    let of_power = |home: &RecordedHome| -> Vec<Label> {
        inject(home, &plan(Family::ALL), 14 * DAY).labels.into_iter().filter(|label| label.entity == 1).collect()
    };
    assert!(!of_power(&home).is_empty());
    assert_eq!(of_power(&home), of_power(&smaller));
}

#[test]
fn a_leak_stays_on_the_meter() {
    let home = home();
    let copy = inject(&home, &plan(&[Family::SlowLeak]), 14 * DAY);
    let last = |home: &RecordedHome| {
        home.readings.iter().rev().find_map(|reading| match reading.value {
            Value::Number(count) if reading.entity == 2 => Some(count),
            _ => None,
        })
    };
    assert!(last(&copy) > last(&home));
}

#[test]
fn faults_of_plumbing_have_their_size_in_litres_whatever_the_meter_counts_in() {
    let last = |home: &RecordedHome| {
        home.readings.iter().rev().find_map(|reading| match reading.value {
            Value::Number(count) if reading.entity == 2 => Some(count),
            _ => None,
        })
    };
    for (family, least, most) in [(Family::SteadyLeak, 5.0, 100.0), (Family::PipeBurst, 300.0, 1500.0)] {
        let mut home = home();
        home.entities[2].unit = "m³".into();
        let copy = inject(&home, &plan(&[family]), 14 * DAY);
        let hours: f64 = copy.labels.iter().map(|label| (label.end - label.start) as f64 / 3600.0).sum();
        let litres = 1000.0 * (last(&copy).unwrap() - last(&home).unwrap());
        assert!(hours > 0.0 && (least..=most).contains(&(litres / hours)), "{family:?}: {litres} L in {hours} h");
        home.entities[2].unit = "furlongs".into();
        assert_eq!(inject(&home, &plan(&[family]), 14 * DAY).labels, [], "of an unknown size nothing is made");
    }
}

#[test]
fn a_silent_entity_reports_nothing_while_the_label_lasts() {
    let home = home();
    let copy = inject(&home, &plan(&[Family::Missing]), 14 * DAY);
    for label in &copy.labels {
        assert!(
            !copy.readings.iter().any(|reading| {
                reading.entity == label.entity && label.start <= reading.at && reading.at <= label.end
            })
        );
    }
}

#[test]
fn an_open_window_moves_temperature_and_humidity_together() {
    let copy = inject(&home(), &plan(&[Family::WindowOpen]), 14 * DAY);
    let of = |entity: u32| copy.labels.iter().filter(move |label| label.entity == entity);
    assert!(of(0).count() > 2);
    for label in of(0) {
        assert!(of(5).any(|other| (other.start, other.end) == (label.start, label.end)));
    }
}

#[test]
fn swapped_sensors_report_each_others_values() {
    let home = home();
    let copy = inject(&home, &plan(&[Family::SensorSwap]), 14 * DAY);
    let label = copy.labels.iter().find(|label| label.entity == 0).expect("a swap of the room's thermometer");
    let value = |home: &RecordedHome, entity: u32| {
        home.readings.iter().find(|reading| reading.entity == entity && reading.at > label.start).map(|one| one.value)
    };
    assert_eq!(value(&copy, 0), value(&home, 4));
}

#[test]
fn the_families_that_seeds_depend_on_stay_as_they_are() {
    let names: Vec<&str> = Family::ALL.iter().map(|family| family.as_str()).collect();
    let kept = "spike level_shift drift stuck missing noise_burst time_shift left_on slow_leak window_open";
    assert_eq!(names.join(" "), kept);
    assert_eq!(Family::EVERY[..Family::ALL.len()], *Family::ALL);
}
