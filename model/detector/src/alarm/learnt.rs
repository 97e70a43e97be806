//! What the home has learnt from which answer, in words: nothing is quietened in secret.

use serde::{Deserialize, Serialize};

use crate::alarm::Verdict;
use crate::alarm::memory::{RememberedAnswer, VerdictMemory};
use crate::finding::AnomalyKind;

/// What one answer does to what comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The threshold is raised by so much where the circumstances are the same.
    Quietens {
        /// In units of the score.
        by: f32,
    },
    /// What was confirmed is never quietened.
    Protects,
    /// A confirmed alarm of the same kind and time of day stands against this dismissal, which has no effect.
    Contradicted {
        /// The alarm that was confirmed.
        by: String,
    },
    /// The answer is not learnt from.
    Nothing,
}

/// One answer and what it does. Taken back with [`HomeDetector::take_back`](crate::detector::HomeDetector::take_back).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learnt {
    /// The alarm that was answered.
    pub alarm_id: String,
    /// Home Assistant's id of its entity.
    pub entity_id: String,
    /// In what way it was unusual.
    pub kind: AnomalyKind,
    /// Above (1) or below (−1) the expectation; 0 where there is no telling.
    pub direction: i8,
    /// The one that counts, were several given.
    pub verdict: Verdict,
    /// When it was given, in Unix seconds.
    pub answered_at: i64,
    /// The hours of the home's day, from and to, that it is about; none when it is about all of them. May pass midnight.
    pub hours: Option<(f32, f32)>,
    /// Worked out from all answers as they stand now.
    pub effect: Effect,
}

impl Learnt {
    /// The effect in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let name = &self.entity_id;
        let when = self.hours.map_or_else(
            || "at any time".to_owned(),
            |(from, to)| format!("between {} and {}", clock(from), clock(to)),
        );
        let way = match self.direction {
            1 => "high ",
            -1 => "low ",
            _ => "",
        };
        let manner = format!("{way}{}", self.kind.as_str().replace('_', " "));
        match &self.effect {
            Effect::Quietens { by } => {
                format!(
                    "{name} is quiet {when} about {manner}, unless it is plainly stronger (threshold raised by {by:.1})."
                )
            }
            Effect::Protects => format!("{name} is never quietened about {manner} {when}: it was confirmed."),
            Effect::Contradicted { .. } => {
                format!("{name} still speaks {when} about {manner}: the same was confirmed once, and that counts more.")
            }
            Effect::Nothing => format!("{name}: an expected event teaches nothing."),
        }
    }
}

/// What every answer does, newest first; `name` gives an entity's id.
pub(crate) fn learnt(memory: &VerdictMemory, name: impl Fn(u32) -> Option<String>) -> Vec<Learnt> {
    let view = |answer: &RememberedAnswer| {
        Some(Learnt {
            alarm_id: answer.alarm_id.clone(),
            entity_id: name(answer.context.entity)?,
            kind: answer.context.kind,
            direction: answer.context.direction,
            verdict: answer.verdict,
            answered_at: answer.at,
            hours: answer.hours(),
            effect: effect(memory, answer),
        })
    };
    memory.all().iter().rev().filter_map(view).collect()
}

fn effect(memory: &VerdictMemory, answer: &RememberedAnswer) -> Effect {
    match answer.verdict {
        Verdict::Confirmed => Effect::Protects,
        Verdict::Expected => Effect::Nothing,
        Verdict::Dismissed => {
            let against = memory.all().iter().rev().find(|other| {
                other.verdict == Verdict::Confirmed
                    && other.context.entity == answer.context.entity
                    && other.context.kind == answer.context.kind
                    && other.likeness(&answer.context) > 0.0
            });
            against.map_or(Effect::Quietens { by: answer.weight() }, |other| Effect::Contradicted {
                by: other.alarm_id.clone(),
            })
        }
    }
}

/// A time of day such as `07:30`.
fn clock(hour: f32) -> String {
    let minutes = (hour.rem_euclid(24.0) * 60.0).round() as u32 % (24 * 60);
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::Context;

    fn answer(id: &str, hour: f32, verdict: Verdict) -> RememberedAnswer {
        let context = Context { entity: 0, kind: AnomalyKind::Level, direction: 1, hour };
        RememberedAnswer { alarm_id: id.into(), context, excess: 2.0, verdict, at: 60, lasted_hours: 1.5 }
    }

    fn shown(answers: &[RememberedAnswer]) -> Vec<Learnt> {
        let mut memory = VerdictMemory::default();
        answers.iter().cloned().for_each(|answer| memory.learn(answer));
        learnt(&memory, |entity| (entity == 0).then(|| "sensor.south".to_owned()))
    }

    #[test]
    fn a_dismissal_says_what_it_quietens_and_when() {
        let shown = shown(&[answer("a", 13.0, Verdict::Dismissed)]);
        assert_eq!(
            shown[0].sentence(),
            "sensor.south is quiet between 10:00 and 17:30 about high level, unless it is plainly stronger (threshold raised by 5.5)."
        );
    }

    #[test]
    fn a_dismissal_that_a_confirmation_contradicts_says_so() {
        let shown = shown(&[answer("a", 13.0, Verdict::Dismissed), answer("b", 14.0, Verdict::Confirmed)]);
        assert_eq!(shown[0].effect, Effect::Protects);
        assert_eq!(shown[1].effect, Effect::Contradicted { by: "b".into() });
    }

    #[test]
    fn every_answer_is_shown_newest_first_and_expected_does_nothing() {
        let shown = shown(&[answer("a", 13.0, Verdict::Dismissed), answer("b", 2.0, Verdict::Expected)]);
        assert_eq!(shown.iter().map(|one| one.alarm_id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(shown[0].effect, Effect::Nothing);
    }

    #[test]
    fn hours_may_pass_midnight() {
        assert_eq!(shown(&[answer("a", 23.0, Verdict::Dismissed)])[0].hours, Some((20.0, 3.5)));
    }
}
