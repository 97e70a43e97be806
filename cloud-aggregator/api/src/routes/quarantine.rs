//! Quarantine: what was refused, and why; and an operator's word that it may come in after all, or goes for good.

use hearthwatch_protocol::messages::RefusalReason;
use hearthwatch_store::lists::QuarantineQuery;
use hearthwatch_store::{QuarantineChoice, QuarantineEnd, QuarantineRow, Store};

use utoipa::IntoParams;

use super::prelude::*;
use crate::http::audit::would;

/// A payload that was not admitted. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantineView {
    /// Position in the quarantine, counted up.
    pub id: u64,
    /// The rule that it broke.
    #[schema(value_type = RefusalWord)]
    pub reason: RefusalReason,
    /// What broke the rule, as one line for the operator.
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
    /// Whether it is kept whole, so that it can be let in after all.
    pub liftable: bool,
    /// What an operator made of it.
    pub settled: Option<QuarantineEnd>,
    /// Who did; the home's own name where it took the answer back.
    pub settled_by: Option<String>,
    /// When it was settled, Unix seconds; none while it is open.
    pub settled_at: Option<i64>,
    /// When it came, Unix seconds.
    pub at: i64,
}

/// A page of what was refused, newest first.
pub type QuarantinePage = Page<QuarantineView>;

impl From<QuarantineRow> for QuarantineView {
    fn from(row: QuarantineRow) -> Self {
        Self {
            id: row.id,
            reason: row.reason,
            detail: row.detail,
            topic: row.topic,
            home: row.home.map(String::from),
            sequence: row.sequence.map(|sequence| sequence.0),
            prefix: hex::encode(row.prefix),
            length: row.length,
            liftable: row.payload.is_some() && row.settled.is_none(),
            settled: row.settled.as_ref().map(|settled| settled.end),
            settled_at: row.settled.as_ref().map(|settled| settled.at),
            settled_by: row.settled.map(|settled| settled.by),
            at: row.at,
        }
    }
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(settle))
        .routes(routes!(lift))
        .routes(routes!(discard))
}

/// Lists what was refused, newest first.
#[utoipa::path(get, path = "/api/v1/quarantine", tag = "quarantine", params(QuarantineAsked), responses(
    (status = 200, body = QuarantinePage),
))]
pub(crate) async fn list(
    _: Viewer,
    http: State<Http>,
    Params(asked): Params<QuarantineAsked>,
) -> Answer<QuarantinePage> {
    let window = Paging { limit: asked.limit, after: asked.after }.window(number)?;
    let home = asked.home.map(HomeId::new).transpose();
    let home = home.map_err(|error| Problem::Invalid(format!("home: {error}")))?;
    let reason = asked.reason.map(|word| word.parse().map_err(|_| no_reason(&word))).transpose()?;
    let query = QuarantineQuery { home, reason, settled: asked.settled, before: window.after, limit: window.needed() };
    let rows = blocking(&http.app.store, move |store| store.list_quarantine(&query)).await?;
    Ok(Json(window.cut(rows, |row| row.id.to_string(), QuarantineView::from)))
}

/// Shows one thing that was refused.
#[utoipa::path(get, path = "/api/v1/quarantine/{id}", tag = "quarantine", params(("id" = Number, Path)), responses(
    (status = 200, body = QuarantineView),
))]
pub(crate) async fn show(_: Viewer, http: State<Http>, Segment(id): Segment<u64>) -> Answer<QuarantineView> {
    let row = blocking(&http.app.store, move |store| store.quarantined(id)).await?;
    row.map(|row| Json(row.into())).ok_or_else(|| Problem::NotFound { noun: "row in quarantine", id: id.to_string() })
}

fn no_reason(word: &str) -> Problem {
    Problem::Invalid(format!("{word:?} is no reason to refuse"))
}

/// Which of what was refused.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct QuarantineAsked {
    /// Only what the home of this name sent.
    #[param(value_type = Option<Name>)]
    home: Option<String>,
    /// Only what was refused for this reason.
    #[param(value_type = Option<RefusalWord>)]
    reason: Option<String>,
    /// Only what is settled (`true`), or only what is not (`false`).
    settled: Option<bool>,
    /// Items of the page, 1 to 500; 50 if not given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Only items after this one: what the page before called `next`.
    after: Option<String>,
}

/// All that one home sent and that was refused for one reason, to be settled alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettlementAsked {
    /// Name of the home that sent them.
    #[schema(value_type = Name)]
    pub home: HomeId,
    /// The one word for why it was refused, e.g. `not_announced`.
    #[schema(value_type = RefusalWord)]
    pub refused_for: String,
    /// What is made of them.
    pub end: QuarantineEnd,
    /// Why, for the audit log.
    #[schema(value_type = Sentence)]
    pub reason: String,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettledView {
    /// Rows that are settled now.
    pub settled: u64,
    /// Rows that could not be: not kept whole, or their number was settled otherwise.
    pub left: u64,
    /// The audit log's line; none when there was nothing to settle.
    pub audit: Option<u64>,
}

