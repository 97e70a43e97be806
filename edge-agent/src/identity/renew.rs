//! One question to the fleet: `POST /renew` over HTTPS that trusts the fleet's authority and nobody else.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::renewal::{Renewal, RenewalRefusal};
use serde::{Deserialize, Serialize};
use url::Url;

use super::Identity;
use super::pair::PairError;
use crate::pinned::{self, PinnedError};

/// Largest answer that is read: a certificate of 1 KiB, or a sentence.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Patience for the whole conversation.
const ANSWER_SECONDS_MAX: u64 = 60;

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
    /// No answer.
    #[error("the fleet does not answer: {0}")]
    Unreachable(reqwest::Error),
    /// It answers no.
    #[error("the fleet refuses: {status}: {detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        detail: String,
    },
    /// The answer is not what it must be.
    #[error("the fleet's answer is not usable: {0}")]
    Answer(String),
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

#[derive(Deserialize)]
struct Problem {
    detail: Option<String>,
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
    let unreachable = |error: reqwest::Error| RenewError::Unreachable(error.without_url());
    let asked = client.post(place).timeout(Duration::from_secs(ANSWER_SECONDS_MAX)).json(&request).send();
    let mut response = asked.await.map_err(unreachable)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(RenewError::Answer(format!("longer than {ANSWER_BYTES_MAX} bytes")));
        }
    }
    if !status.is_success() {
        let problem = serde_json::from_slice::<Problem>(&body).ok().and_then(|problem| problem.detail);
        let detail = problem.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(RenewError::Refused { status: status.as_u16(), detail });
    }
    let answer: Answer = serde_json::from_slice(&body).map_err(|error| RenewError::Answer(error.to_string()))?;
    let Some(certificate) = answer.certificate else { return Ok(Asked::Waits) };
    pair.install(&certificate)?;
    Ok(Asked::Renewed)
}
