//! What the fleet learns of an answer.

use hearthwatch_model::alarm::Verdict;
use hearthwatch_model::grid::{FEATURE_SCHEMA, FEATURES, WINDOW_STEPS};
use hearthwatch_protocol::messages::{FeatureWindow, FeedbackRecord, Origin};
use hearthwatch_protocol::{AlarmId, HomeId, Sequence, messages};

use super::view::ShownAlarm;

/// What the fleet learns of an answer, or why it learns nothing.
pub(super) fn feedback_record(
    home: HomeId,
    shown: &ShownAlarm,
    window: Option<Vec<f32>>,
    verdict: Verdict,
    now: i64,
) -> Result<FeedbackRecord, &'static str> {
    let values = window
        .filter(|window| window.len() == WINDOW_STEPS * FEATURES)
        .ok_or("the alarm came before there was a full window to learn from")?;
    let alarm = &shown.alarm;
    Ok(FeedbackRecord {
        home,
        sequence: Sequence(0),
        alarm: AlarmId::new(alarm.id.clone()).map_err(|_| "its id is not one of ours")?,
        device_class: shown.class.as_str().to_owned(),
        model_version: shown.model_version,
        feature_schema: FEATURE_SCHEMA,
        window: FeatureWindow {
            steps: u16::try_from(WINDOW_STEPS).map_err(|_| "its window is too long")?,
            features: u16::try_from(FEATURES).map_err(|_| "its window is too wide")?,
            values,
        },
        score: alarm.score,
        threshold: alarm.threshold,
        verdict: match verdict {
            Verdict::Confirmed => messages::Verdict::Confirmed,
            Verdict::Dismissed => messages::Verdict::Dismissed,
            Verdict::Expected => messages::Verdict::Expected,
        },
        origin: Origin::Alarm,
        raised_at: alarm.raised_at,
        // A clock that was set back between the two must not make the record implausible.
        answered_at: now.max(alarm.raised_at),
    })
}
