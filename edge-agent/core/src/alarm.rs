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
    /// The alarm as the detector last updated it.
    pub alarm: Alarm,
    /// Home Assistant's id of the entity: the detector's index does not survive a restart.
    pub entity_id: String,
    /// Device class of the entity when the alarm was raised.
    pub class: DeviceClass,
    /// Unit of the alarm's `observed` and `band`; empty where the entity has none.
    pub unit: String,
    /// The model in use when the alarm was raised.
    pub model_version: ModelVersion,
    /// The residents' answer, if any, and when it was given: the last one counts.
    pub answer: Option<(Verdict, i64)>,
    /// What people call the entity, and where it is.
    #[serde(default)]
    pub place: Place,
    /// Other entities that were unusual at the same time, by name, the most unusual first.
    #[serde(default)]
    pub moved_with: Vec<String>,
    /// Why no resident was notified; none where one was, or is to be.
    #[serde(default, rename = "held")]
    pub suppressed: Option<Suppression>,
    /// When residents are to be notified, Unix seconds, unless the alarm is over by then.
    #[serde(default)]
    pub due: Option<i64>,
    /// Id of the alarm whose notice also covers this one.
    #[serde(default, rename = "led_by")]
    pub merged_into: Option<String>,
    /// How many other alarms its notice covers.
    #[serde(default, rename = "speaks_for")]
    pub merged_count: u16,
    /// What it has in common with the alarms that its notice covers; none while it covers none.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// Whether the residents are asked: it is unsure, and nothing like it was answered before.
    #[serde(default)]
    pub asks: bool,
    /// The last answer of each person who answered, oldest first.
    #[serde(default)]
    pub answers: Vec<PersonsAnswer>,
    /// Whether the outbox took the record of the last answer.
    #[serde(default)]
    pub shared: bool,
    /// Rebuilt from Home Assistant's recorder after the history was lost: the feature window is missing.
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
    /// Counted in characters, not bytes; longer text is cut.
    pub const CHARS_MAX: usize = 200;

    /// White space and control characters become single spaces; none where nothing else is left.
    #[must_use]
    pub fn new(typed: &str) -> Option<Self> {
        let line = typed.split(|letter: char| letter.is_whitespace() || letter.is_control());
        let line = line.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let line: String = line.chars().take(Self::CHARS_MAX).collect();
        (!line.is_empty()).then_some(Self(line))
    }

    /// The cleaned text, one line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An earlier alarm of the same kind, and the answer that it got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Precedent {
    /// Unix seconds.
    pub raised_at: i64,
    /// Name of the resident, as in [`PersonsAnswer::by`].
    pub by: String,
    /// Never without a reason: only reasoned answers become precedents.
    pub verdict: Verdict,
    /// Quoted to residents beside the new alarm.
    pub reason: Reason,
}

/// One person's answer to an alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonsAnswer {
    /// The person's name in Home Assistant or on the telephone; empty when it is not known.
    pub by: String,
    /// A later answer of the same person replaces it.
    pub verdict: Verdict,
    /// Unix seconds.
    pub at: i64,
    /// None where the person gave no reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl StoredAlarm {
    /// An alarm that nobody has answered and that is shown as it is.
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

    /// Whether residents were notified, by this alarm or by the one that it was merged into.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.suppressed.is_none() && self.due.is_none()
    }

    /// Whether the last answers of two people differ.
    #[must_use]
    pub fn is_disputed(&self) -> bool {
        self.answers.iter().any(|answer| answer.verdict != self.answers[0].verdict)
    }

    /// Takes one person's answer; the last one counts. The same answer of the same person without a reason keeps the earlier reason.
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

    /// Whether it is about more than usual, rather than about less.
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
