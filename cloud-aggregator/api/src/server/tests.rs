//! Real sockets: what is spoken, and who is served while others do nothing.

use std::io::Cursor;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hearthwatch_store::Role;
use hearthwatch_store::token;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::bench::{Bench, NOW};
use crate::http::connections::{CONNECTIONS_MAX, OF_ADDRESS_MAX};

fn clear() -> HttpConfig {
    HttpConfig { calls_per_minute: 1_000_000, ..HttpConfig::new("127.0.0.1:0".parse().unwrap()) }
}

/// A server that runs until it is dropped or stopped.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServerError>>,
    bench: Bench,
}

fn serve(config: &HttpConfig) -> Running {
    let bench = Bench::new();
    let bound = Bound::bind(config).unwrap();
    let address = bound.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async move { stopped.await.unwrap_or(()) };
    let serving = tokio::spawn(bound.serve(Http::new(bench.app.clone(), false), stopped));
    Running { address, stop, serving, bench }
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((IpAddr::V4(from), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

async fn ask(stream: &mut TcpStream, path: &str, token: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn in_the_clear_it_listens_on_loopback_only() {
    let open = HttpConfig { listen: "0.0.0.0:0".parse().unwrap(), ..clear() };
    assert!(matches!(Bound::bind(&open), Err(ServerError::Clear(_))));
    let bound = Bound::bind(&clear()).unwrap();
    assert!(bound.address().port() > 0 && !bound.tls());
}

#[tokio::test]
async fn it_answers_until_it_is_stopped() {
    let server = serve(&clear());
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains(r#""status":"able""#), "{answer}");
    server.stop.send(()).unwrap();
    server.serving.await.unwrap().unwrap();
}

/// Each takes two descriptors of this process, its own end and the server's.
const IDLE: usize = 1_010;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_keep_nobody_from_being_served() {
    let server = serve(&clear());
    let flooder = Ipv4Addr::new(127, 0, 0, 2);
    let mut idle = std::collections::VecDeque::new();
    for _ in 0..IDLE {
        idle.push_back(connect(flooder, server.address).await);
        // The far ends that the server closed are let go here too: this process has descriptors for so many.
        if idle.len() > 2 * OF_ADDRESS_MAX {
            idle.pop_front();
        }
    }
    let mut other = connect(Ipv4Addr::new(127, 0, 0, 3), server.address).await;
    assert!(ask(&mut other, "/healthz", "").await.starts_with("HTTP/1.1 200"));
    let mut same = connect(flooder, server.address).await;
    assert!(ask(&mut same, "/healthz", "").await.starts_with("HTTP/1.1 200"), "behind the same router");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_showed_a_token_outlasts_a_flood_from_its_own_address() {
    let server = serve(&clear());
    let (secret, _) = token::make(server.bench.app.store.as_ref(), "kim", Role::Viewer, None, NOW).unwrap();
    let address = Ipv4Addr::new(127, 0, 0, 4);
    let mut known = connect(address, server.address).await;
    let first = ask(&mut known, "/api/v1/feedback/totals", &secret).await;
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    let length: usize = first.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    known.read_exact(&mut vec![0; length]).await.unwrap();
    let mut unknown = connect(address, server.address).await;
    let mut flood = Vec::new();
    for _ in 0..2 * OF_ADDRESS_MAX {
        flood.push(connect(address, server.address).await);
    }
    let mut rest = Vec::new();
    let ended = unknown.read_to_end(&mut rest).await;
    assert!(rest.is_empty() && ended.is_ok_and(|read| read == 0) | rest.is_empty(), "it was closed for another");
    assert!(ask(&mut known, "/api/v1/feedback/totals", &secret).await.starts_with("HTTP/1.1 200"));
}

#[test]
fn the_limits_leave_room_for_eight_addresses_that_do_their_worst() {
    const { assert!(CONNECTIONS_MAX >= 8 * OF_ADDRESS_MAX) };
}

/// A certificate for `localhost` and its key in files, and an authority store that trusts it.
fn certificate(directory: &Path) -> (HttpTls, RootCertStore) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = HttpTls { cert_file: directory.join("http.crt"), key_file: directory.join("http.key") };
    std::fs::write(&tls.cert_file, made.cert.pem()).unwrap();
    std::fs::write(&tls.key_file, made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    (tls, roots)
}

/// The TLS version that a client which knows `versions` ends with, or what it is told.
fn handshake(
    server: &Arc<ServerConfig>,
    roots: &RootCertStore,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<rustls::ProtocolVersion, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut server = rustls::ServerConnection::new(Arc::clone(server)).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut Cursor::new(wire)).unwrap();
        let refused = server.process_new_packets().err();
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut Cursor::new(wire)).unwrap();
        client.process_new_packets()?;
        if let Some(refused) = refused {
            return Err(refused);
        }
    }
    Ok(client.protocol_version().unwrap())
}

#[test]
fn a_client_that_knows_no_more_than_tls_1_2_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (files, roots) = certificate(directory.path());
    let server = Arc::new(tls_config(&files.cert_file, &files.key_file).unwrap());
    assert_eq!(handshake(&server, &roots, &[&rustls::version::TLS13]), Ok(rustls::ProtocolVersion::TLSv1_3));
    let old = handshake(&server, &roots, &[&rustls::version::TLS12]).unwrap_err();
    assert_eq!(old, rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion));
}

#[test]
fn a_certificate_that_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (files, _) = certificate(directory.path());
    std::fs::write(&files.key_file, "no key").unwrap();
    let config = HttpConfig { tls: Some(files.clone()), ..clear() };
    let error = Bound::bind(&config).err().unwrap();
    assert!(matches!(&error, ServerError::Certificate { path, .. } if *path == files.key_file), "{error}");
}

/// How long these tests wait for what has to happen: far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_by_the_servers_own_clock() {
    let server = serve(&clear());
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, silent.read_to_end(&mut rest)).await.expect("it was held on to").unwrap();
}
