//! The alarms that residents see: those of now, and those of before the last start that may still be answered.

use hearthwatch_detector::alarm::{AlarmEvent, Cause, Onset, Severity, Verdict, group};
use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_edge_core::alarm::Precedent;
use hearthwatch_edge_core::alarm::Reason;
use hearthwatch_edge_core::preferences::{Place, Suppression, WEEK_SECONDS};
use hearthwatch_edge_store::history::{History, HistoryError};
use hearthwatch_protocol::ModelVersion;

use super::view::{Month, NoticeKind, ShownAlarm};

/// How many alarms can be answered by id. At a budget of one a week, two years; at a hundred, a week.
const ANSWERABLE_MAX: usize = 100;
/// Names of other entities that a notice lists: what a telephone shows.
const MOVED_WITH_MAX: usize = 5;
/// What is counted as a month: 30 days.
pub(super) const MONTH_SECONDS: i64 = 30 * 86_400;

/// What residents made of the alarms of a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Raised in the period, each merged group once.
    pub alarms: u32,
    /// Of these, answered as real.
    pub confirmed: u32,
    /// Of these, answered as false.
    pub dismissed: u32,
}

/// At most [`ANSWERABLE_MAX`] alarms, oldest first.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    list: Vec<ShownAlarm>,
}

impl Alarms {
    /// The newest alarms of the history.
    pub(super) fn remember(history: &History) -> Result<Self, HistoryError> {
        let mut list = history.alarms(0)?;
        list.drain(..list.len().saturating_sub(ANSWERABLE_MAX));
        Ok(Self { list })
    }

    /// Takes an event of the detector. None for the end of an alarm that is not known here.
    pub(super) fn take_event(
        &mut self,
        event: AlarmEvent,
        info: &EntityInfo,
        place: &Place,
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
        let shown = ShownAlarm::new(alarm, info, place.clone(), model_version);
        self.list.push(shown.clone());
        if self.list.len() > ANSWERABLE_MAX {
            self.list.remove(0);
        }
        Some((kind, shown))
    }

    /// Takes alarms that were recovered from Home Assistant; gives those that were not known.
    pub(super) fn take_in(&mut self, found: Vec<ShownAlarm>) -> Vec<ShownAlarm> {
        let new: Vec<ShownAlarm> = found.into_iter().filter(|alarm| !self.was_published(&alarm.alarm.id)).collect();
        self.list.extend(new.iter().cloned());
        self.list.sort_by_key(|alarm| alarm.alarm.raised_at);
        self.list.drain(..self.list.len().saturating_sub(ANSWERABLE_MAX));
        new
    }

    /// Puts back an alarm that was changed.
    pub(super) fn put(&mut self, alarm: &ShownAlarm) {
        if let Some(known) = self.list.iter_mut().find(|known| known.alarm.id == alarm.alarm.id) {
            known.clone_from(alarm);
        }
    }

    pub(super) fn list(&self) -> &[ShownAlarm] {
        &self.list
    }

    /// What residents made of the alarms raised since then.
    pub(super) fn tally(&self, since: i64) -> Tally {
        let mut tally = Tally::default();
        for alarm in self.list.iter().filter(|alarm| leads(alarm) && alarm.alarm.raised_at >= since) {
            tally.alarms += 1;
            match alarm.answer {
                Some((Verdict::Confirmed, _)) => tally.confirmed += 1,
                Some((Verdict::Dismissed, _)) => tally.dismissed += 1,
                Some((Verdict::Expected, _)) | None => {}
            }
        }
        tally
    }

    pub(super) fn get(&self, id: &str) -> Option<&ShownAlarm> {
        self.list.iter().find(|alarm| alarm.alarm.id == id)
    }

    /// Whether an alarm with this id is known, and so was published.
    pub(super) fn was_published(&self, id: &str) -> bool {
        self.get(id).is_some()
    }

