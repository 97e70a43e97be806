//! The API's own description, made from the code, committed, and checked to be current.

use axum::Json;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::routes::{audit, datasets, feedback, homes, models, quarantine, releases, renewals, rollouts, runs, tokens};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hearthwatch aggregator",
        version = "1",
        description = "Admin API of the aggregator. Every call but those of `health` and `enrolment` needs a bearer \
            token; each says below if it needs more than the role viewer. All times are Unix seconds, UTC. \
            Errors are RFC 9457 problem details."
    ),
    security(("bearer" = [])),
    modifiers(&Bearer),
    paths(
        super::health::healthz,
        super::health::readyz,
        super::metrics,
        super::enroll::enroll,
        super::renew::renew,
        renewals::list,
        renewals::approve,
        renewals::deny,
        homes::list,
        homes::one,
        homes::revoke,
        homes::restore,
        homes::exclude,
        homes::include,
        homes::exclusions,
        feedback::list,
        feedback::totals,
        quarantine::list,
        quarantine::lift,
        quarantine::discard,
        quarantine::settle,
        datasets::list,
        datasets::one,
        runs::list,
        runs::one,
        runs::start,
        runs::promote,
        runs::training,
        models::list,
        models::one,
        releases::list,
        releases::outcomes,
        releases::roll_back,
        rollouts::list,
        rollouts::one,
        rollouts::pause,
        rollouts::resume,
        rollouts::promote,
        rollouts::halt,
        rollouts::roll_back,
        rollouts::attestations,
        tokens::list,
        tokens::make,
        tokens::revoke,
        audit::list,
    )
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The OpenAPI document.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Serves it.
pub(super) async fn serve() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let current = format!("{}\n", document().to_pretty_json().unwrap());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == current, "openapi.json is not current: run this test with UPDATE_GOLDEN=1 and commit it");
    }
}
