//! The alarms that residents see: those of now, and those of before the last start that may still be answered.

use hearthwatch_model::alarm::{AlarmEvent, Verdict};
use hearthwatch_model::grid::{FEATURE_SCHEMA, FEATURES, WINDOW_STEPS};
use hearthwatch_model::reading::EntityInfo;
use hearthwatch_protocol::messages::{FeatureWindow, FeedbackRecord, Origin};
use hearthwatch_protocol::{AlarmId, HomeId, ModelVersion, Sequence, messages};

use super::view::{NoticeKind, ShownAlarm};
use crate::history::{History, HistoryError};

/// How many alarms can be answered by id. At a budget of one a week, two years; at a hundred, a week.
const ANSWERABLE_MAX: usize = 100;

/// Alarms, oldest first.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    list: Vec<ShownAlarm>,
}

impl Alarms {
    /// Those of before the start.
    pub(super) fn remember(history: &History) -> Result<Self, HistoryError> {
        let mut list = history.alarms(0)?;
        list.drain(..list.len().saturating_sub(ANSWERABLE_MAX));
        Ok(Self { list })
    }

    /// Takes what the detector says. None for the end of something that was never said.
    pub(super) fn tell(
        &mut self,
        event: AlarmEvent,
        info: &EntityInfo,
        model_version: ModelVersion,
    ) -> Option<(NoticeKind, ShownAlarm)> {
        let (kind, alarm) = match event {
            AlarmEvent::Raised(alarm) => (NoticeKind::Raised, alarm),
            AlarmEvent::Changed(alarm) => (NoticeKind::Changed, alarm),
            AlarmEvent::Ended(alarm) => (NoticeKind::Ended, alarm),
        };
        if let Some(known) = self.list.iter_mut().find(|known| known.alarm.id == alarm.id) {
            known.alarm = alarm;
            return Some((kind, known.clone()));
        }
        if kind == NoticeKind::Ended {
            return None;
        }
        let shown = ShownAlarm {
            alarm,
            entity_id: info.entity_id.clone(),
            class: info.class,
            unit: info.shown_unit(),
            model_version,
            answer: None,
        };
        self.list.push(shown.clone());
        if self.list.len() > ANSWERABLE_MAX {
            self.list.remove(0);
        }
        Some((kind, shown))
    }

    /// Whether residents were told of this alarm.
    pub(super) fn was_told(&self, id: &str) -> bool {
        self.list.iter().any(|alarm| alarm.alarm.id == id)
    }

    /// Notes an answer; the last one counts. Without an id, the alarm that is shown is meant.
    pub(super) fn answer(&mut self, id: Option<&str>, verdict: Verdict, now: i64) -> Option<ShownAlarm> {
        let id = match id {
            Some(id) => id.to_owned(),
            None => self.shown()?.alarm.id.clone(),
        };
        let alarm = self.list.iter_mut().find(|alarm| alarm.alarm.id == id)?;
        alarm.answer = Some((verdict, now));
        Some(alarm.clone())
    }

    /// Ends what the detector no longer follows: its entity is gone, or what it remembered is.
    pub(super) fn end_unfollowed(&mut self, followed: &[&str], at: i64) -> Vec<ShownAlarm> {
        let unfollowed =
            |alarm: &&mut ShownAlarm| alarm.alarm.end.is_none() && !followed.contains(&alarm.alarm.id.as_str());
        let ended = self.list.iter_mut().filter(unfollowed).map(|alarm| {
            alarm.alarm.end = Some(at.max(alarm.alarm.raised_at));
            alarm.clone()
        });
        ended.collect()
    }

    /// The alarm that is meant when nobody says which: the newest that is open and unanswered, else the newest open one,
    /// else the newest.
    pub(super) fn shown(&self) -> Option<&ShownAlarm> {
        let newest = |wanted: fn(&&ShownAlarm) -> bool| self.list.iter().rev().find(wanted);
        newest(|alarm| alarm.alarm.end.is_none() && alarm.answer.is_none())
            .or_else(|| newest(|alarm| matters(alarm)))
            .or_else(|| self.list.last())
    }

    /// How many last and were neither dismissed nor expected.
    pub(super) fn open_count(&self) -> usize {
        self.list.iter().filter(|alarm| matters(alarm)).count()
    }
}

/// Whether an alarm is still on: it lasts, and nobody said that it is nothing.
fn matters(alarm: &ShownAlarm) -> bool {
    let waved_away = matches!(alarm.answer, Some((Verdict::Dismissed | Verdict::Expected, _)));
    alarm.alarm.end.is_none() && !waved_away
}

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
