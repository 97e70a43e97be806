//! Feedback: the stored answers, without their windows. What a home's sensors said is for training, not for looking at.

use hearthwatch_protocol::messages::Verdict;
use hearthwatch_protocol::{RecordKey, Sequence};
use hearthwatch_store::{FeedbackFilter, FeedbackRow, FeedbackTotals};
use utoipa::IntoParams;

use super::prelude::*;

/// One answer, without its window. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FeedbackView {
    /// Name of the home that answered.
    pub home: String,
    /// Position in the home's outbox.
    pub sequence: u64,
    /// The alarm that was answered.
    pub alarm: String,
    /// Home Assistant device class of the entity.
    pub device_class: String,
    /// The model that raised the alarm.
    pub model_version: u64,
    /// What the resident said.
    #[schema(value_type = VerdictWord)]
    pub verdict: Verdict,
    /// What was answered: an alarm, a random question, or something that the agent had missed.
    pub origin: OriginWord,
    /// How odd the model found the window, in its own unit; the same as `threshold`'s.
    pub score: f32,
    /// The threshold it was held against.
    pub threshold: f32,
    /// When the alarm was raised.
    pub raised_at: i64,
    /// When it was answered, by the home's clock.
    pub answered_at: i64,
    /// When it was stored, by the aggregator's clock.
    pub received_at: i64,
}

/// How much feedback there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FeedbackTotalsView {
    /// Stored answers, of all homes and verdicts.
    pub records: u64,
    /// Of these, answered *confirmed*.
    pub confirmed: u64,
    /// Of these, answered *dismissed*.
    pub dismissed: u64,
    /// Of these, answered *expected*.
    pub expected: u64,
    /// Homes with at least one record.
    pub homes: u64,
}

/// Which stored answers.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct FeedbackQuery {
    /// Only answers of the home of this name.
    #[param(value_type = Option<Name>)]
    home: Option<String>,
    /// Only those after this one, `HOME/SEQUENCE`: what the page before called `next`.
    #[param(value_type = Option<FeedbackKey>)]
    after: Option<String>,
    /// Items of the page, 1 to 500; 50 if not given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// A page of stored answers, in order of home and sequence.
pub type FeedbackPage = Page<FeedbackView>;

impl From<FeedbackRow> for FeedbackView {
    fn from(row: FeedbackRow) -> Self {
        let record = row.record;
        Self {
            home: record.home.to_string(),
            sequence: record.sequence.0,
            alarm: record.alarm.to_string(),
            device_class: record.device_class,
            model_version: record.model_version.0,
            verdict: record.verdict,
            origin: record.origin.into(),
            score: record.score,
            threshold: record.threshold,
            raised_at: record.raised_at,
            answered_at: record.answered_at,
            received_at: row.received_at,
        }
    }
}

impl From<FeedbackTotals> for FeedbackTotalsView {
    fn from(totals: FeedbackTotals) -> Self {
        let FeedbackTotals { records, confirmed, dismissed, expected, homes } = totals;
        Self { records, confirmed, dismissed, expected, homes }
    }
}

fn parse_home(text: &str) -> Result<HomeId, Problem> {
    HomeId::new(text).map_err(|error| Problem::Invalid(format!("home: {error}")))
}

fn parse_key(text: &str) -> Result<RecordKey, Problem> {
    let fault = || Problem::Invalid("after: write it as HOME/SEQUENCE".to_owned());
    let (home, sequence) = text.split_once('/').ok_or_else(fault)?;
    Ok(RecordKey { home: parse_home(home)?, sequence: Sequence(sequence.parse().map_err(|_| fault())?) })
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(totals))
}

/// Lists stored answers by home and sequence.
#[utoipa::path(get, path = "/api/v1/feedback", tag = "feedback", params(FeedbackQuery), responses(
    (status = 200, body = FeedbackPage),
))]
pub(crate) async fn list(_: Viewer, http: State<Http>, Params(query): Params<FeedbackQuery>) -> Answer<FeedbackPage> {
    let home = query.home.as_deref().map(parse_home).transpose()?;
    let window = Window::new(query.after.as_deref().map(parse_key).transpose()?, query.limit)?;
    let filter = FeedbackFilter { home, after: window.after.clone(), limit: window.needed() };
    let rows = blocking(&http.app.store, move |store| store.feedback(&filter)).await?;
    Ok(Json(window.cut(rows, |row| row.record.key().to_string(), FeedbackView::from)))
}

/// Counts stored answers, those of homes that were shut out included.
#[utoipa::path(get, path = "/api/v1/feedback/totals", tag = "feedback", responses(
    (status = 200, body = FeedbackTotalsView),
))]
pub(crate) async fn totals(_: Viewer, http: State<Http>) -> Answer<FeedbackTotalsView> {
    Ok(Json(blocking(&http.app.store, |store| store.feedback_totals()).await?.into()))
}
