//! One question to the fleet: `POST /renew` over HTTPS that trusts the fleet's authority and nobody else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::renewal::{Renewal, RenewalRefusal};
use serde::{Deserialize, Serialize};
use url::Url;

use super::Identity;
use super::pair::PairError;
use crate::pinned::{self, AskError, PinnedError};

/// Largest answer that is read: a certificate of 1 KiB, or a sentence.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Key and certificate are new.
    Renewed,
    /// An operator has to say yes first.
    Waits,
}

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// Key and certificate.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// The wish.
    #[error(transparent)]
    Wish(#[from] RenewalRefusal),
    /// The authority's file.
    #[error(transparent)]
    Authority(#[from] PinnedError),
    /// The address.
    #[error("{0} is not an address of a fleet")]
    Url(Url),
    /// The fleet.
    #[error(transparent)]
    Fleet(#[from] AskError),
}

#[derive(Serialize)]
struct Request<'a> {
    home: &'a HomeId,
    wish: String,
}

#[derive(Deserialize)]
struct Answer {
    certificate: Option<String>,
}

/// Asks for a certificate for the next key, and puts both in place.
///
/// # Errors
/// [`RenewError`]; asking again is safe.
pub async fn renew(identity: &Identity, place: &Url, now: i64) -> Result<Asked, RenewError> {
    let pair = &identity.pair;
    let wish = Renewal { home: identity.home.clone(), csr: pair.next_request(&identity.home)?, at: now };
    let wish = STANDARD.encode(wish.sign(&pair.signing_key()?)?.as_bytes());
    let place = place.join("/renew").map_err(|_| RenewError::Url(place.clone()))?;
    let client = pinned::https_client(Some(&pair.ca))?;
    let request = Request { home: &identity.home, wish };
    let answer: Answer = pinned::ask(&client, place, &request, ANSWER_BYTES_MAX).await?;
    let Some(certificate) = answer.certificate else { return Ok(Asked::Waits) };
    pair.install(&certificate)?;
    Ok(Asked::Renewed)
}
