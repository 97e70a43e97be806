//! Feedback: the stored answers, without their windows. What a home's sensors said is for training, not for looking at.

use hearthwatch_protocol::messages::Verdict;
use hearthwatch_protocol::{RecordKey, Sequence};
use hearthwatch_store::lists::FeedbackQuery as FeedbackFilter;
use hearthwatch_store::{FeedbackRow, FeedbackTotals};
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
    /// Only answers with this verdict.
    #[param(value_type = Option<VerdictWord>)]
    verdict: Option<Verdict>,
    /// Only answers about entities of this device class.
    #[param(pattern = "^[a-z0-9_]{1,64}$")]
    device_class: Option<String>,
    /// Only answers about alarms of this model; 0 is the baseline detector.
    #[param(value_type = Option<Number>)]
    model_version: Option<u64>,
    /// Only answers to this.
    origin: Option<OriginWord>,
    /// Only answers stored at this time or later, Unix seconds.
    #[param(value_type = Option<Number>)]
    since: Option<u64>,
    /// Only answers stored before this time, Unix seconds.
    #[param(value_type = Option<Number>)]
    until: Option<u64>,
    /// `-received_at` for the newest first; by home and sequence if not given.
    #[param(pattern = "^-received_at$")]
    sort: Option<String>,
    /// Only those after this one: what the page before called `next`.
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

/// `HOME/SEQUENCE`, with the time at which it was stored in front where the newest come first.
fn parse_key(text: &str) -> Option<(Option<i64>, RecordKey)> {
    let (begin, sequence) = text.rsplit_once('/')?;
    let (at, home) = match begin.split_once('/') {
        None => (None, begin),
        Some((at, home)) => (Some(seconds(at)?), home),
    };
    Some((at, RecordKey { home: HomeId::new(home).ok()?, sequence: Sequence(number(sequence)?) }))
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(totals))
}

/// Lists the stored answers that are asked for, by home and sequence or the newest first.
#[utoipa::path(get, path = "/api/v1/feedback", tag = "feedback", params(FeedbackQuery), responses(
    (status = 200, body = FeedbackPage),
))]
pub(crate) async fn list(_: Viewer, http: State<Http>, Params(query): Params<FeedbackQuery>) -> Answer<FeedbackPage> {
    let home = query.home.as_deref().map(parse_home).transpose()?;
    let newest_first = match query.sort.as_deref() {
        None => false,
        Some("-received_at") => true,
        Some(_) => return Err(Problem::Invalid("sort: -received_at, or nothing".to_owned())),
    };
    let window = Paging { limit: query.limit, after: query.after }.window(parse_key)?;
    let time = |at: Option<u64>| at.map(|at| i64::try_from(at).unwrap_or(i64::MAX));
    let filter = FeedbackFilter {
        home,
        verdict: query.verdict,
        device_class: query.device_class,
        model_version: query.model_version.map(ModelVersion),
        origin: query.origin.map(|origin| origin.as_str().to_owned()),
        since: time(query.since),
        until: time(query.until),
        newest_first,
        after: window.after.clone(),
        limit: window.needed(),
    };
    let rows = blocking(&http.app.store, move |store| store.list_feedback(&filter)).await?;
    let key = |row: &FeedbackRow| match newest_first {
        true => format!("{}/{}", row.received_at, row.record.key()),
        false => row.record.key().to_string(),
    };
    Ok(Json(window.cut(rows, key, FeedbackView::from)))
}

/// Counts stored answers, those of homes that were shut out included.
#[utoipa::path(get, path = "/api/v1/feedback/totals", tag = "feedback", responses(
    (status = 200, body = FeedbackTotalsView),
))]
pub(crate) async fn totals(_: Viewer, http: State<Http>) -> Answer<FeedbackTotalsView> {
    Ok(Json(blocking(&http.app.store, |store| store.feedback_totals()).await?.into()))
}
