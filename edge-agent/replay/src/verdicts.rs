//! A resident's answers out of a file: `at,entity_id,start,end,verdict`, each applied at its time and not before.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};
use hearthwatch_detector::alarm::{Alarm, Verdict};

use super::error::{ReplayError, RowFault, RowFaults};
use super::moment::Moment;
use super::odd::FaultKind;

/// Columns of the file, found by name.
pub const HEADER: [&str; 5] = ["at", "entity_id", "start", "end", "verdict"];
/// Verdicts of one file: a lifetime of answering three alarms a day.
const VERDICTS_MAX: usize = 100_000;

/// One answer of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedVerdict {
    /// When it was given, Unix seconds.
    pub at: i64,
    /// Entity of the alarms that it is about.
    pub entity_id: String,
    /// It is about alarms that overlap the time from here, Unix seconds, …
    pub start: i64,
    /// … to here; the time of the answer where the file has none.
    pub end: i64,
    /// The answer.
    pub verdict: Verdict,
}

impl TimedVerdict {
    /// Whether this answers `alarm` of `entity_id` as it stands at `now`.
    #[must_use]
    pub fn concerns(&self, alarm: &Alarm, entity_id: &str, now: i64) -> bool {
        self.entity_id == entity_id && alarm.start <= self.end && alarm.end.unwrap_or(now) >= self.start
    }
}

/// All answers of a replay, in the order of time.
#[derive(Debug, Default)]
pub struct Verdicts {
    list: Vec<TimedVerdict>,
    /// So many have been heard.
    applied: usize,
    /// Which answer met which alarm, so that none is counted twice.
    met: HashSet<(usize, String)>,
}

impl Verdicts {
    /// Reads a file of answers.
    ///
    /// # Errors
    /// [`ReplayError`] with every faulty row, and what to write instead.
    pub fn read(path: &Path) -> Result<Self, ReplayError> {
        let file = File::open(path).map_err(ReplayError::read(path))?;
        Self::read_from(file, path)
    }

    fn read_from(input: impl Read, path: &Path) -> Result<Self, ReplayError> {
        let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::All).from_reader(input);
        let not_csv = |error: csv::Error| ReplayError::Format {
            path: path.to_owned(),
            what: format!(
                "cannot be read as CSV: {error}; save the file as UTF-8 with the columns {}",
                HEADER.join(",")
            ),
        };
        let names = reader.headers().map_err(not_csv)?.clone();
        let mut places = [0; HEADER.len()];
        for (place, name) in places.iter_mut().zip(HEADER) {
            *place = names
                .iter()
                .position(|column| column.trim_start_matches('\u{feff}').eq_ignore_ascii_case(name))
                .ok_or_else(|| ReplayError::Header {
                path: path.to_owned(),
                line: 1,
                what: format!("the header lacks {name}; the first line should be `{}`", HEADER.join(",")),
            })?;
        }
        let (mut list, mut faults) = (Vec::new(), RowFaults::new(path));
        for record in reader.records() {
            let record = record.map_err(not_csv)?;
            let line = record.position().map_or(0, csv::Position::line);
            match parse(&record, places) {
                Ok(verdict) => list.push(verdict),
                Err(what) => faults.push(RowFault { line, kind: FaultKind::Unreadable, what, of: Vec::new() }),
            }
            if list.len() > VERDICTS_MAX {
                return Err(ReplayError::TooLarge {
                    path: path.to_owned(),
                    what: format!("has more than {VERDICTS_MAX} verdicts; leave out the oldest"),
                });
            }
        }
        faults.into_result()?;
        list.sort_by_key(|verdict: &TimedVerdict| verdict.at);
        Ok(Self { list, ..Self::default() })
    }

    /// Hears the next answer that was given at or before `now`, as a position for [`Verdicts::get`].
    pub fn take_due(&mut self, now: i64) -> Option<usize> {
        let next = self.applied;
        if self.list.get(next)?.at > now {
            return None;
        }
        self.applied += 1;
        Some(next)
    }

    /// Unix seconds; none when all are applied.
    #[must_use]
    pub fn next_at(&self) -> Option<i64> {
        self.list.get(self.applied).map(|verdict| verdict.at)
    }

    /// The answer at a position that [`Verdicts`] gave.
    #[must_use]
    pub fn get(&self, position: usize) -> &TimedVerdict {
        &self.list[position]
    }

    /// The answers applied so far that are about `alarm`, latest last.
    pub fn about<'a>(&'a self, alarm: &'a Alarm, entity_id: &'a str, now: i64) -> impl Iterator<Item = usize> + 'a {
        (0..self.applied).filter(move |&position| self.list[position].concerns(alarm, entity_id, now))
    }

    /// Notes that an answer met an alarm; false when that was known.
    pub fn meet(&mut self, position: usize, alarm_id: &str) -> bool {
        self.met.insert((position, alarm_id.to_owned()))
    }

    /// How many answers there are, how many were never due, and how many were due and met no alarm.
    #[must_use]
    pub fn tally(&self) -> (usize, usize, usize) {
        let met: HashSet<usize> = self.met.iter().map(|(position, _)| *position).collect();
        (self.list.len(), self.list.len() - self.applied, self.applied - met.len())
    }
}

