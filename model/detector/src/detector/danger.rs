//! What the sensors that warn of danger last said, apart from all histories: by order of arrival, for a clock that jumps must not
//! hide smoke.

use crate::reading::Value;

/// A change of such a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It warns. `known` is false when nothing was received from it before: it may have been on for long.
    On { known: bool },
    /// It warns no more.
    Off,
}

/// The last on/off state of each entity, by index; none before the first.
#[derive(Debug, Clone, Default)]
pub(super) struct DangerStates(Vec<Option<bool>>);

impl DangerStates {
    /// Takes a state; tells whether that is a change. A gap is none: a sensor that warned before it was unavailable and still
    /// does afterwards has not warned twice.
    pub(super) fn take(&mut self, entity: u32, value: Value) -> Option<Turn> {
        let Value::Binary(on) = value else { return None };
        let index = entity as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        match (self.0[index].replace(on), on) {
            (before, true) if before != Some(true) => Some(Turn::On { known: before.is_some() }),
            (Some(true), false) => Some(Turn::Off),
            _ => None,
        }
    }

    /// Forgets an entity's state: it means something else from now on.
    pub(super) fn forget(&mut self, entity: u32) {
        if let Some(state) = self.0.get_mut(entity as usize) {
            *state = None;
        }
    }

    /// The entities that are on.
    pub(super) fn warning(&self) -> Vec<u32> {
        (0u32..).zip(&self.0).filter(|(_, state)| **state == Some(true)).map(|(entity, _)| entity).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_of_state_is_a_turn_and_a_gap_is_none() {
        let mut states = DangerStates::default();
        assert_eq!(states.take(2, Value::Binary(false)), None);
        assert_eq!(states.take(2, Value::Binary(true)), Some(Turn::On { known: true }));
        assert_eq!(states.take(2, Value::Gap), None);
        assert_eq!(states.take(2, Value::Binary(true)), None);
        assert_eq!(states.warning(), [2]);
        assert_eq!(states.take(2, Value::Binary(false)), Some(Turn::Off));
        assert_eq!(states.take(0, Value::Binary(true)), Some(Turn::On { known: false }));
    }
}
