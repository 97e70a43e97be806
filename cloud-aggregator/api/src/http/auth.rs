//! Who asks, and what they may: bearer tokens hashed at rest, roles, and the page's session cookie.
//!
//! A token is 256 random bits; the store knows only its SHA-256. That is enough for a secret of full entropy: there is
//! nothing to guess, so no slow hash is needed, and a look-up by hash compares nothing secret byte by byte.
//!
//! A session cookie is honoured for reading (`GET`, `HEAD`) alone. Whatever changes something needs the token itself: in the bearer
//! header, or typed into a form of the page. No other site can make a browser send either; so there is nothing to forge.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use hearthwatch_store::token::{hash, new_secret};
use hearthwatch_store::{Actor, Digest, Role, TokenRow, blocking};

use super::connections::Member;
use super::limits::CallsLeft;
use super::problem::Problem;
use super::{Http, dry_run};

/// How long a session of the page lasts: a working day.
pub const SESSION_S: i64 = 12 * 3600;

/// Most sessions at a time; the one that ends first makes room. 1,000 × some 100 bytes are 100 KB.
const SESSIONS_MAX: usize = 1000;

/// Longest bearer token that is looked at: ours have 68 characters.
const TOKEN_LENGTH_MAX: usize = 256;

/// Whether a token opens anything at `now`.
#[must_use]
pub fn in_force(token: &TokenRow, now: i64) -> bool {
    token.revoked_at.is_none() && token.expires_at.is_none_or(|end| now < end)
}

/// Somebody with a valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's name, as in the audit log.
    pub name: String,
    /// The role of the token; it may do what the lesser roles may too.
    pub role: Role,
    /// Whether the request only asks what would be done.
    pub dry_run: bool,
}

impl Caller {
    /// The caller as the audit log names it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::Token(self.name.clone())
    }
}

/// A caller who may look.
#[derive(Debug, Clone)]
pub struct Viewer(pub Caller);

/// A caller who may start, promote and roll back.
#[derive(Debug, Clone)]
pub struct Operator(pub Caller);

/// A caller who may do everything.
#[derive(Debug, Clone)]
pub struct Admin(pub Caller);

async fn caller(parts: &Parts, http: &Http, needed: Role) -> Result<Caller, Problem> {
    let hash = presented(parts, http).ok_or(Problem::Unauthenticated)?;
    let token = token_in_force(http, hash).await?;
    if let Some(member) = parts.extensions.get::<Arc<Member>>() {
        member.authenticate();
    }
    http.limits.call(&token.name, parts.extensions.get::<CallsLeft>(), http.wall())?;
    let dry_run = dry_run::asked(parts.uri.query()).map_err(Problem::Invalid)?;
    Ok(Caller { dry_run, ..allowed(token, needed)? })
}

/// Who holds the token with this hash, if it is in force and allows what is needed.
///
/// # Errors
/// [`Problem::Unauthenticated`], [`Problem::Forbidden`], or the store's.
pub async fn of_token(http: &Http, hash: Digest, needed: Role) -> Result<Caller, Problem> {
    allowed(token_in_force(http, hash).await?, needed)
}

async fn token_in_force(http: &Http, hash: Digest) -> Result<TokenRow, Problem> {
    let token = blocking(&http.app.store, move |store| store.token_by_hash(&hash)).await?;
    token.filter(|token| in_force(token, http.wall())).ok_or(Problem::Unauthenticated)
}

fn allowed(token: TokenRow, needed: Role) -> Result<Caller, Problem> {
    if token.role >= needed {
        Ok(Caller { name: token.name, role: token.role, dry_run: false })
    } else {
        Err(Problem::Forbidden(needed.as_str()))
    }
}

/// The hash of the token that a request brings.
fn presented(parts: &Parts, http: &Http) -> Option<Digest> {
    if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
        let (scheme, secret) = value.to_str().ok()?.split_once(' ')?;
        let usable = scheme.eq_ignore_ascii_case("bearer") && secret.len() <= TOKEN_LENGTH_MAX;
        return usable.then(|| hash(secret.trim()));
    }
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return None;
    }
    http.sessions.token(&session_cookie(&parts.headers)?, http.wall())
}

