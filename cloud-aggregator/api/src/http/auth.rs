//! Who asks, and what they may: bearer tokens hashed at rest, roles, and the page's session cookie.
//!
//! A token is 256 random bits; the store knows only its SHA-256. That is enough for a secret of full entropy: there is
//! nothing to guess, so no slow hash is needed, and a look-up by hash compares nothing secret byte by byte.
//!
//! A session cookie is honoured for reading (`GET`, `HEAD`) alone. Whatever changes something needs the token itself, in the bearer
//! header or typed into a form of the page; or, of a person of the identity provider who has no token, a form that carries a word which
//! only a page of the same session can know. No other site can make a browser send any of them; so there is nothing to forge.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use hearthwatch_store::people::{SessionPurpose, SessionRow};
use hearthwatch_store::token::{SESSION_PREFIX, hash};
use hearthwatch_store::{Actor, Digest, Role, TokenRow, blocking};

use super::approved::Approved;
use super::connections::Member;
use super::limits::CallsLeft;
use super::problem::Problem;
use super::scope::{self, Scope};
use super::{Http, dry_run, sessions};

/// Longest bearer token that is looked at: ours have 68 characters.
const TOKEN_LENGTH_MAX: usize = 256;

/// Whether a token opens anything at `now`.
#[must_use]
pub fn in_force(token: &TokenRow, now: i64) -> bool {
    token.revoked_at.is_none() && token.expires_at.is_none_or(|end| now < end)
}

/// Somebody who may do something here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who it is, as the audit log names it.
    pub holder: Actor,
    /// Its role; it may do what the lesser roles may too.
    pub role: Role,
    /// The person's identity at the provider; none for a token.
    pub subject: Option<String>,
    /// The session that the request belongs to, if it is one.
    pub session: Option<String>,
    /// What a form of the page has to carry in place of a token; for a person's session in a browser alone.
    pub form_check: Option<String>,
    /// Who approved what is being done, where a second person had to.
    pub approved_by: Option<Actor>,
    /// Whether the request only asks what would be done.
    pub dry_run: bool,
}

impl Caller {
    /// Whoever holds a token of this name.
    #[must_use]
    pub fn of_token(name: &str, role: Role) -> Self {
        Self {
            holder: Actor::Token(name.to_owned()),
            role,
            subject: None,
            session: None,
            form_check: None,
            approved_by: None,
            dry_run: false,
        }
    }

    /// The caller as the audit log names it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.holder.clone()
    }

    /// The name without its kind.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.holder {
            Actor::Token(name) | Actor::Person(name) => name.clone(),
            other => other.to_string(),
        }
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

/// What a request shows to be let in.
enum Shown {
    Token(Digest),
    Session { secret: String, purpose: SessionPurpose },
}

async fn caller(parts: &Parts, http: &Http, needed: Role) -> Result<Caller, Problem> {
    let dry_run = dry_run::asked(parts.uri.query()).map_err(Problem::Invalid)?;
    // A call that two people stand behind is done as the one who asked for it.
    if let Some(Approved(caller)) = parts.extensions.get::<Approved>() {
        return enough(caller.clone(), needed);
    }
    let (caller, scopes) = match shown(parts).ok_or(Problem::Unauthenticated)? {
        Shown::Token(hash) => of_row(token_in_force(http, hash).await?),
        Shown::Session { secret, purpose } => of_session(http, &secret, purpose).await?,
    };
    if let Some(member) = parts.extensions.get::<Arc<Member>>() {
        member.authenticate();
    }
    http.limits.call(&caller.holder.to_string(), parts.extensions.get::<CallsLeft>(), http.wall())?;
    if let Some(scopes) = scopes {
        let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let scope = scope::of(path, &parts.method);
        if !scopes.iter().any(|held| held.allows(&scope)) {
            return Err(Problem::OutOfScope(scope.to_string()));
        }
    }
    enough(Caller { dry_run, ..caller }, needed)
}

/// Who holds the token with this hash, if it is in force and allows what is needed.
///
/// # Errors
/// [`Problem::Unauthenticated`], [`Problem::Forbidden`], [`Problem::OutOfScope`] for a token that may do only some of what its role may,
/// or the store's.
pub async fn of_token(http: &Http, hash: Digest, needed: Role) -> Result<Caller, Problem> {
    let (caller, scopes) = of_row(token_in_force(http, hash).await?);
    match scopes {
        None => enough(caller, needed),
        Some(_) => Err(Problem::OutOfScope("*:*".to_owned())),
    }
}

