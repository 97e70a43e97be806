//! What a home remembers of its answers: the dismissed nuisance that comes again is quiet, the confirmed never.
//!
//! A dismissal raises the threshold of that entity, in that direction and manner and around that time of day, by what the
//! alarm exceeded it and a margin: the same thing again stays below, something plainly bigger still speaks. What was
//! confirmed is never quietened: not at its time of day, and at no other when it comes as strong as it did. "Expected"
//! is not learnt from. Answers can be changed and taken back; the last one counts.

use serde::{Deserialize, Serialize};

use crate::alarm::Verdict;
use crate::finding::AnomalyKind;

/// Answers that are remembered: at an alarm a day more than a year's.
pub const ANSWERS_MAX: usize = 512;
/// A dismissal is believed by this much beyond what the alarm exceeded its threshold: a nuisance varies from day to day.
const MARGIN: f32 = 3.0;
/// As a share of the excess, likewise.
const EXCESS_SHARE: f32 = 1.25;
/// The most that dismissals raise a threshold, in units of the score: e⁻¹⁵ of the rate.
const PENALTY_MAX: f32 = 15.0;
/// Within this many hours of the same time of day it is the same nuisance …
const SAME_HOURS: f32 = 2.0;
/// … and beyond this many it is another.
const OTHER_HOURS: f32 = 4.0;
/// How alike two statistical kinds are: a nuisance that was a change today may be a level tomorrow.
const KIN: f32 = 0.7;
/// The longest stretch of the day that one answer is about. What lasts longer has no time of day.
const LASTING_HOURS_MAX: f32 = 12.0;

/// In what circumstances something was, or is, unusual.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// Index of the entity.
    pub entity: u32,
    /// Related statistical kinds count as nearly the same.
    pub kind: AnomalyKind,
    /// Above (1) or below (−1) the expectation; 0 where there is no telling.
    pub direction: i8,
    /// Local time of day in hours, [0, 24).
    pub hour: f32,
}

/// One answer and what it was about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RememberedAnswer {
    /// The alarm that was answered.
    pub alarm_id: String,
    /// When the alarm was raised.
    pub context: Context,
    /// By how much it exceeded its threshold.
    pub excess: f32,
    /// The answer that counts.
    pub verdict: Verdict,
    /// When it was given, in Unix seconds.
    pub at: i64,
    /// For how long the alarm lasted, in hours from [`Context::hour`] on.
    #[serde(default)]
    pub lasted_hours: f32,
}

/// The answers of a home, newest last.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct VerdictMemory {
    #[serde(rename = "lessons")]
    answers: Vec<RememberedAnswer>,
}

impl VerdictMemory {
    /// Takes an answer; it replaces an earlier one about the same alarm.
    pub fn learn(&mut self, answer: RememberedAnswer) {
        self.answers.retain(|known| known.alarm_id != answer.alarm_id);
        if self.answers.len() >= ANSWERS_MAX {
            self.answers.remove(0);
        }
        self.answers.push(answer);
    }

    /// Takes an answer back, as if it had never been given.
    pub fn forget(&mut self, alarm_id: &str) -> Option<RememberedAnswer> {
        let place = self.answers.iter().position(|answer| answer.alarm_id == alarm_id)?;
        Some(self.answers.remove(place))
    }

    /// An alarm that was answered while it lasted has grown or ended: the answer is about all of it.
    pub(crate) fn follow(&mut self, alarm_id: &str, excess: f32, lasted_hours: f32) {
        if let Some(answer) = self.answers.iter_mut().rfind(|answer| answer.alarm_id == alarm_id) {
            answer.excess = answer.excess.max(excess);
            answer.lasted_hours = answer.lasted_hours.max(lasted_hours);
        }
    }

    /// The answers, oldest first: what a resident is shown, and can change.
    #[must_use]
    pub fn all(&self) -> &[RememberedAnswer] {
        &self.answers
    }

