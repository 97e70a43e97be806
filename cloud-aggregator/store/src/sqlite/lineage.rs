//! Table `lineage`: seals every row that a model's story rests on, and finds what was changed behind this program's back.
//!
//! Temporary triggers on this program's own writing connection note which rows a transaction touched; before it commits,
//! their digests are appended to a hash chain. Whoever edits the file with another tool touches no chain, and is found.

use std::collections::{BTreeMap, HashMap, HashSet};

use hearthwatch_protocol::{Message, decode};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use sha2::{Digest as _, Sha256};

use super::{SqliteStore, engine, query, tokens};
use crate::lineage::{Fault, Finding, LineageReport};
use crate::release::origin;
use crate::rows::{AuditEntry, Digest};
use crate::store::StoreResult;

/// A table whose rows are sealed in the chain, and how a row becomes text.
struct Kind {
    name: &'static str,
    table: &'static str,
    /// The columns that name a row, joined by `/`.
    key: &'static [&'static str],
    /// Everything in a row, as arguments of `json_array`.
    columns: &'static str,
}

const KINDS: [Kind; 12] = [
    // The payload is left out: the digest in the row covers it, and is held against it.
    Kind {
        name: "answer",
        table: "feedback",
        key: &["home", "sequence"],
        columns: "home, sequence, hex(digest), verdict, received_at",
    },
    Kind {
        name: "announcement",
        table: "announced",
        key: &["home", "sequence"],
        columns: "home, sequence, alarm, model_version, hex(window), hex(digest), received_at",
    },
    Kind {
        name: "snapshot",
        table: "snapshots",
        key: &["id"],
        columns: "id, created_at, rows, homes, watermark, corpus, lineage",
    },
    Kind {
        name: "run",
        table: "runs",
        key: &["id"],
        columns: "id, snapshot, trigger, config, champion, state, started_at, ended_at, challenger, report, failure",
    },
    Kind {
        name: "model",
        table: "models",
        key: &["version"],
        columns: "version, sha256, length, weights_id, run, state, created_at",
    },
    Kind {
        name: "release",
        table: "releases",
        key: &["model_version"],
        columns: "model_version, target, sha256, length, report_sha256, released_at, by",
    },
    Kind {
        name: "assignment",
        table: "assignments",
        key: &["home", "generation"],
        columns: "home, generation, model_version, hex(nonce), issued_at, expires_at, hex(signed)",
    },
    Kind {
        name: "outcome",
        table: "outcomes",
        key: &["home", "model_version", "weighs"],
        columns: "home, model_version, weighs, at, stage, result, received_at",
    },
    Kind {
        name: "exclusion",
        table: "exclusions",
        key: &["home", "at"],
        columns: "home, reason, by, at, lifted_by, lifted_at",
    },
    Kind {
        name: "round",
        table: "rounds",
        key: &["number"],
        columns: "number, stage, series, place, champion, base, control_base, settings, opened_at, deadline,
             evaluate_deadline, aggregate, candidate, control, report, outcome, kept, reason, run, ended_at",
    },
    // Not the body, which goes when the round ends: its digest is in the row, and in the answer that the home signed.
    Kind {
        name: "round_home",
        table: "round_homes",
        key: &["round", "home"],
        columns: "round, home, work, hex(nonce), hex(signed), state, reason, hex(answer), hex(digest), bytes, norm,
             similarity, at",
    },
    Kind { name: "late_delta", table: "late_deltas", key: &["round", "home"], columns: "round, home, counted_in" },
];

impl Kind {
    /// The subject of a row, as SQL; `of` is `NEW.`, `OLD.` or nothing.
    fn subject(&self, of: &str) -> String {
        self.key.iter().map(|column| format!("{of}{column}")).collect::<Vec<_>>().join(" || '/' || ")
    }

    fn digests(&self) -> String {
        format!("SELECT CAST({} AS TEXT), json_array({}) FROM {}", self.subject(""), self.columns, self.table)
    }
}

