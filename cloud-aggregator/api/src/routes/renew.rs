//! `POST /renew`: a home's present key vouches for its next.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hearthwatch_provision::renewal::{RenewRequest, Renewed};
use hearthwatch_store::Actor;
use hearthwatch_telemetry::chain::chain;
use hearthwatch_telemetry::metrics::count;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::enroll::refused;
use crate::http::Http;
use crate::http::audit::record;
use crate::http::extract::{Body, Peer};
use crate::http::problem::Problem;
use crate::http::words::{Base64, Name, RenewalWord};

/// What a home sends to renew its certificate.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewalAsked {
    /// Name of the home, as in its present certificate.
    #[schema(value_type = Name)]
    pub home: String,
    /// Home, signing request for a new key, and time, as a COSE_Sign1 statement of its present key; base64.
    #[schema(value_type = Base64)]
    pub wish: String,
}

/// What comes of a wish for a renewal.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RenewalGiven {
    /// `given`, or `waits` when the last certificate ran out and an operator has to say yes.
    pub state: RenewalWord,
    /// The next certificate, PEM.
    pub certificate: Option<String>,
}

pub(crate) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(renew))
}

/// Certifies a home's next key on the word of its present one. A home whose certificate ran out waits for an operator.
#[utoipa::path(post, path = "/renew", tag = "enrolment", security(()), request_body = RenewalAsked, responses(
    (status = 201, body = RenewalGiven),
    (status = 202, body = RenewalGiven),
))]
pub(crate) async fn renew(
    State(http): State<Http>,
    Peer(address): Peer,
    Body(asked): Body<RenewRequest>,
) -> Result<Response, Problem> {
    let now = http.wall();
    let releaser = http.enroller.clone().ok_or_else(|| Problem::Unavailable("homes do not renew here".to_owned()))?;
    http.limits.look(address, now)?;
    let home = asked.home.clone();
    let at = Timestamp::from_second(now).map_err(Problem::internal)?;
    let limits = Arc::clone(&http.limits);
    let work = move || {
        let own = releaser.is_signed(&asked).then_some(&asked.home);
        limits.enrolment(own, address, now)?;
        Ok(releaser.renew(&asked, at))
    };
    let renewed: Result<_, Problem> = tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?;
    let renewed = renewed?;
    match renewed {
        Ok(Renewed::Given { certificate }) => {
            count(&http.app.metrics.enrolments, "renewed");
            record(&http, &Actor::System, "home.renew", home.as_str(), &json!({})).await?;
            let given = RenewalGiven { state: RenewalWord::Given, certificate: Some(certificate) };
            Ok((StatusCode::CREATED, Json(given)).into_response())
        }
        Ok(Renewed::Waits) => {
            count(&http.app.metrics.enrolments, "waits");
            tracing::warn!(home = %home, "a home whose certificate ran out waits for a word: GET /api/v1/renewals");
            let waits = RenewalGiven { state: RenewalWord::Waits, certificate: None };
            Ok((StatusCode::ACCEPTED, Json(waits)).into_response())
        }
        Err(error) => {
            count(&http.app.metrics.enrolments, "refused");
            let reason = error.reason();
            tracing::warn!(home = %home, reason, error = %chain(&error), "renewal refused");
            Err(refused(reason))
        }
    }
}
