//! The ledger of certificates: which key was certified for which home, and what was taken back.
//!
//! Two files of JSON lines beside the authority, only ever appended to. The list for brokers (a CRL, RFC 5280) is rendered
//! from them; a home's signed manifest is verified with the keys in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::seal::PublicKey;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};
use crate::layout::Layout;

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line that is not one of ours.
    #[error("{} line {line} is damaged: {cause}; restore the file from a backup", .path.display())]
    Damaged {
        /// The ledger's file of issues, or that of revocations.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// The parser's words.
        cause: String,
    },
    /// Not a certificate that this authority issues.
    #[error("not a certificate of a home: {0}")]
    Certificate(String),
}

/// A certificate that was issued to a home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issue {
    /// The home in its common name.
    pub home: HomeId,
    /// Its serial number, hex.
    pub serial: String,
    /// The certified key, as `p256:HEX`.
    pub key: String,
    /// When it was signed.
    pub at: Timestamp,
    /// Until when it holds.
    pub until: Timestamp,
}

/// A certificate that was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// The home in its common name.
    pub home: HomeId,
    /// Its serial number, hex.
    pub serial: String,
    /// From when on nobody is to believe it.
    pub at: Timestamp,
    /// One line for those who read it later.
    pub reason: String,
}

/// The two files.
#[derive(Debug, Clone)]
pub struct Ledger {
    issued: PathBuf,
    revoked: PathBuf,
}

impl Ledger {
    /// The ledger of an installation; touches nothing.
    #[must_use]
    pub fn of(layout: &Layout) -> Self {
        Self { issued: layout.issued(), revoked: layout.revoked() }
    }

    /// Writes down that a certificate was issued.
    ///
    /// # Errors
    /// [`LedgerError`]; then the certificate must not be handed out.
    pub fn record(&self, certificate_pem: &str, at: Timestamp) -> Result<Issue, LedgerError> {
        let issue = read_certificate(certificate_pem, at)?;
        append(&self.issued, &issue)?;
        Ok(issue)
    }

    /// Everything that was issued, oldest first.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn issues(&self) -> Result<Vec<Issue>, LedgerError> {
        lines(&self.issued)
    }

    /// Everything that was taken back, oldest first.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn revocations(&self) -> Result<Vec<Revocation>, LedgerError> {
        lines(&self.revoked)
    }

    /// Takes back every certificate of `home` that still holds at `at`. Returns what was taken back now.
    ///
    /// # Errors
    /// [`LedgerError`]; what was written before stays.
    pub fn revoke(&self, home: &HomeId, at: Timestamp, reason: &str) -> Result<Vec<Revocation>, LedgerError> {
        let gone = self.revoked_serials()?;
        let open = self.issues()?.into_iter();
        let open = open.filter(|issue| issue.home == *home && issue.until > at && !gone.contains(&issue.serial));
        let mut taken = Vec::new();
        for issue in open {
            let reason = reason.to_owned();
            let revocation = Revocation { home: home.clone(), serial: issue.serial, at, reason };
            append(&self.revoked, &revocation)?;
            taken.push(revocation);
        }
        Ok(taken)
    }

    /// Whether the certificate with this serial number was taken back.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn is_revoked(&self, serial: &str) -> Result<bool, LedgerError> {
        Ok(self.revoked_serials()?.contains(serial))
    }

    /// Homes that have no certificate left that holds, because theirs was taken back.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn shut_out(&self, now: Timestamp) -> Result<BTreeSet<HomeId>, LedgerError> {
        let revocations = self.revocations()?;
        let gone: BTreeSet<&str> = revocations.iter().map(|revocation| revocation.serial.as_str()).collect();
        let issues = self.issues()?;
        let live = |home: &HomeId| {
            issues.iter().any(|issue| issue.home == *home && issue.until > now && !gone.contains(issue.serial.as_str()))
        };
        Ok(revocations.iter().map(|revocation| &revocation.home).filter(|home| !live(home)).cloned().collect())
    }

    /// Where the revocations are kept: whoever holds sessions open watches this file.
    #[must_use]
    pub fn revocations_file(&self) -> &std::path::Path {
        &self.revoked
    }

    /// The keys certified for each home, but those of certificates that were taken back.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn keys(&self) -> Result<BTreeMap<HomeId, Vec<PublicKey>>, LedgerError> {
        let gone = self.revoked_serials()?;
        let mut keys: BTreeMap<HomeId, Vec<PublicKey>> = BTreeMap::new();
        for issue in self.issues()?.into_iter().filter(|issue| !gone.contains(&issue.serial)) {
            if let Ok(key) = issue.key.parse() {
                let known = keys.entry(issue.home).or_default();
                if !known.contains(&key) {
                    known.push(key);
                }
            }
        }
        Ok(keys)
    }

    /// Each home's certificate that ends last, of those that hold and were not taken back; homes without one are left out.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn newest(&self, now: Timestamp) -> Result<BTreeMap<HomeId, Issue>, LedgerError> {
        let gone = self.revoked_serials()?;
        let mut newest: BTreeMap<HomeId, Issue> = BTreeMap::new();
        for issue in self.issues()?.into_iter().filter(|issue| issue.until > now && !gone.contains(&issue.serial)) {
            if newest.get(&issue.home).is_none_or(|known| known.until < issue.until) {
                newest.insert(issue.home.clone(), issue);
            }
        }
        Ok(newest)
    }

    /// The serial numbers of everything that was taken back.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn revoked_serials(&self) -> Result<BTreeSet<String>, LedgerError> {
        Ok(self.revocations()?.into_iter().map(|revocation| revocation.serial).collect())
    }
}

