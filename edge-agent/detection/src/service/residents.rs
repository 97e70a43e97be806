//! The residents' preferences, kept and applied; and what residents look at: names, pictures.

use std::collections::HashMap;

use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_edge_core::explain::{self, DrawError, Language, Picture, Point, Theme};
use hearthwatch_edge_core::preferences::{Change, ChangeError, Place, Preferences, Scope, Suppression, next_daily};
use hearthwatch_edge_store::history::HistoryError;
use jiff::tz::TimeZone;

use super::memory::Memory;
use super::{DetectorService, NoticeKind, ShownAlarm};

/// Name of the note that holds the preferences; stored, so it stays as it was.
const PREFERENCES_NOTE: &str = "house";
/// A picture shows at most this much of the time before an alarm; the drawing chooses from it.
const BEFORE_SECONDS: i64 = 36 * 3_600;
/// And this much of the time after its begin.
const AFTER_SECONDS: i64 = 36 * 3_600;

/// All that a drawing of an alarm needs.
#[derive(Debug, Clone, PartialEq)]
pub struct AlarmPicture {
    /// As last published.
    pub alarm: ShownAlarm,
    /// Entity of the alarm.
    pub info: EntityInfo,
    /// The steps around the alarm, oldest first.
    pub points: Vec<Point>,
    /// The home's.
    pub timezone: TimeZone,
    /// The residents'.
    pub language: Language,
}

impl AlarmPicture {
    /// Draws it, as PNG for a telephone, on a light or a dark background.
    ///
    /// # Errors
    /// [`DrawError`], which no alarm of ours should lead to.
    pub fn png(&self, theme: Theme) -> Result<Vec<u8>, DrawError> {
        let Self { alarm: shown, info, points, timezone, language } = self;
        let picture = Picture { shown, info, language: *language, points, timezone };
        explain::png(&explain::svg(&picture, theme))
    }
}

/// The preferences, and the language of texts.
pub(super) struct Residents {
    pub(super) preferences: Preferences,
    /// Alarms a week where residents have not chosen another number.
    configured_budget: f64,
    /// When the next daily brief is sent; none while that is not worked out yet.
    pub(super) next_brief: Option<i64>,
    pub(super) language: Language,
}

impl Residents {
    /// As it was before the start. A file that cannot be read counts as no preferences, so that the home is watched all the same.
    pub(super) fn remember(memory: &Memory, configured_budget: f64) -> Result<Self, HistoryError> {
        let preferences = memory.note(PREFERENCES_NOTE)?.unwrap_or_default();
        Ok(Self { preferences, configured_budget, next_brief: None, language: Language::default() })
    }

    /// Alarms a week that the home bears.
    pub(super) fn budget(&self) -> f64 {
        self.preferences.budget_per_week.unwrap_or(self.configured_budget)
    }
}

impl DetectorService {
    /// Makes a change of the preferences at `now`, Unix seconds, and stores it.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed.
    pub fn change(&mut self, change: Change, now: i64) -> Result<(), ChangeError> {
        tracing::info!(change = ?change, "a resident's wish");
        let learnt = self.residents.preferences.mode.learns();
        self.residents.preferences.apply(change, now)?;
        self.judging.detector.set_budget(self.residents.budget());
        if !learnt && self.residents.preferences.mode.learns() && self.steps.listening {
            // What was seen of those days stays in the history, but is no longer what is usual.
            self.relearn();
        }
        self.residents.next_brief = None;
        self.keep_preferences();
        self.show(None);
        Ok(())
    }

    /// Does not mention an alarm's entity until `until`: the alarm that is on goes off as well.
    pub fn snooze(&mut self, alarm_id: &str, until: i64, now: i64) {
        let Some(mut alarm) = self.alarms.get(alarm_id).cloned() else { return };
        if alarm.alarm.kind.is_danger() {
            // Residents know of it. Of the next time that the sensor turns on they are notified, so there is nothing to suppress.
            return;
        }
        let scope = Scope::Entity { entity_id: alarm.entity_id.clone(), kind: None };
        if let Err(error) = self.change(Change::Mute { scope, until: Some(until) }, now) {
            tracing::warn!(error = %error, alarm.id = alarm_id, "a snooze is refused");
            return;
        }
        alarm.suppressed = Some(Suppression::Muted);
        self.alarms.put(&alarm);
        self.memory.save_alarm(&alarm, None);
        self.delivery.notify(NoticeKind::Changed, alarm);
        self.show(None);
    }

    /// Ends snoozes and writes the daily brief when their time has come.
    pub(super) fn keep_time(&mut self, now: i64) {
        if self.residents.preferences.forget_past(now) {
            self.keep_preferences();
            self.show(None);
        }
        let Some(time) = self.residents.preferences.brief else { return };
        match self.residents.next_brief {
            Some(at) if at <= now => {
                let brief = self.brief(now);
                self.delivery.view.send_modify(|view| view.brief = Some(brief));
                self.residents.next_brief = next_daily(time, now, &self.judging.config.timezone);
            }
            Some(_) => {}
            None => self.residents.next_brief = next_daily(time, now, &self.judging.config.timezone),
        }
    }

    pub(super) fn keep_preferences(&mut self) {
        self.memory.keep_note(
            PREFERENCES_NOTE,
            &self.residents.preferences,
            "a resident's wish would not survive a restart",
        );
    }

    /// Takes the names that Home Assistant's registries have.
    pub fn set_places(&mut self, places: HashMap<String, Place>) {
        self.registry.places = places;
        self.show(None);
    }

    /// The language of texts from now on.
    pub fn set_language(&mut self, language: Language) {
        self.residents.language = language;
    }

    /// What a drawing of an alarm needs; none when the alarm is not remembered.
    #[must_use]
    pub fn picture(&self, alarm_id: &str) -> Option<AlarmPicture> {
        let alarm = self.alarms.get(alarm_id)?.clone();
        let info = self.judging.detector.entities().iter().find(|info| info.entity_id == alarm.entity_id)?.clone();
        let start = alarm.alarm.start;
        let points = self.memory.history.points(&info.entity_id, start - BEFORE_SECONDS, start + AFTER_SECONDS);
        let points = points.unwrap_or_else(|error| {
            tracing::warn!(error = %error, alarm.id = alarm_id, "a picture without a past");
            Vec::new()
        });
        let (timezone, language) = (self.judging.config.timezone.clone(), self.residents.language);
        Some(AlarmPicture { alarm, info, points, timezone, language })
    }
}
