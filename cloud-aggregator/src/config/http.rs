//! `[http]`: the admin API, the page, metrics, and the releases as files.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::section::Section;

/// Where the admin API listens unless told otherwise: this machine only.
pub const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);

/// What to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Certificate and key; without them HTTP is spoken in the clear, which is allowed on loopback only.
    pub tls: Option<HttpTls>,
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

impl HttpConfig {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let listen = section.address("listen", LISTEN_DEFAULT);
        let cert_file = section.file("cert_file", FILES);
        let key_file = section.file("key_file", FILES);
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
        section.finish();
        Some(Self { listen, tls })
    }
}
