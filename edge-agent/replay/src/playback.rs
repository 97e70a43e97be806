//! Walks rows over the 10-minute grid and gives the detector what it would have received, at the time of each.

use std::io::Write;
use std::path::PathBuf;

use hearthwatch_detector::alarm::AlarmEvent;
use hearthwatch_detector::detector::{AlarmMode, HomeDetector};
use hearthwatch_detector::grid::{STEP_SECONDS, step_of};
use hearthwatch_detector::reading::{Reading, Value};

use super::alarms_csv::AlarmBook;
use super::error::{ReplayError, RowFault};
use super::odd::{FaultKind, OddRows};
use super::recall::Recall;
use super::scores_csv::ScoresCsv;
use super::source::EventRow;
use super::verdicts::Verdicts;
use super::watch::{ENTITIES_MAX, Seen, Watchlist};

/// A replay under way.
///
/// The order of things at the end of a step is fixed: answers given before it, the step itself, answers given at that
/// very second. A step is closed by the first row *after* its end, never by the end of the input: rows of a step that
/// is not over may still be missing, and what is written must not depend on where the input was cut.
#[derive(Debug)]
pub struct Playback<W: Write> {
    path: PathBuf,
    detector: HomeDetector,
    watch: Watchlist,
    /// The detector's number of each entity of `watch`.
    numbers: Vec<u32>,
    scores: ScoresCsv<W>,
    scores_path: PathBuf,
    book: AlarmBook,
    recall: Recall,
    verdicts: Verdicts,
    odd: OddRows,
    /// End of the step that is being filled.
    open_step: Option<i64>,
    steps: u64,
    scored_steps: u64,
    forgotten_answers: usize,
}

/// Where a [`Playback`] writes to and what it listens to besides the rows.
#[derive(Debug)]
pub struct Company {
    /// Answers that are applied at their times.
    pub verdicts: Verdicts,
    /// Decides which entities are watched.
    pub watch: Watchlist,
    /// The alarms to draw.
    pub recall: Recall,
    /// Where the scores go, for error texts.
    pub scores_path: PathBuf,
}

/// The result of a replay.
#[derive(Debug)]
pub struct Played<W> {
    /// The watched entities and what was left out.
    pub watch: Watchlist,
    /// Rows whose state is no value of their entity's class.
    pub odd: OddRows,
    /// All alarms.
    pub book: AlarmBook,
    /// With the points of the alarms to draw.
    pub recall: Recall,
    /// Those that were applied, and those that were not.
    pub verdicts: Verdicts,
    /// The writer of the scores.
    pub scores: W,
    /// Number of closed steps.
    pub steps: u64,
    /// Steps in which at least one entity was past its warm-up.
    pub scored_steps: u64,
    /// Answers to alarms that the detector no longer remembered.
    pub forgotten_answers: usize,
}

impl<W: Write> Playback<W> {
    /// `detector` must not know any entity yet.
    #[must_use]
    pub fn new(path: PathBuf, detector: HomeDetector, scores: ScoresCsv<W>, company: Company) -> Self {
        let Company { verdicts, watch, recall, scores_path } = company;
        Self {
            odd: OddRows::default(),
            path,
            detector,
            watch,
            numbers: Vec::new(),
            scores,
            scores_path,
            book: AlarmBook::default(),
            recall,
            verdicts,
            open_step: None,
            steps: 0,
            scored_steps: 0,
            forgotten_answers: 0,
        }
    }

    /// Takes the next row. Rows must come in the order of time; a state that is no value of its class is a gap, and counted.
    ///
    /// # Errors
    /// [`ReplayError`] when a result cannot be written or the row lies beyond a limit.
    pub fn row(&mut self, row: &EventRow<'_>) -> Result<(), ReplayError> {
        let at = row.at.second();
        self.advance(at)?;
        match self.watch.see(row) {
            Seen::Value { entity, new, value } => self.observe(at, entity, new, value),
            Seen::Fault { entity, new, what } => {
                self.odd.push(&RowFault { line: row.line, kind: FaultKind::Text, what, of: Vec::new() });
                self.observe(at, entity, new, Value::Gap);
            }
            Seen::LeftOut => {}
            Seen::TooMany => return Err(self.too_many(row)),
        }
        Ok(())
    }

