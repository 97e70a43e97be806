//! What happened in an operation, line by line: the report is made from it, and a run that was stopped goes on from it.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Unix seconds of the operation's calendar.
    pub at: i64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The programs were started, for the first time or again.
    Started {
        /// Seconds that the start took, real ones.
        seconds: f64,
        /// How many times as fast as real time the calendar goes from here on.
        speed: f64,
    },
    /// A home's sensors say nothing for longer than in the week before, as they were recorded; written when the operation begins.
    Silent {
        /// The home.
        home: String,
        /// From when, Unix seconds.
        from: i64,
        /// When the next reading comes.
        until: i64,
    },
    /// A home raised an alarm.
    Raised {
        /// The home.
        home: String,
        /// The alarm's id.
        alarm: String,
        /// Home Assistant's id of what it is about.
        entity: String,
        /// Its device class.
        class: String,
        /// What kind of anomaly the agent calls it.
        kind: String,
        /// Whether it is really something: a fault that was put into the recording or that its authors labelled.
        really: bool,
        /// Model in charge.
        version: u64,
    },
    /// A resident answered, and the agent has taken the answer.
    Answered {
        /// The home.
        home: String,
        /// The alarm's id.
        alarm: String,
        /// `confirmed`, `dismissed` or `expected`.
        verdict: String,
        /// Whether it is the truth.
        right: bool,
        /// Whether the outbox took it for the fleet.
        shared: bool,
    },
    /// An incident began.
    Began {
        /// Its place in the file.
        incident: usize,
        /// Its kind.
        kind: String,
        /// What was done, in words.
        detail: String,
    },
    /// An incident was over, or mended.
    Ended {
        /// Its place in the file.
        incident: usize,
        /// Its kind.
        kind: String,
        /// What was done, in words.
        detail: String,
    },
    /// The operator did something that no rule does.
    Operator {
        /// What, in words.
        action: String,
    },
    /// A retraining ended.
    Run {
        /// Its id.
        run: String,
        /// `promoted`, `held` or `failed`.
        state: String,
        /// What started it.
        trigger: String,
        /// The gate's reasons, or the failure.
        reasons: Vec<String>,
    },
    /// A model was released.
    Released {
        /// Its version.
        version: u64,
        /// Who or what released it.
        by: String,
    },
    /// A rollout changed.
    Rollout {
        /// The version that goes out.
        version: u64,
        /// Its state.
        state: String,
        /// Why.
        reason: String,
    },
    /// How the fleet stands.
    Fleet {
        /// Homes whose agents are connected.
        online: u64,
        /// Labelled answers in the aggregator's store.
        records: u64,
        /// Records that wait in homes' outboxes.
        waiting: u64,
        /// Version of the model in charge, and how many homes have it.
        versions: Vec<(u64, u64)>,
        /// Bytes of the aggregator's database.
        database_bytes: u64,
        /// Resident memory of the aggregator, KiB.
        aggregator_kib: u64,
        /// Resident memory of an agent: the median, KiB.
        agent_kib: u64,
    },
    /// Files of homes were lost with their disks; answers that had not been sent are gone.
    DisksLost {
        /// Homes and alarms whose answers were not at the aggregator yet.
        answers: Vec<(String, String)>,
    },
    /// The whole was stopped before its end.
    Stopped,
    /// The end: what the aggregator holds against what residents said.
    Settled {
        /// Answers that agents took.
        taken: u64,
        /// Of these, stored once.
        stored: u64,
        /// Stored more than once.
        doubled: Vec<String>,
        /// Not stored, although they should be.
        lost: Vec<String>,
        /// Not stored because they went with a disk.
        gone_with_disks: u64,
        /// Not sent, as they have no window yet or are not shared.
        not_shared: u64,
    },
}

/// An open journal.
pub struct Journal {
    file: File,
}

impl Journal {
    /// Opens the journal for more lines, and gives those that it has. A last line that was cut off is taken away.
    ///
    /// # Errors
    /// The file cannot be opened or read, or a line in its midst is no line of a journal.
    pub fn open(path: &Path) -> anyhow::Result<(Self, Vec<Line>)> {
        let lines = if path.exists() { read(path)? } else { Vec::new() };
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("the journal {}", path.display()))?;
        let bytes = std::fs::read(path)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        file.set_len(u64::try_from(whole)?)?;
        Ok((Self { file }, lines))
    }

    /// Adds a line.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, at: i64, event: Event) -> anyhow::Result<Line> {
        let line = Line { at, event };
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        self.file.write_all(text.as_bytes()).context("writing the journal")?;
        Ok(line)
    }
}

/// The lines of a journal.
///
/// # Errors
/// As [`Journal::open`].
pub fn read(path: &Path) -> anyhow::Result<Vec<Line>> {
    let file = File::open(path).with_context(|| format!("the journal {}", path.display()))?;
    let texts: Vec<String> = BufReader::new(file).lines().collect::<Result<_, _>>()?;
    let last = texts.len().saturating_sub(1);
    let mut lines = Vec::with_capacity(texts.len());
    for (place, text) in texts.iter().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        match serde_json::from_str(text) {
            Ok(line) => lines.push(line),
            // The machine was switched off while it was written.
            Err(_) if place == last => {}
            Err(error) => anyhow::bail!("line {} of {} is no line of a journal: {error}", place + 1, path.display()),
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_read_back_and_a_line_that_was_cut_off_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let (mut journal, before) = Journal::open(&path).unwrap();
        assert_eq!(before, []);
        let first = journal.write(5, Event::Stopped).unwrap();
        drop(journal);
        std::fs::write(&path, [std::fs::read(&path).unwrap(), b"{\"at\":6,\"eve".to_vec()].concat()).unwrap();
        let (mut journal, before) = Journal::open(&path).unwrap();
        assert_eq!(before, [first]);
        let second = journal.write(7, Event::Started { seconds: 1.5, speed: 600.0 }).unwrap();
        assert_eq!(read(&path).unwrap(), [before[0].clone(), second]);
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        std::fs::write(&path, "{\"at\":1,\"event\":\"stopped\"}\nnothing\n{\"at\":2,\"event\":\"stopped\"}\n").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(
            error.starts_with("line 2 of ") && error.contains("is no line of a journal: expected ident"),
            "{error}"
        );
    }
}