fn parse(record: &StringRecord, places: [usize; HEADER.len()]) -> Result<TimedVerdict, String> {
    let [at, entity_id, start, end, verdict] = places.map(|place| record.get(place).unwrap_or_default());
    let moment =
        |name: &str, text: &str| Moment::parse(text).map(Moment::second).map_err(|error| format!("{name}: {error}"));
    let at = moment("at", at)?;
    let start = moment("start", start)?;
    let end = if end.is_empty() { at.max(start) } else { moment("end", end)? };
    if entity_id.is_empty() {
        return Err("the entity_id is empty; write the one of the alarm".into());
    }
    if end < start {
        return Err("the end is before the start; exchange them".into());
    }
    let verdict = match verdict.to_ascii_lowercase().as_str() {
        "confirmed" | "confirm" => Verdict::Confirmed,
        "dismissed" | "dismiss" => Verdict::Dismissed,
        "expected" => Verdict::Expected,
        other => return Err(format!("the verdict `{other}` is none; write confirmed, dismissed or expected")),
    };
    Ok(TimedVerdict { at, entity_id: entity_id.to_owned(), start, end, verdict })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Verdicts, String> {
        Verdicts::read_from(text.as_bytes(), Path::new("verdicts.csv")).map_err(|error| error.to_string())
    }

    #[test]
    fn answers_are_heard_in_the_order_of_time_and_not_before_theirs() {
        let mut verdicts =
            read("at,entity_id,start,end,verdict\n1200,sensor.b,0,600,dismiss\n900,sensor.a,600,,Confirmed\n").unwrap();
        assert_eq!(verdicts.take_due(899), None);
        assert_eq!(verdicts.take_due(900), Some(0));
        assert_eq!(verdicts.get(0).entity_id, "sensor.a");
        assert_eq!((verdicts.get(0).end, verdicts.get(0).verdict), (900, Verdict::Confirmed));
        assert_eq!(verdicts.take_due(900), None);
        assert_eq!(verdicts.tally(), (2, 1, 1));
    }

    #[test]
    fn every_faulty_row_is_named() {
        let error = read(
            "at,entity_id,start,end,verdict\nnow,sensor.a,0,1,confirmed\n900,,0,1,confirmed\n900,sensor.a,9,1,confirmed\n\
             900,sensor.a,0,1,maybe\n",
        )
        .unwrap_err();
        assert_eq!(
            error,
            "verdicts.csv:2: at: the timestamp `now` is neither RFC 3339 nor Unix seconds; write 2026-01-31T08:30:00Z or \
             1769848200, with or without a fraction\n\
             verdicts.csv:3: the entity_id is empty; write the one of the alarm\n\
             verdicts.csv:4: the end is before the start; exchange them\n\
             verdicts.csv:5: the verdict `maybe` is none; write confirmed, dismissed or expected"
        );
        assert_eq!(
            read("at,entity_id,start,verdict\n").unwrap_err(),
            "verdicts.csv:1: the header lacks end; the first line should be `at,entity_id,start,end,verdict`"
        );
    }
}
