//! `[http]`: the admin API, the page, metrics, and the releases as files.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::section::Section;
use crate::http::origin::Network;

/// Where the admin API listens unless told otherwise: this machine only.
pub const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);

/// What to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Certificate and key; without them HTTP is spoken in the clear, which is allowed on loopback only.
    pub tls: Option<HttpTls>,
    /// Reverse proxies: what they say of a caller's address is believed, and the limit on connections of one address does not
    /// hold for them.
    pub trusted_proxies: Vec<Network>,
}

/// The server's certificate and key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTls {
    /// Certificate chain.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
}

const FILES: &str = "`hearthwatch-provision init` makes cloud/http.crt and cloud/http.key; give both or neither";

/// What `trusted_proxies` holds.
const PROXIES: &str = "addresses or networks of your own proxies, e.g. [\"127.0.0.1\", \"10.0.0.0/8\"]";

impl HttpConfig {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let listen = section.address("listen", LISTEN_DEFAULT);
        let cert_file = section.file("cert_file", FILES);
        let key_file = section.secret("key_file", FILES);
        let tls = match (cert_file, key_file) {
            (Some(cert_file), Some(key_file)) => Some(HttpTls { cert_file, key_file }),
            (None, None) => None,
            (Some(_), None) => {
                section.fault("key_file", "is missing beside cert_file", FILES);
                None
            }
            (None, Some(_)) => {
                section.fault("cert_file", "is missing beside key_file", FILES);
                None
            }
        };
        if tls.is_none() && !listen.ip().is_loopback() {
            section.fault("listen", format!("{listen} is open to the network without TLS"), FILES);
        }
        let mut trusted_proxies = Vec::new();
        for text in section.texts("trusted_proxies") {
            match text.parse::<Network>() {
                Ok(network) => trusted_proxies.push(network),
                Err(error) => section.fault("trusted_proxies", error.to_string(), PROXIES),
            }
        }
        section.finish();
        Some(Self { listen, tls, trusted_proxies })
    }
}
