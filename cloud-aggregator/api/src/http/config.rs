//! What the server listens on, and whom it believes.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::origin::Network;

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
    /// Calls of the admin API that one token may make a minute.
    pub calls_per_minute: u32,
}

/// The server's certificate and key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTls {
    /// Certificate chain, PEM, the server's own certificate first.
    pub cert_file: PathBuf,
    /// The certificate's private key, PEM; a file for its owner alone.
    pub key_file: PathBuf,
}
