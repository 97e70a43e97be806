//! Quarantine: what was refused, and why.

use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::Http;
use crate::http::auth::Viewer;
use crate::http::extract::Params;
use crate::http::paging::{Page, Paging};
use crate::http::problem::{Problem, ProblemBody};
use crate::store::{QuarantineRow, blocking};

/// A payload that was not admitted. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantineView {
    /// Position in the quarantine, counted up.
    pub id: u64,
    /// Why, one word.
    pub reason: String,
    /// Why, one line.
    pub detail: String,
    /// The topic it came on, shortened.
    pub topic: String,
    /// The home that sent it, where the topic names one.
    pub home: Option<String>,
    /// Its sequence, where it could be read.
    pub sequence: Option<u64>,
    /// The payload's first bytes, hexadecimal.
    pub prefix: String,
    /// The payload's length in bytes.
    pub length: u64,
    /// When it came.
    pub at: i64,
}

/// A page of them.
pub type QuarantinePage = Page<QuarantineView>;

impl From<QuarantineRow> for QuarantineView {
    fn from(row: QuarantineRow) -> Self {
        Self {
            id: row.id,
            reason: row.reason.as_str().to_owned(),
            detail: row.detail,
            topic: row.topic,
            home: row.home.map(String::from),
            sequence: row.sequence.map(|sequence| sequence.0),
            prefix: hex::encode(row.prefix),
            length: row.length,
            at: row.at,
        }
    }
}

pub(super) fn router() -> Router<Http> {
    Router::new().route("/quarantine", get(list))
}

/// Lists what was refused, newest first.
#[utoipa::path(get, path = "/api/v1/quarantine", tag = "quarantine", params(Paging), responses(
    (status = 200, body = QuarantinePage),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    _: Viewer,
    http: axum::extract::State<Http>,
    Params(paging): Params<Paging>,
) -> Result<Json<QuarantinePage>, Problem> {
    let window = paging.window()?;
    let rows = blocking(&http.app.store, move |store| store.quarantine(window.needed())).await?;
    Ok(Json(window.cut(rows, QuarantineView::from)))
}
