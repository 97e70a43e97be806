//! The audit log, verified on this machine: every line's hash covers the line before it.

use std::io::{BufRead as _, Read as _};

use clap::ArgMatches;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::api;
use crate::client::{Client, Request};
use crate::failure::{Done, Failure};
use crate::output::{Asked, Form, Item, Printer, compact, words};
use crate::pages::{Pages, Wanted};
use crate::world::World;

/// Bad lines that are told one by one; their number is told anyway.
const TOLD_MAX: usize = 10;

/// Largest line of an export: a detail is some KB.
const LINE_MAX: u64 = 1 << 20;

/// Lines between two words about how far it is.
const PROGRESS: u64 = 10_000;

/// Where the log is.
const PATH: &str = "/api/v1/audit";

/// A line as the API shows it.
#[derive(Debug, Deserialize)]
struct Line {
    index: u64,
    at: i64,
    actor: String,
    action: String,
    subject: String,
    /// Its text is hashed, so its text is kept.
    detail: Box<RawValue>,
    previous: String,
    hash: String,
}

impl Line {
    /// SHA-256 over position, the hash before and every field, each with its length in front, as the aggregator makes it.
    fn expected(&self) -> Option<String> {
        let previous = hex::decode(&self.previous).ok().filter(|bytes| bytes.len() == 32)?;
        // The store keeps the detail on one line; the API shows an empty one as null.
        let text = match self.detail.get() {
            "null" => String::new(),
            text => compact(text),
        };
        let mut hasher = Sha256::new();
        hasher.update(self.index.to_be_bytes());
        hasher.update(&previous);
        hasher.update(self.at.to_be_bytes());
        for field in [&self.actor, &self.action, &self.subject, &text] {
            hasher.update((field.len() as u64).to_be_bytes());
            hasher.update(field.as_bytes());
        }
        Some(hex::encode(hasher.finalize()))
    }
}

/// A chain that is read line by line, newest first.
#[derive(Debug)]
pub struct Chain {
    /// What the next older line is to be: its position and its hash.
    next: Option<(u64, String)>,
    head: Option<(u64, String)>,
    known: Option<(u64, String)>,
    found_known: bool,
    lines: u64,
    bad: u64,
    /// The newest bad lines first; the last is the lowest.
    findings: Vec<(u64, String)>,
}

impl Chain {
    /// One that must hold `known`, a line that was seen earlier.
    #[must_use]
    pub fn new(known: Option<(u64, String)>) -> Self {
        Self { next: None, head: None, known, found_known: false, lines: 0, bad: 0, findings: Vec::new() }
    }

    /// Takes the next older line, as JSON.
    ///
    /// # Errors
    /// [`Failure::Strange`] for what is no line of an audit log.
    pub fn push(&mut self, text: &str) -> Done {
        let strange = |error| Failure::Strange(format!("this is no line of an audit log: {error}"));
        let line: Line = serde_json::from_str(text).map_err(strange)?;
        self.lines += 1;
        self.head.get_or_insert_with(|| (line.index, line.hash.clone()));
        if let Some((index, hash)) = self.next.take() {
            if line.index != index {
                self.find(index, format!("line {index} is missing: line {} comes in its place", line.index));
            } else if line.hash != hash {
                self.find(index, format!("line {index} is not the one that line {} was written after", index + 1));
            }
        }
        match line.expected() {
            Some(expected) if expected == line.hash => {}
            Some(_) => self.find(line.index, format!("line {} is not as it was written: {}", line.index, told(&line))),
            None => self.find(line.index, format!("line {} names no hash of the line before it", line.index)),
        }
        if let Some((index, hash)) = &self.known
            && *index == line.index
        {
            self.found_known = true;
            if *hash != line.hash {
                let text =
                    format!("line {index} is not the one that was seen earlier: the log was rewritten up to there");
                self.find(line.index, text);
            }
        }
        self.next = line.index.checked_sub(1).map(|index| (index, line.previous.clone()));
        if line.index == 1 && line.previous.bytes().any(|byte| byte != b'0') {
            self.find(1, "line 1 names a line before it".to_owned());
        }
        Ok(())
    }

    fn find(&mut self, index: u64, text: String) {
        self.bad += 1;
        self.findings.push((index, text));
        if self.findings.len() > TOLD_MAX {
            // The lowest is what is wanted, and comes last.
            self.findings.remove(0);
        }
    }

