//! What people call an entity, and where it is, as Home Assistant's registries have it.

use serde::{Deserialize, Serialize};

/// An entity's names. What Home Assistant does not know is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// The entity's name in Home Assistant; none before the registry is read.
    pub name: Option<String>,
    /// The area that it is in, by its name.
    pub area: Option<String>,
    /// The device that it belongs to, by its name: what fails together.
    pub device: Option<String>,
}

impl Place {
    /// The name, or one made from the id where there is none.
    #[must_use]
    pub fn name_of(&self, entity_id: &str) -> String {
        self.name.clone().unwrap_or_else(|| crate::explain::friendly_name(entity_id))
    }
}
