//! Warm start from Home Assistant's recorder: states where it still has them, hourly statistics where not.
//!
//! History comes in slices, oldest first, so that a long past never has to fit into memory at once.

use std::collections::{HashMap, HashSet};

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_detector::reading::Reading;
use hearthwatch_edge_detection::service::RecordedState;
use serde::Deserialize;
use serde_json::json;

use super::entities::{Attributes, parse_state, whole_seconds};
use super::socket::{Socket, SocketError};
use super::units::{RecordedUnits, Way, converted};

/// Length of a slice. See the bound on messages in [`super::socket`].
const SLICE_SECONDS: i64 = 6 * 3600;
/// In one request, so that the answer stays below the bound on messages.
const ENTITIES_PER_REQUEST: usize = 16;
/// Most readings of one slice that are kept: 500 entities × 6 h × one a minute, at 24 bytes 4 MiB. A chattier home keeps
/// the first ones of the slice, which is warm-up, not judgement.
const SLICE_READINGS_MAX: usize = 180_000;
/// Length of a row of statistics.
const HOUR_SECONDS: i64 = 3600;

/// An entity whose past is requested.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Number in the detector.
    pub entity: u32,
    /// Home Assistant's id.
    pub entity_id: String,
    /// Decides how its states are parsed.
    pub class: DeviceClass,
    /// In which unit it reports now; empty where it has none.
    pub unit: String,
}

/// A state from the recorder, as Home Assistant compresses it.
#[derive(Debug, Deserialize)]
struct Row {
    /// None of an entity that was removed at that moment: what it was is not known from then on.
    #[serde(rename = "s", default)]
    state: Option<String>,
    #[serde(rename = "lu")]
    last_updated: Option<f64>,
    #[serde(rename = "lc")]
    last_changed: Option<f64>,
    /// None where they were not requested.
    #[serde(rename = "a", default)]
    attributes: Option<Attributes>,
}

impl Row {
    fn unit(&self) -> Option<&str> {
        self.attributes.as_ref()?.unit_of_measurement.as_deref()
    }
}

/// One hour of statistics; times in milliseconds.
#[derive(Debug, Deserialize)]
struct Hour {
    end: f64,
    mean: Option<f64>,
    state: Option<f64>,
}

/// How far a slice looks for states in Home Assistant's recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The first slice of a first start: also what was already so at its begin, which may have stayed so ever since.
    FirstSlice,
    /// Later slices of a first start: statistics where no state is left.
    Slice,
    /// After an outage: only what changed. A silent sensor's old state, taken as new, would make it look as if it still reported.
    ChangesOnly,
}

impl Depth {
    /// The depth of the slice after this one.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::FirstSlice | Self::Slice => Self::Slice,
            Self::ChangesOnly => Self::ChangesOnly,
        }
    }
}

/// The readings of a slice.
#[derive(Debug, Default, PartialEq)]
pub struct Slice {
    /// By time, oldest first; at most 180,000.
    pub readings: Vec<Reading>,
    /// Whether they are hourly means rather than states.
    pub coarse: bool,
}

/// The slices that cover (`from`, `until`], each as (begin, end]. They end on whole hours, so that none of the hourly
/// statistics is cut in two and lost to both.
#[must_use]
pub fn slices(from: i64, until: i64) -> Vec<(i64, i64)> {
    let mut slices = Vec::new();
    let mut begin = from;
    while begin < until {
        let end = ((begin.div_euclid(SLICE_SECONDS) + 1) * SLICE_SECONDS).min(until);
        slices.push((begin, end));
        begin = end;
    }
    slices
}

/// What Home Assistant remembers of `wanted` in (`begin`, `end`]: states, or statistics when no state is left.
///
/// # Errors
/// [`SocketError`] when the connection fails; a recorder that is switched off counts as an empty memory.
pub async fn fetch(
    socket: &mut Socket,
    wanted: &[Wanted],
    (begin, end): (i64, i64),
    depth: Depth,
    units: &RecordedUnits,
) -> Result<Slice, SocketError> {
    let mut readings = Vec::new();
    let by_row: HashSet<u32> = units.by_row(wanted, (begin, end));
    let (in_full, short): (Vec<Wanted>, Vec<Wanted>) =
        wanted.iter().cloned().partition(|one| by_row.contains(&one.entity));
    for (list, full) in [(short, false), (in_full, true)] {
        for chunk in list.chunks(ENTITIES_PER_REQUEST) {
            let ids: Vec<&str> = chunk.iter().map(|one| one.entity_id.as_str()).collect();
            let arguments = json!({
                "start_time": rfc3339(begin),
                "end_time": rfc3339(end),
                "entity_ids": ids,
                "minimal_response": !full,
                "no_attributes": !full,
                "significant_changes_only": true,
                "include_start_time_state": depth == Depth::FirstSlice,
            });
            let rows: HashMap<String, Vec<Row>> = optional(socket, "history/history_during_period", arguments).await?;
            collect_rows(chunk, &rows, (begin, end), units, &mut readings);
        }
    }
    let mut coarse = false;
    if readings.is_empty() && depth != Depth::ChangesOnly {
        coarse = true;
        for chunk in wanted.chunks(ENTITIES_PER_REQUEST) {
            let ids: Vec<&str> = chunk.iter().map(|one| one.entity_id.as_str()).collect();
            let arguments = json!({
                "start_time": rfc3339(begin),
                "end_time": rfc3339(end),
                "statistic_ids": ids,
                "period": "hour",
                "types": ["mean", "state"],
            });
            let hours: HashMap<String, Vec<Hour>> =
                optional(socket, "recorder/statistics_during_period", arguments).await?;
            collect_hours(chunk, &hours, (begin, end), &mut readings);
        }
    }
    readings.sort_by_key(|reading| (reading.at, reading.entity));
    Ok(Slice { coarse: coarse && !readings.is_empty(), readings })
}

