//! What shape an entity's last fortnight has: it decides what can be said of a single step.
//!
//! Home Assistant stores changes, and a plug that idles stands at one value for hours or days. Asking how rare such a step is at this
//! time of day makes an alarm of each use of an appliance; what can be wrong with it (it never stops, it never starts) takes hours to
//! see and is a rule's to say ([`crate::rules`]).

use crate::class::DeviceClass;
use crate::reading::EntityInfo;
use crate::statistics::robust;

/// Steps with a value below which no shape is told: two days.
const STEPS_MIN: usize = 288;
/// An appliance that draws less than this more than at rest is not told from one that is always on, watts.
const SPAN_MIN: f32 = 10.0;
/// It runs when it draws this share of its span above its rest, …
const GATE_SHARE: f32 = 0.15;
/// … and at least so many watts.
const GATE_MIN: f32 = 5.0;
/// Share of all steps that stand at the value of rest.
const STILL_SHARE: f32 = 0.2;
/// What counts as standing: within so many watts, …
const STILL_WATTS: f32 = 1.0;
/// … or this share of the value.
const STILL_RELATIVE: f32 = 0.03;
/// The highest steps that do not count as its peak.
const PEAKS_PASSED_OVER: usize = 2;

/// What a statistic must say more of the weather: as rare again as one in e^3.
const WEATHER_LIFT: f32 = 3.0;

/// What shape a fortnight of values has, or the name and class of an entity promise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    /// It moves with the hours, or too little is known: statistics and network judge it.
    Continuous,
    /// An appliance: at rest it stands at one value, and now and then it runs. Both in the unit that is shown.
    Switched {
        /// It runs from here on.
        gate: f32,
        /// What it draws when it runs hardest.
        peak: f32,
    },
    /// It draws the same all the time but for a few watts.
    Constant,
    /// The weather, or what follows it alone: only its sensor can be wrong.
    Weather,
    /// The charge of a battery: it falls, and that it does so at this hour means nothing.
    Charge,
}

impl Shape {
    /// Whether a step's rareness means anything.
    pub(crate) fn has_statistics(self) -> bool {
        matches!(self, Self::Continuous | Self::Weather)
    }

    /// How much more a statistic must say: the weather of a day is rare more often than its sensor is broken.
    pub(crate) fn lift(self) -> f32 {
        if self == Self::Weather { WEATHER_LIFT } else { 0.0 }
    }

    /// The shape of a fortnight; none where too little is known of it. `values` are in the shown unit, in any order, which is changed;
    /// none may be NaN.
    pub(crate) fn of(info: &EntityInfo, values: &mut [f32]) -> Option<Self> {
        let factor = info.watts().filter(|_| values.len() >= STEPS_MIN)?;
        values.sort_unstable_by(f32::total_cmp);
        let at = |share: f32| values[((values.len() - 1) as f32 * share) as usize];
        let (rest, peak) = (at(0.05), values[values.len() - 1 - PEAKS_PASSED_OVER]);
        let span = (peak - rest) * factor;
        if span < SPAN_MIN {
            return Some(Self::Constant);
        }
        let gate = rest + (GATE_SHARE * span).max(GATE_MIN) / factor;
        let resting = &values[..values.partition_point(|value| *value < gate)];
        let middle = robust::nearest_rank(resting, 0.5)?;
        let near = (STILL_WATTS / factor).max(STILL_RELATIVE * middle.abs());
        let still = resting.iter().filter(|value| (**value - middle).abs() <= near).count();
        let stands = still as f32 >= STILL_SHARE * values.len() as f32;
        Some(if stands { Self::Switched { gate, peak } } else { Self::Continuous })
    }

    /// What is known of an entity before it has a fortnight.
    pub(crate) fn at_first(info: &EntityInfo) -> Self {
        match info.class {
            DeviceClass::Battery => Self::Charge,
            _ if is_weather(info) => Self::Weather,
            _ => Self::Continuous,
        }
    }

    /// Whether it may rest at one value for days in the best of health.
    pub(crate) fn may_rest(self) -> bool {
        matches!(self, Self::Switched { .. } | Self::Constant | Self::Charge)
    }
}

/// Words in the names of what stands outside.
const OUTDOOR: &[&str] = &[
    "outdoor",
    "outside",
    "exterior",
    "station",
    "weather",
    "garden",
    "balcony",
    "terrace",
    "patio",
    "buiten",
    "tuin",
    "balkon",
    "aussen",
    "außen",
    "garten",
    "wetter",
    "exterieur",
    "jardin",
    "openweathermap",
    "met_no",
    "forecast",
];

/// Whether an entity is called after what stands outside.
pub(crate) fn is_outdoor(entity_id: &str) -> bool {
    let name = entity_id.split_once('.').map_or(entity_id, |(_, name)| name);
    name.split(['_', '.', '-', ' ']).any(|part| OUTDOOR.contains(&part)) || name.contains("openweathermap")
}

fn is_weather(info: &EntityInfo) -> bool {
    match info.class {
        DeviceClass::Irradiance => true,
        DeviceClass::Pressure | DeviceClass::Temperature | DeviceClass::Humidity | DeviceClass::Illuminance => {
            is_outdoor(&info.entity_id)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plug(unit: &str) -> EntityInfo {
        EntityInfo { entity_id: "sensor.plug".into(), class: DeviceClass::Power, unit: unit.into() }
    }

    fn shape(info: &EntityInfo, of_step: impl Fn(usize) -> f32) -> Shape {
        Shape::of(info, &mut (0..2016).map(of_step).collect::<Vec<_>>()).expect("a fortnight is enough")
    }

    #[test]
    fn a_plug_that_idles_is_switched_in_watts_and_in_kilowatts() {
        let washer = |step: usize| if step % 144 < 9 { 2000.0 } else { 1.6 };
        assert!(matches!(shape(&plug("W"), washer), Shape::Switched { .. }));
        assert!(matches!(shape(&plug("kW"), |step| washer(step) / 1000.0), Shape::Switched { .. }));
    }

    #[test]
    fn an_appliance_that_is_used_once_in_a_fortnight_is_switched_all_the_same() {
        assert!(matches!(shape(&plug("W"), |step| if step < 6 { 1200.0 } else { 0.4 }), Shape::Switched { .. }));
    }

    #[test]
    fn the_meter_of_a_house_moves_all_the_time_and_a_router_never() {
        let house = |step: usize| 180.0 + (step * 7919 % 101) as f32 * 3.0 + if step % 144 < 20 { 1800.0 } else { 0.0 };
        assert_eq!(shape(&plug("W"), house), Shape::Continuous);
        assert_eq!(shape(&plug("W"), |step| 10.4 + (step % 5) as f32 * 0.2), Shape::Constant);
    }

    #[test]
    fn what_stands_outside_is_weather() {
        let info =
            |entity_id: &str, class, unit: &str| EntityInfo { entity_id: entity_id.into(), class, unit: unit.into() };
        assert_eq!(Shape::at_first(&info("sensor.outdoor_pressure", DeviceClass::Pressure, "hPa")), Shape::Weather);
        assert_eq!(Shape::at_first(&info("sensor.boiler_pressure", DeviceClass::Pressure, "bar")), Shape::Continuous);
        assert_eq!(
            Shape::at_first(&info("sensor.outdoor_temperature", DeviceClass::Temperature, "°C")),
            Shape::Weather
        );
        assert_eq!(Shape::at_first(&info("sensor.living", DeviceClass::Temperature, "°C")), Shape::Continuous);
    }
}
