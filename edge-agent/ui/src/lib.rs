//! The local page: the state of the home, alarms and answers, what was learnt, what was shared; and all preferences.
//!
//! Rendered on the server and whole without script; a few lines of script only renew what moves and redraw the preview
//! while a slider is dragged. Nothing comes from elsewhere and every text is escaped by the template. See [`guard`] for
//! who may come in.

mod actions;
pub mod config;
pub mod guard;
mod health;
mod home;
mod live;
mod metrics;
mod outcome;
mod plot;
mod preview;
mod record;
#[cfg(test)]
mod tests;
mod text;
mod view;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hearthwatch_edge_cloud::uplink::UplinkHandle;
use hearthwatch_edge_core::mode::Mode;
use hearthwatch_edge_detection::service::{DetectorHandle, HomeView};
use hearthwatch_edge_rounds::RoundsView;
use hearthwatch_edge_update::UpdateRequests;
use hearthwatch_edge_update::UpdateView;
use hearthwatch_supervision::Board;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use guard::{Door, Visitor, admit, may_change};
use home::{Everything, PageError};
use metrics::AgentMetrics;

/// Largest body of a form, in bytes: the longest holds an entity's id of 255 characters.
const BODY_BYTES_MAX: usize = 8 * 1024;
/// Pages that may be live at a time; each holds a connection.
const LIVE_PAGES_MAX: usize = 16;
/// Heavy looks at the memory at a time: two, so that a slider that is dragged does not queue a hundred on a small machine.
const HEAVY_MAX: usize = 2;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const ICON: &str = include_str!("icon.svg");

/// What the page may load and do: its own style, script and pictures. Framing is for Home Assistant, which shows ingress
/// in a frame of its own origin.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'";
/// A picture brings its style in itself, and may do nothing else.
const PICTURE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// What the page needs of the agent.
#[derive(Clone)]
pub struct PageParts {
    /// Which requests are answered.
    pub door: Door,
    /// Takes answers, and gives the state of the home.
    pub detection: DetectorHandle,
    /// The newest state of the home, for the live part.
    pub view: watch::Receiver<HomeView>,
    /// The newest state of model updates.
    pub updates: watch::Receiver<UpdateView>,
    /// The newest state of the connections.
    pub mode: watch::Receiver<Mode>,
    /// File of the history; opened for reading at each request.
    pub history: PathBuf,
    /// Gives access to the outbox; none without a fleet.
    pub uplink: Option<UplinkHandle>,
    /// The rounds of this home; none in a fleet that plans none.
    pub rounds: Option<RoundsPage>,
    /// Asks the agent to remove itself from this home.
    pub leave: mpsc::Sender<()>,
    /// Takes residents' requests about models.
    pub requests: UpdateRequests,
    /// The page's secret: who has it has read the page.
    pub token: String,
    /// The time, Unix seconds.
    pub clock: fn() -> i64,
    /// For `/healthz` and `/readyz`.
    pub health: Arc<Board>,
    /// Whether `/metrics` is answered.
    pub metrics: bool,
}

/// Where the page reads about rounds.
#[derive(Debug, Clone)]
pub struct RoundsPage {
    /// File of the ledger of rounds; opened for reading at each request.
    pub state: PathBuf,
    /// What this home does about rounds now.
    pub view: watch::Receiver<RoundsView>,
}

/// State of the server, for all handlers.
pub(crate) struct Shared {
    pub(crate) parts: PageParts,
    pub(crate) metrics: Option<AgentMetrics>,
    pub(crate) live_pages: Arc<Semaphore>,
    pub(crate) heavy: Semaphore,
    /// Ends what is live when the agent stops.
    pub(crate) stop: CancellationToken,
}

pub(crate) type Page = Arc<Shared>;

/// What stands before every path of ours in the visitor's address bar.
#[derive(Debug, Clone)]
pub(crate) struct Base(pub(crate) String);

/// Serves the page until `stop`.
///
/// # Errors
/// The system's, when serving fails.
pub async fn serve(parts: PageParts, listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
    let service = router(parts, stop.clone()).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// All paths of the page.
pub(crate) fn router(parts: PageParts, stop: CancellationToken) -> Router {
    let metrics = parts.metrics.then(|| AgentMetrics::new(&parts));
    let page: Page = Arc::new(Shared {
        parts,
        metrics,
        live_pages: Arc::new(Semaphore::new(LIVE_PAGES_MAX)),
        heavy: Semaphore::new(HEAVY_MAX),
        stop,
    });
    Router::new()
        .route("/", get(show))
        .route("/live", get(live::stream))
        .route("/preview", get(preview_alone))
        .route("/misses", get(misses))
        .route("/alarm/{picture}", get(picture))
        .route("/record/{sequence}", get(record))
        .route("/sample/{level}", get(sample))
        .merge(actions::router())
        .route("/page.css", get(async || asset("text/css; charset=utf-8", STYLE)))
        .route("/icon.svg", get(async || asset("image/svg+xml", ICON)))
        .route("/page.js", get(async || asset("text/javascript; charset=utf-8", SCRIPT)))
        .fallback(async || (StatusCode::NOT_FOUND, "There is nothing here.\n"))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&page), keep_door))
        // Outside the door: the watchdog of Home Assistant asks from elsewhere, and learns nothing of the home.
        .merge(health::router())
        .merge(metrics::router())
        .with_state(page)
}

