//! Who a form of the page comes from: whoever gave a token, or the person whose session the form belongs to.

use axum::http::HeaderMap;
use hearthwatch_store::Role;
use hearthwatch_store::token::hash;
use maud::{Markup, html};
use serde::Deserialize;

use crate::http::Http;
use crate::http::auth::{Caller, of_form, of_token};
use crate::http::extract::Peer;
use crate::http::problem::Problem;

/// What every form that changes something carries: one of the two.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Credential {
    /// A token, typed in.
    #[serde(default)]
    token: Option<String>,
    /// The word of the session.
    #[serde(default)]
    check: Option<String>,
}

impl Credential {
    pub(super) fn new(token: Option<String>, check: Option<String>) -> Self {
        Self { token, check }
    }
}

/// Whoever sent the form, if the role is enough. A token that is not known is counted against the address.
pub(super) async fn doer(
    http: &Http,
    peer: Peer,
    headers: &HeaderMap,
    credential: Credential,
    needed: Role,
) -> Result<Caller, Problem> {
    let token = credential.token.as_deref().map(str::trim).filter(|token| !token.is_empty());
    let found = match (token, credential.check) {
        (Some(token), _) => of_token(http, hash(token), needed).await,
        (None, Some(check)) => of_form(http, headers, &check, needed).await,
        (None, None) => Err(Problem::Unauthenticated),
    };
    if matches!(found, Err(Problem::Unauthenticated)) {
        http.limits.bad_token(peer.0, http.wall())?;
    }
    found
}

/// The part of a form that says who sends it.
pub(super) fn credential(caller: &Caller, needed: Role) -> Markup {
    html! {
        @match &caller.form_check {
            Some(check) => { input type="hidden" name="check" value=(check); }
            None => {
                label {
                    "Token of the role " (needed.as_str())
                    input type="password" name="token" required autocomplete="current-password";
                }
            }
        }
    }
}
