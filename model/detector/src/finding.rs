//! What is found in a step: of which kind, how unusual, against which expectation.

use serde::{Deserialize, Serialize};

/// ln of the 1,008 steps of a week.
pub(crate) const LN_STEPS_PER_WEEK: f32 = 6.9157;

/// In what way something is unusual; the kind whose evidence is strongest names an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum AnomalyKind {
    /// Too high or too low for the time of day.
    Level,
    /// A move that the last hours did not announce.
    Change,
    /// Restless: more noise than this entity ever makes.
    Noise,
    /// At odds with the entities that it usually follows.
    Peers,
    /// Reports go on, the value does not move.
    Flat,
    /// No report for much longer than ever before.
    Silent,
    /// A value that the quantity cannot have.
    Physics,
    /// On or off for too long at this hour of the week.
    TimeInState,
    /// Switching more often than at this hour of the week.
    Rate,
    /// It did not follow what it usually follows, several times on end.
    Habit,
    /// A sensor that exists to warn, of smoke or water, and hardly ever does.
    Alert,
    /// A pattern that the network finds unusual and no single rule names.
    Pattern,
    /// On for longer than ever ([`rules`](crate::rules)).
    Running,
    /// A cycling appliance that does not start again.
    Stopped,
    /// Water that never stops.
    Leak,
    /// An hour of more water than ever.
    Burst,
    /// A freezer or a fridge that gets warm.
    Warm,
    /// A battery that is empty, or soon will be.
    Battery,
    /// Ever fewer reports.
    FewReports,
    /// Less solar power than these days allow.
    Production,
    /// Active in an hour that is otherwise still.
    QuietHour,
    /// A room that stays damp.
    Damp,
    /// A room that gets cold where heating runs.
    Cold,
    /// A load or a roof far beyond the most of its last weeks.
    Beyond,
    /// Unavailable together with others: a radio stick or a hub that is gone.
    Offline,
}

impl AnomalyKind {
    /// The kind in a word, as in topics and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Level => "level",
            Self::Change => "change",
            Self::Noise => "noise",
            Self::Peers => "peers",
            Self::Flat => "flat",
            Self::Silent => "silent",
            Self::Physics => "physics",
            Self::TimeInState => "time_in_state",
            Self::Rate => "rate",
            Self::Habit => "habit",
            Self::Alert => "alert",
            Self::Pattern => "pattern",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Leak => "leak",
            Self::Burst => "burst",
            Self::Warm => "warm",
            Self::Battery => "battery",
            Self::FewReports => "few_reports",
            Self::Production => "production",
            Self::QuietHour => "quiet_hour",
            Self::Damp => "damp",
            Self::Cold => "cold",
            Self::Beyond => "beyond",
            Self::Offline => "offline",
        }
    }

    /// Whether it comes from a deterministic rule rather than from statistics.
    #[must_use]
    pub fn is_rule(self) -> bool {
        matches!(self, Self::Flat | Self::Silent | Self::Physics | Self::Alert) || self.has_own_threshold()
    }

    /// Whether it is a rule for one fault, which says yes or no whatever the home's budget ([`rules`](crate::rules)).
    #[must_use]
    pub fn has_own_threshold(self) -> bool {
        matches!(
            self,
            Self::Running
                | Self::Stopped
                | Self::Leak
                | Self::Burst
                | Self::Warm
                | Self::Battery
                | Self::FewReports
                | Self::Production
                | Self::Damp
                | Self::Cold
                | Self::Beyond
                | Self::Offline
        )
    }

    /// Whether it warns of danger: an alarm at once, critical, and outside of every budget, mute and answer.
    #[must_use]
    pub fn is_danger(self) -> bool {
        matches!(self, Self::Alert | Self::Warm)
    }

    /// Whether it looks like a lost connection: no report, or the last one for ever.
    #[must_use]
    pub fn is_quiet(self) -> bool {
        matches!(self, Self::Flat | Self::Silent)
    }

    /// Whether one sample is evidence enough: a broken value needs no second witness, and smoke cannot wait for one.
    #[must_use]
    pub fn immediate(self) -> bool {
        matches!(self, Self::Physics | Self::Alert)
    }
}

/// What was expected, in the unit that is shown ([`EntityInfo::shown_unit`](crate::reading::EntityInfo::shown_unit)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// Below this is unusual.
    pub low: f32,
    /// The median of this time of day.
    pub expected: f32,
    /// Above this is unusual.
    pub high: f32,
}

impl Band {
    /// Whether all three are numbers.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.low.is_finite() && self.expected.is_finite() && self.high.is_finite()
    }
}

/// The baseline detector's judgement of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BaselineScore {
    /// Minus the logarithm of how often a week a step as unusual as this is expected: 0 is once a week, 2.3 once in ten
    /// weeks. The deterministic rules are put on the same scale.
    pub score: f32,
    /// Of the expert or rule with the highest score.
    pub kind: AnomalyKind,
    /// The figure behind `kind`, for the reason that is given: the step's value (`Level`, `Pattern`), the unannounced
    /// move (`Change`), the usual move from step to step (`Noise`), the distance from what the peers say (`Peers`), hours
    /// (`Flat`, `Silent`, `TimeInState`), switches in an hour (`Rate`, `QuietHour`), missed
    /// occasions (`Habit`), the impossible value (`Physics`), hours (`Running`, `Stopped`, `Warm`), litres an hour (`Leak`, `Burst`), the
    /// charge in % (`Battery`), ten-minute steps of the last day with a report (`FewReports`), the highest watts of three days
    /// (`Production`).
    pub amount: f32,
    /// What that figure usually stays below; 0 where the kind needs none. For `Alert`: how often it turned on lately. For `Habit`:
    /// the share of the occasions on which it follows. For `Battery`: the days that are left at this rate, 0 where it is empty
    /// enough already. For `Warm`: the highest usual temperature, in the shown unit. For `Production` and `FewReports`: the least that was usual.
    pub usual: f32,
}

impl BaselineScore {
    /// The lowest score: a step like any other, once in every step of the week.
    pub const FLOOR: f32 = -LN_STEPS_PER_WEEK;

    /// The lowest score there is, as of a step like any other.
    #[must_use]
    pub fn calm() -> Self {
        Self { score: Self::FLOOR, kind: AnomalyKind::Level, amount: 0.0, usual: 0.0 }
    }
}

/// What a rule has found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Finding {
    pub(crate) kind: AnomalyKind,
    /// The figure that is shown; its meaning by kind is in [`BaselineScore::amount`].
    pub(crate) amount: f32,
    /// What that figure usually stays below, or above.
    pub(crate) usual: f32,
}
