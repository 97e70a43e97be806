//! What an installation holds: certificates, keys, permissions, and what is wrong with them, with the remedy.

pub mod certificates;
mod metadata;

use std::path::{Path, PathBuf};

use aws_lc_rs::signature::Ed25519KeyPair;
use jiff::Timestamp;

use crate::ceremony;
use crate::claims::Claims;
use crate::files::{self, FileError};
use crate::group::Group;
use crate::layout::Layout;
pub use certificates::names_of;

/// Days before a certificate's expiry that are worth a warning: a fortnight of holidays is covered.
const CERTIFICATE_DAYS: i64 = 21;
/// The same for the root of trust: three people with three keys must meet.
const ROOT_DAYS: i64 = 60;
/// The same for metadata that the running aggregator refreshes well before: a warning means that it does not.
const REFRESHED_DAYS: i64 = 1;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is, in words.
    pub what: String,
    /// Where it is, below the installation.
    pub path: PathBuf,
    /// Whom or what it names.
    pub subject: String,
    /// When it ends, if it does.
    pub expires: Option<Timestamp>,
    /// Permission bits, when the file is there.
    pub mode: Option<u32>,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A problem ends `inspect` with exit code 1; advice does not.
    pub weight: Weight,
    /// What is wrong, and the remedy, in one sentence.
    pub text: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Something does not work, or is not safe.
    Problem,
    /// Something will not work soon, or could be safer.
    Advice,
}

/// Everything that was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What is there.
    pub rows: Vec<Row>,
    /// What is wrong, worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing keeps the installation from working safely now.
    #[must_use]
    pub fn sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.weight == Weight::Advice)
    }

    fn problem(&mut self, text: impl Into<String>) {
        self.findings.push(Finding { weight: Weight::Problem, text: text.into() });
    }

    fn advice(&mut self, text: impl Into<String>) {
        self.findings.push(Finding { weight: Weight::Advice, text: text.into() });
    }

    fn expiry(&mut self, what: &str, expires: Timestamp, now: Timestamp, warn_days: i64, remedy: &str) {
        let days = (expires.as_second() - now.as_second()).div_euclid(DAY);
        if expires <= now {
            self.problem(format!("{what} expired at {expires}; {remedy}"));
        } else if days < warn_days {
            self.advice(format!("{what} expires in {days} days, at {expires}; {remedy}"));
        }
    }
}

/// Looks at everything in `layout`; changes nothing.
#[must_use]
pub fn look(layout: &Layout, now: Timestamp) -> Report {
    let mut report = Report::default();
    if !layout.root().is_dir() {
        report.problem(format!("{0} does not exist; hearthwatch-provision init --out {0}", layout.root().display()));
        return report;
    }
    directories(&mut report, layout);
    certificates::look(&mut report, layout, now);
    keys(&mut report, layout);
    metadata::look(&mut report, layout, now);
    broker_files(&mut report, layout, now);
    claims(&mut report, layout, now);
    report.findings.sort_by_key(|finding| finding.weight);
    report
}

fn directories(report: &mut Report, layout: &Layout) {
    for name in ["ca", "broker", "cloud", "gate", "mosquitto", "tuf/online", "tuf/signer"] {
        let path = layout.root().join(name);
        if let Err(error @ FileError::Wide { .. }) = files::check_private(&path) {
            report.problem(error.to_string());
        }
    }
}

