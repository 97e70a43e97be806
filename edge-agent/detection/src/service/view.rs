//! What the detector service shows: the home at a glance, and notices of what happened to alarms.

use std::sync::Arc;

use hearthwatch_detector::alarm::Verdict;
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::detector::EntityScore;
use hearthwatch_detector::finding::Band;
use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_edge_core::backtest::Backtest;
use hearthwatch_edge_core::explain::Language;
use hearthwatch_edge_core::preferences::Preferences;
use hearthwatch_protocol::ModelVersion;
use jiff::tz::TimeZone;

use super::clock::SetBack;
use super::readiness::Readiness;

/// An alarm with all that is needed to show it.
pub type ShownAlarm = hearthwatch_edge_core::alarm::StoredAlarm;

/// The state of the home as residents see it. Only the newest view matters.
#[derive(Debug, Clone, PartialEq)]
pub struct HomeView {
    /// The alarm that is meant when nobody says which: the gravest open and unanswered one, else the newest.
    pub shown: Option<ShownAlarm>,
    /// The titles of alarms that last and were neither dismissed nor expected, the gravest first, then the newest.
    pub unusual: Vec<String>,
    /// The most unusual entity of the last step.
    pub most_unusual: Option<MostUnusual>,
    /// Version of the model in use.
    pub model: ModelVersion,
    /// Whether that is a network; without one the baseline detector judges alone.
    pub network: bool,
    /// The classes of this home's entities that it judges, in the order of their names; the baseline detector judges the
    /// others.
    pub judged: Vec<DeviceClass>,
    /// How many entities are watched.
    pub entities: usize,
    /// Whether readings come from Home Assistant and are judged; false while the past is learnt from.
    pub listening: bool,
    /// Whether the last step was judged as it was lived: not before the first one after a start.
    pub looked: bool,
    /// As last changed by residents.
    pub preferences: Preferences,
    /// Alarms a week that hold now: chosen by residents, else configured.
    pub budget: f64,
    /// Counts of the last 30 days.
    pub month: Month,
    /// What works already, and what is still being learnt.
    pub readiness: Arc<Readiness>,
    /// What the newest model would have changed last month.
    pub backtest: Option<Backtest>,
    /// The newest daily brief; none before the first one.
    pub brief: Option<Brief>,
    /// The home's.
    pub timezone: TimeZone,
    /// Of all texts for residents.
    pub language: Language,
    /// When this machine's clock was set back last, since the start.
    pub set_back: Option<SetBack>,
}

impl Default for HomeView {
    fn default() -> Self {
        Self {
            shown: None,
            unusual: Vec::new(),
            most_unusual: None,
            model: ModelVersion::default(),
            network: false,
            judged: Vec::new(),
            entities: 0,
            listening: false,
            looked: false,
            preferences: Preferences::default(),
            budget: 0.0,
            month: Month::default(),
            readiness: Arc::default(),
            backtest: None,
            brief: None,
            timezone: TimeZone::UTC,
            language: Language::default(),
            set_back: None,
        }
    }
}

/// Alarms of the last 30 days, by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Month {
    /// Answered as real.
    pub confirmed: usize,
    /// Answered as false.
    pub dismissed: usize,
    /// Answered as real and expected.
    pub expected: usize,
    /// Residents were notified, and nobody answered.
    pub unanswered: usize,
    /// Kept without a notice.
    pub suppressed: usize,
    /// Withheld: found and not kept as an alarm, since the budget of four weeks was used up.
    pub withheld: usize,
    /// Questions of the last week that nobody answered.
    pub questions: usize,
}

impl Month {
    /// Alarms of which residents were notified.
    #[must_use]
    pub fn shown(&self) -> usize {
        self.confirmed + self.dismissed + self.expected + self.unanswered
    }
}

/// The daily brief.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brief {
    /// When it was written, Unix seconds.
    pub at: i64,
    /// A few sentences in the residents' language.
    pub text: String,
}

/// The most unusual entity of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct MostUnusual {
    /// Home Assistant's id.
    pub entity_id: String,
    /// The name that residents see.
    pub name: String,
    /// End of the step, Unix seconds.
    pub at: i64,
    /// Not comparable between models; see [`MostUnusual::percent`].
    pub score: f32,
    /// What the score is compared with.
    pub threshold: f32,
    /// In `unit`; none where nothing was received in the step.
    pub observed: Option<f32>,
    /// The expected range, in `unit`; none during warm-up.
    pub band: Option<Band>,
    /// Of `observed` and `band`.
    pub unit: String,
}

impl MostUnusual {
    /// The entity whose score is furthest above, or least below, its threshold.
    pub(super) fn of(
        at: i64,
        scores: &[EntityScore],
        entities: &[EntityInfo],
        name_of: impl Fn(&str) -> String,
    ) -> Option<Self> {
        let margin = |score: &EntityScore| score.score.map_or(f32::NEG_INFINITY, |value| value - score.threshold);
        let most_unusual = scores
            .iter()
            .filter(|score| margin(score).is_finite())
            .max_by(|left, right| margin(left).total_cmp(&margin(right)))?;
        let info = entities.get(most_unusual.entity as usize)?;
        Some(Self {
            entity_id: info.entity_id.clone(),
            name: name_of(&info.entity_id),
            at,
            score: most_unusual.score?,
            threshold: most_unusual.threshold,
            observed: most_unusual.observed,
            band: most_unusual.band,
            unit: info.shown_unit(),
        })
    }

    /// The score on the scale of [`unusual_percent`].
    #[must_use]
    pub fn percent(&self) -> f64 {
        unusual_percent(self.score, self.threshold)
    }
}

/// How unusual, from 0 to 100: 50 is the threshold. A logistic of the distance to it.
#[must_use]
pub fn unusual_percent(score: f32, threshold: f32) -> f64 {
    100.0 / (1.0 + f64::from(threshold - score).exp())
}

/// What happened to an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// A new alarm.
    Raised,
    /// Its severity, its explanation or what was merged into it changed.
    Changed,
    /// The entity is usual again.
    Ended,
    /// A resident answered it.
    Answered(Verdict),
}

impl NoticeKind {
    /// Everything that [`NoticeKind::as_str`] may give: the event types in Home Assistant.
    pub const WORDS: [&'static str; 6] = ["raised", "changed", "ended", "confirmed", "dismissed", "expected"];

    /// One word, as in the event entity.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Changed => "changed",
            Self::Ended => "ended",
            Self::Answered(verdict) => verdict_name(verdict),
        }
    }
}

/// A verdict in one word, as on the answer topic.
#[must_use]
pub fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Confirmed => "confirmed",
        Verdict::Dismissed => "dismissed",
        Verdict::Expected => "expected",
    }
}

/// One thing that happened to one alarm.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// The event type in Home Assistant.
    pub kind: NoticeKind,
    /// As it is after that.
    pub alarm: ShownAlarm,
}
