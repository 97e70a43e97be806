//! What people decide about this agent, written down before it is done: when, what, who.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

/// The file's name in the state directory: one JSON object a line, only appended to.
pub const AUDIT_FILE: &str = "audit.jsonl";

/// One line of the file; the names of its fields are those of earlier versions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry<'a> {
    /// RFC 3339 in the file.
    pub at: Timestamp,
    /// One word, for example `roll_back`. Named `deed` in the file.
    #[serde(rename = "deed")]
    pub action: &'a str,
    /// Who: an account of the machine, or `resident`.
    pub account: &'a str,
    /// For example the versions before and after.
    pub detail: &'a str,
}

/// Appends a line and waits for the disk. What cannot be written down must not be done.
///
/// # Errors
/// The system's error; then nothing was written, or not all of it.
pub fn note(file: &Path, entry: &Entry<'_>) -> io::Result<()> {
    let line = serde_json::to_string(entry).map_err(io::Error::other)?;
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_all()
}
