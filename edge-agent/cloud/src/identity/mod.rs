//! Who this home is to the fleet, kept up: the certificate is renewed at two thirds of its life, for a key made anew here.
//!
//! The present key signs the request ([`hearthwatch_protocol::renewal`]), so a home that was away until its certificate ran out can
//! still say whose it was; the fleet then waits for an operator's approval. [`pair`] changes key and certificate so that a power
//! cut leaves one whole pair; [`renew()`] asks; [`keep`] does both in time.

pub mod pair;
pub mod renew;
pub mod sign;

use std::time::Duration;

use hearthwatch_link::Backoff;
use hearthwatch_protocol::HomeId;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio_util::sync::CancellationToken;
use url::Url;
use yasna::tags::TAG_UTCTIME;
use yasna::{ASN1Result, BERReader, BERReaderSeq, Tag};

use self::pair::{Pair, PairError};
use self::renew::{Asked, renew};
use crate::pinned;
use crate::uplink::UplinkHandle;

/// Part of its life after which a certificate is renewed: two thirds.
const RENEW_AFTER: (i64, i64) = (2, 3);
/// Between two tries, and two looks at the certificate. The last third of the shortest life (7 days) has 56 of them.
const TRY_EVERY: Duration = Duration::from_secs(3_600);
/// Between tries while the fleet is away or busy.
const AGAIN: Backoff = Backoff { first: Duration::from_secs(60), longest: TRY_EVERY };
/// Longest wait without a look at the clock.
const NAP: Duration = Duration::from_secs(10);
/// Up to this much is added, differently in each home: a fleet that was cut off does not come back in one second.
const SPREAD_SECONDS: u64 = 600;

/// From when until when a certificate holds, Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// `notBefore` of the certificate, Unix seconds.
    pub since: i64,
    /// `notAfter` of the certificate, Unix seconds.
    pub until: i64,
}

impl Life {
    /// Reads it from a certificate, PEM.
    ///
    /// # Errors
    /// The parser's words.
    pub fn of(certificate_pem: &[u8]) -> Result<Self, String> {
        let certificate = CertificateDer::from_pem_slice(certificate_pem).map_err(|error| error.to_string())?;
        yasna::parse_der(&certificate, |certificate| {
            certificate.read_sequence(|parts| {
                let life = parts.next().read_sequence(Self::of_content)?;
                // The signature's algorithm, and the signature.
                parts.next().read_der()?;
                parts.next().read_der()?;
                Ok(life)
            })
        })
        .map_err(|error| error.to_string())
    }

    /// From what the signature is about (RFC 5280, 4.1).
    fn of_content(parts: &mut BERReaderSeq<'_, '_>) -> ASN1Result<Self> {
        parts.read_optional(|version| version.read_tagged(Tag::context(0), |version| version.read_der()))?;
        for _before in ["serial number", "algorithm", "issuer"] {
            parts.next().read_der()?;
        }
        let life = parts.next().read_sequence(|times| {
            let (since, until) = (seconds_of(times.next())?, seconds_of(times.next())?);
            Ok(Self { since, until })
        })?;
        while parts.read_optional(|after| after.read_der())?.is_some() {}
        Ok(life)
    }

    /// Whether it is time for the next certificate.
    #[must_use]
    pub fn is_due(self, now: i64) -> bool {
        let (part, whole) = RENEW_AFTER;
        now >= self.since.saturating_add((self.until.saturating_sub(self.since)) / whole * part)
    }
}

/// A time of a certificate, which is written in one of two ways.
fn seconds_of(time: BERReader<'_, '_>) -> ASN1Result<i64> {
    if time.lookahead_tag()? == TAG_UTCTIME {
        return Ok(time.read_utctime()?.datetime().unix_timestamp());
    }
    Ok(time.read_generalized_time()?.datetime().unix_timestamp())
}

/// What a renewal needs.
pub struct Identity {
    /// The home's pseudonym: the common name of the certificate.
    pub home: HomeId,
    /// The files of key and certificate.
    pub pair: Pair,
    /// Address of the server with `/renew`. None: nothing is requested, and the log warns when a renewal is due.
    pub place: Option<Url>,
    /// Anything that differs from home to home.
    pub seed: u64,
}

