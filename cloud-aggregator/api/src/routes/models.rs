//! Models: every artifact that has a version, and what the gate said of it.

use hearthwatch_store::release::origin;
use hearthwatch_store::{ModelRow, ModelState};

use utoipa::IntoParams;

use super::prelude::*;

/// A model that has a version. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelView {
    /// Counts up from 1, given by the aggregator; also in the name of its file.
    pub version: u64,
    /// Hexadecimal SHA-256 of the artifact.
    pub sha256: String,
    /// The artifact's length in bytes.
    pub length: u64,
    /// Canonical hash of the tensors.
    pub weights_id: String,
    /// The run that made its weights; empty for a model given from outside.
    pub run: String,
    /// Whether it is an older model's bytes under a new version, by an operator's order.
    pub again: bool,
    /// What became of it; *awaiting_signature*: a second person's word is missing.
    pub state: ModelState,
    /// When it got its version.
    pub created_at: i64,
    /// The gate's report on its weights. Only when one model is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<serde_json::Value>,
}

/// Which models.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ModelsAsked {
    /// Only models of which this became.
    state: Option<ModelState>,
    /// Items of the page, 1 to 500; 50 if not given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Only items after this one: what the page before called `next`.
    after: Option<String>,
}

/// A page of models, highest version first.
pub type ModelPage = Page<ModelView>;

impl From<ModelRow> for ModelView {
    fn from(row: ModelRow) -> Self {
        let (run, again) = (origin(&row.run).to_owned(), origin(&row.run) != row.run);
        let ModelRow { version, sha256, length, weights_id, state, created_at, .. } = row;
        Self { version: version.0, sha256, length, weights_id, run, again, state, created_at, report: None }
    }
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

/// Lists the models, newest version first.
#[utoipa::path(get, path = "/api/v1/models", tag = "models", params(ModelsAsked), responses(
    (status = 200, body = ModelPage),
))]
pub(crate) async fn list(_: Viewer, http: State<Http>, Params(asked): Params<ModelsAsked>) -> Answer<ModelPage> {
    let ModelsAsked { state, limit, after } = asked;
    let window = Paging { limit, after }.window(number)?;
    let (before, needed) = (window.after.map(ModelVersion), window.needed());
    let rows = blocking(&http.app.store, move |store| store.list_models(state, before, needed)).await?;
    Ok(Json(window.cut(rows, |row| row.version.to_string(), ModelView::from)))
}

/// Shows one model with the gate's report.
#[utoipa::path(get, path = "/api/v1/models/{version}", tag = "models", params(("version" = Number, Path)), responses(
    (status = 200, body = ModelView),
))]
pub(crate) async fn one(_: Viewer, http: State<Http>, Segment(version): Segment<ModelVersion>) -> Answer<ModelView> {
    let found = blocking(&http.app.store, move |store| {
        let Some(row) = store.model(version)? else { return Ok(None) };
        let report = store.run(origin(&row.run))?.and_then(|run| run.report);
        Ok(Some((row, report)))
    });
    let (row, report) = found.await?.ok_or_else(|| Problem::NotFound { noun: "model", id: version.to_string() })?;
    Ok(Json(ModelView { report: report.as_deref().map(json_of), ..row.into() }))
}