/// Sets the triggers up on a writing connection, and seals what was there before there were seals.
pub(super) fn prepare(connection: &mut Connection) -> StoreResult<()> {
    let mut script =
        "CREATE TEMP TABLE touched (kind TEXT, subject TEXT, PRIMARY KEY (kind, subject)) WITHOUT ROWID;".to_owned();
    for kind in &KINDS {
        for (event, of) in [("INSERT", "NEW."), ("UPDATE", "NEW."), ("DELETE", "OLD.")] {
            let (name, table, subject) = (kind.name, kind.table, kind.subject(of));
            script.push_str(&format!(
                "CREATE TEMP TRIGGER touched_{name}_{event} AFTER {event} ON main.{table} BEGIN
                     INSERT OR IGNORE INTO touched VALUES ('{name}', {subject}); END;"
            ));
        }
    }
    connection.execute_batch(&script).map_err(engine("prepare lineage"))?;
    let transaction = connection.transaction().map_err(engine("prepare lineage"))?;
    let sealed = "SELECT EXISTS (SELECT 1 FROM lineage)";
    let sealed: bool = query::one(&transaction, "prepare lineage", sealed, [], |row| row.get(0))?;
    if !sealed {
        for kind in &KINDS {
            let all = format!("INSERT INTO touched SELECT '{}', {} FROM {}", kind.name, kind.subject(""), kind.table);
            transaction.execute(&all, []).map_err(engine("prepare lineage"))?;
        }
        seal(&transaction)?;
    }
    transaction.commit().map_err(engine("prepare lineage"))
}

/// Appends the digests of every row that this transaction touched.
pub(super) fn seal(transaction: &Transaction<'_>) -> StoreResult<()> {
    append(transaction).map_err(engine("seal rows"))
}

fn append(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut touched: BTreeMap<String, Vec<String>> = BTreeMap::new();
    {
        let mut statement = transaction.prepare("SELECT kind, subject FROM touched ORDER BY kind, subject")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            touched.entry(row.get(0)?).or_default().push(row.get(1)?);
        }
    }
    if touched.is_empty() {
        return Ok(());
    }
    transaction.execute("DELETE FROM touched", [])?;
    let last = transaction
        .query_row("SELECT position, hash FROM lineage ORDER BY position DESC LIMIT 1", [], |row| {
            Ok((row.get::<_, u64>(0)?, row.get::<_, Digest>(1)?))
        })
        .optional()?;
    let (mut position, mut previous) = last.unwrap_or((0, [0; 32]));
    let mut insert = transaction
        .prepare("INSERT INTO lineage (position, kind, subject, digest, hash) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for kind in &KINDS {
        let Some(subjects) = touched.remove(kind.name) else { continue };
        // By the key's own columns, so that the table's index is used.
        let clause: Vec<String> = kind.key.iter().enumerate().map(|(n, key)| format!("{key} = ?{}", n + 1)).collect();
        let select = format!("SELECT json_array({}) FROM {} WHERE {}", kind.columns, kind.table, clause.join(" AND "));
        let mut row = transaction.prepare(&select)?;
        for subject in subjects {
            let mut parts: Vec<&str> = subject.rsplitn(kind.key.len(), '/').collect();
            parts.reverse();
            let text: Option<String> = row.query_row(rusqlite::params_from_iter(parts), |row| row.get(0)).optional()?;
            let digest = text.map(|text| Sha256::digest(text.as_bytes()).to_vec()).unwrap_or_default();
            position += 1;
            previous = line_hash(position, &previous, kind.name, &subject, &digest);
            insert.execute(params![position, kind.name, subject, digest, &previous[..]])?;
        }
    }
    Ok(())
}

/// SHA-256 over position, the hash before and every field, each with its length in front.
pub(super) fn line_hash(position: u64, previous: &Digest, kind: &str, subject: &str, digest: &[u8]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(position.to_be_bytes());
    hasher.update(previous);
    for field in [kind.as_bytes(), subject.as_bytes(), digest] {
        hasher.update((field.len() as u64).to_be_bytes());
        hasher.update(field);
    }
    hasher.finalize().into()
}

