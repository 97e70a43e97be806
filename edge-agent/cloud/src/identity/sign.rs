//! Signs with the home's key, read anew each time: certificates are renewed while the agent runs.

use std::path::Path;

use hearthwatch_protocol::seal::SigningKey;
use hearthwatch_protocol::statement::{Signed, Statement, StatementRefusal};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::pair::PairError;

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key's file cannot be read, or holds no key that signs.
    #[error(transparent)]
    Key(#[from] PairError),
    /// A value of the statement is out of its bounds.
    #[error(transparent)]
    Statement(#[from] StatementRefusal),
}

/// Signs `statement` with the key in `key_file`: a read of 300 bytes, short enough for a worker.
///
/// # Errors
/// [`SignError`].
pub fn sign<T: Statement>(statement: &T, key_file: &Path) -> Result<Signed<T>, SignError> {
    Ok(statement.sign(&signing_key(key_file)?)?)
}

pub(super) fn signing_key(key_file: &Path) -> Result<SigningKey, PairError> {
    let damaged = |cause: String| PairError::Damaged { path: key_file.to_owned(), cause };
    match PrivateKeyDer::from_pem_file(key_file).map_err(|error| damaged(error.to_string()))? {
        PrivateKeyDer::Pkcs8(der) => {
            SigningKey::from_pkcs8(der.secret_pkcs8_der()).map_err(|error| damaged(error.to_string()))
        }
        _ => Err(damaged("is no PKCS#8 key".to_owned())),
    }
}