/// What a certificate says of itself, as a line of the ledger.
///
/// # Errors
/// [`LedgerError::Certificate`].
pub fn read_certificate(certificate_pem: &str, at: Timestamp) -> Result<Issue, LedgerError> {
    let broken = |cause: String| LedgerError::Certificate(cause);
    let (_, pem) =
        x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes()).map_err(|error| broken(error.to_string()))?;
    let certificate = pem.parse_x509().map_err(|error| broken(error.to_string()))?;
    let name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or_default();
    let home = HomeId::new(name).map_err(|error| broken(error.to_string()))?;
    let point = certificate.public_key().subject_public_key.data.to_vec();
    let key = point.try_into().map(PublicKey::P256).map_err(|_| broken("its key is not P-256".to_owned()))?;
    let until = Timestamp::from_second(certificate.validity().not_after.timestamp());
    let until = until.map_err(|error| broken(error.to_string()))?;
    Ok(Issue { home, serial: hex::encode(certificate.raw_serial()), key: key.to_string(), at, until })
}

fn append<T: Serialize>(path: &std::path::Path, row: &T) -> Result<(), LedgerError> {
    let line = serde_json::to_string(row).map_err(|error| LedgerError::Certificate(error.to_string()))?;
    Ok(files::append_private(path, format!("{line}\n").as_bytes())?)
}

fn lines<T: DeserializeOwned>(path: &std::path::Path) -> Result<Vec<T>, LedgerError> {
    let text = files::if_there(files::read_text(path))?.unwrap_or_default();
    let read = |(index, line): (usize, &str)| {
        let damaged = |cause: String| LedgerError::Damaged { path: path.to_owned(), line: index + 1, cause };
        serde_json::from_str(line).map_err(|error| damaged(error.to_string()))
    };
    text.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{home, installation, now};
    use crate::homes;

    #[test]
    fn an_issued_certificate_is_written_down_and_taken_back_once() {
        let (_dir, layout) = installation();
        let home = home();
        homes::issue(&layout, &home, now(), 7).unwrap();
        let ledger = Ledger::of(&layout);
        let issue = ledger.issues().unwrap().pop().unwrap();
        assert_eq!((&issue.home, issue.until), (&home, "2026-03-08T12:00:00Z".parse().unwrap()));
        assert_eq!(ledger.keys().unwrap()[&home].len(), 1);
        let taken = ledger.revoke(&home, now(), "sold").unwrap();
        assert_eq!(taken.iter().map(|row| &row.serial).collect::<Vec<_>>(), [&issue.serial]);
        assert!(ledger.is_revoked(&issue.serial).unwrap());
        assert_eq!(ledger.revoke(&home, now(), "again").unwrap(), []);
        assert!(ledger.keys().unwrap().is_empty());
    }

    #[test]
    fn the_key_in_the_ledger_verifies_what_the_homes_key_signs() {
        let (_dir, layout) = installation();
        let home = home();
        let (bundle, _) = homes::issue(&layout, &home, now(), 7).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(&std::fs::read(bundle.key()).unwrap()).unwrap();
        let key = hearthwatch_protocol::seal::SigningKey::from_pkcs8(&pem.contents).unwrap();
        assert_eq!(Ledger::of(&layout).keys().unwrap()[&home], [key.public()]);
    }

    #[test]
    fn a_damaged_line_is_named() {
        let (_dir, layout) = installation();
        files::append_private(&layout.issued(), b"{}\n").unwrap();
        assert!(matches!(Ledger::of(&layout).issues(), Err(LedgerError::Damaged { line: 1, .. })));
    }
}