    /// Ends the reading: what was found, as a report, or as the failure that it is.
    ///
    /// # Errors
    /// [`Failure::Failed`] if the chain is not sound.
    pub fn end(mut self) -> Done<String> {
        match self.next.take() {
            Some((index, _)) if index > 0 => {
                self.find(index, format!("the log begins with line {}: lines 1 to {index} are missing", index + 1));
            }
            _ => {}
        }
        if let Some((index, _)) = self.known.clone()
            && !self.found_known
        {
            let text = format!("line {index} was seen earlier and is not there: the log was cut off");
            self.find(index, text);
        }
        let count = words::many(i64::try_from(self.lines).unwrap_or(i64::MAX), "line");
        let head = self.head.map_or_else(String::new, |(index, hash)| format!("{index}:{hash}"));
        let Some((first, _)) = self.findings.iter().min_by_key(|(index, _)| *index).cloned() else {
            if self.lines == 0 {
                return Ok("the audit log is empty: nobody did anything yet".to_owned());
            }
            return Ok(format!(
                "sound: {count}, each as it was written and after the one that it names\nhead   {head}"
            ));
        };
        let mut text = format!(
            "the audit log is not sound: {count} read, {}, the first bad line is {first}",
            words::many(i64::try_from(self.bad).unwrap_or(i64::MAX), "finding"),
        );
        self.findings.sort_by_key(|(index, _)| *index);
        for (_, finding) in &self.findings {
            text.push_str(&format!("\n  {finding}"));
        }
        text.push_str(
            "\n  what to do: somebody changed the database by hand. Keep it and its backups as they are, and run `hearthwatch-cloud \
             verify-lineage --config FILE` on the aggregator's machine",
        );
        Err(Failure::Failed(text))
    }
}

fn told(line: &Line) -> String {
    words::clean(&format!("{} {} by {}", line.action, line.subject, line.actor))
}

fn known(matches: &ArgMatches) -> Done<Option<(u64, String)>> {
    let Some(text) = matches.get_one::<String>("head") else { return Ok(None) };
    let fault = || Failure::Usage(format!("--head {text:?} is not INDEX:HASH, as `audit verify` prints it"));
    let (index, hash) = text.split_once(':').ok_or_else(fault)?;
    let index = index.parse().map_err(|_| fault())?;
    if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(fault());
    }
    // Before the first line there is nothing to hold it against.
    Ok((index > 0).then(|| (index, hash.to_ascii_lowercase())))
}

/// `audit verify`: over the API.
///
/// # Errors
/// [`Failure::Failed`] if the chain is not sound, and what asking brings.
pub async fn verify(matches: &ArgMatches, client: &Client, world: &mut World<'_>) -> Done {
    let mut chain = Chain::new(known(matches)?);
    let mut pages = Pages::new(client, Request::get(PATH), "after", &Wanted::all());
    let mut said = 0;
    while let Some(items) = pages.more(world).await? {
        for item in &items {
            chain.push(item.raw.get())?;
        }
        if chain.lines / PROGRESS > said {
            said = chain.lines / PROGRESS;
            world.say(&format!("{} lines", words::count(i64::try_from(chain.lines).unwrap_or(i64::MAX))));
        }
    }
    let report = chain.end()?;
    writeln!(world.out, "{report}")?;
    Ok(())
}

/// `audit verify --file`: over an export.
///
/// # Errors
/// [`Failure::Failed`] if the chain is not sound, [`Failure::File`].
pub fn verify_file(matches: &ArgMatches, world: &mut World<'_>) -> Done {
    let mut chain = Chain::new(known(matches)?);
    let file = matches.get_one::<String>("file").cloned().unwrap_or_default();
    let fault = |cause| Failure::File { path: file.clone().into(), cause };
    let mut opened;
    let reader: &mut dyn std::io::BufRead = if file == "-" {
        world.input
    } else {
        opened = std::io::BufReader::new(std::fs::File::open(&file).map_err(fault)?);
        &mut opened
    };
    let mut line = String::new();
    loop {
        line.clear();
        if (&mut *reader).take(LINE_MAX).read_line(&mut line).map_err(fault)? == 0 {
            break;
        }
        if !line.trim().is_empty() {
            chain.push(line.trim())?;
        }
    }
    let report = chain.end()?;
    writeln!(world.out, "{report}")?;
    Ok(())
}

