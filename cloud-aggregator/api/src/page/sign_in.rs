//! Logging in to the pages at the identity provider: an authorization code with PKCE.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use hearthwatch_store::Actor;
use hearthwatch_store::people::SessionPurpose;
use maud::html;
use url::form_urlencoded;

use super::login::cookie;
use super::view::{login, shell};
use crate::http::Http;
use crate::http::extract::Peer;
use crate::http::problem::Problem;
use crate::http::sessions::{self, Beginner};
use crate::login::ProviderError;
use crate::routes::sessions::began;

/// Binds a log-in to the browser that began it: somebody else's code is worth nothing in it.
const COOKIE: &str = "hearthwatch-login";

/// How long the cookie lasts, seconds: as the log-in on its way.
const COOKIE_SECONDS: i64 = crate::login::pending::BROWSER_SECONDS;

fn bound(state: &str, age: i64, tls: bool) -> String {
    let secure = if tls { "; Secure" } else { "" };
    // Lax: the provider sends the browser back from another site.
    format!("{COOKIE}={state}; Path=/login; Max-Age={age}; HttpOnly; SameSite=Lax{secure}")
}

/// `GET /login/start`: to the provider.
pub(super) async fn start(State(http): State<Http>, peer: Peer) -> Result<Response, Problem> {
    http.limits.look(peer.0, http.wall())?;
    let Some(provider) = http.provider.clone() else { return Ok(Redirect::to("/login").into_response()) };
    match provider.begin(http.wall()).await {
        Ok((place, state)) => {
            let headers = [(header::SET_COOKIE, bound(&state, COOKIE_SECONDS, http.tls))];
            Ok((headers, Redirect::to(place.as_str())).into_response())
        }
        Err(error) => Ok(refused(&http, &error)),
    }
}

/// `GET /login/callback`: back from the provider. What else it sends along is of no use here.
pub(super) async fn end(
    State(http): State<Http>,
    peer: Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    http.limits.look(peer.0, http.wall())?;
    let Some(provider) = http.provider.clone() else { return Ok(Redirect::to("/login").into_response()) };
    let query = query.unwrap_or_default();
    let given = |name: &str| {
        form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let found = match (given("code"), given("state"), given("error")) {
        (_, _, Some(error)) => {
            let said: String = given("error_description").unwrap_or(error).chars().take(200).collect();
            Err(ProviderError::Refused(said))
        }
        (Some(code), Some(state), None) if own(&headers).as_deref() == Some(state.as_str()) => {
            provider.end(&state, &code, http.wall()).await
        }
        _ => Err(ProviderError::Unknown),
    };
    let person = match found {
        Ok(person) => person,
        Err(error) => {
            tracing::warn!(%error, "log-in refused");
            return Ok(refused(&http, &error));
        }
    };
    let who = Beginner {
        holder: Actor::Person(person.name),
        subject: Some(person.subject),
        token: None,
        role: person.role,
        purpose: SessionPurpose::Page,
    };
    let (secret, session) = sessions::begin(&http, who).await?;
    began(&http, &session).await?;
    // Not a redirect: within one that began at another site, browsers keep a strict cookie back.
    let head = html! { meta http-equiv="refresh" content="0; url=/"; };
    let body = html! { main.narrow { section { p { "Logged in. " a href="/" { "To the overview" } } } } };
    let mut answer = shell("Logged in · Hearthwatch", &head, &body).into_response();
    let mut put = |value: String| -> Result<(), Problem> {
        answer.headers_mut().append(header::SET_COOKIE, value.parse().map_err(Problem::internal)?);
        Ok(())
    };
    let [(_, session)] = cookie(&http, &secret);
    put(session)?;
    put(bound("", 0, http.tls))?;
    Ok(answer)
}

/// The word that this browser was sent out with.
fn own(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, value)| *name == COOKIE && !value.is_empty()).map(|(_, value)| value.to_owned())
}

fn refused(http: &Http, error: &ProviderError) -> Response {
    let status = match error {
        ProviderError::Setup(_) | ProviderError::Unreachable(_) => StatusCode::BAD_GATEWAY,
        ProviderError::Person(_) => StatusCode::FORBIDDEN,
        _ => StatusCode::UNAUTHORIZED,
    };
    (status, login(Some(&error.to_string()), http.provider.is_some())).into_response()
}