impl SqliteStore {
    /// Holds every sealed row against the chain, every link against what it names, and both chains against themselves.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError) when the store cannot be read; what is wrong with what it holds is in the report.
    pub fn verify_lineage(&self) -> StoreResult<LineageReport> {
        let lent = self.read();
        // All of it as it was at one moment: an aggregator that runs beside this seals rows meanwhile.
        let reader = lent.unchecked_transaction().map_err(engine("read lineage"))?;
        let (mut sealed, lines, head, mut findings) = chain(&reader).map_err(engine("read lineage"))?;
        let mut rows = Vec::new();
        for kind in &KINDS {
            // Row by row: a table may hold years.
            let mut statement = reader.prepare(&kind.digests()).map_err(engine("read lineage"))?;
            let read = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, Sha256::digest(row.get::<_, String>(1)?)));
            let mut count = 0;
            for row in statement.query_map([], read).map_err(engine("read lineage"))? {
                let (subject, now) = row.map_err(engine("read lineage"))?;
                count += 1;
                let fault = match sealed.remove(&(kind.name.to_owned(), subject.clone())) {
                    None => Fault::Foreign,
                    Some(digest) if digest.is_empty() => Fault::Foreign,
                    Some(digest) if digest[..] != now[..] => Fault::Edited,
                    Some(_) => continue,
                };
                findings.push(Finding { kind: kind.name.to_owned(), subject, fault });
            }
            rows.push((kind.name, count));
        }
        let gone = sealed.into_iter().filter(|(_, digest)| !digest.is_empty());
        findings.extend(gone.map(|((kind, subject), _)| Finding { kind, subject, fault: Fault::Gone }));
        findings.extend(payloads(&reader).map_err(engine("read lineage"))?);
        findings.extend(links(&reader).map_err(engine("read lineage"))?);
        findings.extend(audit(&reader)?);
        findings.sort();
        Ok(LineageReport { rows, lines, head, findings })
    }
}

/// The newest digest of each subject.
type Sealed = HashMap<(String, String), Vec<u8>>;

fn chain(reader: &Connection) -> rusqlite::Result<(Sealed, u64, Digest, Vec<Finding>)> {
    let (mut sealed, mut findings) = (Sealed::new(), Vec::new());
    let (mut position, mut previous): (u64, Digest) = (0, [0; 32]);
    let mut statement =
        reader.prepare("SELECT position, kind, subject, digest, hash FROM lineage ORDER BY position")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (found, kind, subject): (u64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (digest, hash): (Vec<u8>, Digest) = (row.get(3)?, row.get(4)?);
        position += 1;
        if found != position || hash != line_hash(found, &previous, &kind, &subject, &digest) {
            let (kind, subject) = ("lineage".to_owned(), found.to_string());
            findings.push(Finding { kind, subject, fault: Fault::BrokenChain });
            position = found;
        }
        previous = hash;
        sealed.insert((kind, subject), digest);
    }
    Ok((sealed, position, previous, findings))
}

/// Answers whose payload is not the one that was stored.
fn payloads(reader: &Connection) -> rusqlite::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut statement = reader.prepare("SELECT home, sequence, digest, verdict, payload FROM feedback")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (home, sequence): (String, u64) = (row.get(0)?, row.get(1)?);
        let (digest, verdict, payload): (Vec<u8>, String, Vec<u8>) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let says = |record: &hearthwatch_protocol::messages::FeedbackRecord| {
            record.home.as_str() == home && record.sequence.0 == sequence && <&str>::from(record.verdict) == verdict
        };
        let whole = Sha256::digest(&payload)[..] == digest[..]
            && matches!(decode(&payload), Ok(Message::Feedback(record)) if says(&record));
        if !whole {
            let (kind, subject) = ("answer".to_owned(), format!("{home}/{sequence}"));
            findings.push(Finding { kind, subject, fault: Fault::Payload });
        }
    }
    Ok(findings)
}