/// Lets visitors in or not, and puts the fixed headers on every answer.
async fn keep_door(State(page): State<Page>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let decided = {
        let visitor = visitor(request.headers(), peer);
        admit(&page.parts.door, &visitor).and_then(|base| {
            let reads = matches!(*request.method(), Method::GET | Method::HEAD);
            if reads { Ok(base) } else { may_change(&page.parts.door, &visitor).map(|()| base) }
        })
    };
    let mut response = match decided {
        Ok(base) => {
            request.extensions_mut().insert(Base(base));
            next.run(request).await
        }
        Err(refusal) => {
            tracing::warn!(reason = %refusal, "a visitor of the page is refused");
            (StatusCode::FORBIDDEN, format!("{refusal}\n")).into_response()
        }
    };
    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Not `no-referrer`: browsers would then hide the origin of our own forms too.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// Whether `request` may read the numbers. On the page's own terms where the page is for this machine; behind ingress the page is for
/// the Supervisor alone, and the numbers are for who gathers them, if the configuration says so.
pub(crate) fn may_read_numbers(page: &Page, headers: &HeaderMap, peer: Option<SocketAddr>) -> bool {
    let door = &page.parts.door;
    *door == Door::Ingress || admit(door, &visitor(headers, peer.map(|peer| peer.ip()))).is_ok()
}

/// A peer that is not known is nobody's friend: the address of no machine.
fn visitor(headers: &HeaderMap, peer: Option<std::net::IpAddr>) -> Visitor<'_> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    Visitor {
        peer: peer.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into()),
        host: text(header::HOST),
        ingress_path: text(HeaderName::from_static("x-ingress-path")),
        forwarded_host: text(HeaderName::from_static("x-forwarded-host")),
        origin: text(header::ORIGIN),
        fetch_site: text(HeaderName::from_static("sec-fetch-site")),
    }
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

/// The query of the page's address. Values that make no sense are ignored.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct PageQuery {
    /// Id of the entity whose history is shown.
    pub(crate) entity: Option<String>,
    /// Length of that history: `1`, `7` or `30`.
    pub(crate) days: Option<String>,
    /// Budget to preview.
    pub(crate) per_week: Option<String>,
    /// The outcome of a change, as a word; shown on top.
    pub(crate) said: Option<String>,
    /// Records of the ledger before this one.
    pub(crate) before: Option<String>,
}

async fn show(
    State(page): State<Page>,
    axum::Extension(base): axum::Extension<Base>,
    Query(query): Query<PageQuery>,
) -> Result<Response, PageError> {
    let everything = Everything::read(&page, &query).await?;
    // With a chart of a month: 4,320 steps.
    let drawn = home::blocking(move || Ok(view::page(&everything, &base.0, &page.parts.token))).await?;
    Ok(drawn.into_response())
}

/// The preview alone, while a slider is dragged.
async fn preview_alone(State(page): State<Page>, Query(query): Query<PageQuery>) -> Result<Response, PageError> {
    let preview = home::preview(&page, &query).await?;
    Ok(home::blocking(move || Ok(view::budget::outcome(&preview))).await?.into_response())
}

/// The declared misses alone, for as long as one of them is looked up.
async fn misses(State(page): State<Page>) -> Result<Response, PageError> {
    let (misses, detail) = home::misses(&page).await?;
    Ok(view::alarms::declared(&misses, &detail).into_response())
}

/// An alarm's picture, as on the phone, following the viewer's light or dark.
async fn picture(State(page): State<Page>, Path(name): Path<String>) -> Result<Response, PageError> {
    let id = name.strip_suffix(".svg").ok_or(PageError::NotFound("picture"))?.to_owned();
    let svg = home::picture(&page, &id).await?;
    Ok(([(header::CONTENT_TYPE, "image/svg+xml"), (header::CONTENT_SECURITY_POLICY, PICTURE_POLICY)], svg)
        .into_response())
}

/// One record of the ledger, decoded and byte for byte.
async fn record(
    State(page): State<Page>,
    axum::Extension(base): axum::Extension<Base>,
    Path(sequence): Path<u64>,
) -> Result<Response, PageError> {
    let entry = home::ledger_entry(&page, sequence).await?;
    Ok(view::record::sent(&entry, &base.0, &page.parts.token).into_response())
}

/// What a level of sharing sends, with real bytes.
async fn sample(
    State(page): State<Page>,
    axum::Extension(base): axum::Extension<Base>,
    Path(level): Path<String>,
) -> Result<Response, PageError> {
    let sample = home::sample(&page, &level).await?;
    Ok(view::record::sample(&sample, &base.0).into_response())
}
