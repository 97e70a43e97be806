//! HTTPS to the fleet's own servers: one pinned authority, TLS 1.3, no redirects, no proxies.

use std::path::Path;
use std::time::Duration;

use hearthwatch_link::{LinkError, TlsFiles, tls_client_config};

/// Patience for TCP and TLS; a Pi on a bad line needs two or three seconds.
const CONNECT_SECONDS_MAX: u64 = 15;

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
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
        .user_agent(concat!("hearthwatch-edge/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(client)
}
