//! Records for the fleet: of an alarm, of an answer to it, or of a declared miss.

use hearthwatch_detector::alarm::Verdict;
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::grid::{FEATURE_SCHEMA, FEATURES, WINDOW_STEPS};
use hearthwatch_edge_store::outbox::SharingLevel;
use hearthwatch_protocol::messages::{Announcement, FeatureWindow, FeedbackRecord, Origin};
use hearthwatch_protocol::{AlarmId, HomeId, ModelVersion, Sequence, messages};

use super::view::ShownAlarm;

/// A record for the fleet.
#[derive(Debug, Clone, PartialEq)]
pub enum ToFleet {
    /// An alarm or a question, before anybody answered it.
    Announcement(Announcement),
    /// A label: an answer to an alarm or a question, or a declared miss.
    Answer(FeedbackRecord),
}

/// The announcement of an alarm or a question when it comes up, or why there is none.
pub fn announcement(
    home: HomeId,
    id: &str,
    model_version: ModelVersion,
    window: Option<&[f32]>,
    raised_at: i64,
) -> Result<Announcement, &'static str> {
    Ok(Announcement {
        home,
        sequence: Sequence(0),
        alarm: AlarmId::new(id).map_err(|_| "its id is not one of ours")?,
        model_version,
        window_sha256: shaped(window.map(<[f32]>::to_vec))?.digest(),
        raised_on: raised_at,
    })
}

/// What the fleet learns of an answer, or why it learns nothing.
pub fn feedback_record(
    home: HomeId,
    shown: &ShownAlarm,
    window: Option<Vec<f32>>,
    verdict: Verdict,
    now: i64,
) -> Result<FeedbackRecord, &'static str> {
    let alarm = &shown.alarm;
    let declared = Declared {
        id: &alarm.id,
        class: shown.class,
        model_version: shown.model_version,
        score: alarm.score,
        threshold: alarm.threshold,
        raised_at: alarm.raised_at,
        origin: Origin::Alarm,
    };
    match window {
        // The feature window was lost with the history: only the verdict is left, and its time is rounded to a day.
        None if shown.recovered => SharingLevel::Verdicts
            .shape(record_of(home, &declared, FeatureWindow::none(), verdict, now)?)
            .ok_or("it is not shared"),
        window => record(home, &declared, window, verdict, now),
    }
}

/// What a resident answers: an alarm, or a miss.
pub(super) struct Declared<'a> {
    pub(super) id: &'a str,
    pub(super) class: DeviceClass,
    pub(super) model_version: ModelVersion,
    pub(super) score: f32,
    pub(super) threshold: f32,
    pub(super) raised_at: i64,
    pub(super) origin: Origin,
}

/// What the fleet learns of it, or why it learns nothing.
pub(super) fn record(
    home: HomeId,
    declared: &Declared<'_>,
    window: Option<Vec<f32>>,
    verdict: Verdict,
    now: i64,
) -> Result<FeedbackRecord, &'static str> {
    record_of(home, declared, shaped(window)?, verdict, now)
}

fn record_of(
    home: HomeId,
    declared: &Declared<'_>,
    window: FeatureWindow,
    verdict: Verdict,
    now: i64,
) -> Result<FeedbackRecord, &'static str> {
    Ok(FeedbackRecord {
        home,
        sequence: Sequence(0),
        alarm: AlarmId::new(declared.id).map_err(|_| "its id is not one of ours")?,
        device_class: declared.class.as_str().to_owned(),
        model_version: declared.model_version,
        feature_schema: FEATURE_SCHEMA,
        window,
        score: declared.score,
        threshold: declared.threshold,
        verdict: match verdict {
            Verdict::Confirmed => messages::Verdict::Confirmed,
            Verdict::Dismissed => messages::Verdict::Dismissed,
            Verdict::Expected => messages::Verdict::Expected,
        },
        origin: declared.origin,
        raised_at: declared.raised_at,
        // A clock that was set back between the two must not make the record implausible.
        answered_at: now.max(declared.raised_at),
    })
}

fn shaped(window: Option<Vec<f32>>) -> Result<FeatureWindow, &'static str> {
    let values = window
        .filter(|window| window.len() == WINDOW_STEPS * FEATURES)
        .ok_or("the alarm came before there was a full window to learn from")?;
    Ok(FeatureWindow {
        steps: u16::try_from(WINDOW_STEPS).map_err(|_| "its window is too long")?,
        features: u16::try_from(FEATURES).map_err(|_| "its window is too wide")?,
        values,
    })
}