    /// Notes an answer for the alarm and for those that were merged into it; the last one counts. Without an id, the alarm
    /// that is shown is meant.
    pub(super) fn answer(
        &mut self,
        id: Option<&str>,
        verdict: Verdict,
        by: &str,
        reason: Option<&Reason>,
        now: i64,
    ) -> Vec<ShownAlarm> {
        let id = match id {
            Some(id) => id.to_owned(),
            None => match self.shown() {
                Some(shown) => shown.alarm.id.clone(),
                None => return Vec::new(),
            },
        };
        let meant = |alarm: &&mut ShownAlarm| alarm.alarm.id == id || alarm.merged_into.as_deref() == Some(id.as_str());
        let answered = self.list.iter_mut().filter(meant).map(|alarm| {
            alarm.take_answer(by, verdict, reason.cloned(), now);
            alarm.clone()
        });
        let mut answered: Vec<ShownAlarm> = answered.collect();
        answered.sort_by_key(|alarm| alarm.alarm.id != id);
        answered
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

    /// Renames an entity, and returns its alarms.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> Vec<ShownAlarm> {
        let of = self.list.iter_mut().filter(|alarm| alarm.entity_id == from).map(|alarm| {
            to.clone_into(&mut alarm.entity_id);
            alarm.clone()
        });
        of.collect()
    }

    /// Ends the alarms of an entity that is no more.
    pub(super) fn end_of(&mut self, entity_id: &str, at: i64) -> Vec<ShownAlarm> {
        let lasting = |alarm: &&mut ShownAlarm| alarm.entity_id == entity_id && alarm.alarm.end.is_none();
        let ended = self.list.iter_mut().filter(lasting).map(|alarm| {
            alarm.alarm.end = Some(at.max(alarm.alarm.raised_at));
            alarm.due = None;
            alarm.clone()
        });
        ended.collect()
    }

    /// The alarm that is meant when nobody says which: the gravest that is open and unanswered, else the gravest open one, else
    /// the newest; of those that are as grave the newest.
    pub(super) fn shown(&self) -> Option<&ShownAlarm> {
        let lead = || self.list.iter().filter(|alarm| leads(alarm));
        let gravest = |wanted: fn(&&ShownAlarm) -> bool| lead().filter(wanted).max_by_key(|alarm| alarm.alarm.severity);
        gravest(|alarm| alarm.alarm.end.is_none() && alarm.answer.is_none())
            .or_else(|| gravest(|alarm| matters(alarm)))
            .or_else(|| lead().next_back())
    }

    /// What is open, the gravest first, then the newest.
    pub(super) fn gravest_first(&self) -> impl Iterator<Item = &ShownAlarm> {
        let mut open: Vec<&ShownAlarm> = self.list.iter().rev().filter(|alarm| matters(alarm)).collect();
        open.sort_by_key(|alarm| std::cmp::Reverse(alarm.alarm.severity));
        open.into_iter()
    }

    /// How many alarms below critical, `beside` aside, the week before `now` has had that nobody confirmed.
    pub(super) fn shown_in_week(&self, beside: &str, now: i64) -> usize {
        let counts = |alarm: &&ShownAlarm| {
            leads(alarm)
                && alarm.alarm.id != beside
                && alarm.alarm.severity < Severity::Critical
                && !alarm.alarm.kind.has_own_threshold()
                && alarm.alarm.raised_at > now - WEEK_SECONDS
                && !matches!(alarm.answer, Some((Verdict::Confirmed, _)))
        };
        self.list.iter().filter(counts).count()
    }

    /// Alarms whose [`ShownAlarm::due`] has come.
    pub(super) fn due(&self, now: i64) -> Vec<ShownAlarm> {
        self.list.iter().filter(|alarm| alarm.due.is_some_and(|due| due <= now)).cloned().collect()
    }

    /// The alarm into which `alarm` can be merged, and what they have in common: it lasts, was shown, matters as much, and has
    /// the same cause as far as it can be known ([`group`]).
    pub(super) fn leader_of(&self, alarm: &ShownAlarm) -> Option<(ShownAlarm, Cause)> {
        // Danger is never a name among others.
        if alarm.alarm.kind.is_danger() {
            return None;
        }
        let is_it = |one: &ShownAlarm| one.alarm.id == alarm.alarm.id;
        let mut known: Vec<&ShownAlarm> = self.list.iter().filter(|one| is_it(one) || one.is_shown()).collect();
        known.sort_by_key(|one| one.alarm.raised_at);
        let onsets: Vec<Onset<'_>> = known.iter().map(|one| onset(one)).collect();
        let groups = group(&onsets);
        let own = groups.iter().find(|group| group.members.iter().any(|member| is_it(known[*member])))?;
        let can_lead = |one: &&ShownAlarm| !is_it(one) && matters(one) && one.alarm.severity >= alarm.alarm.severity;
        let leader = own.members.iter().map(|member| known[*member]).find(can_lead)?;
        Some((leader.clone(), own.cause))
    }

