//! One entity's readings within the open step: averaged, timed or differenced, and what to make of disorder.
//!
//! Numbers are averaged, binary states timed, meters differenced and turned into consumption per hour. Readings of a
//! later step wait; readings of a closed step can no longer change it, but a newer one still becomes the known state.

use crate::features::left_out::LeftOut;
use crate::features::meter::Meter;
use crate::grid::{AT_RANGE, STEP_SECONDS};
use crate::reading::{EntityInfo, MAGNITUDE_MAX, Value};

/// Readings that may wait for their step. A home's clock and a sensor's differ by seconds, so one step's worth waits in
/// practice; 64 at 16 bytes are 1 KiB an entity.
const PENDING_MAX: usize = 64;
/// Stamps further ahead of the open step are nonsense and dropped.
const AHEAD_SECONDS_MAX: i64 = 86_400;

/// What a step amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Closed {
    /// The value in the unit that is shown: this step's, or the last one carried on. None before the first and after a gap.
    pub(crate) value: Option<f32>,
    /// Whether a report with a value came in this step.
    pub(crate) fresh: bool,
    /// Whether anything at all was received, broken values included.
    pub(crate) received: bool,
    /// Seconds from the report before to the first of this step, when there were both.
    pub(crate) interval: Option<i64>,
    /// Seconds since the last report at the step's end; none before the first.
    pub(crate) age: Option<i64>,
    /// A value that the quantity cannot have.
    pub(crate) broken: Option<f64>,
    /// Changes of a binary state.
    pub(crate) switches: u32,
    /// A binary state at the step's end.
    pub(crate) state: Option<bool>,
    /// What a counter counted between two reports, and the seconds between them; of the last report of the step.
    pub(crate) counted: Option<(f64, i64)>,
}

impl Closed {
    /// Whether a binary state was turned on in this step, if only for a moment.
    pub(crate) fn turned_on(&self) -> bool {
        self.switches > 1 || (self.switches == 1 && self.state == Some(true))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Number,
    Binary,
    Meter,
}

/// One entity's open step.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    manner: Manner,
    physics: Option<(f64, f64)>,
    /// End of the last closed step.
    closed: Option<i64>,
    pending: Vec<(i64, Value)>,
    /// Stamp of the newest report, gaps included.
    newest: Option<i64>,
    /// Stamp of the newest report that was received with something in it.
    heard_at: Option<i64>,
    /// The newest known number, or 0 and 1 for a binary state; none after a gap.
    known: Option<f64>,
    sum: f64,
    count: u32,
    received: bool,
    interval: Option<i64>,
    broken: Option<f64>,
    switches: u32,
    on_seconds: i64,
    known_seconds: i64,
    /// Up to where a binary state's time is counted.
    cursor: i64,
    meter: Meter,
    left_out: LeftOut,
}

impl Intake {
    pub(crate) fn new(info: &EntityInfo) -> Self {
        let manner = if info.class.is_binary() {
            Manner::Binary
        } else if info.class.counter() {
            Manner::Meter
        } else {
            Manner::Number
        };
        Self {
            manner,
            physics: info.physics(),
            closed: None,
            pending: Vec::new(),
            newest: None,
            heard_at: None,
            known: None,
            sum: 0.0,
            count: 0,
            received: false,
            interval: None,
            broken: None,
            switches: 0,
            on_seconds: 0,
            known_seconds: 0,
            cursor: i64::MIN,
            meter: Meter::default(),
            left_out: LeftOut::default(),
        }
    }

    /// Whether there is a value that can be, taken in or waiting for the end of its step.
    pub(crate) fn is_known(&self) -> bool {
        let possible =
            |value: Value| matches!(value, Value::Number(number) if number.is_finite()) && !self.is_broken(value);
        self.known.is_some() || self.pending.iter().any(|(_, value)| possible(*value))
    }

    /// Whether `value` is one that the quantity cannot have.
    pub(crate) fn is_broken(&self, value: Value) -> bool {
        match value {
            Value::Number(number) if self.manner != Manner::Binary => {
                !number.is_nan()
                    && (number.abs() > MAGNITUDE_MAX
                        || self.physics.is_some_and(|(low, high)| number < low || number > high))
            }
            _ => false,
        }
    }

    /// Takes a reading.
    pub(crate) fn offer(&mut self, at: i64, value: Value) {
        // A stamp that no calendar names would overflow every difference taken with it.
        if at < *AT_RANGE.start() {
            self.left_out.late += 1;
            return;
        }
        if at > *AT_RANGE.end() {
            self.left_out.ahead += 1;
            return;
        }
        match self.closed {
            Some(closed) if at <= closed + STEP_SECONDS => self.take(at, value),
            Some(closed) if at > closed.saturating_add(AHEAD_SECONDS_MAX) => self.left_out.ahead += 1,
            _ => self.wait(at, value),
        }
    }

    /// What was not used so far.
    pub(crate) fn left_out(&self) -> LeftOut {
        LeftOut { resets: self.meter.resets(), ..self.left_out }
    }

    fn wait(&mut self, at: i64, value: Value) {
        if self.pending.len() == PENDING_MAX {
            self.left_out.crowded += 1;
            // Before the first step is closed the newest state matters; later the nearest reading does.
            if self.closed.is_none() {
                self.pending.remove(0);
            } else if self.pending.last().is_some_and(|last| last.0 > at) {
                self.pending.pop();
            } else {
                return;
            }
        }
        let place = self.pending.partition_point(|waiting| waiting.0 <= at);
        self.pending.insert(place, (at, value));
    }

