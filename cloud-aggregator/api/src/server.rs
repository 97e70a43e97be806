//! The listening socket: limits on connections, rustls (TLS 1.3 alone) in front of axum, and an orderly end.
//!
//! No caller holds anything for long without doing something: the TLS handshake, a request's headers and the wait for the
//! next request have [`HANDSHAKE`] and [`HEADERS`]; a body has [`BODY`](crate::contract::BODY); an answer has
//! [`WRITE`](crate::http::stream::WRITE) for each part of it; and how many connections there are is up to
//! [`Connections`].

use std::future::{Future, Ready, ready};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::Handle;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tower::Layer as _;

use crate::http::Http;
use crate::http::config::{HttpConfig, HttpTls};
use crate::http::connections::{Connections, Member};
use crate::http::origin::{Network, is_trusted};
use crate::http::stream::Watched;
use crate::router::router;

/// How long open requests may take after the order to stop; the program's whole drain has five seconds.
const DRAIN: Duration = Duration::from_secs(3);

/// How long the TLS handshake may take: two round trips, and a second of work on a small computer.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a caller may take to send a request's headers, and how long an idle connection is kept for the next one.
pub const HEADERS: Duration = Duration::from_secs(10);

/// Most bytes of a request's headers that are kept: browsers send 1 to 2 KiB, proxies some more.
const HEADER_BYTES_MAX: usize = 32 * 1024;

/// Why the server did not start or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Not on this address.
    #[error("cannot listen on {address}")]
    Listen {
        /// As configured in `[http] listen`.
        address: SocketAddr,
        /// What the operating system said, e.g. that the port is taken.
        #[source]
        source: io::Error,
    },
    /// Outside of loopback only TLS is spoken.
    #[error("{0} is open to the network: give [http] cert_file and key_file")]
    Clear(SocketAddr),
    /// The certificate or its key cannot be used.
    #[error("the certificate of [http]: {path}: {cause}")]
    Certificate {
        /// The certificate's or the key's file, as configured.
        path: std::path::PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The listening socket failed after the start.
    #[error("the HTTP server stopped")]
    Serve(#[source] io::Error),
}

/// A socket that is bound and not yet served, so that its address is known and nothing can fail late.
pub struct Bound {
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    address: SocketAddr,
    admission: Admission,
}

impl Bound {
    /// Binds the address that `config` names and reads the certificate.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn bind(config: &HttpConfig) -> Result<Self, ServerError> {
        if config.tls.is_none() && !config.listen.ip().is_loopback() {
            return Err(ServerError::Clear(config.listen));
        }
        let tls = match &config.tls {
            Some(HttpTls { cert_file, key_file }) => {
                Some(RustlsConfig::from_config(Arc::new(tls_config(cert_file, key_file)?)))
            }
            None => None,
        };
        let fault = |source| ServerError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).map_err(fault)?;
        listener.set_nonblocking(true).map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        let admission = Admission { connections: Arc::default(), trusted: config.trusted_proxies.as_slice().into() };
        Ok(Self { listener, tls, address, admission })
    }

    /// Where it listens; the port is the real one if the configuration said 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves until `stop` is done, then lets open requests end.
    ///
    /// # Errors
    /// [`ServerError::Serve`].
    pub async fn serve(self, http: Http, stop: impl Future<Output = ()> + Send) -> Result<(), ServerError> {
        let handle = Handle::new();
        let service = router(http).into_make_service_with_connect_info::<SocketAddr>();
        let admission = self.admission;
        let serving = async {
            let mut server = axum_server::from_tcp(self.listener).map_err(ServerError::Serve)?;
            hurry(server.http_builder());
            let server = server.handle(handle.clone());
            // HTTP/1 alone: while it waits for what could be the preface of HTTP/2 no clock runs.
            let ended = match self.tls {
                Some(tls) => {
                    let acceptor = RustlsAcceptor::new(tls).handshake_timeout(HANDSHAKE).acceptor(admission);
                    server.acceptor(acceptor).http1_only().serve(service).await
                }
                None => server.acceptor(admission).http1_only().serve(service).await,
            };
            ended.map_err(ServerError::Serve)
        };
        let stopping = async {
            stop.await;
            handle.graceful_shutdown(Some(DRAIN));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = serving => ended,
            () = stopping => Ok(()),
        }
    }
}

/// Gives up callers who do not finish their headers: without a timer the connection would be held for ever.
fn hurry(builder: &mut Builder<TokioExecutor>) {
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(HEADER_BYTES_MAX);
}

/// TLS 1.3 and nothing older, as the threat model says.
fn tls_config(cert_file: &Path, key_file: &Path) -> Result<ServerConfig, ServerError> {
    let fault = |path: &Path, cause: String| ServerError::Certificate { path: path.to_owned(), cause };
    let chain: Vec<_> = CertificateDer::pem_file_iter(cert_file)
        .and_then(Iterator::collect)
        .map_err(|error| fault(cert_file, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| fault(key_file, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| fault(cert_file, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Gives each connection a place before a byte of it is read, and its requests the means to keep it.
#[derive(Clone)]
struct Admission {
    connections: Arc<Connections>,
    trusted: Arc<[Network]>,
}

impl<S> Accept<TcpStream, S> for Admission {
    type Stream = Watched<TcpStream>;
    type Service = AddExtension<S, Arc<Member>>;
    type Future = Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        ready(self.admit(stream).map(|(stream, member)| (stream, Extension(member).layer(service))))
    }
}

impl Admission {
    fn admit(&self, stream: TcpStream) -> io::Result<(Watched<TcpStream>, Arc<Member>)> {
        let peer = stream.peer_addr()?.ip();
        let place = self.connections.admit(peer, is_trusted(&self.trusted, peer));
        let place = place.ok_or_else(|| {
            tracing::warn!(%peer, "connection refused: all places are taken by callers with tokens");
            io::Error::from(ErrorKind::ConnectionRefused)
        })?;
        let member = Arc::clone(place.member());
        Ok((Watched::new(stream, place), member))
    }
}

#[cfg(test)]
mod tests;
