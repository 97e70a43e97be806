//! Logging in to the page: a token in, a session cookie out.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use hearthwatch_store::blocking;
use hearthwatch_store::token::hash;
use serde::Deserialize;

use super::view;
use crate::http::Http;
use crate::http::auth::{in_force, session_cookie, set_cookie};
use crate::http::extract::{Fields, Peer};
use crate::http::problem::Problem;

/// What the form sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    token: String,
}

/// `GET /login`: the form that asks for a token.
pub(super) async fn form() -> Response {
    view::login(None).into_response()
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
    if row.is_none_or(|row| !in_force(&row, now)) {
        http.limits.bad_token(address, now)?;
        tracing::warn!(%address, "log-in refused");
        let answer = view::login(Some("This token is not known, has ended, or was withdrawn."));
        return Ok((StatusCode::UNAUTHORIZED, answer).into_response());
    }
    let secret = http.sessions.begin(key, now);
    Ok(([(header::SET_COOKIE, set_cookie(Some(&secret), http.tls))], Redirect::to("/")).into_response())
}

/// `POST /logout`: the session ends here, and the cookie in the browser.
pub(super) async fn end(State(http): State<Http>, headers: HeaderMap) -> Response {
    if let Some(secret) = session_cookie(&headers) {
        http.sessions.end(&secret);
    }
    ([(header::SET_COOKIE, set_cookie(None, http.tls))], Redirect::to("/login")).into_response()
}
