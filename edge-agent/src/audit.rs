//! What people decide about this agent, written down before it is done: when, what, who.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

/// The file's name in the state directory: one JSON object a line, only appended to.
pub const AUDIT_FILE: &str = "audit.jsonl";

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry<'a> {
    /// When.
    pub at: Timestamp,
    /// What.
    pub deed: &'a str,
    /// Who: an account of the machine, or `resident`.
    pub account: &'a str,
    /// From what to what.
    pub detail: &'a str,
}

/// Appends a line and waits for the disk. What cannot be written down must not be done.
///
/// # Errors
/// The system's.
pub fn note(file: &Path, entry: &Entry<'_>) -> io::Result<()> {
    let line = serde_json::to_string(entry).map_err(io::Error::other)?;
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_all()
}
