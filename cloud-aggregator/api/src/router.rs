//! Everything that is served, and what every answer carries.
//!
//! Open to all: `/healthz` and `/readyz` (parts and their states, nothing of any home), `/metrics` (counts only, nothing of any home), `/tuf/` (public by design: what is in it is
//! signed), `/api/openapi.json`, `/login`, `/enroll`, which wants a claim token, and `/renew`, which wants the signature of
//! a home's key. Everything else wants a bearer
//! token of a role, or, for reading, the page's session. There is no exception for loopback: behind a reverse proxy
//! every caller comes from there.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;

use tracing::Instrument as _;

use crate::http::connections::Member;
use crate::http::limits::CallsLeft;
use crate::http::problem::Problem;
use crate::http::{Http, conditional, idempotent, request};
use crate::{approval, contract, openapi, page, routes};

/// What the page may load and do: its own style and script, and nothing from anywhere else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Everything that is served.
pub fn router(http: Http) -> Router {
    let (calls, _) = routes::router().split_for_parts();
    let plain = calls.clone().with_state(http.clone());
    let mut router = calls.route("/api/openapi.json", get(openapi::serve)).merge(page::router());
    if let Some(repository) = &http.app.repository {
        router = router.nest("/tuf", routes::repository_files::router(repository));
    }
    router
        .fallback(async |place: Uri| Problem::NotFound { noun: "place", id: place.path().to_owned() })
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        // Bodies have been read and measured by then.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state((http.clone(), plain.clone()), approval::hold))
        .layer(middleware::from_fn_with_state((http.clone(), plain), conditional::hold))
        .layer(middleware::from_fn_with_state(http.clone(), idempotent::hold))
        .layer(middleware::from_fn(contract::hold))
        .layer(middleware::from_fn_with_state(http.clone(), guard))
        .with_state(http)
}

/// Headers that every answer carries. Meanwhile the connection counts as busy.
async fn guard(
    State(http): State<Http>,
    member: Option<Extension<Arc<Member>>>,
    path: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let _busy = member.as_ref().map(|Extension(member)| member.busy());
    let (id, left, began) = (request::id_of(request.headers()), CallsLeft::default(), Instant::now());
    request.extensions_mut().insert(left.clone());
    let method = request.method().clone();
    // The pattern, not the place itself: names of homes stay out of what is logged of every request.
    let path = path.as_ref().map_or("unknown", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", request.id = id, http.method = %method, http.route = path);
    let mut response = request::within(id.clone(), next.run(request)).instrument(span.clone()).await;
    let (status, duration_ms) = (response.status().as_u16(), began.elapsed().as_millis());
    span.in_scope(|| match method {
        Method::GET | Method::HEAD if status < 500 => tracing::debug!(http.status = status, duration_ms, "answered"),
        _ => tracing::info!(http.status = status, duration_ms, "answered"),
    });
    let headers = response.headers_mut();
    headers.insert(request::REQUEST_ID, request::value(&id));
    if let Some(left) = left.get() {
        let all = http.limits.calls_per_minute();
        // draft-ietf-httpapi-ratelimit-headers: how many in how long, and how many are left until when.
        for (name, value) in
            [("ratelimit-policy", format!("\"calls\";q={all};w=60")), ("ratelimit", format!("\"calls\";r={left};t=60"))]
        {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
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
