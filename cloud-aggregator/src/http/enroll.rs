//! `POST /enroll`: a claim token and a signing request become a home's certificate, once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::post;
use axum::{Json, Router};
use hearthwatch_provision::enrol::{BODY_BYTES_MAX, EnrolReply, EnrolRequest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::audit::record;
use super::extract::Body;
use super::problem::{Problem, ProblemBody, chain};
use super::{Http, limited};
use crate::store::{Actor, blocking};

/// What a home sends to enrol.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentAsked {
    /// Its name, as in the claim.
    pub home: String,
    /// The claim token.
    pub token: String,
    /// PKCS#10 signing request, PEM; its key never leaves the home.
    pub csr: String,
}

/// What an enrolled home gets.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct EnrolmentGiven {
    /// The home's certificate, PEM.
    pub certificate: String,
    /// The authority to trust, PEM.
    pub ca: String,
    /// The first TUF root to trust, JSON text.
    pub root: String,
    /// The director's keys to trust, one a line.
    pub director: String,
}

/// The caller's address. Tests without a socket count as loopback.
pub(crate) struct Peer(pub(crate) IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |info| info.0.ip())))
    }
}

pub(super) fn router() -> Router<Http> {
    Router::new().route("/enroll", post(enroll)).layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// Lets a home in: certifies its key and gives it what it needs to trust. A claim token works for one key.
#[utoipa::path(post, path = "/enroll", tag = "enrolment", security(()), request_body = EnrolmentAsked, responses(
    (status = 201, body = EnrolmentGiven),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn enroll(
    State(http): State<Http>,
    Peer(address): Peer,
    Body(asked): Body<EnrolRequest>,
) -> Result<(StatusCode, Json<EnrolmentGiven>), Problem> {
    let now = http.wall();
    limited(&http.enrolments, address, now)?;
    let desk = http.enroller.clone().ok_or_else(|| Problem::Unavailable("homes do not enrol here".to_owned()))?;
    let home = asked.home.clone();
    let at = Timestamp::from_second(now).map_err(Problem::internal)?;
    let reply = tokio::task::spawn_blocking(move || desk.enrol(&asked, at)).await.map_err(Problem::internal)?;
    let reply: EnrolReply = match reply {
        Ok(reply) => reply,
        Err(error) => {
            let reason = error.reason();
            tracing::warn!(home = %home, reason, error = %chain(&error), "enrolment refused");
            // Why a token is no good is for the operator's log; whoever guesses learns one word.
            return Err(match reason {
                "bad_request" | "other_name" | "reserved_name" => Problem::Invalid(reason.to_owned()),
                "unavailable" => Problem::Unavailable(reason.to_owned()),
                _ => Problem::Conflict(reason.to_owned()),
            });
        }
    };
    let detail = if reply.replaced > 0 { json!({"replaced": reply.replaced}) } else { json!({}) };
    record(&http, &Actor::System, "home.enrol", home.as_str(), &detail).await?;
    let enrolled_at = http.app.clock.now();
    let row = home.clone();
    blocking(&http.app.store, move |store| store.enrol_home(&row, enrolled_at)).await?;
    let EnrolReply { certificate, ca, root, director, .. } = reply;
    Ok((StatusCode::CREATED, Json(EnrolmentGiven { certificate, ca, root, director })))
}