    fn take(&mut self, at: i64, value: Value) {
        let gap = value == Value::Gap;
        let in_step = self.closed.is_none_or(|closed| at > closed);
        let newer = self.newest.is_none_or(|newest| at >= newest);
        let value = if self.is_broken(value) {
            // Heard, but no value: the last good one is carried on.
            self.left_out.impossible += 1;
            if in_step && let Value::Number(number) = value {
                self.broken = Some(number);
            }
            self.receive(at, in_step, newer);
            return;
        } else {
            match (self.manner, value) {
                (Manner::Binary, Value::Binary(on)) => Some(f64::from(u8::from(on))),
                (Manner::Binary, Value::Number(number)) => {
                    number.is_finite().then(|| f64::from(u8::from(number != 0.0)))
                }
                (_, Value::Binary(on)) => Some(f64::from(u8::from(on))),
                (_, Value::Number(number)) => number.is_finite().then_some(number),
                (_, Value::Gap) => None,
            }
        };
        let Some(number) = value else {
            self.left_out.not_numbers += u64::from(!gap);
            if newer {
                self.time_state(at);
                self.newest = Some(at);
                self.known = None;
            }
            return;
        };
        if newer && self.newest == Some(at) && self.known == Some(number) && self.manner != Manner::Meter {
            self.left_out.repeated += 1;
            return;
        }
        self.left_out.late += u64::from(!in_step || (!newer && self.manner != Manner::Number));
        match self.manner {
            Manner::Number => {
                if in_step {
                    self.sum += number;
                    self.count += 1;
                }
            }
            Manner::Binary if newer => {
                self.time_state(at);
                self.count += u32::from(in_step);
                if self.known.is_some_and(|known| known != number) && in_step {
                    self.switches += 1;
                }
            }
            Manner::Meter if newer => {
                self.meter.count(at, number, in_step);
                self.count += u32::from(in_step);
            }
            Manner::Binary | Manner::Meter => return,
        }
        self.receive(at, in_step, newer);
        if newer {
            self.known = Some(number);
        }
    }

    fn receive(&mut self, at: i64, in_step: bool, newer: bool) {
        if in_step {
            if !self.received
                && let Some(before) = self.heard_at
            {
                self.interval = Some(at.saturating_sub(before).max(0));
            }
            self.received = true;
        }
        if newer {
            self.newest = Some(at);
            self.heard_at = Some(at);
        }
    }

    /// Counts a binary state's time up to `until`.
    fn time_state(&mut self, until: i64) {
        if self.manner != Manner::Binary {
            return;
        }
        let from = self.cursor.max(self.closed.unwrap_or(i64::MIN));
        if from != i64::MIN
            && until > from
            && let Some(state) = self.known
        {
            self.known_seconds += until - from;
            if state > 0.5 {
                self.on_seconds += until - from;
            }
        }
        self.cursor = self.cursor.max(until);
    }

    /// Ends the step at `step_end`, which lies after the last one.
    pub(crate) fn close(&mut self, step_end: i64) -> Closed {
        // A skipped stretch belongs to no step: only the ten minutes before `step_end` are averaged.
        let before = step_end - STEP_SECONDS;
        if self.closed.is_none_or(|closed| closed < before) {
            self.time_state(before);
            self.clear_step();
            self.closed = Some(before);
        }
        let due = self.pending.partition_point(|waiting| waiting.0 <= step_end);
        for (at, value) in self.pending.drain(..due).collect::<Vec<_>>() {
            self.take(at, value);
        }
        let waiting = self.pending.len();
        self.pending.retain(|waiting| waiting.0 <= step_end.saturating_add(AHEAD_SECONDS_MAX));
        self.left_out.ahead += (waiting - self.pending.len()) as u64;
        self.time_state(step_end);

        let value = match self.manner {
            Manner::Number if self.count > 0 => Some(self.sum / f64::from(self.count)),
            Manner::Number => self.known,
            Manner::Binary if self.known_seconds > 0 => Some(self.on_seconds as f64 / self.known_seconds as f64),
            Manner::Binary => self.known,
            Manner::Meter => self.known.and(self.meter.close(step_end)),
        };
        let fresh = self.count > 0;
        let closed = Closed {
            value: value.map(|value| value as f32).filter(|value| value.is_finite()),
            // A gap that came after a report leaves the report standing for this step.
            fresh,
            received: self.received,
            interval: self.interval,
            age: self.heard_at.map(|at| step_end.saturating_sub(at).max(0)),
            broken: self.broken,
            switches: self.switches,
            counted: if self.manner == Manner::Meter { self.meter.counted() } else { None },
            state: (self.manner == Manner::Binary).then_some(self.known).flatten().map(|state| state > 0.5),
        };
        self.clear_step();
        self.closed = Some(step_end);
        closed
    }

    fn clear_step(&mut self) {
        self.sum = 0.0;
        self.count = 0;
        self.received = false;
        self.interval = None;
        self.broken = None;
        self.switches = 0;
        self.on_seconds = 0;
        self.known_seconds = 0;
        self.meter.clear_step();
    }
}

#[cfg(test)]
mod tests;
