//! The unit that people read: litres an hour where a meter counts cubic metres, kWh a day where it counts kWh.

use std::borrow::Cow;

/// A unit as people read it, and how many of it one of the unit that is scored makes.
#[derive(Debug, Clone, PartialEq)]
pub struct DisplayUnit {
    /// Times the scored number.
    pub factor: f32,
    /// Its name; empty where there is none.
    pub name: Cow<'static, str>,
}

impl DisplayUnit {
    /// `value` in this unit.
    #[must_use]
    pub fn convert(&self, value: f32) -> f32 {
        value * self.factor
    }
}
