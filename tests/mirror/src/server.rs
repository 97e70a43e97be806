//! A server of plain files over real HTTPS.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use url::Url;

/// A file whose download stands still after its first bytes, until it is let go; then the connection is cut.
#[derive(Clone, Default)]
pub struct Stall {
    /// Told when somebody waits.
    pub stands_still: Arc<Notify>,
    /// Ends the waiting.
    pub let_go: CancellationToken,
}

/// Serves the files of a folder over HTTPS under an authority made for it, which is written to `ca`. With `stall`, targets stand still.
pub async fn serve_files(folder: PathBuf, ca: &Path, stall: Option<Stall>) -> Url {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(ca, issuer.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap().der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let tls = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let (acceptor, folder, stall) = (acceptor.clone(), folder.clone(), stall.clone());
            tokio::spawn(async move {
                let Ok(mut socket) = acceptor.accept(socket).await else { return };
                let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
                while !request.ends_with(b"\r\n\r\n") {
                    let Ok(n @ 1..) = socket.read(&mut buffer).await else { return };
                    request.extend_from_slice(&buffer[..n]);
                }
                let request = String::from_utf8(request).unwrap();
                let mut words = request.split(' ');
                let (method, path) = (words.next().unwrap(), words.next().unwrap());
                let found = std::fs::read(folder.join(path.trim_start_matches('/')));
                let (status, body) = found.map_or_else(|_| ("404 Not Found", Vec::new()), |body| ("200 OK", body));
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let mut body = if method == "HEAD" { Vec::new() } else { body };
                let stall = stall.filter(|_| path.contains(".safetensors"));
                if stall.is_some() {
                    body.truncate(1);
                }
                // Whoever asked may have gone.
                let _ = socket.write_all(&[head.into_bytes(), body].concat()).await;
                if let Some(stall) = stall {
                    let _ = socket.flush().await;
                    stall.stands_still.notify_one();
                    stall.let_go.cancelled().await;
                }
                let _ = socket.shutdown().await;
            });
        }
    });
    format!("https://localhost:{port}/").parse().unwrap()
}
