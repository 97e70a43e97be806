//! Publishes alarms as the preferences allow, answers, and records for the fleet.

use hearthwatch_detector::alarm::{AlarmEvent, Severity, Verdict};
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::detector::EntityScore;
use hearthwatch_detector::finding::AnomalyKind;
use hearthwatch_edge_core::alarm::Reason;
use hearthwatch_edge_core::explain::{still_warns, title};
use hearthwatch_edge_core::preferences::{Announcement, Subject, Suppression, may_ask_about_unsure};

use super::alarms::{MONTH_SECONDS, add_moved, may_notify_again};
use super::feedback::feedback_record;
use super::view::{Month, MostUnusual, NoticeKind, ShownAlarm};
use super::{DECIDER_NOTE, DetectorService};

/// An alarm this little above its threshold, in units of the score, may well be nothing: there an answer teaches most.
pub(super) const UNSURE_EXCESS: f32 = 3.0;
/// Who is this close below their threshold moved with an alarm.
const MOVED_MARGIN: f32 = 2.0;

impl DetectorService {
    /// Says what became of alarms at `at`: to the memory, to the screen, to whoever listens. `scores` of the step, where
    /// there is one, list what else moved.
    pub(super) fn publish_events(&mut self, events: Vec<AlarmEvent>, at: i64, scores: &[EntityScore]) {
        if events.is_empty() {
            return;
        }
        for event in events {
            let Some(info) = self.judging.detector.entities().get(event.alarm().entity as usize).cloned() else {
                continue;
            };
            let raised = matches!(event, AlarmEvent::Raised(_));
            if raised && event.alarm().kind == AnomalyKind::Cold && self.is_unit_doubted(&info.entity_id) {
                // 21 °F is no cold room where it means 21 °C: the page says that the unit is wrong.
                continue;
            }
            let place = self.registry.places.get(&info.entity_id).cloned().unwrap_or_default();
            let Some((kind, mut alarm)) = self.alarms.take_event(event, &info, &place, self.judging.model_version)
            else {
                continue;
            };
            match kind {
                NoticeKind::Raised => {
                    self.health.counts.raised(alarm.alarm.kind);
                    self.note_moved(&mut alarm, scores);
                    alarm.precedent = self.alarms.precedent_of(&alarm);
                    self.alarms.put(&alarm);
                    let window = self.judging.detector.window_of(&alarm.alarm.id).map(<[f32]>::to_vec);
                    self.memory.save_alarm(&alarm, window.as_deref());
                    let (id, raised_at) = (alarm.alarm.id.clone(), alarm.alarm.raised_at);
                    self.delivery.announce(&id, alarm.model_version, window.as_deref(), raised_at);
                    self.announce(alarm, at);
                }
                NoticeKind::Changed if alarm.alarm.severity == Severity::Critical && may_notify_again(&alarm) => {
                    self.announce(alarm, at);
                }
                _ => {
                    if kind == NoticeKind::Ended && alarm.due.take().is_some() {
                        alarm.suppressed = Some(Suppression::Passed);
                    }
                    self.keep(&alarm);
                    if alarm.is_shown() && alarm.merged_into.is_none() {
                        self.delivery.notify(kind, alarm);
                    }
                }
            }
        }
        self.leave_faults(at);
        self.keep_decider();
        self.show(None);
    }

    /// Says the alarms whose time has come.
    pub(super) fn publish_due(&mut self, now: i64) {
        let due = self.alarms.due(now);
        if due.is_empty() {
            return;
        }
        for mut alarm in due {
            if alarm.alarm.end.is_some() || alarm.answer.is_some() {
                alarm.due = None;
                alarm.suppressed = Some(Suppression::Passed);
                self.keep(&alarm);
            } else {
                self.announce(alarm, now);
            }
        }
        self.show(None);
    }

