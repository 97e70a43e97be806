//! Logging in to the page: a token in, a session cookie out.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use hearthwatch_store::people::SessionPurpose;
use hearthwatch_store::token::hash;
use hearthwatch_store::{Actor, blocking};
use serde::Deserialize;

use super::view;
use crate::http::Http;
use crate::http::auth::{in_force, session_cookie, set_cookie};
use crate::http::extract::{Fields, Peer};
use crate::http::problem::Problem;
use crate::http::sessions::{self, Beginner};
use crate::routes::sessions::began;

/// What the form sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    token: String,
}

/// `GET /login`: the form that asks for a token.
pub(super) async fn form(State(http): State<Http>) -> Response {
    view::login(None, http.provider.is_some()).into_response()
}

/// `POST /login`: a token that is in force becomes a session with a cookie; any other one is counted against its address.
pub(super) async fn begin(
    State(http): State<Http>,
    Peer(address): Peer,
    Fields(Login { token }): Fields<Login>,
) -> Result<Response, Problem> {
    let now = http.wall();
    let key = hash(token.trim());
    let row = blocking(&http.app.store, move |store| store.token_by_hash(&key)).await?;
    let Some(row) = row.filter(|row| in_force(row, now)) else {
        http.limits.bad_token(address, now)?;
        tracing::warn!(%address, "log-in refused");
        let answer =
            view::login(Some("This token is not known, has ended, or was withdrawn."), http.provider.is_some());
        return Ok((StatusCode::UNAUTHORIZED, answer).into_response());
    };
    let who = Beginner {
        holder: Actor::Token(row.name),
        subject: None,
        token: Some(key),
        role: row.role,
        purpose: SessionPurpose::Page,
    };
    let (secret, session) = sessions::begin(&http, who).await?;
    began(&http, &session).await?;
    Ok((cookie(&http, &secret), Redirect::to("/")).into_response())
}

/// The header that begins a session in the browser.
pub(super) fn cookie(http: &Http, secret: &str) -> [(HeaderName, String); 1] {
    [(header::SET_COOKIE, set_cookie(Some((secret, http.lifetime.all)), http.tls))]
}

/// `POST /logout`: the session ends here, and the cookie in the browser.
pub(super) async fn end(State(http): State<Http>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(secret) = session_cookie(&headers) {
        let key = hash(&secret);
        let ended = blocking(&http.app.store, move |store| match store.session_by_hash(&key)? {
            Some(session) => store.end_session(&session.id),
            None => Ok(None),
        });
        ended.await?;
    }
    Ok(([(header::SET_COOKIE, set_cookie(None, http.tls))], Redirect::to("/login")).into_response())
}
