//! PEM files → a rustls client configuration: TLS 1.3, one pinned authority, no system roots.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::config::TlsFiles;
use crate::error::LinkError;

/// Reads and checks the files. Also for HTTPS to servers of the same authority.
///
/// # Errors
/// [`LinkError`] naming the file that is missing or wrong, or that certificate and key do not fit.
pub fn client_config(files: &TlsFiles) -> Result<Arc<ClientConfig>, LinkError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.ca)? {
        roots.add(certificate).map_err(|error| LinkError::Pem { path: files.ca.clone(), cause: error.to_string() })?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| LinkError::Tls(error.to_string()))?
        .with_root_certificates(roots);
    let config = match (&files.cert, &files.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(certificates(cert)?, private_key(key)?)
            .map_err(|error| LinkError::Tls(error.to_string()))?,
        _ => return Err(LinkError::CertificateWithoutKey),
    };
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LinkError> {
    let pem = read(path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| LinkError::Pem { path: path.to_owned(), cause: error.to_string() })?;
    if found.is_empty() {
        return Err(LinkError::Pem { path: path.to_owned(), cause: "holds no certificate".to_owned() });
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, LinkError> {
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .map_err(|error| LinkError::Pem { path: path.to_owned(), cause: error.to_string() })
}

fn read(path: &Path) -> Result<Vec<u8>, LinkError> {
    std::fs::read(path).map_err(|source| LinkError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named() {
        let files = TlsFiles { ca: "/nonexistent/ca.crt".into(), cert: None, key: None };
        let error = client_config(&files).unwrap_err();
        assert!(matches!(&error, LinkError::File { path, .. } if path == &files.ca), "{error}");
    }

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let ca = directory.path().join("ca.crt");
        std::fs::write(&ca, "not a certificate").unwrap();
        let error = client_config(&TlsFiles { ca: ca.clone(), cert: None, key: None }).unwrap_err();
        assert!(matches!(&error, LinkError::Pem { path, .. } if *path == ca), "{error}");
    }
}
