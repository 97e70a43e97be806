//! Adding a home: a bundle to hand over, and either a claim token or a certificate made here.

use hearthwatch_protocol::HomeId;
use jiff::Timestamp;

use crate::acl::{Identity, IdentityError};
use crate::authority::{Authority, AuthorityError};
use crate::claims::{ClaimError, ClaimToken, Claims, REUSABLE_LIFE, TOKEN_LIFE};
use crate::files::{self, FileError};
use crate::layout::{HomeFiles, Layout};
use crate::ledger::{Ledger, LedgerError};
use crate::revocation::{self, RevocationError};

/// Why a home could not be added.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The name is not one for a home.
    #[error(transparent)]
    Name(#[from] IdentityError),
    /// The authority cannot sign.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The claims cannot be kept.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The ledger of certificates cannot be kept.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What brokers read cannot be rendered.
    #[error(transparent)]
    Revocation(#[from] RevocationError),
}

/// Whether something was made, or was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Made now.
    Created,
    /// There before; left as it was.
    Kept,
}

/// Makes key and certificate for `home` here, in the directory that is then copied to it. A home that has a
/// certificate keeps it.
///
/// # Errors
/// [`HomeError`].
pub fn issue(layout: &Layout, home: &HomeId, now: Timestamp, days: u32) -> Result<(HomeFiles, Outcome), HomeError> {
    let identity = Identity::home(home.clone())?;
    if layout.home(home).cert().exists() {
        return Ok((bundle(layout, home)?, Outcome::Kept));
    }
    let (authority, ledger) = (Authority::load(layout)?, Ledger::of(layout));
    let issued = authority.issue_client(&identity, now, days)?;
    let shut_out = ledger.shut_out(now)?.contains(home);
    ledger.record(&issued.certificate_pem, now)?;
    if shut_out {
        revocation::render(layout, &authority, now)?;
    }
    let bundle = bundle(layout, home)?;
    // The certificate last: it says that the pair is whole.
    files::write_private(&bundle.key(), issued.key_pem.as_bytes())?;
    files::write_public(&bundle.cert(), issued.certificate_pem.as_bytes())?;
    Ok((bundle, Outcome::Created))
}

/// What came of asking for a token.
#[derive(Debug)]
pub enum Token {
    /// A new one, shown only now.
    New {
        /// The token.
        token: ClaimToken,
        /// Until when it can be used.
        expires_at: Timestamp,
    },
    /// One is open already; it cannot be shown again.
    Open {
        /// Until when it can be used.
        expires_at: Timestamp,
    },
    /// The home has enrolled with an earlier one.
    Enrolled {
        /// When that token was used.
        at: Timestamp,
    },
}

/// Makes a claim token for `home`, unless it has an open one or has used one and `again` is false.
///
/// # Errors
/// [`HomeError`].
pub fn token(layout: &Layout, home: &HomeId, now: Timestamp, again: bool) -> Result<Token, HomeError> {
    Identity::home(home.clone())?;
    let claims = Claims::at(layout.claims());
    if !again {
        for claim in claims.list()?.iter().rev().filter(|claim| claim.home == *home) {
            if claim.is_open(now) {
                return Ok(Token::Open { expires_at: claim.expires_at });
            }
            if let Some(used) = &claim.used {
                return Ok(Token::Enrolled { at: used.at });
            }
        }
    }
    let token = claims.issue(home, now, TOKEN_LIFE)?;
    Ok(Token::New { token, expires_at: now.saturating_add(TOKEN_LIFE).unwrap_or(Timestamp::MAX) })
}

/// Makes a reusable claim token for a home without a disk; what it had before is void.
///
/// # Errors
/// [`HomeError`].
pub fn reusable_token(layout: &Layout, home: &HomeId, now: Timestamp) -> Result<Token, HomeError> {
    Identity::home(home.clone())?;
    let token = Claims::at(layout.claims()).issue_reusable(home, now)?;
    Ok(Token::New { token, expires_at: now.saturating_add(REUSABLE_LIFE).unwrap_or(Timestamp::MAX) })
}

/// The directory for a home with what it must trust: the authority, the first TUF root, the director.
///
/// # Errors
/// [`HomeError::File`] when `init` has not run here, or the directory cannot be written.
pub fn bundle(layout: &Layout, home: &HomeId) -> Result<HomeFiles, HomeError> {
    let ca = files::read(&layout.ca_cert())?;
    let root = files::read(&layout.tuf_root())?;
    let director = files::read(&layout.director_public())?;
    let bundle = layout.home(home);
    files::make_dir(bundle.root())?;
    for (path, bytes) in [(bundle.ca(), ca), (bundle.tuf_root(), root), (bundle.director(), director)] {
        if !matches!(files::read(&path), Ok(found) if found == bytes) {
            files::write_public(&path, &bytes)?;
        }
    }
    Ok(bundle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{home, installation, now};

    #[test]
    fn adding_a_home_twice_changes_nothing() {
        let (_dir, layout) = installation();
        let home = home();
        let (files, outcome) = issue(&layout, &home, now(), 30).unwrap();
        assert_eq!(outcome, Outcome::Created);
        let before = std::fs::read(files.cert()).unwrap();
        let (files, outcome) = issue(&layout, &home, now(), 30).unwrap();
        assert_eq!((outcome, std::fs::read(files.cert()).unwrap()), (Outcome::Kept, before));

        assert!(matches!(token(&layout, &home, now(), false).unwrap(), Token::New { .. }));
        assert!(matches!(token(&layout, &home, now(), false).unwrap(), Token::Open { .. }));
        assert!(matches!(token(&layout, &home, now(), true).unwrap(), Token::New { .. }));
    }

    #[test]
    fn a_home_cannot_be_added_before_init() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let error = issue(&layout, &home(), now(), 30).unwrap_err();
        assert!(matches!(error, HomeError::Authority(AuthorityError::File(FileError::Missing(_)))), "{error}");
        assert!(!layout.homes().exists(), "a refusal leaves nothing behind");
    }
}
