//! `POST /enroll`: a claim token and a signing request become a home's certificate, once.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hearthwatch_provision::enrol::{EnrolReply, EnrolRequest};
use hearthwatch_store::{Actor, blocking};
use hearthwatch_telemetry::chain::chain;
use hearthwatch_telemetry::metrics::count;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Http;
use crate::http::audit::record;
use crate::http::extract::{Body, Peer};
use crate::http::problem::Problem;
use crate::http::words::{Claim, Name, SigningRequest};

/// What a home sends to enrol.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentAsked {
    /// Its name, as in the claim.
    #[schema(value_type = Name)]
    pub home: String,
    /// The claim token that an operator gave for this home; works for one key, until it ends.
    #[schema(value_type = Claim)]
    pub token: String,
    /// PKCS#10 signing request, PEM; its key never leaves the home.
    #[schema(value_type = SigningRequest)]
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

/// What somebody without a claim is told.
const UNKNOWN: &str = "unknown_token";

pub(crate) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(enroll))
}

/// The problem for a home that gets no certificate, by its reason.
pub(super) fn refused(reason: &str) -> Problem {
    match reason {
        "bad_request" | "other_name" | "reserved_name" => Problem::Invalid(reason.to_owned()),
        "unavailable" => Problem::Unavailable(reason.to_owned()),
        _ => Problem::Conflict(reason.to_owned()),
    }
}

/// Lets a home in: certifies its key and gives it what it needs to trust. A claim token works for one key.
#[utoipa::path(post, path = "/enroll", tag = "enrolment", security(()), request_body = EnrolmentAsked, responses(
    (status = 201, body = EnrolmentGiven),
))]
pub(crate) async fn enroll(
    State(http): State<Http>,
    Peer(address): Peer,
    Body(asked): Body<EnrolRequest>,
) -> Result<(StatusCode, Json<EnrolmentGiven>), Problem> {
    let now = http.wall();
    let releaser = http.enroller.clone().ok_or_else(|| Problem::Unavailable("homes do not enrol here".to_owned()))?;
    http.limits.look(address, now)?;
    let home = asked.home.clone();
    let at = Timestamp::from_second(now).map_err(Problem::internal)?;
    let limits = Arc::clone(&http.limits);
    let work = move || {
        let known = releaser.has_claim(&asked, at);
        limits.enrolment(known.then_some(&asked.home), address, now)?;
        Ok((known, releaser.enrol(&asked, at)))
    };
    let done: Result<_, Problem> = tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?;
    let (known, reply) = done?;
    let reply: EnrolReply = match reply {
        Ok(reply) => reply,
        Err(error) => {
            count(&http.app.metrics.enrolments, "refused");
            let reason = error.reason();
            tracing::warn!(home = %home, reason, error = %chain(&error), "enrolment refused");
            // Why a token is no good is for the operator's log; whoever guesses learns one word.
            return Err(match refused(reason) {
                // What else is wrong with a stranger's request is not told.
                Problem::Invalid(_) if !known => Problem::Conflict(UNKNOWN.to_owned()),
                problem => problem,
            });
        }
    };
    count(&http.app.metrics.enrolments, if reply.replaced > 0 { "enrolled_again" } else { "enrolled" });
    let detail = if reply.replaced > 0 { json!({"replaced": reply.replaced}) } else { json!({}) };
    record(&http, &Actor::System, "home.enrol", home.as_str(), &detail).await?;
    let enrolled_at = http.app.clock.now();
    let row = home.clone();
    blocking(&http.app.store, move |store| store.enrol_home(&row, enrolled_at)).await?;
    let EnrolReply { certificate, ca, root, director, .. } = reply;
    Ok((StatusCode::CREATED, Json(EnrolmentGiven { certificate, ca, root, director })))
}
