//! HTTPS to the fleet's own servers: one pinned authority, TLS 1.3, no redirects, no proxies.

use std::path::Path;
use std::time::Duration;

use hearthwatch_link::{LinkError, TlsFiles, tls_client_config};
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
    /// No answer.
    #[error("the fleet does not answer: {0}")]
    Unreachable(String),
    /// It answers no.
    #[error("the fleet refuses: {status}: {detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        detail: String,
    },
    /// The answer is too long, or not what it must be.
    #[error("the fleet's answer is not usable: {0}")]
    Answer(String),
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
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&piece);
        if body.len() > bytes_max {
            return Err(AskError::Answer(format!("longer than {bytes_max} bytes")));
        }
    }
    if !status.is_success() {
        return Err(AskError::Refused { status: status.as_u16(), detail: detail(&body) });
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