    /// Notifies residents of an alarm that they do not know yet, or notes why not.
    fn announce(&mut self, mut alarm: ShownAlarm, now: i64) {
        let subject = Subject {
            entity_id: &alarm.entity_id,
            area: alarm.place.area.as_deref(),
            class: alarm.class,
            kind: alarm.alarm.kind,
            too_much: alarm.is_too_much(),
            severity: alarm.alarm.severity,
            excess: alarm.alarm.score - alarm.alarm.threshold,
            known_for: now - alarm.alarm.raised_at,
        };
        // What would be the same message again must not be counted twice.
        let leader = self.alarms.leader_of(&alarm);
        let shown = if leader.is_some() { 0 } else { self.alarms.shown_in_week(&alarm.alarm.id, now) };
        let decided = self.residents.preferences.announce(
            &subject,
            shown,
            self.residents.budget(),
            now,
            &self.judging.config.timezone,
        );
        (alarm.suppressed, alarm.due) = (None, None);
        match (decided, leader) {
            (Announcement::Suppression(why), _) => alarm.suppressed = Some(why),
            (Announcement::Later(at), _) => alarm.due = Some(at),
            (Announcement::Now, Some((mut leader, cause))) => {
                alarm.merged_into = Some(leader.alarm.id.clone());
                (leader.merged_count, leader.cause) = (leader.merged_count.saturating_add(1), Some(cause));
                add_moved(&mut leader, alarm.place.name_of(&alarm.entity_id));
                self.keep(&leader);
                self.delivery.notify(NoticeKind::Changed, leader);
            }
            (Announcement::Now, None) => {
                alarm.asks = self.asks(&alarm, now);
                self.keep(&alarm);
                self.health.counts.notified();
                self.delivery.notify(NoticeKind::Raised, alarm);
                return;
            }
        }
        self.keep(&alarm);
        tracing::info!(
            alarm.id = alarm.alarm.id,
            alarm.suppressed = alarm.suppressed.map_or("", Suppression::as_str),
            "an alarm is remembered, not said"
        );
    }

    /// Whether it is worth a question: unsure, unlike anything answered before, and within the week's questions.
    fn asks(&self, alarm: &ShownAlarm, now: i64) -> bool {
        let kind = alarm.alarm.kind;
        let sure = kind.is_danger()
            || kind.has_own_threshold()
            || kind == AnomalyKind::Physics
            || alarm.alarm.score - alarm.alarm.threshold > UNSURE_EXCESS;
        let room = || {
            may_ask_about_unsure(
                self.residents.preferences.questions_per_week,
                self.alarms.asked_in_week(now),
                self.drawn_in_week(now),
            )
        };
        !sure && !self.alarms.is_known(alarm) && room()
    }

    fn note_moved(&self, alarm: &mut ShownAlarm, scores: &[EntityScore]) {
        let margin = |score: &EntityScore| score.score.map_or(f32::NEG_INFINITY, |value| value - score.threshold);
        let mut others: Vec<&EntityScore> =
            scores.iter().filter(|score| score.entity != alarm.alarm.entity && margin(score) > -MOVED_MARGIN).collect();
        others.sort_by(|left, right| margin(right).total_cmp(&margin(left)));
        for score in others {
            if (score.entity as usize) < self.judging.detector.entities().len() {
                add_moved(alarm, self.name_of(score.entity));
            }
        }
    }

    /// Takes a resident's answer, to an alarm or to a question drawn by chance; `by` is who gave it, where that is known.
    /// Without an id, the alarm that is shown is meant. `reason` is kept here and goes nowhere.
    pub fn answer(&mut self, alarm_id: Option<&str>, verdict: Verdict, by: &str, reason: Option<&Reason>, now: i64) {
        if alarm_id.is_some_and(|id| self.answer_question(id, verdict, now)) {
            self.health.counts.answered(verdict);
            return;
        }
        let faults = self.old_faults(now);
        let mut answered = self.alarms.answer(alarm_id, verdict, by, reason, now);
        self.relearning.recounted |= faults != self.old_faults(now);
        self.leave_faults(now);
        if answered.is_empty() {
            tracing::info!(
                alarm.id = alarm_id.unwrap_or(""),
                "an answer to an alarm that is not remembered is ignored"
            );
            return;
        }
        for alarm in &mut answered {
            // The detector's list is shorter than ours: the answer then still counts for the fleet and on the screen.
            match self.judging.detector.answer(&alarm.alarm.id, verdict, now) {
                Ok(Some(end)) => alarm.alarm.end = end.alarm().end,
                Ok(None) => {}
                Err(error) => tracing::debug!(error = %error, "an answer that teaches the detector nothing"),
            }
            self.keep(alarm);
        }
        // Only the one that was looked at is a label to learn from.
        if let Some(meant) = answered.first_mut() {
            meant.shared = self.send_feedback(meant, verdict, now);
            self.keep(meant);
        }
        self.health.counts.answered(verdict);
        self.keep_decider();
        for alarm in answered.into_iter().filter(|alarm| alarm.merged_into.is_none()) {
            self.delivery.notify(NoticeKind::Answered(verdict), alarm);
        }
        self.show(None);
    }

