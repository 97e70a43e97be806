//! A night in October, told in files of several orders.

use super::*;

/// Ten-minute rows of a day around 2026-10-25 01:00 UTC in Berlin: what clocks show and how many minutes after midnight UTC.
fn night() -> Vec<(DateTime, i64)> {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let midnight: jiff::Timestamp = "2026-10-24T12:00:00Z".parse().unwrap();
    (0..144_i64)
        .map(|row| {
            let at = midnight + jiff::SignedDuration::from_mins(row * 10 + 3);
            (at.to_zoned(berlin.clone()).datetime(), row)
        })
        .collect()
}

/// The passes of the rows as they are decided, and as they are; lines are numbered in the order of time.
fn decided(rows: &[(u64, &str, DateTime, Option<f64>)]) -> Vec<(u64, Option<Pass>)> {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let mut folds = Folds::default();
    for (line, entity, civil, value) in rows {
        folds.push(*line, entity, *civil, *value, is_doubtful(*civil, &berlin));
    }
    let passes = folds.decide();
    let mut told: Vec<(u64, Option<Pass>)> = rows
        .iter()
        .filter(|(_, _, civil, _)| is_doubtful(*civil, &berlin))
        .map(|(line, ..)| (*line, passes.get(line).copied()))
        .collect();
    told.sort_unstable_by_key(|(line, _)| *line);
    told
}

/// Six rows of each hour: 00:03 to 00:53 UTC is row 72 on.
fn truth(entities: u64) -> Vec<(u64, Option<Pass>)> {
    (72..84).flat_map(|row| (0..entities).map(move |entity| (row * 10 + entity, Some(pass(row >= 78))))).collect()
}

fn rows(entities: &[&'static str]) -> Vec<(u64, &'static str, DateTime, Option<f64>)> {
    let mut rows = Vec::new();
    for (civil, row) in night() {
        for (number, entity) in entities.iter().enumerate() {
            let value = if number == 0 { row as f64 * 0.1 } else { (row * 7 % 5) as f64 };
            rows.push((row as u64 * 10 + number as u64, *entity, civil, Some(value)));
        }
    }
    rows
}

#[test]
fn the_second_hour_begins_where_the_time_steps_back_in_either_order_of_the_file() {
    let mut all = rows(&["sensor.counter", "sensor.other"]);
    assert_eq!(decided(&all), truth(2));
    all.reverse();
    assert_eq!(decided(&all), truth(2));
}

#[test]
fn a_file_of_one_entity_after_the_other_is_decided_for_each() {
    let mut all = rows(&["sensor.counter", "sensor.other"]);
    all.sort_by_key(|(_, entity, ..)| *entity);
    assert_eq!(decided(&all), truth(2));
    all.reverse();
    assert_eq!(decided(&all), truth(2));
}

#[test]
fn where_rows_were_sorted_by_the_clock_a_counters_rise_decides_and_nothing_else() {
    let mut all = rows(&["sensor.counter", "sensor.other"]);
    // The second hour's rows are three minutes later in theirs.
    for (line, _, civil, _) in &mut all {
        if (780..840).contains(line) {
            *civil += jiff::SignedDuration::from_mins(3);
        }
    }
    all.sort_by_key(|(_, _, civil, _)| *civil);
    let told = decided(&all);
    for (line, pass) in truth(2) {
        let expected = if line % 10 == 0 { pass } else { None };
        assert!(told.contains(&(line, expected)), "line {line}: {told:?}");
    }
}

#[test]
fn hours_that_come_twice_with_the_same_time_are_one_after_the_other() {
    let hourly: Vec<_> = rows(&["sensor.hourly"]).into_iter().filter(|(line, ..)| line % 60 == 0).collect();
    let stopped: Vec<_> = hourly.iter().map(|(line, entity, civil, _)| (*line, *entity, *civil, None)).collect();
    assert_eq!(decided(&stopped), [(720, Some(Pass::First)), (780, Some(Pass::Second))]);
}

#[test]
fn a_single_row_in_the_doubtful_hour_is_not_decided() {
    let one: Vec<_> = rows(&["x", "sensor.door"])
        .into_iter()
        .filter(|(line, entity, ..)| *entity == "sensor.door" && (*line == 741 || !(720..840).contains(line)))
        .map(|(line, entity, civil, _)| (line, entity, civil, None))
        .collect();
    assert_eq!(decided(&one), [(741, None)]);
}