    /// Whether something like `alarm` was answered before: the same entity in the same manner.
    pub(super) fn is_known(&self, alarm: &ShownAlarm) -> bool {
        self.list.iter().any(|known| {
            known.alarm.id != alarm.alarm.id
                && known.entity_id == alarm.entity_id
                && known.alarm.kind == alarm.alarm.kind
                && known.answer.is_some()
        })
    }

    /// The newest alarm like `alarm` that somebody gave a reason for: the same entity, in the same manner and direction.
    pub(super) fn precedent_of(&self, alarm: &ShownAlarm) -> Option<Precedent> {
        let like = |known: &&ShownAlarm| {
            known.alarm.id != alarm.alarm.id
                && known.entity_id == alarm.entity_id
                && known.alarm.kind == alarm.alarm.kind
                && known.is_too_much() == alarm.is_too_much()
        };
        self.list.iter().rev().filter(like).find_map(|known| {
            let (answer, reason) = known.reasoned()?;
            let (by, verdict) = (answer.by.clone(), answer.verdict);
            Some(Precedent { raised_at: known.alarm.raised_at, by, verdict, reason: reason.clone() })
        })
    }

    /// Questions put in the week before `now`.
    pub(super) fn asked_in_week(&self, now: i64) -> usize {
        let asked = |alarm: &&ShownAlarm| alarm.asks && alarm.alarm.raised_at > now - WEEK_SECONDS;
        self.list.iter().filter(asked).count()
    }

    /// Counts the alarms of the last [`MONTH_SECONDS`] by their answers.
    pub(super) fn month(&self, now: i64) -> Month {
        let mut month = Month::default();
        for alarm in self.list.iter().filter(|alarm| alarm.alarm.raised_at > now - MONTH_SECONDS) {
            if alarm.asks && alarm.answer.is_none() && alarm.alarm.raised_at > now - WEEK_SECONDS {
                month.questions += 1;
            }
            match alarm.answer.map(|(verdict, _)| verdict) {
                _ if !leads(alarm) => month.suppressed += usize::from(alarm.merged_into.is_none()),
                Some(Verdict::Confirmed) => month.confirmed += 1,
                Some(Verdict::Dismissed) => month.dismissed += 1,
                Some(Verdict::Expected) => month.expected += 1,
                None => month.unanswered += 1,
            }
        }
        month
    }

    /// Those raised in (`from`, `until`], oldest first.
    pub(super) fn raised_in(&self, from: i64, until: i64) -> impl Iterator<Item = &ShownAlarm> {
        self.list.iter().filter(move |alarm| alarm.alarm.raised_at > from && alarm.alarm.raised_at <= until)
    }
}

fn onset(shown: &ShownAlarm) -> Onset<'_> {
    Onset {
        entity: &shown.entity_id,
        raised_at: shown.alarm.raised_at,
        kind: shown.alarm.kind,
        device: shown.place.device.as_deref(),
        area: shown.place.area.as_deref(),
    }
}

/// Adds a name to those that a notice lists.
pub(super) fn add_moved(alarm: &mut ShownAlarm, name: String) {
    if alarm.moved_with.len() < MOVED_WITH_MAX && !alarm.moved_with.contains(&name) {
        alarm.moved_with.push(name);
    }
}

/// Whether residents were notified of it by a notice of its own.
fn leads(alarm: &ShownAlarm) -> bool {
    alarm.is_shown() && alarm.merged_into.is_none()
}

/// Whether an alarm is still on: it lasts, and it is a danger, or it was shown and not answered as false or expected.
fn matters(alarm: &ShownAlarm) -> bool {
    let waved_away = matches!(alarm.answer, Some((Verdict::Dismissed | Verdict::Expected, _)));
    let shown = alarm.alarm.kind.is_danger() || (leads(alarm) && !waved_away);
    alarm.alarm.end.is_none() && shown
}

/// Whether residents may be notified after all when it becomes worse: no mute or mode suppresses it.
pub(super) fn may_notify_again(alarm: &ShownAlarm) -> bool {
    alarm.due.is_some()
        || matches!(alarm.suppressed, Some(Suppression::Mode | Suppression::Budget | Suppression::Passed))
}
