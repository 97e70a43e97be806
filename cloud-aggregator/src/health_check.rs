//! `hearthwatch-cloud health`: asks the running aggregator whether it is alive, for a container that has no other program to ask with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Certificate;

/// Longest wait for an answer: whoever asks, asks again soon.
const PATIENCE: Duration = Duration::from_secs(5);

/// The name in the certificate under which the aggregator is reached from its own machine: `hearthwatch-provision init` puts it there.
const NAME: &str = "localhost";

/// Asks the aggregator that listens there on this machine; by TLS, if `authority` (PEM) is who certified it.
///
/// # Errors
/// Where nobody answers, the certificate is of another authority or not for `localhost`, or the answer is that a restart is the cure.
pub async fn ask(listen: SocketAddr, authority: Option<&Path>) -> anyhow::Result<()> {
    let at = on_this_machine(listen);
    let mut client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).resolve(NAME, at);
    if let Some(authority) = authority {
        let pem = std::fs::read(authority).with_context(|| authority.display().to_string())?;
        let roots = Certificate::from_pem_bundle(&pem).with_context(|| authority.display().to_string())?;
        client = client.tls_certs_only(roots);
    }
    let scheme = if authority.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{NAME}:{}/healthz", at.port());
    let status = client.build()?.get(&url).send().await.with_context(|| format!("nobody answers at {at}"))?.status();
    anyhow::ensure!(status.is_success(), "the aggregator answers {status}: a restart is the cure");
    Ok(())
}

/// Where what listens on every address is reached from this machine.
fn on_this_machine(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with this status.
    async fn answering(status: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /healthz HTTP/1.1\r\n"));
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        at
    }

    #[tokio::test]
    async fn an_aggregator_is_alive_if_it_says_so() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        ask(answering("200 OK").await, None).await.unwrap();
        let sick = ask(answering("503 Service Unavailable").await, None).await.unwrap_err();
        assert_eq!(sick.to_string(), "the aggregator answers 503 Service Unavailable: a restart is the cure");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = listener.local_addr().unwrap();
        drop(listener);
        let silent = ask(gone, None).await.unwrap_err();
        assert_eq!(silent.to_string(), format!("nobody answers at {gone}"));
    }
}
