//! Keys that sign: online keys read from files, and the far side of the targets key.

use std::fmt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use aws_lc_rs::signature::Ed25519KeyPair;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use tough::key_source::KeySource;
use tough::sign::Sign;

type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Why a key file could not be used. Never holds any of its content.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("cannot read the key {path}")]
    Read {
        /// The key file, as configured.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not an ed25519 key in PKCS#8, as PEM or DER.
    #[error("{path} is not an ed25519 private key (PKCS#8, PEM or DER)")]
    Form {
        /// The key file, as configured.
        path: PathBuf,
    },
}

/// Reads an ed25519 private key (PKCS#8, as PEM or DER).
///
/// # Errors
/// [`KeyError`], which names the file and nothing of its content.
pub fn read_ed25519(path: &Path) -> Result<Ed25519KeyPair, KeyError> {
    let bytes = std::fs::read(path).map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
    parse_ed25519(&bytes).ok_or_else(|| KeyError::Form { path: path.to_owned() })
}

fn parse_ed25519(bytes: &[u8]) -> Option<Ed25519KeyPair> {
    let der = match PrivatePkcs8KeyDer::from_pem_slice(bytes) {
        Ok(key) => key.secret_pkcs8_der().to_vec(),
        Err(_) => bytes.to_vec(),
    };
    Ed25519KeyPair::from_pkcs8(&der).ok()
}

/// A key in a file, read each time it signs, so that it can be replaced without a restart.
#[derive(Clone)]
pub struct FileKey {
    path: PathBuf,
}

impl FileKey {
    /// The key in `path`; nothing is read yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKey").field("path", &self.path).finish()
    }
}

#[async_trait]
impl KeySource for FileKey {
    async fn as_sign(&self) -> Result<Box<dyn Sign>, BoxError> {
        Ok(Box::new(read_ed25519(&self.path)?))
    }

    async fn write(&self, _value: &str, _key_id_hex: &str) -> Result<(), BoxError> {
        Err("online keys are made by hearthwatch-provision, not written from here".into())
    }
}
