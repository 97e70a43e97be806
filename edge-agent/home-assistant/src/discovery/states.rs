//! States and events of the device's entities: from the detector service's view and notices to topics and payloads.

use hearthwatch_detector::finding::Band;
use hearthwatch_edge_core::alarm::Reason;
use hearthwatch_edge_core::explain::{Language, sentence};
use hearthwatch_edge_core::mode::Mode;
use hearthwatch_edge_detection::headline::Headline;
use hearthwatch_edge_detection::service::{
    Brief, HomeView, LEARNING_DAYS, MostUnusual, Notice, Readiness, ShownAlarm, verdict_name,
};
use hearthwatch_edge_update::UpdateView;
use hearthwatch_protocol::ModelVersion;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::device::{BRIEF_EVENT, Device, OFF};

/// Home Assistant refuses longer states.
const STATE_CHARS_MAX: usize = 255;

/// Every retained state, as topic and payload, in the order to be published: attributes before the state that an automation
/// waits for, so that it finds the reason beside the alarm.
#[must_use]
pub fn states(device: &Device, view: &HomeView, updates: &UpdateView, mode: &Mode) -> Vec<(String, String)> {
    let mut states = vec![
        (device.topic("alarm/attributes"), alarm_attributes(view).to_string()),
        (device.topic("unusual"), short(&Headline::of(mode, view).text)),
        (device.topic("alarm"), if view.unusual.is_empty() { "OFF" } else { "ON" }.to_owned()),
        (device.topic("model/attributes"), receipt(view, updates).to_string()),
        (device.topic("model"), model_name(view)),
        (device.topic("mode"), short(&mode.to_string())),
        (device.topic("update"), update_state(view.model, updates).to_string()),
    ];
    states.extend([
        (device.topic("last_alarm"), last_alarm(view)),
        (device.topic("questions"), view.month.questions.to_string()),
        (device.topic("false_alarms/attributes"), month_attributes(view).to_string()),
        (device.topic("false_alarms"), view.month.dismissed.to_string()),
        (device.topic("house_mode"), view.preferences.mode.as_str().to_owned()),
        (device.topic("pause"), if view.preferences.paused { "ON" } else { "OFF" }.to_owned()),
        (device.topic("budget"), format!("{:.1}", view.budget)),
        (device.topic("quiet_hours"), quiet_hours(view)),
        (device.topic("brief"), view.preferences.brief.map_or_else(|| OFF.to_owned(), |time| time.to_string())),
        (device.topic("readiness/attributes"), readiness_attributes(&view.readiness).to_string()),
        (device.topic("readiness"), readiness_line(view)),
    ]);
    if let Some(most_unusual) = &view.most_unusual {
        states.push((device.topic("score/attributes"), score_attributes(most_unusual).to_string()));
        states.push((device.topic("score"), format!("{:.1}", most_unusual.percent())));
    }
    states
}

/// The event of a notice; not retained, for Home Assistant ignores retained events. It contains the
/// topic for an answer, so that an automation need not know it.
#[must_use]
pub fn event(device: &Device, notice: &Notice, view: &HomeView) -> Value {
    let mut event = Map::new();
    event.insert("event_type".to_owned(), notice.kind.as_str().into());
    event.insert("command_topic".to_owned(), device.topic("command").into());
    event.extend(describe(&notice.alarm, &view.timezone, view.language));
    Value::Object(event)
}

/// The event of the daily brief.
#[must_use]
pub fn brief_event(brief: &Brief) -> Value {
    json!({"event_type": BRIEF_EVENT, "message": brief.text, "at": time(brief.at)})
}

/// `22:00-07:00`, or `off`.
fn quiet_hours(view: &HomeView) -> String {
    view.preferences.quiet_hours.map_or_else(|| OFF.to_owned(), |hours| format!("{}-{}", hours.from, hours.until))
}

fn short(text: &str) -> String {
    text.chars().take(STATE_CHARS_MAX).collect()
}

