//! HTTPS to the fleet's own servers: one pinned authority, TLS 1.3, no redirects, no proxies.

use std::path::Path;
use std::time::Duration;

use hearthwatch_link::{Backoff, LinkError, TlsFiles, tls_client_config};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

/// Patience for TCP and TLS; a Pi on a bad line needs two or three seconds.
const CONNECT_SECONDS_MAX: u64 = 15;

/// Patience for a whole question and its answer.
const ANSWER_SECONDS_MAX: u64 = 60;
/// Longest detail of a refusal that is shown, in characters.
const DETAIL_CHARS_MAX: usize = 200;

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum PinnedError {
    /// The authority's file is missing or holds no certificate.
    #[error(transparent)]
    Authority(#[from] LinkError),
    /// The HTTP library does not want to.
    #[error("HTTPS client: {0}")]
    Client(#[from] reqwest::Error),
}

/// A client that trusts the authority in `ca` and nobody else; without one, the system's authorities (for a public mirror, whose
/// word is not trusted anyway). It does not follow redirects: a mirror that answers with another address is set up wrongly.
///
/// # Errors
/// [`PinnedError`] when the file is missing or wrong.
pub fn https_client(ca: Option<&Path>) -> Result<reqwest::Client, PinnedError> {
    let builder = match ca {
        Some(ca) => {
            let tls = tls_client_config(&TlsFiles { ca: ca.to_owned(), cert: None, key: None })?;
            reqwest::Client::builder().tls_backend_preconfigured((*tls).clone())
        }
        None => reqwest::Client::builder(),
    };
    let client = builder
        .https_only(true)
        .tls_version_min(reqwest::tls::Version::TLS_1_3)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
        .user_agent(concat!("hearthwatch-edge/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(client)
}

/// Why a question to the fleet has no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No connection, or none that TLS accepts; with the cause in one line.
    #[error("the fleet does not answer: {0}")]
    Unreachable(String),
    /// The server answered with an error.
    #[error("the fleet refuses: {status}: {detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Text of the answer, cut to a line.
        detail: String,
        /// From `Retry-After`: not to be asked sooner; at most [`RETRY_AFTER_MAX`]; none without that header.
        retry_after: Option<Duration>,
    },
    /// The answer is too long, or not what it must be.
    #[error("the fleet's answer is not usable: {0}")]
    Answer(String),
}

/// The longest wait that a server may ask for: an hour. A server that asks for more is set up wrongly, or does not want us at all.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

impl AskError {
    /// Whether waiting may bring another answer. Only these cannot: the question is wrong (400, 422), the token is unknown, used or over
    /// (401, 403), or the name is taken (409). Everything else is the line, the server, or something in between.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        !matches!(self, Self::Refused { status: 400 | 401 | 403 | 409 | 422, .. })
    }

    /// When to ask again at the earliest, as the server asks.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// The pause before the next try: as long as `backoff` says, and not shorter than the server wants it. What it wants is spread by up to a
/// tenth, so that a hundred homes with the same answer do not come back in the same second.
#[must_use]
pub fn pause(backoff: Backoff, failures: u32, who: u64, retry_after: Option<Duration>) -> Duration {
    let own = backoff.pause(failures, who);
    let Some(wanted) = retry_after else { return own };
    let spread = Backoff { first: wanted / 10, longest: wanted / 10 };
    own.max(wanted + spread.pause(1, who))
}

/// `Retry-After` (RFC 9110, 10.2.3): seconds, or a date that is held against the server's own `Date`, else against `now`. Absent where
/// it is neither; at most [`RETRY_AFTER_MAX`].
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: i64) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match value.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let now = headers.get(DATE).and_then(|date| http_date(date.to_str().ok()?)).unwrap_or(now);
            u64::try_from(http_date(value)?.saturating_sub(now)).unwrap_or(0)
        }
    };
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// An HTTP date (RFC 9110, 5.6.7), Unix seconds: a date of RFC 2822 with the zone spelled GMT.
#[must_use]
pub fn http_date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp().as_second())
}

