//! The kinds of faults, and which entities each of them can befall.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::class::DeviceClass;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// A short excursion.
    Spike,
    /// A constant offset for hours.
    LevelShift,
    /// An offset that grows for days.
    Drift,
    /// Reports go on with the same value.
    Stuck,
    /// Reports stop.
    Missing,
    /// Restlessness for hours.
    NoiseBurst,
    /// What is reported happened half a day ago.
    TimeShift,
    /// An appliance or a state that nobody turned off.
    LeftOn,
    /// A little flow that never stops.
    SlowLeak,
    /// A room that follows the weather.
    WindowOpen,
}

impl Family {
    /// Every family.
    pub const ALL: &[Self] = &[
        Self::Spike,
        Self::LevelShift,
        Self::Drift,
        Self::Stuck,
        Self::Missing,
        Self::NoiseBurst,
        Self::TimeShift,
        Self::LeftOn,
        Self::SlowLeak,
        Self::WindowOpen,
    ];

    /// The family's name in labels and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spike => "spike",
            Self::LevelShift => "level_shift",
            Self::Drift => "drift",
            Self::Stuck => "stuck",
            Self::Missing => "missing",
            Self::NoiseBurst => "noise_burst",
            Self::TimeShift => "time_shift",
            Self::LeftOn => "left_on",
            Self::SlowLeak => "slow_leak",
            Self::WindowOpen => "window_open",
        }
    }

    /// Whether the fault makes sense for an entity.
    #[must_use]
    pub fn fits(self, entity_id: &str, class: DeviceClass) -> bool {
        let binary = class.is_binary();
        match self {
            // An event-driven sensor reports nothing for days in the best of health: its silence is no fault to label.
            Self::Missing => !binary,
            Self::Stuck => true,
            Self::Spike => !binary,
            Self::LevelShift | Self::Drift | Self::TimeShift => !binary && !class.counter(),
            Self::NoiseBurst => !class.counter(),
            Self::LeftOn => binary || matches!(class, DeviceClass::Power | DeviceClass::Current),
            Self::SlowLeak => {
                matches!(class, DeviceClass::Water | DeviceClass::Gas | DeviceClass::VolumeFlowRate)
            }
            Self::WindowOpen => class == DeviceClass::Temperature && !is_outdoor(entity_id),
        }
    }

    /// How long it lasts, in hours. A spike lasts at least three steps, since no single sample may raise an alarm.
    #[must_use]
    pub(super) fn hours(self) -> RangeInclusive<f64> {
        match self {
            Self::Spike => 0.5..=1.5,
            Self::LevelShift => 6.0..=24.0,
            Self::Drift => 24.0..=72.0,
            Self::Stuck => 8.0..=24.0,
            Self::Missing => 8.0..=24.0,
            Self::NoiseBurst => 3.0..=12.0,
            Self::TimeShift => 24.0..=36.0,
            Self::LeftOn => 4.0..=10.0,
            Self::SlowLeak => 24.0..=72.0,
            Self::WindowOpen => 2.0..=5.0,
        }
    }
}

/// Whether an entity measures outdoors, by its name.
pub(super) fn is_outdoor(entity_id: &str) -> bool {
    ["outdoor", "outside", "station"].iter().any(|word| entity_id.contains(word))
}