    /// Puts back an alarm that was changed here.
    fn keep(&mut self, alarm: &ShownAlarm) {
        self.alarms.put(alarm);
        self.memory.save_alarm(alarm, None);
    }

    /// Keeps what the detector must not forget over a restart.
    pub(super) fn keep_decider(&mut self) {
        let lost = "what answers taught would not survive a restart";
        self.memory.keep_note(DECIDER_NOTE, &self.judging.detector.memory(), lost);
    }

    /// Whether a record of it will be sent to the fleet.
    pub(super) fn send_feedback(&mut self, alarm: &ShownAlarm, verdict: Verdict, now: i64) -> bool {
        match self.memory.history.window_of(&alarm.alarm.id) {
            Ok(window) => {
                self.delivery.share(&alarm.alarm.id, |home| feedback_record(home, alarm, window, verdict, now))
            }
            Err(error) => {
                tracing::error!(error = %error, alarm.id = alarm.alarm.id, "an answer stays here: its window is lost");
                false
            }
        }
    }

    /// Publishes the view, with `scores` when a step was closed, and then the notices that wait: who receives a notice finds its alarm in
    /// the view.
    pub(super) fn show(&mut self, scores: Option<(i64, &[EntityScore])>) {
        let name_of =
            |entity_id: &str| self.registry.places.get(entity_id).cloned().unwrap_or_default().name_of(entity_id);
        let most_unusual =
            scores.map(|(at, scores)| MostUnusual::of(at, scores, self.judging.detector.entities(), name_of));
        let readiness = scores.map(|_| self.readiness());
        let shown = self.alarms.shown().cloned();
        let mut unusual: Vec<String> =
            self.alarms.gravest_first().map(|alarm| title(alarm, self.residents.language)).collect();
        // What still warns of danger comes first, whatever was answered.
        let is_known = |entity: &str| {
            self.alarms.gravest_first().any(|alarm| alarm.entity_id == entity && alarm.alarm.kind.is_danger())
        };
        let warning = self
            .judging
            .detector
            .warning()
            .into_iter()
            .filter_map(|entity| self.judging.detector.entities().get(entity as usize));
        let still: Vec<String> = warning
            .filter(|info| !is_known(&info.entity_id))
            .map(|info| still_warns(&name_of(&info.entity_id), self.residents.language))
            .collect();
        unusual.splice(0..0, still);
        let network = self.judging.model.version().is_some();
        let present =
            || self.judging.detector.entities().iter().filter(|info| !self.registry.gone.contains(&info.entity_id));
        let classes = present().map(|info| info.class);
        let mut judged: Vec<DeviceClass> = classes.filter(|class| self.judging.model.judges(*class)).collect();
        judged.sort_by_key(|class| class.as_str());
        judged.dedup();
        let (model, entities, listening, looked) =
            (self.judging.model_version, present().count(), self.steps.listening, self.steps.judged);
        let (preferences, budget) = (self.residents.preferences.clone(), self.residents.budget());
        let month = Month {
            withheld: self.withheld_since(self.steps.now - MONTH_SECONDS).count(),
            ..self.alarms.month(self.steps.now)
        };
        let (timezone, language) = (self.judging.config.timezone.clone(), self.residents.language);
        self.delivery.publish(|view| {
            view.shown = shown;
            view.unusual = unusual;
            view.model = model;
            view.network = network;
            view.judged = judged;
            view.entities = entities;
            view.listening = listening;
            view.preferences = preferences;
            view.budget = budget;
            view.month = month;
            view.timezone = timezone;
            view.language = language;
            view.looked = looked;
            if let Some(most_unusual) = most_unusual {
                view.most_unusual = most_unusual;
            }
            if let Some(readiness) = readiness {
                view.readiness = readiness;
            }
        });
    }
}