/// Posts a question as JSON and reads an answer of at most `bytes_max` bytes.
///
/// # Errors
/// [`AskError`].
pub async fn ask<T: DeserializeOwned>(
    client: &reqwest::Client,
    place: Url,
    question: &impl Serialize,
    bytes_max: usize,
) -> Result<T, AskError> {
    let unreachable = |error: reqwest::Error| AskError::Unreachable(explain(&error.without_url()));
    let asked = client.post(place).timeout(Duration::from_secs(ANSWER_SECONDS_MAX)).json(question).send();
    let mut response = asked.await.map_err(unreachable)?;
    let status = response.status();
    let retry_after = retry_after(response.headers(), jiff::Timestamp::now().as_second());
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&piece);
        if body.len() > bytes_max {
            if status.is_success() {
                return Err(AskError::Answer(format!("longer than {bytes_max} bytes")));
            }
            // A refusal counts by its status, however much a proxy writes below it.
            break;
        }
    }
    if !status.is_success() {
        return Err(AskError::Refused { status: status.as_u16(), detail: detail(&body), retry_after });
    }
    serde_json::from_slice(&body).map_err(|error| AskError::Answer(error.to_string()))
}

/// The detail of a problem document (RFC 9457), or the first words of whatever came.
fn detail(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Problem {
        detail: Option<String>,
        title: Option<String>,
    }
    let problem = serde_json::from_slice::<Problem>(body).ok().and_then(|problem| problem.detail.or(problem.title));
    let text = problem.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    text.chars().filter(|c| !c.is_control()).take(DETAIL_CHARS_MAX).collect()
}

fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-28T17:00:00Z.
    const NOW: i64 = 1_795_885_200;

    fn wanted(pairs: &[(&'static str, &'static str)]) -> Option<Duration> {
        let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        retry_after(&headers, NOW)
    }

    #[test]
    fn a_server_says_in_seconds_or_by_a_date_when_it_wants_to_be_asked_again() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(wanted(&[]), None);
        assert_eq!(wanted(&[("retry-after", "120")]), seconds(120));
        assert_eq!(wanted(&[("retry-after", "Sat, 28 Nov 2026 17:02:00 GMT")]), seconds(120));
        let by_its_own_clock =
            [("retry-after", "Sat, 28 Nov 2026 09:02:00 GMT"), ("date", "Sat, 28 Nov 2026 09:00:00 GMT")];
        assert_eq!(wanted(&by_its_own_clock), seconds(120), "whatever ours shows");
        assert_eq!(wanted(&[("retry-after", "Sat, 28 Nov 2026 16:00:00 GMT")]), seconds(0), "a time that has passed");
        for too_long in ["99999999999", "Thu, 31 Dec 9998 23:59:59 GMT"] {
            assert_eq!(wanted(&[("retry-after", too_long)]), Some(RETRY_AFTER_MAX));
        }
        for nothing in ["soon", "-5", "1.5", "", "99999999999999999999999"] {
            assert_eq!(wanted(&[("retry-after", nothing)]), None, "{nothing}");
        }
    }

    #[test]
    fn a_pause_is_never_shorter_than_the_server_wants_and_differs_from_home_to_home() {
        let backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(300) };
        let wanted = Duration::from_secs(100);
        let pauses: Vec<Duration> = (0..50).map(|who| pause(backoff, 1, who, Some(wanted))).collect();
        assert!(pauses.iter().all(|pause| (wanted..=wanted + wanted / 10).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().collect::<std::collections::HashSet<_>>().len() > 40);
        assert_eq!(
            pause(backoff, 9, 7, Some(Duration::from_secs(1))),
            backoff.pause(9, 7),
            "and never shorter than ours"
        );
    }

    #[test]
    fn only_an_answer_that_waiting_cannot_change_is_final() {
        let refused = |status| AskError::Refused { status, detail: String::new(), retry_after: None };
        let passing = |status: &u16| refused(*status).is_passing();
        assert!([404, 405, 408, 413, 425, 429, 500, 502, 503, 504, 302].iter().all(passing));
        assert!(![400, 401, 403, 409, 422].iter().any(passing));
        assert!(AskError::Unreachable(String::new()).is_passing() && AskError::Answer(String::new()).is_passing());
    }
}