/// The unit of each of `wanted` at `moment`, as recorded; those that had none are left out.
///
/// # Errors
/// [`SocketError`] when the connection fails; a recorder that is switched off counts as an empty memory.
pub async fn units_at(socket: &mut Socket, wanted: &[Wanted], moment: i64) -> Result<Vec<(u32, String)>, SocketError> {
    let mut units = Vec::new();
    for chunk in wanted.chunks(ENTITIES_PER_REQUEST) {
        let ids: Vec<&str> = chunk.iter().map(|one| one.entity_id.as_str()).collect();
        let arguments = json!({
            "start_time": rfc3339(moment),
            "end_time": rfc3339(moment + 1),
            "entity_ids": ids,
            "minimal_response": true,
            "no_attributes": false,
            "significant_changes_only": true,
            "include_start_time_state": true,
        });
        let rows: HashMap<String, Vec<Row>> = optional(socket, "history/history_during_period", arguments).await?;
        units.extend(chunk.iter().filter_map(|one| {
            let unit = rows.get(&one.entity_id)?.iter().find_map(Row::unit)?;
            Some((one.entity, unit.to_owned()))
        }));
    }
    Ok(units)
}

/// The recorded states of our own entities in (`begin`, `end`], with attributes. A row that cannot be parsed is left out.
///
/// # Errors
/// [`SocketError`] when the connection fails; a recorder that is switched off counts as an empty memory.
pub async fn own_states(
    socket: &mut Socket,
    entity_ids: &[String],
    (begin, end): (i64, i64),
) -> Result<Vec<RecordedState>, SocketError> {
    let arguments = json!({
        "start_time": rfc3339(begin),
        "end_time": rfc3339(end),
        "entity_ids": entity_ids,
        "minimal_response": false,
        "no_attributes": false,
        "significant_changes_only": false,
        "include_start_time_state": false,
    });
    let rows: HashMap<String, Vec<serde_json::Value>> =
        optional(socket, "history/history_during_period", arguments).await?;
    Ok(rows.into_values().flatten().filter_map(|row| serde_json::from_value(row).ok()).collect())
}

/// A command that a home without a recorder does not know: then its answer is empty.
async fn optional<T: serde::de::DeserializeOwned>(
    socket: &mut Socket,
    command: &str,
    arguments: serde_json::Value,
) -> Result<HashMap<String, T>, SocketError> {
    match socket.command(command, arguments).await {
        Err(SocketError::Refused { code, message, .. }) => {
            tracing::debug!(command, code, message, "Home Assistant has no such memory");
            Ok(HashMap::new())
        }
        other => other,
    }
}

fn collect_rows(
    wanted: &[Wanted],
    rows: &HashMap<String, Vec<Row>>,
    slice: (i64, i64),
    units: &RecordedUnits,
    readings: &mut Vec<Reading>,
) {
    let begin = slice.0;
    for one in wanted {
        let way = units.way(one, slice);
        for row in rows.get(&one.entity_id).into_iter().flatten() {
            if readings.len() >= SLICE_READINGS_MAX {
                return;
            }
            // A state from before the slice is told as of its begin.
            let at = row.last_changed.or(row.last_updated).map_or(begin, whole_seconds).max(begin + 1);
            let value = parse_state(one.class, row.state.as_deref().unwrap_or_default());
            let value = match &way {
                Way::Plain => value,
                Way::From(unit) => converted(one, unit, value),
                Way::ByRow => converted(one, row.unit().unwrap_or(&one.unit), value),
            };
            readings.push(Reading { at, entity: one.entity, value });
        }
    }
}

/// An hour's mean stands for each of its six steps; a meter's state only for the hour's end.
fn collect_hours(
    wanted: &[Wanted],
    hours: &HashMap<String, Vec<Hour>>,
    (begin, end): (i64, i64),
    readings: &mut Vec<Reading>,
) {
    for one in wanted.iter().filter(|one| !one.class.is_binary()) {
        for hour in hours.get(&one.entity_id).into_iter().flatten() {
            let hour_end = whole_seconds(hour.end / 1000.0);
            let (value, steps) =
                if one.class.counter() { (hour.state, 1) } else { (hour.mean, HOUR_SECONDS / STEP_SECONDS) };
            let Some(value) = value.filter(|value| value.is_finite()) else { continue };
            let times = (0..steps).map(|back| hour_end - back * STEP_SECONDS).filter(|at| *at > begin && *at <= end);
            readings.extend(times.map(|at| Reading {
                at,
                entity: one.entity,
                value: hearthwatch_detector::reading::Value::Number(value),
            }));
        }
    }
}

