//! Everything that is served, and what every answer carries.
//!
//! Open to all: `/healthz` and `/readyz` (parts and their states, nothing of any home), `/metrics` (counts only, nothing of any home), `/tuf/` (public by design: what is in it is
//! signed), `/api/openapi.json`, `/login`, `/enroll`, which wants a claim token, and `/renew`, which wants the signature of
//! a home's key. Everything else wants a bearer
//! token of a role, or, for reading, the page's session. There is no exception for loopback: behind a reverse proxy
//! every caller comes from there.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::{HeaderValue, Uri, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;

use crate::http::Http;
use crate::http::connections::Member;
use crate::http::problem::Problem;
use crate::{contract, openapi, page, routes};

/// What the page may load and do: its own style and script, and nothing from anywhere else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Everything that is served.
pub fn router(http: Http) -> Router {
    let (calls, _) = routes::router().split_for_parts();
    let mut router = calls.route("/api/openapi.json", get(openapi::serve)).merge(page::router());
    if let Some(repository) = &http.app.repository {
        router = router.nest("/tuf", routes::repository_files::router(repository));
    }
    router
        .fallback(async |place: Uri| Problem::NotFound { noun: "place", id: place.path().to_owned() })
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        // Bodies have been read and measured by then.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn(contract::hold))
        .layer(middleware::from_fn_with_state(http.clone(), guard))
        .with_state(http)
}

/// Headers that every answer carries. Meanwhile the connection counts as busy.
async fn guard(
    State(http): State<Http>,
    member: Option<Extension<Arc<Member>>>,
    request: Request,
    next: Next,
) -> Response {
    let _busy = member.as_ref().map(|Extension(member)| member.busy());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if http.tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