/// Who a form of the page comes from that carries no token but the word of its session.
///
/// # Errors
/// [`Problem::Unauthenticated`] where the session has ended, is a token's, or the word is not its own; [`Problem::Forbidden`].
pub async fn of_form(http: &Http, headers: &HeaderMap, check: &str, needed: Role) -> Result<Caller, Problem> {
    let secret = session_cookie(headers).ok_or(Problem::Unauthenticated)?;
    let (caller, _) = of_session(http, &secret, SessionPurpose::Page).await?;
    match &caller.form_check {
        Some(own) if own == check => enough(caller, needed),
        _ => Err(Problem::Unauthenticated),
    }
}

async fn token_in_force(http: &Http, hash: Digest) -> Result<TokenRow, Problem> {
    let token = blocking(&http.app.store, move |store| store.token_by_hash(&hash)).await?;
    token.filter(|token| in_force(token, http.wall())).ok_or(Problem::Unauthenticated)
}

fn of_row(token: TokenRow) -> (Caller, Option<Vec<Scope>>) {
    // One that cannot be read allows nothing.
    let scopes = token.scopes.map(|words| words.iter().filter_map(|word| word.parse().ok()).collect());
    (Caller::of_token(&token.name, token.role), scopes)
}

async fn of_session(
    http: &Http,
    secret: &str,
    purpose: SessionPurpose,
) -> Result<(Caller, Option<Vec<Scope>>), Problem> {
    let session = sessions::in_force(http, hash(secret)).await?.filter(|session| session.purpose == purpose);
    let SessionRow { id, holder, subject, token, role, .. } = session.ok_or(Problem::Unauthenticated)?;
    if let Some(token) = token {
        let (caller, scopes) = of_row(token_in_force(http, token).await?);
        return Ok((Caller { session: Some(id), ..caller }, scopes));
    }
    let form_check = (purpose == SessionPurpose::Page).then(|| sessions::form_check(secret));
    let caller = Caller { holder, role, subject, session: Some(id), form_check, approved_by: None, dry_run: false };
    Ok((caller, None))
}

fn enough(caller: Caller, needed: Role) -> Result<Caller, Problem> {
    if caller.role >= needed { Ok(caller) } else { Err(Problem::Forbidden(needed.as_str())) }
}

/// What a request brings.
fn shown(parts: &Parts) -> Option<Shown> {
    if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
        let (scheme, secret) = value.to_str().ok()?.split_once(' ')?;
        let usable = scheme.eq_ignore_ascii_case("bearer") && secret.len() <= TOKEN_LENGTH_MAX;
        let secret = usable.then(|| secret.trim())?;
        return Some(if secret.starts_with(SESSION_PREFIX) {
            Shown::Session { secret: secret.to_owned(), purpose: SessionPurpose::CommandLine }
        } else {
            Shown::Token(hash(secret))
        });
    }
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return None;
    }
    Some(Shown::Session { secret: session_cookie(&parts.headers)?, purpose: SessionPurpose::Page })
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

/// The `Set-Cookie` value that begins a session of so many seconds, or, with `None`, ends it.
#[must_use]
pub fn set_cookie(secret: Option<(&str, i64)>, tls: bool) -> String {
    let (name, secure) = if tls { (COOKIE_SECURE, "; Secure") } else { (COOKIE_LOOPBACK, "") };
    let (value, age) = secret.unwrap_or(("", 0));
    format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(expires_at: Option<i64>, revoked_at: Option<i64>) -> TokenRow {
        TokenRow {
            name: "kim".to_owned(),
            hash: [0; 32],
            role: Role::Viewer,
            scopes: None,
            created_at: 0,
            expires_at,
            revoked_at,
        }
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
    fn a_cookie_over_tls_is_bound_to_host_and_hidden_from_scripts() {
        let cookie = set_cookie(Some(("s", 43_200)), true);
        assert_eq!(cookie, "__Host-hearthwatch=s; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure");
    }

    #[test]
    fn the_session_is_found_among_other_cookies() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=b; hearthwatch=hwt_1; c=d".parse().unwrap());
        assert_eq!(session_cookie(&headers).as_deref(), Some("hwt_1"));
    }
}
