//! What standing still and silence say of an entity, which depends on what it is.

use super::Entity;
use crate::features::intake::Closed;

/// A sensor whose usual pauses are longer than half a day is never called silent.
const SELDOM_STEPS: u32 = 72;
/// A counter may be silent for so many times its longest pause.
const COUNTER_PATIENCE: f32 = 2.5;
/// A load that never stood still, or was silent, for longer than this moves all the time: 1.5 hours.
const STEADY_STEPS_MAX: u32 = 9;
/// One that did may do so again, for up to so many times as long.
const LOAD_PATIENCE: f32 = 2.5;
/// The longest pause of a roof that is a night's, not a habit: 20 hours.
const NIGHT_STEPS: u32 = 120;

impl Entity {
    /// Evidence of standing still and of silence; minus infinity where they mean nothing.
    pub(super) fn stillness(&self, at: i64, closed: &Closed) -> (f32, f32) {
        // What rests for days by nature is no dead sensor.
        if self.switching.is_some() || self.shape.may_rest() || !self.is_met(at) {
            return (f32::NEG_INFINITY, f32::NEG_INFINITY);
        }
        // Nor is a plug that is pulled out, …
        let unplugged = self.is_load && closed.value.is_none();
        // … nor one that was seen for less than a fortnight: a car is not charged on each of its first days.
        if self.is_load && self.known_share(at) < 1.0 {
            return (f32::NEG_INFINITY, f32::NEG_INFINITY);
        }
        // A load that ever stood still for hours may do so again.
        let as_ever = |usual: u32| if self.is_load && usual > STEADY_STEPS_MAX { LOAD_PATIENCE } else { 1.0 };
        let pause = self.heartbeat.usual_pause();
        let (seldom, paused) = match self.rules.is_roof() {
            true => (pause > NIGHT_STEPS, 1.0),
            false => (pause > SELDOM_STEPS, as_ever(pause)),
        };
        let flat = self.flatline.evidence(as_ever(self.flatline.usual_run()));
        let silent = self.heartbeat.evidence(paused * self.patience(at));
        (flat, if unplugged || seldom { f32::NEG_INFINITY } else { silent })
    }

    /// How many times longer than ever it may be silent. A counter says nothing while nothing flows, and of a young entity the
    /// longest pause is still to come.
    fn patience(&self, at: i64) -> f32 {
        let counter = if self.info.class.counter() { COUNTER_PATIENCE } else { 1.0 };
        counter * (2.0 - self.known_share(at))
    }
}
