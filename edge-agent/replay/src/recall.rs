//! What is kept while a replay runs so that an alarm can be drawn when it is over.

use std::collections::{HashMap, VecDeque};

use hearthwatch_detector::alarm::AlarmEvent;
use hearthwatch_detector::detector::EntityScore;
use hearthwatch_detector::grid::{DAY_STEPS, STEP_SECONDS};
use hearthwatch_edge_core::explain::Point;

/// Steps that are kept of every entity, because any may be the next to alarm: three days, as flat lines and silences
/// begin long before they are raised. 432 points × 24 bytes × 300 entities = 3 MB.
const KEPT_STEPS: usize = 3 * DAY_STEPS;
/// Steps that are kept of an alarm that does not end: a week more would not fit on a phone.
const STEPS_MAX: usize = KEPT_STEPS + 7 * DAY_STEPS;
/// What is shown behind an alarm's end: six hours, to see where the value went.
const AFTER_SECONDS: i64 = 36 * STEP_SECONDS;

/// Remembers the last days of every entity, and the whole of the alarms that were asked for.
#[derive(Debug)]
pub struct Recall {
    wanted: HashMap<String, Option<Kept>>,
    last: Vec<VecDeque<Point>>,
}

#[derive(Debug)]
struct Kept {
    entity: u32,
    end: Option<i64>,
    points: Vec<Point>,
}

impl Recall {
    /// Remembers for the alarms with these ids; for none of them it costs nothing.
    #[must_use]
    pub fn new(ids: &[String]) -> Self {
        Self { wanted: ids.iter().map(|id| (id.clone(), None)).collect(), last: Vec::new() }
    }

    /// Takes note of a step, before its events.
    pub fn step(&mut self, scores: &[EntityScore]) {
        if self.wanted.is_empty() {
            return;
        }
        for score in scores {
            let place = score.entity as usize;
            if self.last.len() <= place {
                self.last.resize_with(place + 1, VecDeque::new);
            }
            let point = Point { at: score.at, observed: score.observed, band: score.band };
            let last = &mut self.last[place];
            if last.len() == KEPT_STEPS {
                last.pop_front();
            }
            last.push_back(point);
            for kept in self.wanted.values_mut().flatten() {
                let lasts = kept.end.is_none_or(|end| score.at <= end + AFTER_SECONDS);
                if kept.entity == score.entity && lasts && kept.points.len() < STEPS_MAX {
                    kept.points.push(point);
                }
            }
        }
    }

    /// Takes note of what became of an alarm.
    pub fn event(&mut self, event: &AlarmEvent) {
        let alarm = event.alarm();
        if let Some(kept) = self.wanted.get_mut(&alarm.id) {
            let kept = kept.get_or_insert_with(|| Kept {
                entity: alarm.entity,
                end: None,
                points: self
                    .last
                    .get(alarm.entity as usize)
                    .map_or_else(Vec::new, |last| last.iter().copied().collect()),
            });
            kept.end = alarm.end;
        }
    }

    /// What is known of the alarm with this id, oldest first.
    #[must_use]
    pub fn points(&self, id: &str) -> Option<&[Point]> {
        self.wanted.get(id)?.as_ref().map(|kept| kept.points.as_slice())
    }
}