fn rfc3339(at: i64) -> String {
    jiff::Timestamp::from_second(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests {
    use hearthwatch_detector::reading::Value;

    use super::*;

    fn wanted(entity: u32, entity_id: &str, class: DeviceClass) -> Wanted {
        Wanted { entity, entity_id: entity_id.to_owned(), class, unit: "°C".to_owned() }
    }

    /// What the recorder's answer says of `list` in a slice of ten minutes.
    fn collected(list: &[Wanted], rows: &str, units: &RecordedUnits) -> Vec<Reading> {
        let mut readings = Vec::new();
        collect_rows(list, &serde_json::from_str(rows).unwrap(), (60, 600), units, &mut readings);
        readings
    }

    #[test]
    fn slices_cover_the_past_without_overlap_and_end_on_whole_hours() {
        assert_eq!(slices(0, 50_000), [(0, 21_600), (21_600, 43_200), (43_200, 50_000)]);
        assert_eq!(slices(21_000, 30_000), [(21_000, 21_600), (21_600, 30_000)]);
        assert_eq!(slices(10, 10), []);
    }

    #[test]
    fn recorded_rows_become_readings_with_gaps_where_nothing_was_known() {
        let rows = r#"{"sensor.t": [{"s": "unknown", "lu": 100.2}, {"s": "20.5", "lu": 160.0, "lc": 150.5}],
                       "binary_sensor.m": [{"s": "on", "lu": 20.0}]}"#;
        let list = [
            wanted(0, "sensor.t", DeviceClass::Temperature),
            wanted(1, "binary_sensor.m", DeviceClass::Motion),
            wanted(2, "sensor.none", DeviceClass::Power),
        ];
        assert_eq!(
            collected(&list, rows, &RecordedUnits::default()),
            [
                Reading { at: 101, entity: 0, value: Value::Gap },
                Reading { at: 151, entity: 0, value: Value::Number(20.5) },
                Reading { at: 61, entity: 1, value: Value::Binary(true) },
            ]
        );
    }

    #[test]
    fn a_removed_entity_is_a_gap_from_then_on() {
        // What `history/history_during_period` answers when the entity was removed and taken in again.
        let rows = r#"{"sensor.t": [{"s": "20.5", "lu": 150.5}, {"s": null, "lu": 180.0}, {"lu": 190.0},
                       {"s": "21.5", "lu": 210.0}]}"#;
        let list = [wanted(0, "sensor.t", DeviceClass::Temperature)];
        let readings = collected(&list, rows, &RecordedUnits::default());
        let values: Vec<(i64, Value)> = readings.iter().map(|reading| (reading.at, reading.value)).collect();
        assert_eq!(
            values,
            [(151, Value::Number(20.5)), (180, Value::Gap), (190, Value::Gap), (210, Value::Number(21.5))]
        );
    }

    #[test]
    fn on_the_day_of_another_unit_each_row_is_read_in_its_own() {
        let rows = r#"{"sensor.t": [{"s": "68.0", "a": {"unit_of_measurement": "°F"}, "lu": 150.5},
                       {"s": "69.8", "a": {"unit_of_measurement": "°F"}, "lu": 160.0},
                       {"s": "unavailable", "a": {}, "lu": 165.0},
                       {"s": "21.5", "a": {"unit_of_measurement": "°C"}, "lu": 170.0}]}"#;
        let list = [wanted(0, "sensor.t", DeviceClass::Temperature)];
        let readings = collected(&list, rows, &RecordedUnits::told(&[60], &[(0, &["°F"])]));
        let values: Vec<Value> = readings.iter().map(|reading| reading.value).collect();
        assert_eq!(values, [Value::Number(20.0), Value::Number(21.0), Value::Gap, Value::Number(21.5)]);
    }

    #[test]
    fn an_hourly_mean_fills_its_steps_and_a_meter_only_the_hour() {
        let hours = r#"{"sensor.t": [{"start": 0, "end": 3600000, "mean": 20.0, "min": 1.0, "state": null}],
                        "sensor.e": [{"start": 0, "end": 3600000, "state": 7.5, "sum": 2.0}]}"#;
        let hours = serde_json::from_str(hours).unwrap();
        let mut readings = Vec::new();
        let list = [wanted(0, "sensor.t", DeviceClass::Temperature), wanted(1, "sensor.e", DeviceClass::Energy)];
        collect_hours(&list, &hours, (0, 21_600), &mut readings);
        assert_eq!(readings.len(), 7);
        assert!(readings[..6].iter().all(|reading| reading.value == Value::Number(20.0)));
        assert_eq!(readings[6], Reading { at: 3600, entity: 1, value: Value::Number(7.5) });
    }
}
