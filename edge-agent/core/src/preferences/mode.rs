//! Who is at home. With guests, on holidays and during maintenance the home is not learnt from.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::finding::AnomalyKind;
use serde::{Deserialize, Serialize};

/// Who is at home, as residents set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HomeMode {
    /// The residents, as usual.
    #[default]
    Home,
    /// Nobody for some hours; still usual, and learnt from.
    Away,
    /// More people than usual: what people do is no news, and teaches nothing.
    Guests,
    /// Nobody, for days: that nothing moves is no news, and teaches nothing.
    Holiday,
    /// Somebody works on the building or its sensors: residents are notified of danger only, and nothing is learnt.
    Maintenance,
}

impl HomeMode {
    /// In the order in which they are offered.
    pub const ALL: [Self; 5] = [Self::Home, Self::Away, Self::Guests, Self::Holiday, Self::Maintenance];

    /// The mode in one word, as on topics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Away => "away",
            Self::Guests => "guests",
            Self::Holiday => "holiday",
            Self::Maintenance => "maintenance",
        }
    }

    /// The mode that [`HomeMode::as_str`] names so; none for any other word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }

    /// Whether such days may become what is usual.
    #[must_use]
    pub fn learns(self) -> bool {
        matches!(self, Self::Home | Self::Away)
    }

    /// Whether something unusual is what this mode leads one to expect. `too_much` is true for more than usual (more
    /// use, more movement), false for less.
    #[must_use]
    pub fn explains(self, class: DeviceClass, kind: AnomalyKind, too_much: bool) -> bool {
        match self {
            Self::Home | Self::Away => false,
            Self::Guests => driven_by_people(class) && !kind.is_rule(),
            Self::Holiday => driven_by_people(class) && !too_much && kind != AnomalyKind::Physics,
            Self::Maintenance => true,
        }
    }
}

/// Whether what is measured is mostly people's doing.
fn driven_by_people(class: DeviceClass) -> bool {
    matches!(
        class,
        DeviceClass::Motion
            | DeviceClass::Occupancy
            | DeviceClass::Presence
            | DeviceClass::Sound
            | DeviceClass::Vibration
            | DeviceClass::Door
            | DeviceClass::Window
            | DeviceClass::Opening
            | DeviceClass::GenericBinary
            | DeviceClass::SoundPressure
            | DeviceClass::Illuminance
            | DeviceClass::CarbonDioxide
            | DeviceClass::Power
            | DeviceClass::Current
            | DeviceClass::Energy
            | DeviceClass::Water
            | DeviceClass::Count
    )
}
