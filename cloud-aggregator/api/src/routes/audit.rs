//! The audit log: who did what, each line chained to the one before.

use hearthwatch_store::AuditRow;
use utoipa::IntoParams;

use super::prelude::*;

/// A line of the audit log. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditView {
    /// Position, counted from 1.
    pub index: u64,
    /// When it was written, Unix seconds.
    pub at: i64,
    /// Who: `token:NAME`, `home:NAME` or `system`; a bare name in lines from before actors had a kind.
    pub actor: String,
    /// What was done, `NOUN.VERB`, e.g. `home.revoke`; what was tried and refused ends in `.refused`.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// An object whose fields depend on the action: the reason, or what was before and after.
    pub detail: serde_json::Value,
    /// SHA-256 of the line before, hexadecimal; zeros for the first.
    pub previous: String,
    /// SHA-256 of this line, hexadecimal.
    pub hash: String,
}

/// Which lines of the audit log.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Only items after this one: what the page before called `next`.
    after: Option<String>,
    /// The former name of `after`, for one release more.
    #[param(value_type = Option<u64>, maximum = 9_007_199_254_740_991_u64)]
    before: Option<u64>,
    /// Items of the page, 1 to 500; 50 if not given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// A page of lines of the audit log, newest first.
pub type AuditPage = Page<AuditView>;

impl From<AuditRow> for AuditView {
    fn from(row: AuditRow) -> Self {
        let AuditRow { index, at, actor, action, subject, detail, previous, hash } = row;
        let (actor, detail) = (actor.to_string(), json_of(&detail));
        let (previous, hash) = (hex::encode(previous), hex::encode(hash));
        Self { index, at, actor, action, subject, detail, previous, hash }
    }
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Lists the audit log, newest first. Needs operator.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AuditQuery), responses(
    (status = 200, body = AuditPage),
))]
pub(crate) async fn list(_: Operator, http: State<Http>, Params(query): Params<AuditQuery>) -> Answer<AuditPage> {
    let AuditQuery { after, before, limit } = query;
    if before.is_some_and(|before| before > NUMBER_MAX) {
        return Err(Problem::Invalid(format!("before is at most {NUMBER_MAX}")));
    }
    let mut window = Paging { limit, after }.window(number)?;
    window.after = window.after.or(before);
    let (before, needed) = (window.after, window.needed());
    let rows = blocking(&http.app.store, move |store| store.audit(before, needed)).await?;
    Ok(Json(window.cut(rows, |row| row.index.to_string(), AuditView::from)))
}
