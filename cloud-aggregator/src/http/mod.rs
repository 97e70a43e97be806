//! The admin API and the page, over HTTPS; the signed repository as files; enrolment.
//!
//! Open to all: `/healthz` and `/readyz` (parts and their states, nothing of any home), `/metrics` (counts only, nothing of any home), `/tuf/` (public by design: what is in it is
//! signed), `/api/openapi.json`, `/login`, `/enroll`, which wants a claim token, and `/renew`, which wants the signature of
//! a home's key. Everything else wants a bearer
//! token of a role, or, for reading, the page's session. There is no exception for loopback: behind a reverse proxy
//! every caller comes from there.

pub(crate) mod audit;
pub mod auth;
pub mod connections;
pub mod contract;
pub mod enroll;
pub mod extract;
pub(crate) mod health;
pub mod limiter;
mod limits;
pub mod openapi;
pub mod origin;
pub mod paging;
pub mod problem;
pub mod renew;
pub mod repository_files;
pub mod routes;
pub mod server;
pub mod stream;
pub mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::{HeaderValue, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hearthwatch_provision::enrol::Enroller;
use tokio::sync::Semaphore;

use self::auth::Sessions;
use self::connections::Member;
use self::limits::Limits;
use self::origin::Network;
use self::problem::Problem;
use crate::clock::{Clock, SystemClock};
use crate::page;
use crate::state::AppState;

/// Pages that may be live at a time; each holds a connection.
const LIVE_PAGES_MAX: usize = 64;

/// What the page may load and do: its own style and script, and nothing from anywhere else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every handler holds on to. Cloning is cheap.
#[derive(Clone)]
pub struct Http {
    /// The rest of the program.
    pub app: AppState,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) limits: Arc<Limits>,
    /// Proxies whose word on a caller's address is taken.
    trusted: Arc<[Network]>,
    pub(crate) live_pages: Arc<Semaphore>,
    pub(crate) enroller: Option<Arc<Enroller>>,
    wall: Arc<dyn Clock>,
    /// Whether callers come over TLS; decides about the cookie's name.
    pub(crate) tls: bool,
}

impl Http {
    /// An API of `app`, by the machine's clock, without enrolment. `tls`: whether callers come over TLS.
    #[must_use]
    pub fn new(app: AppState, tls: bool) -> Self {
        let trusted = app.config.http.as_ref().map_or_else(Vec::new, |http| http.trusted_proxies.clone());
        Self {
            app,
            sessions: Arc::default(),
            limits: Arc::default(),
            trusted: trusted.into(),
            live_pages: Arc::new(Semaphore::new(LIVE_PAGES_MAX)),
            enroller: None,
            wall: Arc::new(SystemClock),
            tls,
        }
    }

    /// The same with an enrolment desk.
    #[must_use]
    pub fn with_enroller(self, enroller: Enroller) -> Self {
        Self { enroller: Some(Arc::new(enroller)), ..self }
    }

    /// The same by another clock for tokens, sessions and limits.
    #[must_use]
    pub fn with_wall(self, wall: Arc<dyn Clock>) -> Self {
        Self { wall, ..self }
    }

    /// The real time, Unix seconds: tokens and sessions end by it, even where recorded years are replayed.
    #[must_use]
    pub fn wall(&self) -> i64 {
        self.wall.now()
    }
}

/// Everything that is served.
pub fn router(http: Http) -> Router {
    let mut router = Router::new()
        .nest("/api/v1", routes::router())
        .route("/api/openapi.json", get(openapi::serve))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics))
        .merge(enroll::router())
        .merge(renew::router())
        .merge(page::router());
    if let Some(release) = &http.app.config.release {
        router = router.nest("/tuf", repository_files::router(&release.repository));
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

/// Counters in the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", tag = "health", security(()), responses(
    (status = 200, body = String, content_type = "application/openmetrics-text"),
))]
pub(crate) async fn metrics(State(http): State<Http>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], http.app.metrics.render()).into_response()
}

#[cfg(test)]
mod tests;
