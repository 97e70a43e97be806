//! Renewal: a home that has a certificate gets the next one, for a new key, on the word of the present key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::renewal::SignedRenewal;
use hearthwatch_protocol::seal::PublicKey;
use hearthwatch_protocol::statement::StatementRefusal;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::acl::{Identity, IdentityError};
use crate::authority::AuthorityError;
use crate::enrol::{Enroller, key_sha256};
use crate::late::{Late, LateError};
use crate::ledger::{Issue, LedgerError, Revocation};
use crate::revocation::{self, RevocationError};

/// How long after its certificate ran out a home may still ask to come back: a holiday house is opened twice a year.
pub const GRACE: SignedDuration = SignedDuration::from_hours(180 * 24);
/// How far a wish's date may be from our clock: certificates themselves would not hold on a clock that is worse.
pub const CLOCK: SignedDuration = SignedDuration::from_hours(24);
/// Certificates that one home gets in a day: one is honest, a few more are answers that were lost on the way.
pub const A_DAY_MAX: usize = 8;

/// Body of `POST /renew`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// The home that asks; must be the one in the wish.
    pub home: HomeId,
    /// The signed wish ([`SignedRenewal`]), base64.
    pub wish: String,
}

/// What comes of a wish that is in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewed {
    /// The next certificate.
    Given {
        /// PEM, without its authority's.
        certificate: String,
    },
    /// The last one ran out; an operator has to say yes.
    Waits,
}

/// Why a home gets no certificate.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The name is kept for others.
    #[error(transparent)]
    Name(#[from] IdentityError),
    /// Not base64.
    #[error("the wish is not base64")]
    Encoding,
    /// No key of the home signed it.
    #[error(transparent)]
    Wish(#[from] StatementRefusal),
    /// The home has no certificate, or none that anybody may still speak of.
    #[error("no certificate of {0} is known; `hearthwatch-provision home add {0} --new-token` lets it enrol anew")]
    Unknown(HomeId),
    /// Taken back.
    #[error("the certificate of {0} was taken back")]
    Revoked(HomeId),
    /// Ran out too long ago.
    #[error(
        "the certificate of {home} ran out at {at}, too long ago; `hearthwatch-provision home add {home} --new-token` \
         lets it enrol anew"
    )]
    TooLate {
        /// The home.
        home: HomeId,
        /// When its last certificate ran out.
        at: Timestamp,
    },
    /// An old wish, or a clock that is wrong.
    #[error("the wish is of {at}, more than a day from now")]
    Stale {
        /// Its date, Unix seconds.
        at: i64,
    },
    /// The key that it has.
    #[error("the wish is for the key that it is signed with; each certificate is for a new one")]
    SameKey,
    /// Too often.
    #[error("{A_DAY_MAX} certificates were issued to {0} within a day")]
    TooOften(HomeId),
    /// The signing request is no good.
    #[error(transparent)]
    Request(AuthorityError),
    /// The ledger cannot be kept.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The waiting room cannot be kept.
    #[error(transparent)]
    Late(#[from] LateError),
    /// What brokers read cannot be rendered.
    #[error(transparent)]
    Revocation(#[from] RevocationError),
}

impl RenewError {
    /// One word for counters and for the answer over HTTP.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Name(_) => "reserved_name",
            Self::Encoding => "bad_request",
            Self::Request(error) => error.reason(),
            Self::Wish(_) => "bad_signature",
            Self::Unknown(_) => "unknown_home",
            Self::Revoked(_) => "revoked",
            Self::TooLate { .. } => "too_late",
            Self::Stale { .. } => "stale",
            Self::SameKey => "same_key",
            Self::TooOften(_) => "too_often",
            Self::Ledger(_) | Self::Late(_) | Self::Revocation(_) => "unavailable",
        }
    }
}

impl Enroller {
    /// Whether a wish is signed by a key that was certified for the home that it names. False where the ledger cannot be read,
    /// which [`Enroller::renew`] tells.
    #[must_use]
    pub fn is_signed(&self, request: &RenewRequest) -> bool {
        let (Ok(wish), Ok(issues)) = (STANDARD.decode(&request.wish), self.ledger.issues()) else { return false };
        let known: Vec<Issue> = issues.into_iter().filter(|issue| issue.home == request.home).collect();
        who_signed(&SignedRenewal::from_bytes(wish), &request.home, &known).is_ok()
    }