/// Lets one refused answer in, as if it had been admitted: the next data set holds it. Needs operator.
#[utoipa::path(post, path = "/api/v1/quarantine/{id}/lift", tag = "quarantine", params(("id" = Number, Path)),
    request_body = Reason, responses(
    (status = 200, body = SettledView),
))]
pub(crate) async fn lift(
    Operator(caller): Operator,
    http: State<Http>,
    Segment(id): Segment<u64>,
    Body(reason): Body<Reason>,
) -> Answer<SettledView> {
    one(&http, caller, id, QuarantineEnd::Lifted, reason).await
}

/// Throws one refused payload away. Needs operator.
#[utoipa::path(post, path = "/api/v1/quarantine/{id}/discard", tag = "quarantine", params(("id" = Number, Path)),
    request_body = Reason, responses(
    (status = 200, body = SettledView),
))]
pub(crate) async fn discard(
    Operator(caller): Operator,
    http: State<Http>,
    Segment(id): Segment<u64>,
    Body(reason): Body<Reason>,
) -> Answer<SettledView> {
    one(&http, caller, id, QuarantineEnd::Discarded, reason).await
}

/// Settles all that one home sent and that was refused for one reason. Needs operator.
#[utoipa::path(post, path = "/api/v1/quarantine/settle", tag = "quarantine", request_body = SettlementAsked, responses(
    (status = 200, body = SettledView),
))]
pub(crate) async fn settle(
    Operator(caller): Operator,
    http: State<Http>,
    Body(asked): Body<SettlementAsked>,
) -> Answer<SettledView> {
    let refused_for = asked.refused_for.parse().map_err(|_| no_reason(&asked.refused_for))?;
    let reason = Reason { reason: asked.reason }.checked()?;
    carry_out(&http, caller, QuarantineChoice::HomeReason(asked.home, refused_for), asked.end, reason).await
}

/// Settles one row.
///
/// # Errors
/// [`Problem`]: no reason given, or no such row that is not settled yet.
pub(crate) async fn one(
    http: &Http,
    caller: Caller,
    id: u64,
    end: QuarantineEnd,
    reason: Reason,
) -> Answer<SettledView> {
    let reason = reason.checked()?;
    let settled = carry_out(http, caller, QuarantineChoice::Row(id), end, reason).await?;
    if settled.settled + settled.left == 0 {
        return Err(Problem::NotFound { noun: "unsettled row in quarantine", id: id.to_string() });
    }
    Ok(settled)
}

/// What would be settled.
async fn tried(http: &Http, choice: QuarantineChoice, end: QuarantineEnd, reason: String) -> Result<Problem, Problem> {
    let query = match &choice {
        QuarantineChoice::Row(id) => {
            QuarantineQuery { before: Some(id.saturating_add(1)), limit: 1, ..Default::default() }
        }
        QuarantineChoice::HomeReason(home, reason) => QuarantineQuery {
            home: Some(home.clone()),
            reason: Some(*reason),
            settled: Some(false),
            ..Default::default()
        },
    };
    let subject = match &choice {
        QuarantineChoice::Row(id) => id.to_string(),
        QuarantineChoice::HomeReason(home, reason) => format!("{home}/{}", reason.as_str()),
    };
    let mut rows = blocking(&http.app.store, move |store| store.list_quarantine(&query)).await?;
    if let QuarantineChoice::Row(id) = choice {
        rows.retain(|row| row.id == id && row.settled.is_none());
        if rows.is_empty() {
            return Err(Problem::NotFound { noun: "unsettled row in quarantine", id: id.to_string() });
        }
    }
    let can = rows.iter().filter(|row| end == QuarantineEnd::Discarded || row.payload.is_some()).count();
    let detail = json!({"reason": reason, "settled": can, "left": rows.len() - can});
    let action = if end == QuarantineEnd::Lifted { "quarantine.lift" } else { "quarantine.discard" };
    Ok(would(action, &subject, detail))
}

/// The store writes the line of the audit log in the same step.
async fn carry_out(
    http: &Http,
    caller: Caller,
    choice: QuarantineChoice,
    end: QuarantineEnd,
    reason: String,
) -> Answer<SettledView> {
    let at = http.app.clock.now();
    if caller.dry_run {
        return Err(tried(http, choice, end, reason).await?);
    }
    let work = move |store: &dyn Store| store.settle_quarantine(&choice, end, &caller.actor(), &reason, at);
    let settled = blocking(&http.app.store, work).await?;
    tracing::info!(
        quarantine.end = end.as_str(),
        rows.settled = settled.rows,
        rows.left = settled.left,
        "quarantine settled"
    );
    Ok(Json(SettledView { settled: settled.rows, left: settled.left, audit: settled.audit }))
}
