//! One question to the fleet: `POST /renew` over HTTPS that trusts the fleet's authority and nobody else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::renewal::Renewal;
use hearthwatch_protocol::statement::{Statement as _, StatementRefusal};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::Identity;
use super::pair::PairError;
use crate::off_the_workers;
use crate::pinned::{self, AskError, PinnedError};

/// Largest answer that is read: a certificate of 1 KiB, or a sentence.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// The answer to a request for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The new key and certificate are in place.
    Renewed,
    /// An operator has to approve it first.
    Waits,
    /// The agent stops, and the fleet had not answered yet.
    Stopped,
}

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The files of key and certificate.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// The request could not be signed.
    #[error(transparent)]
    Renewal(#[from] StatementRefusal),
    /// The file of the fleet's authority.
    #[error(transparent)]
    Authority(#[from] PinnedError),
    /// `/renew` cannot be joined to the address.
    #[error("{0} is not an address of a fleet")]
    Url(Url),
    /// The fleet did not answer, or refused.
    #[error(transparent)]
    Fleet(#[from] AskError),
}

#[derive(Serialize)]
struct Request<'a> {
    home: &'a HomeId,
    /// The signed [`Renewal`] in Base64.
    #[serde(rename = "wish")]
    renewal: String,
}

#[derive(Deserialize)]
struct Answer {
    certificate: Option<String>,
}

/// Asks for a certificate for the next key, and puts both in place. `stop` ends only the waiting for the fleet: work on the files is
/// always finished.
///
/// # Errors
/// [`RenewError`]; asking again is safe.
pub async fn renew(identity: &Identity, place: &Url, now: i64, stop: &CancellationToken) -> Result<Asked, RenewError> {
    let place = place.join("/renew").map_err(|_| RenewError::Url(place.clone()))?;
    let (pair, home) = (identity.pair.clone(), identity.home.clone());
    let (client, renewal) = off_the_workers(move || -> Result<_, RenewError> {
        let renewal = Renewal { csr: pair.next_request(&home)?, home, at: now };
        let signed = STANDARD.encode(renewal.sign(&pair.signing_key()?)?.as_bytes());
        Ok((pinned::https_client(Some(&pair.ca))?, signed))
    })
    .await?;
    let request = Request { home: &identity.home, renewal };
    let asking = pinned::ask::<Answer>(&client, place, &request, ANSWER_BYTES_MAX);
    let Some(answer) = stop.run_until_cancelled(asking).await else { return Ok(Asked::Stopped) };
    let Some(certificate) = answer?.certificate else { return Ok(Asked::Waits) };
    let pair = identity.pair.clone();
    off_the_workers(move || pair.install(&certificate)).await?;
    Ok(Asked::Renewed)
}
