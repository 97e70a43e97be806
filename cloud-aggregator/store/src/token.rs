//! Making bearer tokens: for the API and for `hearthwatch-cloud token add`, which makes the first one.

use hearthwatch_protocol::HomeId;
use sha2::{Digest as _, Sha256};

use crate::{Digest, Role, Store, StoreError, TokenRow};

const DAY_S: i64 = 24 * 3600;

/// What every token begins with, so that one that leaks can be found by scanners.
pub const TOKEN_PREFIX: &str = "hwt_";

/// What the secret of a session begins with.
pub const SESSION_PREFIX: &str = "hws_";

/// Random bytes of a token or a session: 256 bits.
const SECRET_BYTES: usize = 32;

/// Why a token was not made.
#[derive(Debug, thiserror::Error)]
pub enum NewTokenError {
    /// The name cannot stand in a log line.
    #[error("name: {0}")]
    Name(#[from] hearthwatch_protocol::IdError),
    /// The name is taken by a token that has not been withdrawn.
    #[error("there is a token named {0:?} already; withdraw it first")]
    Taken(String),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a token and stores its hash. The secret, the first value, is not to be had again.
///
/// # Errors
/// [`NewTokenError`].
pub fn make(
    store: &dyn Store,
    name: &str,
    role: Role,
    days: Option<u32>,
    now: i64,
) -> Result<(String, TokenRow), NewTokenError> {
    make_scoped(store, name, role, None, days, now)
}

/// The same for a token that may do only some of what its role may (`scopes`, each `noun:verb`).
///
/// # Errors
/// [`NewTokenError`].
pub fn make_scoped(
    store: &dyn Store,
    name: &str,
    role: Role,
    scopes: Option<Vec<String>>,
    days: Option<u32>,
    now: i64,
) -> Result<(String, TokenRow), NewTokenError> {
    check(store, name)?;
    let secret = new_secret();
    let row = TokenRow {
        name: name.to_owned(),
        hash: hash(&secret),
        role,
        scopes,
        created_at: now,
        expires_at: days.map(|days| now + i64::from(days) * DAY_S),
        revoked_at: None,
    };
    store.put_token(&row)?;
    Ok((secret, row))
}

/// Whether a token of this name can be made.
///
/// # Errors
/// [`NewTokenError`].
pub fn check(store: &dyn Store, name: &str) -> Result<(), NewTokenError> {
    // A token's name has the same alphabet as every other name in logs and paths.
    HomeId::new(name)?;
    if store.tokens()?.iter().any(|token| token.name == name && token.revoked_at.is_none()) {
        return Err(NewTokenError::Taken(name.to_owned()));
    }
    Ok(())
}

/// Makes a new secret; it is shown once and never stored.
///
/// # Panics
/// Never: the system's random source does not fail after start-up, and there is nothing safe to do if it did.
#[must_use]
pub fn new_secret() -> String {
    format!("{TOKEN_PREFIX}{}", random())
}

/// Makes the secret of a new session; it is shown once and never stored.
///
/// # Panics
/// As [`new_secret`].
#[must_use]
pub fn new_session_secret() -> String {
    format!("{SESSION_PREFIX}{}", random())
}

/// 256 bits, hexadecimal.
fn random() -> String {
    let mut bytes = [0_u8; SECRET_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
    hex::encode(bytes)
}

/// What the store keeps of a secret.
#[must_use]
pub fn hash(secret: &str) -> Digest {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_secrets_differ_and_carry_256_bits() {
        let (one, two) = (new_secret(), new_secret());
        assert_ne!(one, two);
        assert_eq!(one.len(), TOKEN_PREFIX.len() + 64);
    }
}
