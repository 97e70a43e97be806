//! The memory as the page and the process that trains read it: through a connection of their own, so that neither ever holds up the
//! detector service.

use std::collections::HashMap;
use std::path::Path;

use hearthwatch_detector::finding::Band;
use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_edge_core::explain::Point;
use rusqlite::{OptionalExtension, params};

use super::{History, HistoryError, Judged, schema};
use crate::database;

const DAY_SECONDS: i64 = 86_400;

/// A step of an entity whose score may raise an alarm under some budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoudStep {
    /// End of the step, Unix seconds.
    pub at: i64,
    /// Row id of the entity: stable over restarts, unlike the detector's numbers.
    pub entity: i64,
    /// Surprise of the score; see the glossary.
    pub rarity: f32,
    /// Whether one step is enough to raise an alarm.
    pub immediate: bool,
}

/// From when to when there are judgements, by the ends of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JudgedSpan {
    /// End of the first step, Unix seconds.
    pub first: i64,
    /// End of the last step, Unix seconds.
    pub last: i64,
    /// The first that was judged as it was lived; none while all are of hindsight.
    pub lived: Option<i64>,
}

impl History {
    /// Opens a file that [`History::open`] has made, for reading only: writes fail.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn open_to_read(path: &Path) -> Result<Self, HistoryError> {
        Ok(Self { database: schema::open_to_read(path)?, rows: Vec::new(), entities: HashMap::new() })
    }

    /// Numbers the entities in what [`History::readings`] and [`History::days_with_numbers`] give: `infos` in order. Those that were
    /// never remembered have nothing to read.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn number(&mut self, infos: &[EntityInfo]) -> Result<(), HistoryError> {
        let mut select = self.database.prepare("SELECT id FROM entities WHERE entity_id = ?1")?;
        for (number, info) in (0u32..).zip(infos) {
            if let Some(row) = select.query_map([&info.entity_id], |row| row.get::<_, i64>(0))?.next() {
                self.entities.insert(row?, number);
            }
        }
        Ok(())
    }

    /// The steps after `since` whose score is at least as rare as `rarity`, or raises an alarm under any budget; in order of time.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn loud_steps(&self, since: i64, rarity: f32) -> Result<Vec<LoudStep>, HistoryError> {
        let mut select = self.database.prepare(
            "SELECT step, entity, rarity, immediate FROM grid WHERE step > ?1 AND rarity IS NOT NULL AND (rarity >= ?2 OR immediate)
             ORDER BY step, entity",
        )?;
        let rows = select.query_map(params![since, rarity], |row| {
            Ok(LoudStep { at: row.get(0)?, entity: row.get(1)?, rarity: row.get(2)?, immediate: row.get(3)? })
        })?;
        Ok(database::readable(rows)?)
    }

    /// The steps after `since` of which anything is judged: the first, the last, and the first that was judged as it was lived
    /// rather than in hindsight.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn judged(&self, since: i64) -> Result<Option<JudgedSpan>, HistoryError> {
        let one = |what: &str| {
            let select = format!("SELECT step FROM grid WHERE step > ?1 AND rarity IS NOT NULL {what} LIMIT 1");
            self.database.query_row(&select, [since], |row| row.get(0)).optional()
        };
        let (Some(first), Some(last)) = (one("ORDER BY step")?, one("ORDER BY step DESC")?) else { return Ok(None) };
        Ok(Some(JudgedSpan { first, last, lived: one("AND score IS NOT NULL ORDER BY step")? }))
    }

    /// The first and the last step that were saved after `since`, and how many there are.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn extent(&self, since: i64) -> Result<Option<(i64, i64, u32)>, HistoryError> {
        let select = "SELECT min(step), max(step), count(*) FROM steps WHERE step > ?1";
        let extent: (Option<i64>, Option<i64>, u32) =
            self.database.query_row(select, [since], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(extent.0.zip(extent.1).map(|(first, last)| (first, last, extent.2)))
    }

    /// On how many UTC days of (`from`, `until`] each known entity reported a number; reads every row of them once.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn days_with_numbers(&self, from: i64, until: i64) -> Result<HashMap<u32, u32>, HistoryError> {
        let mut select = self
            .database
            .prepare("SELECT step, entity FROM grid WHERE step > ?1 AND step <= ?2 AND heard AND value IS NOT NULL ORDER BY step")?;
        let mut rows = select.query([from, until])?;
        let mut days: HashMap<u32, (i64, u32)> = HashMap::new();
        while let Some(row) = rows.next()? {
            // A damaged row hides none of the others.
            let (Ok(step), Ok(id)) = (row.get::<_, i64>(0), row.get::<_, i64>(1)) else { continue };
            let (day, Some(entity)) = (step.div_euclid(DAY_SECONDS), self.entities.get(&id)) else { continue };
            let (last, count) = days.entry(*entity).or_insert((day, 1));
            if *last != day {
                (*last, *count) = (day, *count + 1);
            }
        }
        Ok(days.into_iter().map(|(entity, (_, count))| (entity, count)).collect())
    }

    /// Home Assistant's id of a row id.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn entity_ids(&self) -> Result<HashMap<i64, String>, HistoryError> {
        let mut select = self.database.prepare("SELECT id, entity_id FROM entities")?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, database::text(row, 1)?)))?;
        Ok(database::readable(rows)?.into_iter().collect())
    }

    /// What is known of `entity_id` in (`from`, `until`], oldest first.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn points(&self, entity_id: &str, from: i64, until: i64) -> Result<Vec<Point>, HistoryError> {
        let mut select = self.database.prepare(
            "SELECT step, value, shown FROM grid WHERE step > ?2 AND step <= ?3
             AND entity = (SELECT id FROM entities WHERE entity_id = ?1) ORDER BY step",
        )?;
        let rows = select.query_map(params![entity_id, from, until], |row| {
            let (at, value, shown) = (row.get(0)?, row.get::<_, Option<f64>>(1)?, database::bytes(row, 2)?);
            let judged = shown.as_deref().map_or_else(Judged::default, judged_from);
            // Steps of before this was kept have the plain value.
            #[expect(clippy::cast_possible_truncation, reason = "a drawing has a few hundred pixels")]
            let observed = judged.observed.or(value.filter(|_| shown.is_none()).map(|value| value as f32));
            Ok(Point { at, observed, band: judged.band })
        })?;
        Ok(database::readable(rows)?)
    }
}

/// What is drawn of a step: observed, low, expected, high as little-endian binary32, NaN for none.
pub(super) fn shown_bytes(judged: &Judged) -> Option<[u8; 16]> {
    if judged.observed.is_none() && judged.band.is_none() {
        return None;
    }
    let band = judged.band;
    let numbers =
        [judged.observed, band.map(|band| band.low), band.map(|band| band.expected), band.map(|band| band.high)];
    let mut bytes = [0; 16];
    for (place, number) in bytes.chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.unwrap_or(f32::NAN).to_le_bytes());
    }
    Some(bytes)
}

fn judged_from(bytes: &[u8]) -> Judged {
    let (numbers, _) = bytes.as_chunks::<4>();
    let number = |place: usize| numbers.get(place).map(|four| f32::from_le_bytes(*four)).filter(|n| n.is_finite());
    let band = match (number(1), number(2), number(3)) {
        (Some(low), Some(expected), Some(high)) => Some(Band { low, expected, high }),
        _ => None,
    };
    Judged { observed: number(0), band, ..Judged::default() }
}
