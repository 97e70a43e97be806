//! Making bearer tokens: for the API and for `hearthwatch-cloud token add`, which makes the first one.

use hearthwatch_protocol::HomeId;

use crate::http::auth::{hash, new_secret};
use crate::store::{Role, Store, StoreError, TokenRow};

const DAY_S: i64 = 24 * 3600;

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
    // A token's name has the same alphabet as every other name in logs and paths.
    HomeId::new(name)?;
    if store.tokens()?.iter().any(|token| token.name == name && token.revoked_at.is_none()) {
        return Err(NewTokenError::Taken(name.to_owned()));
    }
    let secret = new_secret();
    let row = TokenRow {
        name: name.to_owned(),
        hash: hash(&secret),
        role,
        created_at: now,
        expires_at: days.map(|days| now + i64::from(days) * DAY_S),
        revoked_at: None,
    };
    store.put_token(&row)?;
    Ok((secret, row))
}