fn keys(report: &mut Report, layout: &Layout) {
    for (what, path, lost) in [
        ("targets key", layout.targets_key(), "releases cannot be signed; a new root must name a new key"),
        ("snapshot key", layout.snapshot_key(), "the repository cannot be refreshed; a new root must name a new key"),
        ("timestamp key", layout.timestamp_key(), "the repository cannot be refreshed; a new root must name a new key"),
        ("gate's key", layout.gate_key(), "remove gate.pub too, then init makes a new pair"),
    ] {
        match ceremony::load_key(&path) {
            Ok(key) => report.rows.push(row(layout, what, &path, key_name(&key), None)),
            Err(ceremony::CeremonyError::File(FileError::Missing(_))) => {
                report.problem(format!("{what} is missing: {lost}"));
            }
            Err(error) => report.problem(error.to_string()),
        }
    }
    let here: Vec<usize> = (1..=ceremony::ROOT_KEYS).filter(|number| layout.root_key(*number).exists()).collect();
    for number in &here {
        let path = layout.root_key(*number);
        match ceremony::load_key(&path) {
            Ok(key) => report.rows.push(row(layout, "root key", &path, key_name(&key), None)),
            Err(error) => report.problem(error.to_string()),
        }
    }
    if !here.is_empty() {
        report.advice(format!(
            "{} of {} root keys lie on this machine, beside the keys that they guard against losing; move each file of {} to a \
             medium of its own",
            here.len(),
            ceremony::ROOT_KEYS,
            layout.tuf_offline().display()
        ));
    }
}

fn key_name(key: &Ed25519KeyPair) -> String {
    format!("ed25519 {}…", &ceremony::public_hex(key)[..16])
}

fn broker_files(report: &mut Report, layout: &Layout, now: Timestamp) {
    // A ledger that cannot be read is a finding of its own.
    let shut_out = crate::ledger::Ledger::of(layout).shut_out(now).unwrap_or_default();
    let rendered = crate::acl::render_mosquitto(&shut_out);
    for (what, path) in
        [("mosquitto's configuration", layout.mosquitto_conf()), ("mosquitto's access rules", layout.mosquitto_acl())]
    {
        match files::read_text(&path) {
            Ok(text) => {
                report.rows.push(row(layout, what, &path, String::new(), None));
                if path == layout.mosquitto_acl() && text != rendered {
                    report.problem(format!(
                        "{what} differ from the table that the embedded broker uses, or from the ledger of certificates; \
                         rm {} and run init again",
                        path.display()
                    ));
                }
            }
            Err(error) => report.problem(format!("{error}; run init again")),
        }
    }
    for (from, to) in [
        (layout.ca_cert(), layout.mosquitto_ca()),
        (layout.broker_cert(), layout.mosquitto_cert()),
        (layout.crl(), layout.mosquitto_crl()),
    ] {
        if let (Ok(original), Ok(copy)) = (files::read(&from), files::read(&to))
            && original != copy
        {
            report.problem(format!("{} is no copy of {} any more; run init again", to.display(), from.display()));
        }
    }
    match Group::load(&layout.group()) {
        Ok(_) => report.rows.push(row(layout, "aggregators' secret group", &layout.group(), String::new(), None)),
        Err(error) => report.problem(format!(
            "aggregators' secret group: {error}; hearthwatch-provision group --out {}",
            layout.root().display()
        )),
    }
}

fn claims(report: &mut Report, layout: &Layout, now: Timestamp) {
    match Claims::at(layout.claims()).list() {
        Ok(claims) => {
            for claim in claims {
                let state = match &claim.used {
                    Some(used) if claim.reused.is_some() => format!("{}, reusable, used at {}", claim.home, used.at),
                    Some(used) => format!("{}, used at {}", claim.home, used.at),
                    None if claim.is_open(now) => format!("{}, open", claim.home),
                    None => format!("{}, expired unused", claim.home),
                };
                report.rows.push(row(layout, "claim token", &layout.claims(), state, Some(claim.expires_at)));
            }
        }
        Err(error) => report.problem(error.to_string()),
    }
}

fn row(layout: &Layout, what: &str, path: &Path, subject: String, expires: Option<Timestamp>) -> Row {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).ok().map(|metadata| metadata.permissions().mode() & 0o7777);
    let path = path.strip_prefix(layout.root()).unwrap_or(path).to_owned();
    Row { what: what.to_owned(), path, subject, expires, mode }
}

#[cfg(test)]
mod tests;