    /// Gives a home its next certificate; one whose last has run out waits until an operator says yes.
    ///
    /// # Errors
    /// [`RenewError`].
    pub fn renew(&self, request: &RenewRequest, now: Timestamp) -> Result<Renewed, RenewError> {
        let home = &request.home;
        let identity = Identity::home(home.clone())?;
        let wish = STANDARD.decode(&request.wish).map_err(|_| RenewError::Encoding)?;
        let known: Vec<Issue> = self.ledger.issues()?.into_iter().filter(|issue| issue.home == *home).collect();
        let (wish, by) = who_signed(&SignedRenewal::from_bytes(wish), home, &known)?;
        if self.ledger.is_revoked(&by.serial)? {
            return Err(RenewError::Revoked(home.clone()));
        }
        let asked = Timestamp::from_second(wish.at).unwrap_or(Timestamp::MIN);
        if asked.duration_since(now).abs() > CLOCK {
            return Err(RenewError::Stale { at: wish.at });
        }
        let today = known.iter().filter(|issue| now.duration_since(issue.at) < CLOCK).count();
        if today >= A_DAY_MAX {
            return Err(RenewError::TooOften(home.clone()));
        }
        let certificate =
            self.authority.sign_request(&wish.csr, &identity, now, self.days).map_err(RenewError::Request)?;
        let next = crate::ledger::read_certificate(&certificate, now)?;
        if next.key == by.key {
            return Err(RenewError::SameKey);
        }
        if now >= by.until {
            if now.duration_since(by.until) > GRACE {
                return Err(RenewError::TooLate { home: home.clone(), at: by.until });
            }
            let key = key_sha256(&certificate).map_err(RenewError::Request)?;
            if !self.late.ask(home, &key, by.until, now)? {
                return Ok(Renewed::Waits);
            }
        }
        self.ledger.record(&certificate, now)?;
        if now >= by.until {
            self.late.forget(home)?;
        }
        Ok(Renewed::Given { certificate })
    }

    /// Homes whose certificate ran out and that wait for a word, longest first.
    ///
    /// # Errors
    /// [`LateError`].
    pub fn waiting(&self) -> Result<Vec<Late>, LateError> {
        self.late.list()
    }

    /// Lets a home come back whose certificate ran out; it gets the next one when it asks again.
    ///
    /// # Errors
    /// [`LateError::Nobody`] when it does not wait.
    pub fn approve(&self, home: &HomeId, by: &str, now: Timestamp) -> Result<Late, LateError> {
        self.late.approve(home, by, now)
    }

    /// Sends a home away that waits. It may ask again.
    ///
    /// # Errors
    /// [`LateError::Nobody`] when it does not wait.
    pub fn deny(&self, home: &HomeId) -> Result<(), LateError> {
        self.late.forget(home)
    }

    /// Takes back every certificate of `home` and renders what brokers read. It may enrol anew with a new claim token.
    ///
    /// # Errors
    /// [`RevocationError`].
    pub fn revoke(&self, home: &HomeId, now: Timestamp, reason: &str) -> Result<Vec<Revocation>, RevocationError> {
        revocation::revoke(&self.layout, home, now, reason)
    }
}

/// The certificate whose key signed the wish: the newest of that key.
fn who_signed<'a>(
    signed: &SignedRenewal,
    home: &HomeId,
    known: &'a [Issue],
) -> Result<(hearthwatch_protocol::renewal::Renewal, &'a Issue), RenewError> {
    let mut refusal = RenewError::Unknown(home.clone());
    for issue in known.iter().rev() {
        let Ok(key) = issue.key.parse::<PublicKey>() else { continue };
        match signed.read_of(home, &[key]) {
            Ok(wish) => return Ok((wish, issue)),
            Err(error) => refusal = error.into(),
        }
    }
    Err(refusal)
}

#[cfg(test)]
mod tests;
