//! The kinds of faults, and which entities each of them can befall.

use std::ops::RangeInclusive;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::rules::production;
use serde::{Deserialize, Serialize};

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
    /// A room that follows the weather: its temperature, and its humidity with it.
    WindowOpen,
    /// A door or window contact that stays open.
    DoorOpen,
    /// An appliance that cycles faster or slower than it did.
    DutyCycle,
    /// An extra load that comes and goes by the clock.
    PeriodicLoad,
    /// Two sensors of a class that report each other's values.
    SensorSwap,
    /// The same quantity in another unit.
    UnitChange,
    /// Water that runs without a pause, of a size that plumbers name: 5 to 100 litres an hour.
    SteadyLeak,
    /// A pipe that bursts: 300 to 1,500 litres an hour.
    PipeBurst,
    /// A solar roof of which a third or a half is dead, for a week.
    DeadPhase,
    /// An appliance of 500 W or more that was on and does not stop.
    NeverStops,
}

impl Family {
    /// The families that shipped weights are trained with and that the demo draws from. A seed's faults depend on this list
    /// and its order: it does not grow.
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

    /// Every family there is, for measuring.
    pub const EVERY: &[Self] = &[
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
        Self::DoorOpen,
        Self::DutyCycle,
        Self::PeriodicLoad,
        Self::SensorSwap,
        Self::UnitChange,
    ];

    /// Faults of water in litres, whatever the home uses. They are no part of [`Family::EVERY`], whose sizes are the entity's own.
    pub const PLUMBING: &[Self] = &[Self::SteadyLeak, Self::PipeBurst];

    /// What is dead on a solar roof, and what nobody turned off: faults that cost money, for the rules that look for them alone.
    pub const COSTLY: &[Self] = &[Self::DeadPhase, Self::NeverStops];

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
            Self::DoorOpen => "door_open",
            Self::DutyCycle => "duty_cycle",
            Self::PeriodicLoad => "periodic_load",
            Self::SensorSwap => "sensor_swap",
            Self::UnitChange => "unit_change",
            Self::SteadyLeak => "steady_leak",
            Self::PipeBurst => "pipe_burst",
            Self::DeadPhase => "dead_phase",
            Self::NeverStops => "never_stops",
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
            Self::SteadyLeak | Self::PipeBurst => class == DeviceClass::Water,
            Self::DeadPhase => class == DeviceClass::Power && production::is_named(entity_id),
            Self::NeverStops => class == DeviceClass::Power && !production::is_named(entity_id),
            Self::SlowLeak => {
                matches!(class, DeviceClass::Water | DeviceClass::Gas | DeviceClass::VolumeFlowRate)
            }
            Self::WindowOpen => class == DeviceClass::Temperature && !is_outdoor(entity_id),
            Self::DoorOpen => matches!(class, DeviceClass::Door | DeviceClass::Window | DeviceClass::Opening),
            Self::DutyCycle => {
                matches!(class, DeviceClass::Power | DeviceClass::Current | DeviceClass::VolumeFlowRate)
            }
            Self::PeriodicLoad => {
                class.counter()
                    || matches!(class, DeviceClass::Power | DeviceClass::Current | DeviceClass::VolumeFlowRate)
            }
            Self::SensorSwap => !binary && !class.counter(),
            Self::UnitChange => {
                matches!(
                    class,
                    DeviceClass::Temperature
                        | DeviceClass::Humidity
                        | DeviceClass::Pressure
                        | DeviceClass::Power
                        | DeviceClass::Current
                )
            }
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
            Self::SlowLeak | Self::SteadyLeak => 24.0..=72.0,
            Self::PipeBurst => 1.0..=3.0,
            Self::WindowOpen => 2.0..=5.0,
            Self::DoorOpen => 1.0..=8.0,
            Self::DutyCycle | Self::PeriodicLoad => 12.0..=48.0,
            Self::SensorSwap | Self::UnitChange => 12.0..=48.0,
            Self::DeadPhase => 144.0..=192.0,
            Self::NeverStops => 6.0..=24.0,
        }
    }
}

/// Whether an entity measures outdoors, by its name.
pub(super) fn is_outdoor(entity_id: &str) -> bool {
    ["outdoor", "outside", "station"].iter().any(|word| entity_id.contains(word))
}
