//! What the entities of the device say: from the brain's view and notices to topics and payloads.

use hearthwatch_model::features::Band;
use hearthwatch_protocol::ModelVersion;
use serde_json::{Map, Value, json};

use super::device::Device;
use crate::brain::{HomeView, Loudest, Notice, ShownAlarm, verdict_word};

/// Longest state that Home Assistant takes.
const STATE_CHARS_MAX: usize = 255;

/// What is known of model updates.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UpdateView {
    /// The newest release that was heard of; none yet, or none newer: the one in charge.
    pub latest: Option<ModelVersion>,
    /// Share of the download that is done; none while nothing is downloaded.
    pub percent: Option<u8>,
    /// One line on the newest release, or on why it was not taken.
    pub summary: String,
}

/// Every retained state, as topic and payload, in the order to be said: attributes before the state that an automation
/// waits for, so that it finds the reason beside the alarm.
#[must_use]
pub fn states(device: &Device, view: &HomeView, updates: &UpdateView, mode: &str) -> Vec<(String, String)> {
    let mut states = vec![
        (device.topic("alarm/attributes"), alarm_attributes(view).to_string()),
        (device.topic("alarm"), if view.open > 0 { "ON" } else { "OFF" }.to_owned()),
        (device.topic("model"), model_name(view)),
        (device.topic("mode"), mode.chars().take(STATE_CHARS_MAX).collect()),
        (device.topic("update"), update_state(view.model, updates).to_string()),
    ];
    if let Some(loudest) = &view.loudest {
        states.push((device.topic("score/attributes"), score_attributes(loudest).to_string()));
        states.push((device.topic("score"), format!("{:.1}", loudest.percent())));
    }
    states
}

/// What the event entity is told of a notice; not retained, for Home Assistant ignores retained events.
#[must_use]
pub fn event(notice: &Notice) -> Value {
    let mut event = Map::new();
    event.insert("event_type".to_owned(), notice.kind.as_str().into());
    event.extend(describe(&notice.alarm));
    Value::Object(event)
}

fn alarm_attributes(view: &HomeView) -> Value {
    let mut attributes = Map::new();
    attributes.insert("open_alarms".to_owned(), view.open.into());
    attributes.insert("watched_entities".to_owned(), view.entities.into());
    if let Some(shown) = &view.shown {
        attributes.extend(describe(shown));
    }
    Value::Object(attributes)
}

/// An alarm in words and numbers. `watched_entity`, since `entity_id` would make Home Assistant take it for a group.
fn describe(shown: &ShownAlarm) -> Map<String, Value> {
    let alarm = &shown.alarm;
    let description = json!({
        "alarm_id": alarm.id,
        "watched_entity": shown.entity_id,
        "device_class": shown.class.as_str(),
        "why": alarm.reason,
        "observed": rounded(alarm.observed),
        "unit": shown.unit,
        "expected": rounded(alarm.band.map(|band| band.expected)),
        "expected_low": rounded(alarm.band.map(|band| band.low)),
        "expected_high": rounded(alarm.band.map(|band| band.high)),
        "score": rounded(Some(alarm.score)),
        "threshold": rounded(Some(alarm.threshold)),
        "severity": alarm.severity.as_str(),
        "start": time(alarm.start),
        "end": alarm.end.map(time),
        "raised_at": time(alarm.raised_at),
        "model_version": shown.model_version.0,
        "answer": shown.answer.map_or("none", |(verdict, _)| verdict_word(verdict)),
    });
    match description {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn score_attributes(loudest: &Loudest) -> Value {
    let band: Option<Band> = loudest.band;
    json!({
        "watched_entity": loudest.entity_id,
        "score": rounded(Some(loudest.score)),
        "threshold": rounded(Some(loudest.threshold)),
        "observed": rounded(loudest.observed),
        "expected": rounded(band.map(|band| band.expected)),
        "expected_low": rounded(band.map(|band| band.low)),
        "expected_high": rounded(band.map(|band| band.high)),
        "unit": loudest.unit,
        "step": time(loudest.at),
    })
}

/// Home Assistant refuses the whole message for any key that it does not know.
fn update_state(installed: ModelVersion, updates: &UpdateView) -> Value {
    let latest = updates.latest.unwrap_or(installed);
    json!({
        "installed_version": installed.to_string(),
        "latest_version": latest.to_string(),
        "title": "Hearthwatch model",
        "release_summary": updates.summary.chars().take(STATE_CHARS_MAX).collect::<String>(),
        "in_progress": updates.percent.is_some(),
        "update_percentage": updates.percent,
    })
}

/// Version 0 came with the program; its number would tell nobody anything.
fn model_name(view: &HomeView) -> String {
    match (view.model, view.network) {
        (_, false) => "routine".to_owned(),
        (ModelVersion::ROUTINE, true) => "shipped".to_owned(),
        (version, true) => version.to_string(),
    }
}

/// Three decimals: what a household sensor can mean. Not a number becomes nothing.
fn rounded(value: Option<f32>) -> Option<f64> {
    value.filter(|value| value.is_finite()).map(|value| (f64::from(value) * 1000.0).round() / 1000.0)
}

fn time(at: i64) -> String {
    jiff::Timestamp::from_second(at).map_or_else(|_| String::new(), |at| at.to_string())
}
