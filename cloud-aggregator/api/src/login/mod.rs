//! Logging in at an identity provider (OpenID Connect): in the browser by an authorization code with PKCE, on the command line by a
//! device code. The provider says who somebody is and which groups they are in; which group may do what is configured here.
//!
//! `provider` asks; `id_token` and `person` judge and touch nothing; `pending` remembers who is on the way.

pub mod config;
pub(crate) mod id_token;
pub(crate) mod pending;
pub(crate) mod person;
pub(crate) mod provider;

pub use self::config::LoginConfig;
pub use self::provider::{Provider, ProviderError};
