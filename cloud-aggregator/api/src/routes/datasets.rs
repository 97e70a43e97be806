//! Datasets: the immutable snapshots that runs learn from, with their lineage.

use axum::Json;
use hearthwatch_store::{SnapshotRow, blocking};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::json_of;
use crate::http::Http;
use crate::http::auth::Viewer;
use crate::http::extract::{Params, Segment};
use crate::http::paging::{Page, Paging, id};
use crate::http::problem::Problem;

/// An immutable data set. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatasetView {
    /// Hexadecimal SHA-256 of its canonical bytes.
    pub id: String,
    /// When it was first taken.
    pub created_at: i64,
    /// Examples in it, one for each answer.
    pub rows: u64,
    /// Homes with at least one example in it.
    pub homes: u64,
    /// Stored records that were looked at.
    pub watermark: u64,
    /// Hash of the recorded sets that go with it.
    pub corpus: String,
    /// Per home the first and last sequence, what was left out, and why.
    pub lineage: serde_json::Value,
}

/// A page of data sets, newest first.
pub type DatasetPage = Page<DatasetView>;

impl From<SnapshotRow> for DatasetView {
    fn from(row: SnapshotRow) -> Self {
        Self {
            lineage: json_of(&row.lineage),
            id: row.id,
            created_at: row.created_at,
            rows: row.rows,
            homes: row.homes,
            watermark: row.watermark,
            corpus: row.corpus,
        }
    }
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

/// Lists the data sets, newest first.
#[utoipa::path(get, path = "/api/v1/datasets", tag = "datasets", params(Paging), responses(
    (status = 200, body = DatasetPage),
))]
pub(crate) async fn list(
    _: Viewer,
    http: axum::extract::State<Http>,
    Params(paging): Params<Paging>,
) -> Result<Json<DatasetPage>, Problem> {
    let window = paging.window(id)?;
    let (after, needed) = (window.after.clone(), window.needed());
    let rows = blocking(&http.app.store, move |store| store.snapshots_after(after.as_deref(), needed)).await?;
    Ok(Json(window.cut(rows, |row| row.id.clone(), DatasetView::from)))
}

/// Shows one data set.
#[utoipa::path(get, path = "/api/v1/datasets/{id}", tag = "datasets", params(("id" = String, Path)), responses(
    (status = 200, body = DatasetView),
))]
pub(crate) async fn one(
    _: Viewer,
    http: axum::extract::State<Http>,
    Segment(id): Segment<String>,
) -> Result<Json<DatasetView>, Problem> {
    let asked = id.clone();
    let row = blocking(&http.app.store, move |store| store.snapshot(&asked)).await?;
    row.map(|row| Json(row.into())).ok_or(Problem::NotFound { noun: "dataset", id })
}
