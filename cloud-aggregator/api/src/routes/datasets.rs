//! Datasets: the immutable snapshots that runs learn from, with their lineage.

use hearthwatch_store::SnapshotRow;

use super::prelude::*;

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
        let SnapshotRow { id, created_at, rows, homes, watermark, corpus, lineage } = row;
        Self { id, created_at, rows, homes, watermark, corpus, lineage: json_of(&lineage) }
    }
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

/// Lists the data sets, newest first.
#[utoipa::path(get, path = "/api/v1/datasets", tag = "datasets", params(Paging), responses(
    (status = 200, body = DatasetPage),
))]
pub(crate) async fn list(_: Viewer, http: State<Http>, Params(paging): Params<Paging>) -> Answer<DatasetPage> {
    let window = paging.window(id)?;
    let (after, needed) = (window.after.clone(), window.needed());
    let rows = blocking(&http.app.store, move |store| store.snapshots_after(after.as_deref(), needed)).await?;
    Ok(Json(window.cut(rows, |row| row.id.clone(), DatasetView::from)))
}

/// Shows one data set.
#[utoipa::path(get, path = "/api/v1/datasets/{id}", tag = "datasets", params(("id" = String, Path)), responses(
    (status = 200, body = DatasetView),
))]
pub(crate) async fn one(_: Viewer, http: State<Http>, Segment(id): Segment<String>) -> Answer<DatasetView> {
    let asked = id.clone();
    let row = blocking(&http.app.store, move |store| store.snapshot(&asked)).await?;
    row.map(|row| Json(row.into())).ok_or(Problem::NotFound { noun: "dataset", id })
}
