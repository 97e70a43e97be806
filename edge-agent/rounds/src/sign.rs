//! Signs with the home's key, read anew each time: certificates are renewed while the agent runs.

use std::path::{Path, PathBuf};

use hearthwatch_protocol::seal::SigningKey;
use hearthwatch_protocol::statement::{Signed, Statement, StatementRefusal};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key's file cannot be read, or holds no key that signs.
    #[error("{path}: {cause}")]
    Key {
        /// File of the key.
        path: PathBuf,
        /// One line.
        cause: String,
    },
    /// A value of the statement is out of its bounds.
    #[error(transparent)]
    Statement(#[from] StatementRefusal),
}

/// Signs `statement` with the key in `key_file`, 300 bytes.
pub(crate) fn sign<T: Statement>(statement: &T, key_file: &Path) -> Result<Signed<T>, SignError> {
    let bad = |cause: String| SignError::Key { path: key_file.to_owned(), cause };
    let key = match PrivateKeyDer::from_pem_file(key_file).map_err(|error| bad(error.to_string()))? {
        PrivateKeyDer::Pkcs8(der) => SigningKey::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err(bad("is no PKCS#8 key".to_owned())),
    };
    Ok(statement.sign(&key.map_err(|error| bad(error.to_string()))?)?)
}
