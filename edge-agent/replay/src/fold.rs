//! The hour that clocks show twice in autumn: which of the two a row without an offset is of.
//!
//! The order of the file shows it where an entity's time steps back, or every row comes twice; a counter's values show it where the
//! file was sorted by what clocks showed.

use std::collections::HashMap;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::moment::Moment;

/// Rows of doubtful hours that are held: at 32 bytes, 160 MB. Those beyond are taken as they are.
const ROWS_MAX: usize = 5_000_000;
/// Steps of an entity from which its habits mean anything.
const STEPS_MIN: u64 = 10;
/// One step in so many may be an exception to a habit.
const EXCEPTIONS: u64 = 100;

/// Which of the two hours a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// In summer time.
    First,
    /// After it.
    Second,
}

/// Whether clocks of `zone` show `civil` twice.
#[must_use]
pub fn is_doubtful(civil: DateTime, zone: &TimeZone) -> bool {
    matches!(zone.to_ambiguous_timestamp(civil).offset(), AmbiguousOffset::Fold { .. })
}

/// The moment of `civil` in one of the two hours.
#[must_use]
pub fn moment_in(civil: DateTime, zone: &TimeZone, pass: Pass) -> Option<Moment> {
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    let timestamp = match pass {
        Pass::First => ambiguous.earlier(),
        Pass::Second => ambiguous.later(),
    };
    Moment::parse(&timestamp.ok()?.to_string()).ok()
}

/// A row in an hour that clocks show twice.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Doubt {
    line: u64,
    civil: DateTime,
    value: Option<f64>,
}

/// What the rows of one entity, or of the file, do outside the doubtful hours.
#[derive(Debug, Default)]
struct Habit {
    last: Option<(DateTime, Option<f64>)>,
    later: u64,
    earlier: u64,
    level: u64,
    grows: u64,
    shrinks: u64,
    doubts: Vec<Doubt>,
}

impl Habit {
    fn push(&mut self, line: u64, civil: DateTime, value: Option<f64>, doubtful: bool, keep: bool) {
        if doubtful {
            if keep {
                self.doubts.push(Doubt { line, civil, value });
            }
            return;
        }
        if let Some((last, before)) = self.last {
            let order = civil.cmp(&last);
            match order {
                std::cmp::Ordering::Greater => self.later += 1,
                std::cmp::Ordering::Less => self.earlier += 1,
                std::cmp::Ordering::Equal => self.level += 1,
            }
            if let (Some(value), Some(before)) = (value, before)
                && order.is_ne()
            {
                let change = if order.is_gt() { value - before } else { before - value };
                self.grows += u64::from(change > 0.0);
                self.shrinks += u64::from(change < 0.0);
            }
        }
        self.last = Some((civil, value));
    }

    fn steps(&self) -> u64 {
        self.later + self.earlier + self.level
    }

    /// Whether rows go back in time from one to the next; none where they go either way.
    fn descends(&self) -> Option<bool> {
        let (few, many) = (self.later.min(self.earlier), self.later.max(self.earlier));
        (many >= STEPS_MIN && few * EXCEPTIONS <= many).then_some(self.earlier > self.later)
    }

    fn counts(&self) -> bool {
        self.grows >= STEPS_MIN && self.shrinks * EXCEPTIONS <= self.grows * 5
    }

    fn repeats_no_time(&self) -> bool {
        self.steps() >= STEPS_MIN && self.level * EXCEPTIONS <= self.steps()
    }
}

/// Gathers the rows of a file in its order, and decides.
#[derive(Debug, Default)]
pub struct Folds {
    all: Habit,
    entities: HashMap<Box<str>, Habit>,
    held: usize,
}

impl Folds {
    /// Takes the next row: what clocks showed, the number it holds, and whether they show that time twice.
    pub fn push(&mut self, line: u64, entity: &str, civil: DateTime, value: Option<f64>, doubtful: bool) {
        let keep = self.held < ROWS_MAX;
        self.held += usize::from(doubtful);
        self.all.push(line, civil, None, doubtful, keep);
        if let Some(habit) = self.entities.get_mut(entity) {
            habit.push(line, civil, value, doubtful, keep);
        } else {
            self.entities.entry(entity.into()).or_default().push(line, civil, value, doubtful, keep);
        }
    }

