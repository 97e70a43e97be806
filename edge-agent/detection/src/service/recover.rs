//! What a home without a disk gets back of its alarms: what Home Assistant's recorder keeps of our own entities.
//!
//! Rows of a recorder are not trusted. Accepted is an alarm whose id is the hash of this home's secret, of the entity and of the
//! moment: another home's has another, and so has one of an entity that is called otherwise since.

use std::collections::HashMap;

use hearthwatch_detector::alarm::{Alarm, Severity, Verdict, alarm_id};
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::finding::{AnomalyKind, Band};
use hearthwatch_edge_core::alarm::Reason;
use hearthwatch_edge_core::preferences::{Place, Suppression};
use hearthwatch_protocol::ModelVersion;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::DetectorService;
use super::view::ShownAlarm;

/// How far back is looked: as far as Home Assistant's recorder reaches by default.
pub const RECOVERED_SECONDS: i64 = 10 * 86_400;
/// Alarms that are taken back, the newest: as many as can be answered.
const ALARMS_MAX: usize = 100;
/// Answers that are put into the outbox once more, the newest: five a day.
const ANSWERS_MAX: usize = 50;
/// People whose answers are read, and names of what moved with it: as many as are written.
const LIST_MAX: usize = 16;
/// Longest text that is kept of a row; ours have some two hundred characters.
const TEXT_CHARS_MAX: usize = 500;
/// A row from further ahead is of a clock that was wrong.
const AHEAD_SECONDS_MAX: i64 = 3_600;

/// A state of one of our entities as Home Assistant recorded it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RecordedState {
    /// Last updated, Unix seconds with a fraction.
    #[serde(rename = "lu", default)]
    pub at: f64,
    /// Only those of the alarm and event entities are used.
    #[serde(rename = "a", default)]
    pub attributes: Map<String, Value>,
}

/// An alarm in attributes, as `discovery` publishes it; fields that are not needed are not read.
#[derive(Deserialize)]
struct Published {
    alarm_id: String,
    watched_entity: String,
    watched_class: String,
    kind: AnomalyKind,
    why: String,
    severity: Severity,
    start: Timestamp,
    end: Option<Timestamp>,
    raised_at: Timestamp,
    score: f32,
    threshold: f32,
    #[serde(default)]
    amount: f32,
    #[serde(default)]
    usual: f32,
    observed: Option<f32>,
    #[serde(default)]
    unit: String,
    expected: Option<f32>,
    expected_low: Option<f32>,
    expected_high: Option<f32>,
    model_version: u64,
    #[serde(default)]
    moved_with: Vec<String>,
    #[serde(default)]
    asks: bool,
    #[serde(rename = "held")]
    suppressed: Option<Suppression>,
    #[serde(default)]
    answers: Vec<ToldAnswer>,
    #[serde(default)]
    shared: bool,
}

#[derive(Deserialize)]
struct ToldAnswer {
    by: String,
    answer: Verdict,
    at: Timestamp,
    #[serde(default)]
    reason: Option<String>,
}

impl DetectorService {
    /// Takes back the alarms that Home Assistant remembers and this agent does not: they can be answered again, and what was answered
    /// and kept for the fleet goes out once more, for nobody here knows whether it arrived.
    pub fn recover(&mut self, rows: &[RecordedState], now: i64) {
        let mut found = recovered(rows, &self.judging.config.salt, now);
        for alarm in &mut found {
            alarm.place = self.registry.places.get(&alarm.entity_id).cloned().unwrap_or_default();
        }
        let found = self.alarms.take_in(found);
        if found.is_empty() {
            return;
        }
        for alarm in &found {
            self.memory.save_alarm(alarm, None);
        }
        let answered = found.iter().rev().filter(|alarm| alarm.shared);
        let answered: Vec<(&ShownAlarm, Verdict, i64)> = answered
            .filter_map(|alarm| alarm.answer.map(|(verdict, at)| (alarm, verdict, at)))
            .take(ANSWERS_MAX)
            .collect();
        tracing::info!(
            alarms = found.len(),
            answers = answered.len(),
            "alarms are known again from Home Assistant's recorder"
        );
        for (alarm, verdict, at) in answered.into_iter().rev() {
            self.send_feedback(alarm, verdict, at);
        }
        self.show(None);
    }
}

