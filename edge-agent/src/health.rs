//! `hearthwatch-edge health`: asks the running agent whether it is alive, for a container that has no other program to ask with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use reqwest::StatusCode;

use crate::config::Config;
use crate::output::{stderr_line, stdout_line};

/// Longest wait for an answer: whoever asks, asks again soon.
const PATIENCE: Duration = Duration::from_secs(5);

/// `hearthwatch-edge health`.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// The agent's configuration file
    #[arg(long, value_name = "FILE", env = "HEARTHWATCH_EDGE_CONFIG")]
    config: PathBuf,
}

/// Why the agent does not count as alive.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum HealthError {
    #[error("the local page is off, so nobody can be asked; see [page] listen")]
    Off,
    #[error("nobody answers at {0}")]
    Silent(SocketAddr),
    #[error("the agent answers {0}: a restart is the cure")]
    Sick(StatusCode),
}

/// Runs `hearthwatch-edge health`: exit code 0 where the agent is alive.
#[must_use]
pub fn main(args: &HealthArgs) -> ExitCode {
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(faults) => {
            stderr_line!("{faults}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = match runtime {
        Ok(runtime) => runtime.block_on(ask(config.page.map(|page| page.listen))),
        Err(error) => {
            stderr_line!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match asked {
        Ok(()) => {
            stdout_line!("alive");
            ExitCode::SUCCESS
        }
        Err(error) => {
            stderr_line!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Asks the page that listens there.
pub(crate) async fn ask(listen: Option<SocketAddr>) -> Result<(), HealthError> {
    let at = on_this_machine(listen.ok_or(HealthError::Off)?);
    let silent = |_| HealthError::Silent(at);
    // Fails only if a provider is installed already, which is as good; nothing secret is asked for, and no TLS is spoken.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().map_err(silent)?;
    let status = client.get(format!("http://{at}/healthz")).send().await.map_err(silent)?.status();
    if status.is_success() { Ok(()) } else { Err(HealthError::Sick(status)) }
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
    async fn an_agent_is_alive_if_its_page_says_so() {
        assert_eq!(ask(Some(answering("200 OK").await)).await, Ok(()));
        let sick = ask(Some(answering("503 Service Unavailable").await)).await;
        assert_eq!(sick, Err(HealthError::Sick(StatusCode::SERVICE_UNAVAILABLE)));
        assert_eq!(ask(None).await, Err(HealthError::Off));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(ask(Some(gone)).await, Err(HealthError::Silent(gone)));
    }

    #[test]
    fn a_page_on_every_address_is_asked_on_this_machine() {
        let at = |text: &str| on_this_machine(text.parse().unwrap()).to_string();
        assert_eq!(at("0.0.0.0:8099"), "127.0.0.1:8099");
        assert_eq!(at("[::]:8099"), "[::1]:8099");
        assert_eq!(at("127.0.0.1:1"), "127.0.0.1:1");
    }
}