/// `None` is what MQTT sensors take for unknown.
fn last_alarm(view: &HomeView) -> String {
    view.shown.as_ref().map_or_else(|| "None".to_owned(), |shown| time(shown.alarm.raised_at))
}

fn month_attributes(view: &HomeView) -> Value {
    let month = view.month;
    json!({
        "days": 30,
        "said": month.shown(),
        "confirmed": month.confirmed,
        "dismissed": month.dismissed,
        "expected": month.expected,
        "unanswered": month.unanswered,
        "remembered_only": month.suppressed,
        "withheld": month.withheld,
    })
}

/// `learning: 3 of 14 days; already watching: silent, impossible value`.
fn readiness_line(view: &HomeView) -> String {
    let readiness = &view.readiness;
    if readiness.entities.is_empty() {
        return if view.listening { "listening; nothing learnt yet" } else { "waiting for Home Assistant" }.to_owned();
    }
    let days = readiness.days();
    let progress = if days >= LEARNING_DAYS {
        format!("ready: {} of {} sensors known in full", readiness.learnt(), readiness.entities.len())
    } else {
        format!("learning: {days} of {LEARNING_DAYS} days")
    };
    let watching: Vec<&str> = readiness.watching().into_iter().map(|(kind, _)| view.language.kind(kind)).collect();
    let line =
        if watching.is_empty() { progress } else { format!("{progress}; already watching: {}", watching.join(", ")) };
    line.chars().take(STATE_CHARS_MAX).collect()
}

/// Home Assistant's recorder takes 16 KiB of attributes; an entity here has about 100 bytes.
const READINESS_ENTITIES_MAX: usize = 100;

fn readiness_attributes(readiness: &Readiness) -> Value {
    let entities: Map<String, Value> = readiness
        .entities
        .iter()
        .take(READINESS_ENTITIES_MAX)
        .map(|entity| {
            let watching: Vec<&str> = entity.watching.iter().map(|kind| kind.as_str()).collect();
            (
                entity.entity_id.clone(),
                format!("{} of {LEARNING_DAYS} days; {}", entity.days, watching.join(", ")).into(),
            )
        })
        .collect();
    json!({
        "days": readiness.days(),
        "of": LEARNING_DAYS,
        "known_in_full": readiness.learnt(),
        "watched": readiness.entities.len(),
        "entities": entities,
    })
}

fn alarm_attributes(view: &HomeView) -> Value {
    let mut attributes = Map::new();
    attributes.insert("open_alarms".to_owned(), view.unusual.len().into());
    attributes.insert("watched_entities".to_owned(), view.entities.into());
    if let Some(shown) = &view.shown {
        attributes.extend(describe(shown, &view.timezone, view.language));
    }
    Value::Object(attributes)
}