/// Rows that do not follow from what they name.
fn links(reader: &Connection) -> rusqlite::Result<Vec<Finding>> {
    let pairs = |select: &str| -> rusqlite::Result<Vec<(String, String)>> {
        let mut statement = reader.prepare(select)?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let mut findings = Vec::new();
    let mut broken = |kind: &str, subject: String, to: String| {
        findings.push(Finding { kind: kind.to_owned(), subject, fault: Fault::Link(to) });
    };
    let snapshots: HashSet<String> = pairs("SELECT id, '' FROM snapshots")?.into_iter().map(|(id, _)| id).collect();
    let runs: BTreeMap<String, String> = pairs("SELECT id, snapshot FROM runs")?.into_iter().collect();
    // A round's run has no data set here: what it learnt from stayed in the homes, and the round names the digests.
    let rounds: HashSet<String> =
        pairs("SELECT 'round:' || number, '' FROM rounds")?.into_iter().map(|(id, _)| id).collect();
    let follows = |from: &String| snapshots.contains(from) || rounds.contains(from);
    for (run, snapshot) in runs.iter().filter(|(_, snapshot)| !follows(snapshot)) {
        broken("run", run.clone(), format!("snapshot {snapshot}"));
    }
    let unpromoted = "SELECT CAST(number AS TEXT), run FROM rounds AS r WHERE run IS NOT NULL AND NOT EXISTS
         (SELECT 1 FROM runs WHERE id = r.run AND challenger = r.candidate)";
    for (round, run) in pairs(unpromoted)? {
        broken("round", round, format!("run {run} with its candidate"));
    }
    let strangers = "SELECT round || '/' || home, CAST(round AS TEXT) FROM round_homes WHERE round NOT IN (SELECT number FROM rounds)";
    for (subject, round) in pairs(strangers)? {
        broken("round_home", subject, format!("round {round}"));
    }
    for (version, run) in pairs("SELECT CAST(version AS TEXT), run FROM models WHERE run <> ''")? {
        if !runs.contains_key(origin(&run)) {
            broken("model", version, format!("run {run}"));
        }
    }
    let other = "SELECT CAST(model_version AS TEXT), sha256 FROM releases AS r WHERE NOT EXISTS
         (SELECT 1 FROM models AS m WHERE m.version = r.model_version AND m.sha256 = r.sha256 AND m.length = r.length)";
    for (version, sha256) in pairs(other)? {
        broken("release", version, format!("a model with the bytes {sha256}"));
    }
    let unreleased = "SELECT home || '/' || generation, CAST(model_version AS TEXT) FROM assignments
         WHERE model_version NOT IN (SELECT model_version FROM releases)";
    for (subject, version) in pairs(unreleased)? {
        broken("assignment", subject, format!("release {version}"));
    }
    Ok(findings)
}

/// Lines of the audit log that do not follow from the ones before.
fn audit(reader: &Connection) -> StoreResult<Vec<Finding>> {
    let mut rows = tokens::audit(reader, None, 0)?;
    rows.reverse();
    let (mut previous, mut index, mut findings): (Digest, u64, Vec<Finding>) = ([0; 32], 0, Vec::new());
    for row in rows {
        index += 1;
        let (found, hash, before) = (row.index, row.hash, row.previous);
        let entry =
            AuditEntry { at: row.at, actor: row.actor, action: row.action, subject: row.subject, detail: row.detail };
        if found != index || before != previous || hash != entry.hash(found, &before) {
            let (kind, subject) = ("audit".to_owned(), found.to_string());
            findings.push(Finding { kind, subject, fault: Fault::BrokenChain });
            index = found;
        }
        previous = hash;
    }
    Ok(findings)
}

#[cfg(test)]
mod tests;
