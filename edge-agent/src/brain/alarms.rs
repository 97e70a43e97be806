//! The alarms that residents see: those of now, and those of before the last start that may still be answered.

use std::collections::HashMap;

use hearthwatch_model::{AlarmEvent, EntityInfo, FEATURES, FEATURE_SCHEMA, Verdict, WINDOW_STEPS};
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
    /// Alarms that were open when the agent stopped, not yet borne out or let go.
    interrupted: Vec<String>,
    /// The detector's id of an alarm that goes on under the id it had before a restart, by that earlier id.
    renamed: HashMap<String, String>,
}

/// What an event became.
pub(super) struct Told {
    pub(super) kind: NoticeKind,
    pub(super) alarm: ShownAlarm,
    /// The answer that was given to the same alarm before a restart.
    pub(super) carried_answer: Option<(Verdict, i64)>,
}

impl Alarms {
    /// Those of before the start.
    pub(super) fn remember(history: &History) -> Result<Self, HistoryError> {
        let mut list = history.alarms(0)?;
        list.drain(..list.len().saturating_sub(ANSWERABLE_MAX));
        let interrupted =
            list.iter().filter(|alarm| alarm.alarm.end.is_none()).map(|alarm| alarm.alarm.id.clone()).collect();
        Ok(Self { list, interrupted, renamed: HashMap::new() })
    }

    /// Takes what the detector says. The first word after a restart about trouble that was already known goes on under
    /// its earlier id: nobody is told twice.
    /// None for the end of something that was never said.
    pub(super) fn tell(&mut self, event: AlarmEvent, info: &EntityInfo, model_version: ModelVersion) -> Option<Told> {
        let (mut kind, mut alarm) = match event {
            AlarmEvent::Raised(alarm) => (NoticeKind::Raised, alarm),
            AlarmEvent::Changed(alarm) => (NoticeKind::Changed, alarm),
            AlarmEvent::Ended(alarm) => (NoticeKind::Ended, alarm),
        };
        let mut carried_answer = None;
        if let Some(earlier) = self.renamed.iter().find(|(_, now)| **now == alarm.id).map(|(earlier, _)| earlier.clone()) {
            alarm.id = earlier;
        } else if kind == NoticeKind::Raised
            && let Some(position) = self.interrupted_of(&info.entity_id, &alarm)
        {
            let earlier = self.interrupted.remove(position);
            self.renamed.insert(earlier.clone(), alarm.id);
            carried_answer = self.find(&earlier).and_then(|alarm| alarm.answer);
            alarm.id = earlier;
            kind = NoticeKind::Changed;
        }
        let known = self.list.iter().position(|known| known.alarm.id == alarm.id);
        if known.is_none() && kind == NoticeKind::Ended {
            return None;
        }
        let shown = if let Some(position) = known {
            let known = &mut self.list[position];
            alarm.start = alarm.start.min(known.alarm.start);
            alarm.raised_at = known.alarm.raised_at;
            known.alarm = alarm;
            known.clone()
        } else {
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
                let forgotten = self.list.remove(0);
                self.renamed.remove(&forgotten.alarm.id);
            }
            shown
        };
        Some(Told { kind, alarm: shown, carried_answer })
    }

    /// Whether residents were told of what the detector calls `id`.
    pub(super) fn was_told(&self, id: &str) -> bool {
        self.find(id).is_some() || self.renamed.values().any(|now| now == id)
    }

    fn interrupted_of(&self, entity_id: &str, alarm: &hearthwatch_model::Alarm) -> Option<usize> {
        self.interrupted.iter().position(|id| {
            self.find(id).is_some_and(|known| known.entity_id == entity_id && known.alarm.kind == alarm.kind)
        })
    }

    fn find(&self, id: &str) -> Option<&ShownAlarm> {
        self.list.iter().find(|alarm| alarm.alarm.id == id)
    }

    /// The id under which the detector knows an alarm.
    pub(super) fn detector_id(&self, id: &str) -> String {
        self.renamed.get(id).cloned().unwrap_or_else(|| id.to_owned())
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

    /// Ends what was open before the start and was not said again.
    pub(super) fn end_interrupted(&mut self, at: i64) -> Vec<ShownAlarm> {
        let ended = std::mem::take(&mut self.interrupted);
        let mut alarms = Vec::new();
        for id in ended {
            if let Some(alarm) = self.list.iter_mut().find(|alarm| alarm.alarm.id == id) {
                alarm.alarm.end = Some(at);
                alarms.push(alarm.clone());
            }
        }
        alarms
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