    /// The pass of each row of a doubtful hour, by its line; rows for which it is not known are not there.
    #[must_use]
    pub fn decide(&self) -> HashMap<u64, Pass> {
        let mut passes = HashMap::new();
        // Rows of all entities in one order of time: one step back is one of all of them.
        let descends = self.all.descends();
        if let Some(descends) = descends {
            for hour in hours(&self.all.doubts, descends) {
                passes.extend(stepped_back(&hour).unwrap_or_default());
            }
        }
        for habit in self.entities.values() {
            let descends = habit.descends().or(descends).unwrap_or(false);
            for hour in hours(&habit.doubts, descends) {
                if hour.iter().all(|doubt| passes.contains_key(&doubt.line)) {
                    continue;
                }
                let decided = stepped_back(&hour)
                    .or_else(|| habit.counts().then(|| counted_on(&hour)).flatten())
                    .or_else(|| habit.repeats_no_time().then(|| paired(&hour)).flatten());
                passes.extend(decided.unwrap_or_default());
            }
        }
        passes
    }
}

/// The rows of each night, in the order of time.
fn hours(doubts: &[Doubt], descends: bool) -> Vec<Vec<Doubt>> {
    let mut nights: Vec<(Date, Vec<Doubt>)> = Vec::new();
    for doubt in doubts {
        let night = doubt.civil.date();
        match nights.iter_mut().find(|(date, _)| *date == night) {
            Some((_, rows)) => rows.push(*doubt),
            None => nights.push((night, vec![*doubt])),
        }
    }
    nights
        .into_iter()
        .map(|(_, mut rows)| {
            if descends {
                rows.reverse();
            }
            rows
        })
        .collect()
}

/// The second hour begins where the time steps back, if it does so once.
fn stepped_back(hour: &[Doubt]) -> Option<Vec<(u64, Pass)>> {
    let mut backs = (1..hour.len()).filter(|place| hour[*place].civil < hour[*place - 1].civil);
    let (back, None) = (backs.next()?, backs.next()) else { return None };
    Some(hour.iter().enumerate().map(|(place, doubt)| (doubt.line, pass(place >= back))).collect())
}

/// A counter that stands lower at a later time stood there in the first hour.
fn counted_on(hour: &[Doubt]) -> Option<Vec<(u64, Pass)>> {
    let rows: Vec<(u64, DateTime, f64)> =
        hour.iter().map(|doubt| Some((doubt.line, doubt.civil, doubt.value?))).collect::<Option<_>>()?;
    if rows.iter().all(|(_, _, value)| *value == rows[0].2) {
        // The counter stood still: either hour will do.
        return Some(rows.iter().map(|(line, ..)| (*line, Pass::First)).collect());
    }
    let mut sorted = rows.clone();
    sorted.sort_by_key(|(_, civil, _)| *civil);
    // The highest value that a later time undercuts, and so on: what undercuts is of the first hour.
    let mut highest = f64::NEG_INFINITY;
    let mut first_hour_until: Option<f64> = None;
    for (_, _, value) in &sorted {
        if *value < highest {
            first_hour_until = Some(first_hour_until.map_or(*value, |until: f64| until.max(*value)));
        }
        highest = highest.max(*value);
    }
    let until = first_hour_until?;
    // At the value itself the first hour ends and the second begins: late times are of the one, early of the other.
    let last = sorted.iter().filter(|(_, _, value)| *value < until).map(|(_, civil, _)| *civil).max();
    let second =
        |civil: DateTime, value: f64| value > until || (value == until && last.is_some_and(|last| civil < last));
    let ascends = |wanted: bool| {
        sorted.iter().filter(|(_, civil, value)| second(*civil, *value) == wanted).is_sorted_by(|a, b| a.2 <= b.2)
    };
    (ascends(false) && ascends(true))
        .then(|| rows.iter().map(|(line, civil, value)| (*line, pass(second(*civil, *value)))).collect())
}

/// Every time comes twice, one behind the other.
fn paired(hour: &[Doubt]) -> Option<Vec<(u64, Pass)>> {
    let twice = !hour.is_empty()
        && hour.len().is_multiple_of(2)
        && hour.chunks(2).all(|pair| pair[0].civil == pair[1].civil)
        && hour.chunks(2).is_sorted_by(|a, b| a[0].civil < b[0].civil);
    twice.then(|| hour.iter().enumerate().map(|(place, doubt)| (doubt.line, pass(place % 2 == 1))).collect())
}

fn pass(second: bool) -> Pass {
    if second { Pass::Second } else { Pass::First }
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