/// An alarm in words and numbers. `watched_entity`, since `entity_id` would make Home Assistant take it for a group.
fn describe(shown: &ShownAlarm, timezone: &TimeZone, language: Language) -> Map<String, Value> {
    let alarm = &shown.alarm;
    let sentence = sentence(shown, timezone, language);
    let description = json!({
        "alarm_id": alarm.id,
        "watched_entity": shown.entity_id,
        "name": shown.place.name_of(&shown.entity_id),
        "area": shown.place.area,
        "device_class": shown.class.as_str(),
        // The same once more: of a binary sensor Home Assistant keeps its own device class under that name.
        "watched_class": shown.class.as_str(),
        "kind": alarm.kind.as_str(),
        // A sensor that warns of danger: "expected" then means that somebody tried it out.
        "danger": alarm.kind == hearthwatch_detector::finding::AnomalyKind::Alert,
        "title": sentence.title,
        "message": sentence.message,
        "why": alarm.reason,
        "how_unusual": sentence.how_unusual,
        "moved_with": shown.moved_with,
        "asks": shown.asks,
        "held": shown.suppressed.map(|suppressed| suppressed.as_str()),
        "observed": rounded(alarm.observed),
        "unit": shown.unit,
        "expected": rounded(alarm.band.map(|band| band.expected)),
        "expected_low": rounded(alarm.band.map(|band| band.low)),
        "expected_high": rounded(alarm.band.map(|band| band.high)),
        "amount": rounded(Some(alarm.amount)),
        "usual": rounded(Some(alarm.usual)),
        "score": rounded(Some(alarm.score)),
        "threshold": rounded(Some(alarm.threshold)),
        "severity": alarm.severity.as_str(),
        "start": time(alarm.start),
        "end": alarm.end.map(time),
        "raised_at": time(alarm.raised_at),
        "model_version": shown.model_version.0,
        "answer": shown.answer.map_or("none", |(verdict, _)| verdict_name(verdict)),
        "answers": shown.answers.iter().map(|answer| json!({
            "by": answer.by, "answer": verdict_name(answer.verdict), "at": time(answer.at),
            "reason": answer.reason.as_ref().map(Reason::as_str),
        })).collect::<Vec<_>>(),
        "disagreement": shown.is_disputed(),
        "shared": shown.shared,
        "precedent": shown.precedent.as_ref().map(|before| json!({
            "by": before.by, "answer": verdict_name(before.verdict), "raised_at": time(before.raised_at),
            "reason": before.reason.as_str(),
        })),
    });
    match description {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn score_attributes(most_unusual: &MostUnusual) -> Value {
    let band: Option<Band> = most_unusual.band;
    json!({
        "watched_entity": most_unusual.entity_id,
        "score": rounded(Some(most_unusual.score)),
        "threshold": rounded(Some(most_unusual.threshold)),
        "observed": rounded(most_unusual.observed),
        "expected": rounded(band.map(|band| band.expected)),
        "expected_low": rounded(band.map(|band| band.low)),
        "expected_high": rounded(band.map(|band| band.high)),
        "unit": most_unusual.unit,
        "step": time(most_unusual.at),
    })
}

/// Home Assistant refuses the whole message for any key that it does not know.
fn update_state(installed: ModelVersion, updates: &UpdateView) -> Value {
    let latest = updates.latest.unwrap_or(installed);
    // What stands in the way now comes first: the line is cut.
    let summary: Vec<String> =
        updates.mirror_line().into_iter().chain(updates.request_line()).chain([updates.summary.clone()]).collect();
    let summary = summary.join(" ");
    json!({
        "installed_version": installed.to_string(),
        "latest_version": latest.to_string(),
        "title": "Hearthwatch model",
        "release_summary": summary.trim().chars().take(STATE_CHARS_MAX).collect::<String>(),
        "in_progress": updates.percent.is_some(),
        "update_percentage": updates.percent,
    })
}

/// What the home's answers did: "Your 6 answers are in model 14. On your home it would have raised 2 alarms instead of 5
/// in the last four weeks." Empty before the first model that holds answers of this home.
fn receipt(view: &HomeView, updates: &UpdateView) -> Value {
    let backtest = view.backtest.as_ref();
    let answers = updates.contribution;
    let mut parts = Vec::new();
    parts.extend(answers.map(|(version, answers)| view.language.answers_in(version, answers)));
    parts.extend(backtest.map(|tried| view.language.backtested(tried)));
    json!({
        "receipt": parts.join(" "),
        "answers": answers.map(|(_, answers)| answers),
        "answers_in_model": answers.map(|(version, _)| version.0),
        "alarms_before": backtest.map(|tried| tried.before.1),
        "alarms_after": backtest.map(|tried| tried.after.1),
        "compared_from": backtest.map(|tried| time(tried.from)),
        "compared_until": backtest.map(|tried| time(tried.until)),
        "roll_back_to": updates.fallback.map(|version| version.0),
        "wish": updates.request_line(),
        "mirror_out_of_date_since": updates.mirror.as_ref().map(|fault| time(fault.since)),
        "mirror_fault": updates.mirror.as_ref().map(|fault| fault.cause.as_str()),
    })
}

/// Version 0 came with the program; its number means nothing to residents.
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
