//! The listening socket: rustls in front of axum, and an orderly end.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;

use super::{Http, router};
use crate::config::{HttpConfig, HttpTls};

/// How long open requests may take after the order to stop; the program's whole drain has five seconds.
const DRAIN: Duration = Duration::from_secs(3);

/// How long a caller may take to send a request's headers, and how long an idle connection is kept for the next one.
const HEADERS: Duration = Duration::from_secs(30);

/// Why the server did not start or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Not on this address.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Outside of loopback only TLS is spoken.
    #[error("{0} is open to the network: give [http] cert_file and key_file")]
    Clear(SocketAddr),
    /// The certificate or its key cannot be used.
    #[error("the certificate of [http]")]
    Certificate(#[source] io::Error),
    /// It broke while running.
    #[error("the HTTP server stopped")]
    Serve(#[source] io::Error),
}

/// A socket that is bound and not yet served, so that its address is known and nothing can fail late.
pub struct Bound {
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    address: SocketAddr,
}

impl Bound {
    /// Binds the address that `config` names and reads the certificate.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn bind(config: &HttpConfig) -> Result<Self, ServerError> {
        if config.tls.is_none() && !config.listen.ip().is_loopback() {
            return Err(ServerError::Clear(config.listen));
        }
        let tls = match &config.tls {
            Some(HttpTls { cert_file, key_file }) => {
                Some(RustlsConfig::from_pem_file(cert_file, key_file).await.map_err(ServerError::Certificate)?)
            }
            None => None,
        };
        let fault = |source| ServerError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).map_err(fault)?;
        listener.set_nonblocking(true).map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        Ok(Self { listener, tls, address })
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
        let serving = async {
            let ended = match self.tls {
                Some(tls) => {
                    let mut server = axum_server::from_tcp_rustls(self.listener, tls).map_err(ServerError::Serve)?;
                    hurry(server.http_builder());
                    server.handle(handle.clone()).serve(service).await
                }
                None => {
                    let mut server = axum_server::from_tcp(self.listener).map_err(ServerError::Serve)?;
                    hurry(server.http_builder());
                    server.handle(handle.clone()).serve(service).await
                }
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
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn in_the_clear_it_listens_on_loopback_only() {
        let open = HttpConfig { listen: "0.0.0.0:0".parse().unwrap(), tls: None };
        assert!(matches!(Bound::bind(&open).await, Err(ServerError::Clear(_))));
        let loopback = HttpConfig { listen: "127.0.0.1:0".parse().unwrap(), ..open };
        let bound = Bound::bind(&loopback).await.unwrap();
        assert!(bound.address().port() > 0 && !bound.tls());
    }

    #[tokio::test]
    async fn it_answers_until_it_is_stopped() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let bench = crate::bench::Bench::new();
        let config = HttpConfig { listen: "127.0.0.1:0".parse().unwrap(), tls: None };
        let bound = Bound::bind(&config).await.unwrap();
        let address = bound.address();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped = async move { stopped.await.unwrap() };
        let serving = tokio::spawn(bound.serve(Http::new(bench.app.clone(), false), stopped));
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains(r#""status":"able""#), "{answer}");
        stop.send(()).unwrap();
        serving.await.unwrap().unwrap();
    }
}