/// Renews in time until `stop`; the uplink connects anew with each new certificate.
pub async fn keep(
    identity: Identity,
    uplink: Option<UplinkHandle>,
    clock: impl Fn() -> i64 + Send + Sync,
    stop: CancellationToken,
) {
    let usual = TRY_EVERY + Duration::from_secs(identity.seed % SPREAD_SECONDS);
    let mut failures = 0;
    loop {
        let looked = look(&identity, clock(), &stop).await;
        let pause = match &looked {
            Err(renew::RenewError::Fleet(error)) if error.is_passing() => {
                failures += 1;
                pinned::pause(AGAIN, failures, identity.seed, error.retry_after())
            }
            _ => {
                failures = 0;
                usual
            }
        };
        match looked {
            Ok(Some(Asked::Renewed)) => {
                tracing::info!(home.id = %identity.home, "the certificate is renewed");
                if let Some(uplink) = &uplink {
                    uplink.reconnect("certificate renewed");
                }
            }
            Ok(Some(Asked::Waits)) => {
                tracing::warn!(home.id = %identity.home,
                    "the certificate has run out while this home was away; whoever runs the fleet is asked to let it back in");
            }
            Ok(Some(Asked::Stopped)) => return,
            Ok(None) => {}
            Err(error) => tracing::warn!(home.id = %identity.home, %error, "the certificate is not renewed yet"),
        }
        if stop.run_until_cancelled(rest(pause, &clock)).await.is_none() {
            return;
        }
    }
}

/// Waits for `pause`, or until `clock` says that so much has passed: a machine that slept finds its certificate the worse for it.
async fn rest(pause: Duration, clock: &(impl Fn() -> i64 + Sync)) {
    let (begun, begun_at) = (tokio::time::Instant::now(), clock());
    while let Some(nap) = nap(pause, begun.elapsed(), clock().saturating_sub(begun_at)) {
        tokio::time::sleep(nap).await;
    }
}

/// How long to wait until the next look at the clock, of a pause of which so much has passed, and so many seconds by the clock.
fn nap(pause: Duration, passed: Duration, seconds: i64) -> Option<Duration> {
    let left = pause.saturating_sub(passed);
    let is_over = left.is_zero() || u64::try_from(seconds).is_ok_and(|seconds| seconds >= pause.as_secs());
    (!is_over).then(|| left.min(NAP))
}

/// Looks at the certificate, and asks for the next when it is time.
async fn look(identity: &Identity, now: i64, stop: &CancellationToken) -> Result<Option<Asked>, renew::RenewError> {
    // One file of 1 KiB, once an hour: read on the worker.
    let life = identity.pair.life()?;
    if !life.is_due(now) {
        return Ok(None);
    }
    let Some(place) = &identity.place else {
        return Err(PairError::Nowhere { until: life.until }.into());
    };
    renew(identity, place, now, stop).await.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_with_its_time_or_when_the_clock_was_set_past_it() {
        let minutes = |minutes| Duration::from_secs(60 * minutes);
        assert_eq!(nap(TRY_EVERY, minutes(0), 0), Some(NAP));
        assert_eq!(nap(TRY_EVERY, minutes(59) + Duration::from_secs(50), 0), Some(Duration::from_secs(10)));
        assert_eq!(nap(TRY_EVERY, minutes(60), 0), None);
        assert_eq!(nap(TRY_EVERY, minutes(1), 3_600), None);
        assert_eq!(nap(TRY_EVERY, minutes(1), -3_600), Some(NAP), "a clock that was set back changes nothing");
    }

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
        let life = Life { since: 1_000, until: 1_000 + 30 * 86_400 };
        assert!(!life.is_due(1_000 + 20 * 86_400 - 1));
        assert!(life.is_due(1_000 + 20 * 86_400));
        assert!(life.is_due(life.until + 1), "one that has run out is due");
        assert!(!life.is_due(0), "a clock that is behind asks for nothing");
    }
}
