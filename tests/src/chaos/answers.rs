//! What scripted homes took down of their answers, and what of them the aggregator has stored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use hearthwatch_protocol::{HomeId, Message, decode};
use rusqlite::{Connection, OpenFlags};

/// Opens the aggregator's database to read it.
///
/// # Errors
/// When it cannot be opened.
pub fn open(database: &Path) -> anyhow::Result<Connection> {
    let database = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    database.busy_timeout(Duration::from_secs(10))?;
    Ok(database)
}

/// The answers that the outboxes of these homes took, by alarm id; with each home its folder.
///
/// # Errors
/// When a journal cannot be read.
pub fn accepted<'a>(homes: impl Iterator<Item = (&'a HomeId, &'a Path)>) -> anyhow::Result<BTreeSet<String>> {
    let mut accepted = BTreeSet::new();
    for (id, folder) in homes {
        // A home that has not come so far has taken nothing.
        let Ok(text) = std::fs::read_to_string(folder.join("journal")) else { continue };
        let took = text.lines().filter_map(|line| line.strip_prefix("took "));
        accepted.extend(took.map(|number| format!("{id}-{number}")));
    }
    Ok(accepted)
}

/// How often each alarm's answer is in the aggregator's store.
///
/// # Errors
/// When the store cannot be read.
pub fn stored(database: &Connection) -> anyhow::Result<BTreeMap<String, u32>> {
    let mut statement = database.prepare("SELECT payload FROM feedback")?;
    let payloads = statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
    let mut stored = BTreeMap::new();
    for payload in payloads {
        if let Message::Feedback(record) = decode(&payload?).context("a stored answer")? {
            *stored.entry(record.alarm.to_string()).or_default() += 1;
        }
    }
    Ok(stored)
}
