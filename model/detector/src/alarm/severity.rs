//! How much an alarm matters.

use crate::alarm::Severity;
use crate::class::DeviceClass;
use crate::finding::AnomalyKind;

/// Scores this far above their threshold are a warning: as rare again as one in e^1.5.
const WARNING_EXCESS: f32 = 1.5;

/// The severity of an alarm that exceeds its threshold by `excess`.
#[must_use]
pub fn severity(class: DeviceClass, kind: AnomalyKind, excess: f32) -> Severity {
    match kind {
        // Smoke or water: the sensor exists for this.
        AnomalyKind::Alert | AnomalyKind::Warm | AnomalyKind::Burst => Severity::Critical,
        AnomalyKind::Leak
        | AnomalyKind::Stopped
        | AnomalyKind::Running
        | AnomalyKind::Cold
        | AnomalyKind::Beyond
        | AnomalyKind::Offline => Severity::Warning,
        AnomalyKind::Battery | AnomalyKind::FewReports | AnomalyKind::Production | AnomalyKind::Damp => Severity::Info,
        // A broken sensor is a nuisance, not a danger; its score says that it is certain, not that it is grave.
        AnomalyKind::Physics => Severity::Warning,
        AnomalyKind::Flat | AnomalyKind::Silent if excess >= WARNING_EXCESS => Severity::Warning,
        AnomalyKind::Flat | AnomalyKind::Silent => Severity::Info,
        // Being in a room, or not, is never an emergency by itself.
        _ if comes_and_goes(class) && excess >= WARNING_EXCESS => Severity::Warning,
        _ if comes_and_goes(class) => Severity::Info,
        // What is rare is no danger by itself, however rare; what spoils, burns or floods has rules and sensors of its own.
        _ if class == DeviceClass::CarbonMonoxide => Severity::Critical,
        _ if excess >= WARNING_EXCESS => Severity::Warning,
        _ => Severity::Info,
    }
}

fn comes_and_goes(class: DeviceClass) -> bool {
    matches!(
        class,
        DeviceClass::Motion
            | DeviceClass::Occupancy
            | DeviceClass::Presence
            | DeviceClass::Sound
            | DeviceClass::Vibration
            | DeviceClass::GenericBinary
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_sensor_is_never_critical() {
        assert_eq!(severity(DeviceClass::Temperature, AnomalyKind::Silent, 100.0), Severity::Warning);
        assert_eq!(severity(DeviceClass::Temperature, AnomalyKind::Physics, 100.0), Severity::Warning);
    }

    #[test]
    fn a_busy_motion_sensor_is_never_critical() {
        assert_eq!(severity(DeviceClass::Motion, AnomalyKind::Rate, 100.0), Severity::Warning);
    }

    #[test]
    fn severity_grows_with_the_excess_and_rarity_alone_is_never_critical() {
        let of = |excess| severity(DeviceClass::Water, AnomalyKind::Level, excess);
        assert_eq!([of(0.0), of(2.0), of(60.0)], [Severity::Info, Severity::Warning, Severity::Warning]);
        assert_eq!(severity(DeviceClass::CarbonMonoxide, AnomalyKind::Level, 0.0), Severity::Critical);
    }
}