    /// Ends the replay. The step that was being filled is not written.
    ///
    /// # Errors
    /// [`ReplayError::Empty`] without any row, or a failed write.
    pub fn finish(self) -> Result<Played<W>, ReplayError> {
        if self.open_step.is_none() {
            return Err(ReplayError::Empty(self.path));
        }
        Ok(Played {
            watch: self.watch,
            odd: self.odd,
            book: self.book,
            recall: self.recall,
            verdicts: self.verdicts,
            scores: self.scores.finish().map_err(ReplayError::write(&self.scores_path))?,
            steps: self.steps,
            scored_steps: self.scored_steps,
            forgotten_answers: self.forgotten_answers,
        })
    }

    /// Lets the time come to `at`: every step that ended before it is closed.
    fn advance(&mut self, at: i64) -> Result<(), ReplayError> {
        let mut open = *self.open_step.get_or_insert_with(|| step_of(at));
        while open < at {
            self.apply_answers(open - 1);
            self.close(open)?;
            self.apply_answers(open);
            open += STEP_SECONDS;
        }
        self.open_step = Some(open);
        self.apply_answers(at - 1);
        Ok(())
    }

    fn close(&mut self, end: i64) -> Result<(), ReplayError> {
        let mut report = self.detector.close_step(end, AlarmMode::Raise);
        report.scores.sort_by_key(|score| score.entity);
        self.steps += 1;
        self.scored_steps += u64::from(report.scores.iter().any(|score| score.score.is_some()));
        self.scores.step(end, &report.scores, self.watch.infos()).map_err(ReplayError::write(&self.scores_path))?;
        self.recall.step(&report.scores);
        self.events(&report.events, end);
        Ok(())
    }

    fn observe(&mut self, at: i64, entity: u32, new: bool, value: Value) {
        if new {
            // An entity that means something else is the same entity to the detector, which learns it anew.
            let number = self.detector.add_entity(self.watch.infos()[entity as usize].clone());
            if entity as usize == self.numbers.len() {
                self.numbers.push(number);
            }
        }
        let reading = Reading { at, entity: self.numbers[entity as usize], value };
        let events = self.detector.observe(&reading);
        self.events(&events, at);
    }

    /// Notes what became of alarms, and lets answers that were given in advance ("guests until Sunday") meet new ones.
    fn events(&mut self, events: &[AlarmEvent], now: i64) {
        for event in events {
            self.book.note(event);
            self.recall.event(event);
            let alarm = event.alarm();
            let entity_id = &self.watch.infos()[alarm.entity as usize].entity_id;
            let answers: Vec<usize> = self.verdicts.about(alarm, entity_id, now).collect();
            for position in answers {
                self.answer(position, &alarm.id, now);
            }
        }
    }

    /// Applies the answers that were given up to `now`, each to the alarms that it is about.
    fn apply_answers(&mut self, now: i64) {
        while let Some(position) = self.verdicts.take_due(now) {
            let verdict = self.verdicts.get(position);
            let at = verdict.at;
            let concerned: Vec<String> = self
                .book
                .alarms()
                .iter()
                .filter(|alarm| verdict.concerns(alarm, &self.watch.infos()[alarm.entity as usize].entity_id, at))
                .map(|alarm| alarm.id.clone())
                .collect();
            for id in concerned {
                self.answer(position, &id, at);
            }
        }
    }

    fn answer(&mut self, position: usize, alarm_id: &str, at: i64) {
        if self.verdicts.meet(position, alarm_id)
            && self.detector.answer(alarm_id, self.verdicts.get(position).verdict, at).is_err()
        {
            self.forgotten_answers += 1;
        }
    }

    fn too_many(&self, row: &EventRow<'_>) -> ReplayError {
        ReplayError::TooLarge {
            path: self.path.clone(),
            what: format!(
                "has more than {ENTITIES_MAX} entities that can be watched ({} at line {} is one too many); replay one \
                 home at a time",
                row.entity_id, row.line
            ),
        }
    }
}
