//! Settling what was refused, from the page: the form brings the operator's token.
//!
//! The session's cookie is for looking alone ([`crate::http::auth`]), and stays so: a form of another site can make a browser
//! send the cookie, and not the token, so there is nothing to forge here either.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use hearthwatch_store::{QuarantineEnd, Role};
use serde::Deserialize;

use super::doer::{Credential, doer};
use crate::http::Http;
use crate::http::extract::{Fields, Peer, Segment};
use crate::http::problem::Problem;
use crate::routes::quarantine::one;
use crate::routes::runs::Reason;

/// What the form sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    token: Option<String>,
    check: Option<String>,
    reason: String,
    /// The button: `lifted` or `discarded`.
    end: String,
}

/// Lets one refused answer in or throws it away, and shows the page again.
pub(super) async fn settle(
    State(http): State<Http>,
    peer: Peer,
    headers: HeaderMap,
    Segment(id): Segment<u64>,
    Fields(Asked { token, check, reason, end }): Fields<Asked>,
) -> Result<Response, Problem> {
    let caller = doer(&http, peer, &headers, Credential::new(token, check), Role::Operator).await?;
    let end = QuarantineEnd::parse(&end)
        .ok_or_else(|| Problem::Invalid(format!("{end:?} is neither lifted nor discarded")))?;
    // What came of it is on the page that is shown again.
    let _ = one(&http, caller, id, end, Reason { reason }).await?;
    Ok(Redirect::to("/").into_response())
}