/// The alarms in `rows`, oldest first; of several rows about one alarm the newest counts. `salt` is the home's secret in its
/// alarms' ids. Pure.
#[must_use]
pub fn recovered(rows: &[RecordedState], salt: &[u8], now: i64) -> Vec<ShownAlarm> {
    let mut newest: HashMap<String, (f64, ShownAlarm)> = HashMap::new();
    for row in rows {
        let Some(alarm) = read(&row.attributes, salt, now) else { continue };
        let known = newest.get(&alarm.alarm.id).is_some_and(|(at, _)| *at >= row.at);
        if !known {
            newest.insert(alarm.alarm.id.clone(), (row.at, alarm));
        }
    }
    let mut found: Vec<ShownAlarm> = newest.into_values().map(|(_, alarm)| alarm).collect();
    found.sort_by(|left, right| (left.alarm.raised_at, &left.alarm.id).cmp(&(right.alarm.raised_at, &right.alarm.id)));
    found.drain(..found.len().saturating_sub(ALARMS_MAX));
    found
}

/// An alarm of this home in a row's attributes; none where there is none, or none that is ours and makes sense.
fn read(attributes: &Map<String, Value>, salt: &[u8], now: i64) -> Option<ShownAlarm> {
    // Most rows by far hold no alarm, and those are not to be copied.
    let id = attributes.get("alarm_id")?.as_str()?;
    let published: Published = serde_json::from_value(Value::Object(attributes.clone()))
        .inspect_err(|error| tracing::debug!(%error, alarm.id = id, "a row that tells of an alarm is not understood"))
        .ok()?;
    let (start, raised_at) = (published.start.as_second(), published.raised_at.as_second());
    let ours = published.alarm_id == alarm_id(salt, &published.watched_entity, start);
    let in_time = start <= raised_at && (now - RECOVERED_SECONDS..=now + AHEAD_SECONDS_MAX).contains(&raised_at);
    let texts = [&published.watched_entity, &published.why, &published.unit];
    let short = texts.into_iter().chain(&published.moved_with).all(|text| text.chars().count() <= TEXT_CHARS_MAX);
    let few = published.answers.len() <= LIST_MAX && published.moved_with.len() <= LIST_MAX;
    let band = (published.expected_low, published.expected, published.expected_high);
    let shown = [published.observed, band.0, band.1, band.2];
    let numbers = [published.score, published.threshold, published.amount, published.usual]
        .into_iter()
        .chain(shown.into_iter().flatten());
    if !(ours && in_time && short && few) || numbers.into_iter().any(|number| !number.is_finite()) {
        return None;
    }
    let alarm = Alarm {
        id: published.alarm_id,
        // Nobody's: the detector numbers its entities anew, and earlier alarms are found by the entity's id.
        entity: u32::MAX,
        start,
        end: published.end.map(Timestamp::as_second).map(|end| end.max(start)),
        raised_at,
        severity: published.severity,
        score: published.score,
        threshold: published.threshold,
        observed: published.observed,
        band: match band {
            (Some(low), Some(expected), Some(high)) => Some(Band { low, expected, high }),
            _ => None,
        },
        kind: published.kind,
        amount: published.amount,
        usual: published.usual,
        reason: published.why,
    };
    let mut shown = ShownAlarm {
        alarm,
        entity_id: published.watched_entity,
        class: DeviceClass::parse(&published.watched_class)?,
        unit: published.unit,
        model_version: ModelVersion(published.model_version),
        answer: None,
        place: Place::default(),
        moved_with: published.moved_with,
        suppressed: published.suppressed,
        due: None,
        merged_into: None,
        merged_count: 0,
        cause: None,
        asks: published.asks,
        answers: Vec::new(),
        precedent: None,
        shared: published.shared,
        recovered: true,
    };
    for answer in published.answers {
        let at = answer.at.as_second().clamp(raised_at, now.max(raised_at));
        let by: String = answer.by.chars().take(TEXT_CHARS_MAX).collect();
        let reason = answer.reason.as_deref().and_then(Reason::new);
        shown.take_answer(&by, answer.answer, reason, at);
    }
    Some(shown)
}

#[cfg(test)]
mod tests;
