//! A clock that was set back: what was decided in a time that is not to be has not happened.

use super::{Decider, Sustained};
use crate::alarm::AlarmEvent;

impl Decider {
    /// Goes on from `at`, before the last decision. Alarms that were raised later and last are over, but for warnings of
    /// danger: those are true whatever the clock said.
    pub(crate) fn go_back_to(&mut self, at: i64) -> Vec<AlarmEvent> {
        let untrue = |decider: &Self, entity: usize| {
            let track = &decider.tracks[entity];
            let alarm = decider.alarms.iter().rev().find(|alarm| Some(&alarm.id) == track.alarm.as_ref());
            track.lasting && alarm.is_some_and(|alarm| alarm.raised_at > at && !alarm.kind.is_danger())
        };
        let over: Vec<usize> = (0..self.tracks.len()).filter(|entity| untrue(self, *entity)).collect();
        let over = over.into_iter().filter_map(|entity| self.end_lasting(u32::try_from(entity).ok()?, at));
        let events = over.collect();
        for track in &mut self.tracks {
            track.last_over = track.last_over.min(at);
            track.sustained = Sustained::default();
        }
        events
    }
}