/// `audit export`: all of it, newest first.
///
/// # Errors
/// What asking brings, and [`Failure::Output`].
pub async fn export(matches: &ArgMatches, client: &Client, world: &mut World<'_>) -> Done {
    let asked = Asked::of(matches, Form::JsonLines);
    let mut printer = Printer::new(asked, "audit", Some("AuditView"), &api().schemas);
    let mut pages = Pages::new(client, Request::get(PATH), "after", &Wanted::all());
    while let Some(items) = pages.more(world).await? {
        let items: Vec<Item> = items;
        printer.more(&items, world)?;
    }
    printer.end(world)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A sound log of `count` lines, newest first.
    fn log(count: u64) -> Vec<Value> {
        let mut previous = "0".repeat(64);
        let mut lines: Vec<Value> = (1..=count)
            .map(|index| {
                let mut line = json!({"index": index, "at": 100 + index, "actor": "token:kim", "action": "home.revoke",
                    "subject": format!("home-{index}"), "detail": {"before": {"b": 1, "a": null}, "reason": "größer \"x\""},
                    "previous": previous, "hash": ""});
                let read: Line = serde_json::from_str(&line.to_string()).unwrap();
                previous = read.expected().unwrap();
                line["hash"] = previous.clone().into();
                line
            })
            .collect();
        lines.reverse();
        lines
    }

    fn verified(lines: &[Value], known: Option<(u64, String)>) -> Done<String> {
        let mut chain = Chain::new(known);
        for line in lines {
            chain.push(&line.to_string())?;
        }
        chain.end()
    }

    fn first_bad(lines: &[Value]) -> String {
        let error = verified(lines, None).unwrap_err();
        assert_eq!(error.code(), 7);
        let text = error.to_string();
        text.lines().next().unwrap().rsplit("the first bad line is ").next().unwrap().to_owned()
    }

    #[test]
    fn the_rule_is_the_stores() {
        // Byte by byte as `AuditEntry::hash` of the store does it.
        let line = json!({"index": 1, "at": 5, "actor": "system", "action": "a.b", "subject": "s", "detail": {},
            "previous": "0".repeat(64), "hash": ""});
        let line: Line = serde_json::from_str(&line.to_string()).unwrap();
        let mut hasher = Sha256::new();
        hasher.update(b"\0\0\0\0\0\0\0\x01");
        hasher.update([0; 32]);
        hasher.update(
            b"\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x06system\0\0\0\0\0\0\0\x03a.b\0\0\0\0\0\0\0\x01s\0\0\0\0\0\0\0\x02{}",
        );
        assert_eq!(line.expected().unwrap(), hex::encode(hasher.finalize()));
    }

    #[test]
    fn a_sound_log_is_found_sound() {
        let lines = log(4);
        let head = lines[0]["hash"].as_str().unwrap().to_owned();
        let report = verified(&lines, None).unwrap();
        assert_eq!(
            report,
            format!("sound: 4 lines, each as it was written and after the one that it names\nhead   4:{head}")
        );
        assert!(verified(&log(9)[..], Some((4, head))).is_ok(), "an older head is still in it");
        assert_eq!(verified(&[], None).unwrap(), "the audit log is empty: nobody did anything yet");
    }

    #[test]
    fn the_first_bad_line_is_named() {
        let mut edited = log(6);
        edited[2]["subject"] = "home-9".into();
        assert_eq!(first_bad(&edited), "4");
        let mut taken_out = log(6);
        taken_out.remove(2);
        assert_eq!(first_bad(&taken_out), "4");
        let mut cut = log(6);
        cut.truncate(4);
        assert_eq!(first_bad(&cut), "2");
        // Edited with a hash of its own: the next line was written after another.
        let mut rehashed = log(6);
        rehashed[2]["detail"] = json!({});
        let read: Line = serde_json::from_str(&rehashed[2].to_string()).unwrap();
        rehashed[2]["hash"] = read.expected().unwrap().into();
        assert_eq!(first_bad(&rehashed), "4");
    }

    #[test]
    fn a_log_that_was_cut_off_or_rewritten_is_found_by_an_older_head() {
        let hash = log(6)[0]["hash"].as_str().unwrap().to_owned();
        let cut = verified(&log(5), Some((6, hash))).unwrap_err().to_string();
        assert!(cut.contains("line 6 was seen earlier and is not there: the log was cut off"), "{cut}");
        let other = verified(&log(6), Some((6, "a".repeat(64)))).unwrap_err().to_string();
        assert!(other.contains("line 6 is not the one that was seen earlier"), "{other}");
    }

    #[test]
    fn many_bad_lines_are_counted_and_the_lowest_are_told() {
        let mut lines = log(60);
        for line in &mut lines {
            line["actor"] = "system".into();
        }
        let text = verified(&lines, None).unwrap_err().to_string();
        assert!(
            text.starts_with("the audit log is not sound: 60 lines read, 60 findings, the first bad line is 1\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 2 + TOLD_MAX);
    }
}
