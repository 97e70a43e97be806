//! What the server listens on, and whom it believes.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::limits::CALLS_PER_MINUTE;
use super::origin::Network;
use super::second_person::Guarded;
use super::sessions::Lifetime;
use crate::login::LoginConfig;

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
    /// How long sessions last.
    pub lifetime: Lifetime,
    /// Kinds of calls that need two people.
    pub second_person: Vec<Guarded>,
    /// The identity provider that lets people in; none where tokens alone do.
    pub login: Option<LoginConfig>,
}

impl HttpConfig {
    /// Listens there, everything else as it is unless configured.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            trusted_proxies: Vec::new(),
            calls_per_minute: CALLS_PER_MINUTE,
            lifetime: Lifetime::default(),
            second_person: Vec::new(),
            login: None,
        }
    }
}

/// The server's certificate and key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTls {
    /// Certificate chain, PEM, the server's own certificate first.
    pub cert_file: PathBuf,
    /// The certificate's private key, PEM; a file for its owner alone.
    pub key_file: PathBuf,
}
