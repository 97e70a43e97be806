//! An alarm with all that is needed to show it and to answer it, and what the residents answered.

use hearthwatch_detector::alarm::{Alarm, Cause, Verdict};
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::finding::AnomalyKind;
use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_protocol::ModelVersion;
use serde::{Deserialize, Serialize};

use crate::preferences::{Place, Suppression};

/// People whose answers to one alarm are remembered: a large household.
const PERSONS_MAX: usize = 16;

/// An alarm with all that is needed to show it and to answer it, also after a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredAlarm {
    /// The alarm as the detector told it last.
    pub alarm: Alarm,
    /// Home Assistant's id of the entity: the detector's index does not survive a restart.
    pub entity_id: String,
    /// What it measures.
    pub class: DeviceClass,
    /// The unit of `observed` and `band`.
    pub unit: String,
    /// The model that raised it.
    pub model_version: ModelVersion,
    /// The residents' answer, if any, and when it was given: the last one counts.
    pub answer: Option<(Verdict, i64)>,
    /// What people call the entity, and where it is.
    #[serde(default)]
    pub place: Place,
    /// Other entities that were unusual at the same time, by name, the most unusual first.
    #[serde(default)]
    pub moved_with: Vec<String>,
    /// Remembered but not said, and why.
    #[serde(default, rename = "held")]
    pub suppressed: Option<Suppression>,
    /// To be said at this time, unless it is over by then.
    #[serde(default)]
    pub due: Option<i64>,
    /// The alarm that was said for both of them.
    #[serde(default, rename = "led_by")]
    pub merged_into: Option<String>,
    /// How many other alarms it was said for.
    #[serde(default, rename = "speaks_for")]
    pub merged_count: u16,
    /// What ties it to them; none while there are none.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// Whether the residents are asked: it is unsure, and nothing like it was answered before.
    #[serde(default)]
    pub asks: bool,
    /// The last answer of each person who answered, oldest first.
    #[serde(default)]
    pub answers: Vec<PersonsAnswer>,
    /// Whether the last answer was kept for the fleet.
    #[serde(default)]
    pub shared: bool,
    /// Known only from what Home Assistant remembers of it: what the model saw is lost.
    #[serde(default)]
    pub recovered: bool,
    /// One like it that somebody gave a reason for, as known when it was raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precedent: Option<Precedent>,
}

/// Why somebody answered as they did, in their own words: one line of at most [`Reason::CHARS_MAX`] letters. It stays in the
/// home: no message to the fleet has a place for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reason(String);

impl Reason {
    /// A sentence or two, as on a note on the fridge.
    pub const CHARS_MAX: usize = 200;

    /// From what was typed; none where that says nothing.
    #[must_use]
    pub fn new(typed: &str) -> Option<Self> {
        let line = typed.split(|letter: char| letter.is_whitespace() || letter.is_control());
        let line = line.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let line: String = line.chars().take(Self::CHARS_MAX).collect();
        (!line.is_empty()).then_some(Self(line))
    }

    /// It.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An alarm of before that this one is like, and what was said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Precedent {
    /// When it was raised.
    pub raised_at: i64,
    /// Who spoke; empty when nobody knows.
    pub by: String,
    /// Their answer.
    pub verdict: Verdict,
    /// And why.
    pub reason: Reason,
}

/// What one person said of an alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonsAnswer {
    /// Who, as Home Assistant or the phone calls them; empty when nobody said.
    pub by: String,
    /// Their answer.
    pub verdict: Verdict,
    /// When.
    pub at: i64,
    /// Why, where they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl StoredAlarm {
    /// An alarm that nobody has answered, said as it is.
    #[must_use]
    pub fn new(alarm: Alarm, info: &EntityInfo, place: Place, model_version: ModelVersion) -> Self {
        Self {
            alarm,
            entity_id: info.entity_id.clone(),
            class: info.class,
            unit: info.shown_unit(),
            model_version,
            answer: None,
            place,
            moved_with: Vec::new(),
            suppressed: None,
            due: None,
            merged_into: None,
            merged_count: 0,
            cause: None,
            asks: false,
            answers: Vec::new(),
            shared: false,
            recovered: false,
            precedent: None,
        }
    }

    /// Whether the residents were told, by this alarm or by the one that led it.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.suppressed.is_none() && self.due.is_none()
    }

    /// Whether two people see it differently.
    #[must_use]
    pub fn is_disputed(&self) -> bool {
        self.answers.iter().any(|answer| answer.verdict != self.answers[0].verdict)
    }

    /// Takes one person's answer; the last one counts. Who says the same again without a reason has the one of before.
    pub fn take_answer(&mut self, by: &str, verdict: Verdict, reason: Option<Reason>, at: i64) {
        self.answer = Some((verdict, at));
        let before = self.answers.iter().find(|answer| answer.by == by && answer.verdict == verdict);
        let reason = reason.or_else(|| before.and_then(|answer| answer.reason.clone()));
        self.answers.retain(|answer| answer.by != by);
        if self.answers.len() >= PERSONS_MAX {
            self.answers.remove(0);
        }
        self.answers.push(PersonsAnswer { by: by.to_owned(), verdict, at, reason });
    }

    /// The last reason that was given for the answer that counts, or for another where that one has none.
    #[must_use]
    pub fn reasoned(&self) -> Option<(&PersonsAnswer, &Reason)> {
        let counts = self.answer.map(|(verdict, _)| verdict);
        let with_reason = || self.answers.iter().rev().filter_map(|answer| Some((answer, answer.reason.as_ref()?)));
        with_reason().find(|(answer, _)| Some(answer.verdict) == counts).or_else(|| with_reason().next())
    }

    /// Whether it is of more than usual, rather than of less.
    #[must_use]
    pub fn is_too_much(&self) -> bool {
        match (self.alarm.kind, self.alarm.observed, self.alarm.band) {
            (
                AnomalyKind::Stopped
                | AnomalyKind::Battery
                | AnomalyKind::FewReports
                | AnomalyKind::Production
                | AnomalyKind::Cold,
                ..,
            ) => false,
            (kind, ..) if kind.has_own_threshold() => true,
            (AnomalyKind::Rate | AnomalyKind::QuietHour | AnomalyKind::Alert | AnomalyKind::Noise, ..) => true,
            (AnomalyKind::Flat | AnomalyKind::Silent, ..) => false,
            (AnomalyKind::TimeInState, observed, _) => observed.is_some_and(|share| share > 0.5),
            (_, Some(observed), Some(band)) => observed >= band.expected,
            _ => true,
        }
    }
}