    /// By how much the threshold is raised in these circumstances, from 0 to `PENALTY_MAX`.
    #[must_use]
    pub fn penalty(&self, context: &Context) -> f32 {
        let (mut sum, mut ceiling) = (0.0f32, PENALTY_MAX);
        for answer in self.answers.iter().filter(|answer| answer.context.entity == context.entity) {
            match answer.verdict {
                Verdict::Confirmed if answer.context.kind == context.kind && same_way(&answer.context, context) => {
                    if answer.nearness(context.hour) > 0.0 {
                        return 0.0;
                    }
                    ceiling = ceiling.min(answer.excess.max(0.0));
                }
                Verdict::Dismissed => sum += answer.likeness(context) * answer.weight(),
                Verdict::Confirmed | Verdict::Expected => {}
            }
        }
        sum.clamp(0.0, ceiling)
    }
}

impl RememberedAnswer {
    /// By how much a dismissal raises the threshold where the circumstances are the same.
    pub(crate) fn weight(&self) -> f32 {
        MARGIN + EXCESS_SHARE * self.excess.max(0.0)
    }

    /// How much circumstances of the same entity are those of this answer, in [0, 1].
    pub(crate) fn likeness(&self, context: &Context) -> f32 {
        let own = &self.context;
        let kind = if own.kind == context.kind {
            1.0
        } else if statistical(own.kind) && statistical(context.kind) {
            KIN
        } else {
            0.0
        };
        if same_way(own, context) { kind * self.nearness(context.hour) } else { 0.0 }
    }

    /// How near a time of day is to that of the alarm, from its beginning to its end, in [0, 1].
    fn nearness(&self, hour: f32) -> f32 {
        if timeless(self.context.kind) {
            return 1.0;
        }
        let lasted = self.lasted_hours.clamp(0.0, LASTING_HOURS_MAX);
        let after = (hour - self.context.hour).rem_euclid(24.0);
        let apart = if after <= lasted { 0.0 } else { (after - lasted).min(24.0 - after) };
        ((OTHER_HOURS - apart) / (OTHER_HOURS - SAME_HOURS)).clamp(0.0, 1.0)
    }

    /// The hours of the day, from and to, that the answer is about; none for what has no time of day.
    pub(crate) fn hours(&self) -> Option<(f32, f32)> {
        let reach = OTHER_HOURS.midpoint(SAME_HOURS);
        let lasted = self.lasted_hours.clamp(0.0, LASTING_HOURS_MAX);
        let hour = self.context.hour;
        (!timeless(self.context.kind))
            .then(|| ((hour - reach).rem_euclid(24.0), (hour + lasted + reach).rem_euclid(24.0)))
    }
}

fn same_way(a: &Context, b: &Context) -> bool {
    a.direction == b.direction || a.direction == 0 || b.direction == 0
}

fn statistical(kind: AnomalyKind) -> bool {
    matches!(
        kind,
        AnomalyKind::Level | AnomalyKind::Change | AnomalyKind::Noise | AnomalyKind::Peers | AnomalyKind::Pattern
    )
}