macro_rules! extract {
    ($name:ident, $role:expr) => {
        impl FromRequestParts<Http> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Problem> {
                caller(parts, http, $role).await.map(Self)
            }
        }
    };
}

extract!(Viewer, Role::Viewer);
extract!(Operator, Role::Operator);
extract!(Admin, Role::Admin);

/// Sessions of the page. In memory: a restart asks everybody to log in again.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<Digest, Session>>);

#[derive(Debug, Clone, Copy)]
struct Session {
    token: Digest,
    ends_at: i64,
}

impl Sessions {
    /// Begins a session of the token with this hash; the secret goes into the cookie.
    #[must_use]
    pub fn begin(&self, token: Digest, now: i64) -> String {
        let secret = new_secret();
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| now < session.ends_at);
        if sessions.len() >= SESSIONS_MAX
            && let Some(oldest) = sessions.iter().min_by_key(|(_, session)| session.ends_at).map(|(key, _)| *key)
        {
            sessions.remove(&oldest);
        }
        sessions.insert(hash(&secret), Session { token, ends_at: now + SESSION_S });
        secret
    }

    /// The token behind a session that has not ended. Whether that token is still in force is asked of the store.
    #[must_use]
    pub fn token(&self, secret: &str, now: i64) -> Option<Digest> {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(&hash(secret)).filter(|session| now < session.ends_at).map(|session| session.token)
    }

    /// Ends a session.
    pub fn end(&self, secret: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash(secret));
    }
}

/// The cookie's name over TLS: the prefix makes browsers insist on `Secure`, this host and path `/`.
const COOKIE_SECURE: &str = "__Host-hearthwatch";
/// Its name in the clear, which is spoken on loopback only.
const COOKIE_LOOPBACK: &str = "hearthwatch";

/// The session that a request's cookies name.
#[must_use]
pub fn session_cookie(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| matches!(*name, COOKIE_SECURE | COOKIE_LOOPBACK)).map(|(_, value)| value.to_owned())
}

/// The `Set-Cookie` value that begins a session, or, with `None`, ends it.
#[must_use]
pub fn set_cookie(secret: Option<&str>, tls: bool) -> String {
    let (name, secure) = if tls { (COOKIE_SECURE, "; Secure") } else { (COOKIE_LOOPBACK, "") };
    let (value, age) = secret.map_or(("", 0), |secret| (secret, SESSION_S));
    format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(expires_at: Option<i64>, revoked_at: Option<i64>) -> TokenRow {
        TokenRow { name: "kim".to_owned(), hash: [0; 32], role: Role::Viewer, created_at: 0, expires_at, revoked_at }
    }

    #[test]
    fn a_token_ends_when_it_expires_or_is_revoked() {
        assert!(in_force(&token(None, None), 100));
        assert!(in_force(&token(Some(101), None), 100));
        assert!(!in_force(&token(Some(100), None), 100));
        assert!(!in_force(&token(None, Some(50)), 100));
    }

    #[test]
    fn roles_are_ordered_by_what_they_allow() {
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
    }

    #[test]
    fn a_session_ends_with_time_and_by_hand() {
        let sessions = Sessions::default();
        let secret = sessions.begin([7; 32], 1000);
        assert_eq!(sessions.token(&secret, 1000 + SESSION_S - 1), Some([7; 32]));
        assert_eq!(sessions.token(&secret, 1000 + SESSION_S), None);
        sessions.end(&secret);
        assert_eq!(sessions.token(&secret, 1000), None);
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let sessions = Sessions::default();
        for now in 0..1500 {
            let _ = sessions.begin([0; 32], now);
        }
        assert_eq!(sessions.0.lock().unwrap().len(), SESSIONS_MAX);
    }

    #[test]
    fn a_cookie_over_tls_is_bound_to_host_and_hidden_from_scripts() {
        let cookie = set_cookie(Some("s"), true);
        assert_eq!(cookie, "__Host-hearthwatch=s; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure");
    }

    #[test]
    fn the_session_is_found_among_other_cookies() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=b; hearthwatch=hwt_1; c=d".parse().unwrap());
        assert_eq!(session_cookie(&headers).as_deref(), Some("hwt_1"));
    }
}