/// A device that fails does so at any hour.
fn timeless(kind: AnomalyKind) -> bool {
    kind.is_rule()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(kind: AnomalyKind, direction: i8, hour: f32) -> Context {
        Context { entity: 3, kind, direction, hour }
    }

    fn answer(id: &str, context: Context, verdict: Verdict) -> RememberedAnswer {
        RememberedAnswer { alarm_id: id.into(), context, excess: 2.0, verdict, at: 0, lasted_hours: 0.0 }
    }

    fn after(answers: &[RememberedAnswer]) -> VerdictMemory {
        let mut memory = VerdictMemory::default();
        answers.iter().cloned().for_each(|answer| memory.learn(answer));
        memory
    }

    const EVENING_HIGH: (AnomalyKind, i8, f32) = (AnomalyKind::Level, 1, 18.5);

    fn evening() -> Context {
        context(EVENING_HIGH.0, EVENING_HIGH.1, EVENING_HIGH.2)
    }

    #[test]
    fn a_stored_memory_keeps_its_names() {
        let memory = after(&[answer("a", evening(), Verdict::Dismissed)]);
        let stored = serde_json::to_value(&memory).unwrap();
        assert_eq!(stored["lessons"][0]["alarm_id"], "a");
        assert_eq!(serde_json::from_value::<VerdictMemory>(stored).unwrap(), memory);
    }

    #[test]
    fn a_dismissed_nuisance_is_quiet_at_its_next_occurrence() {
        let memory = after(&[answer("a", evening(), Verdict::Dismissed)]);
        // It exceeded by 2; tomorrow, an hour later and half as strong again, it still does not reach the threshold.
        assert!(memory.penalty(&context(AnomalyKind::Level, 1, 19.5)) > 3.0);
        assert!(memory.penalty(&context(AnomalyKind::Change, 1, 18.0)) > 2.0);
    }

    #[test]
    fn another_time_direction_manner_or_entity_is_not_quietened() {
        let memory = after(&[answer("a", evening(), Verdict::Dismissed)]);
        assert_eq!(memory.penalty(&context(AnomalyKind::Level, 1, 3.0)), 0.0);
        assert_eq!(memory.penalty(&context(AnomalyKind::Level, -1, 18.5)), 0.0);
        assert_eq!(memory.penalty(&context(AnomalyKind::Silent, 1, 18.5)), 0.0);
        assert_eq!(memory.penalty(&Context { entity: 4, ..evening() }), 0.0);
    }

    #[test]
    fn what_was_confirmed_is_never_quietened() {
        let memory = after(&[answer("a", evening(), Verdict::Dismissed), answer("b", evening(), Verdict::Confirmed)]);
        assert_eq!(memory.penalty(&evening()), 0.0);
    }

    #[test]
    fn what_was_confirmed_at_another_hour_speaks_when_it_comes_as_strong() {
        let night = context(AnomalyKind::Level, 1, 3.0);
        let memory = after(&[
            answer("a", evening(), Verdict::Dismissed),
            RememberedAnswer { excess: 1.5, ..answer("b", night, Verdict::Confirmed) },
        ]);
        assert_eq!(memory.penalty(&evening()), 1.5);
        assert_eq!(memory.penalty(&night), 0.0);
    }

    #[test]
    fn an_answer_taken_back_is_as_if_never_given() {
        let mut memory = after(&[answer("a", evening(), Verdict::Dismissed)]);
        assert_eq!(memory.forget("a").map(|answer| answer.alarm_id), Some("a".to_owned()));
        assert_eq!(memory, VerdictMemory::default());
        assert_eq!(memory.forget("a"), None);
    }

    #[test]
    fn a_nuisance_that_lasts_is_quiet_to_its_end() {
        let mut memory = after(&[answer("a", evening(), Verdict::Dismissed)]);
        let late = context(AnomalyKind::Level, 1, 23.5);
        assert_eq!(memory.penalty(&late), 0.0);
        memory.follow("a", 4.0, 5.0);
        assert_eq!(memory.penalty(&late), 8.0);
        assert_eq!(memory.penalty(&evening()), 8.0);
    }

    #[test]
    fn answers_of_before_lengths_were_kept_still_read() {
        let text = r#"{"alarm_id":"a","context":{"entity":3,"kind":"level","direction":1,"hour":18.5},"excess":2.0,"verdict":"dismissed","at":0}"#;
        assert_eq!(serde_json::from_str::<RememberedAnswer>(text).unwrap(), answer("a", evening(), Verdict::Dismissed));
    }

    #[test]
    fn expected_teaches_nothing() {
        assert_eq!(after(&[answer("a", evening(), Verdict::Expected)]).penalty(&evening()), 0.0);
    }

    #[test]
    fn an_answer_can_be_changed_and_the_last_one_counts() {
        let memory = after(&[answer("a", evening(), Verdict::Dismissed), answer("a", evening(), Verdict::Expected)]);
        assert_eq!(memory.penalty(&evening()), 0.0);
        assert_eq!(memory.all().len(), 1);
    }

    #[test]
    fn midnight_is_near_half_past_eleven() {
        let late = context(AnomalyKind::Level, 1, 23.5);
        let memory = after(&[answer("a", late, Verdict::Dismissed)]);
        assert!(memory.penalty(&context(AnomalyKind::Level, 1, 0.5)) > 3.0);
    }

    #[test]
    fn memory_and_penalty_are_bounded() {
        let mut memory = VerdictMemory::default();
        for index in 0..2000 {
            memory.learn(answer(&format!("{index}"), evening(), Verdict::Dismissed));
        }
        assert_eq!(memory.all().len(), ANSWERS_MAX);
        assert_eq!(memory.penalty(&evening()), PENALTY_MAX);
    }
}
