//! What the page shows, read from the detector service, the memory and the outbox. Whatever waits for the disk runs off the async
//! threads.

use std::collections::HashMap;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_edge_cloud::uplink::UplinkError;
use hearthwatch_edge_core::alarm::StoredAlarm;
use hearthwatch_edge_core::explain::{self, Picture, Point, Theme};
use hearthwatch_edge_core::mode::Mode;
use hearthwatch_edge_core::preferences::WEEK_SECONDS;
use hearthwatch_edge_detection::service::{DetectorCommand, DetectorGone, HomeDetail, HomeView, whole_days};
use hearthwatch_edge_rounds::state::{RoundState, StateError};
use hearthwatch_edge_rounds::{RoundEntry, RoundsView};
use hearthwatch_edge_store::history::{History, HistoryError, JudgedSpan, StoredMiss, StoredQuestion};
use hearthwatch_edge_store::outbox::{LedgerEntry, OutboxError, SharingLevel, StoredWithdrawal, example_record};
use hearthwatch_edge_update::UpdateView;
use hearthwatch_protocol::messages::{Contribution, FeedbackRecord};
use hearthwatch_protocol::{HomeId, Message, Sequence, encode};
use jiff::tz::TimeZone;

use super::preview::{self, PREVIEW_SECONDS, WouldBe};
use super::{Page, PageQuery};

/// Length of the timeline, seconds.
pub(super) const TIMELINE_SECONDS: i64 = 30 * 86_400;
/// What is shown of the time before an alarm, for a picture.
const PICTURE_LEAD_SECONDS: i64 = 3 * 86_400;
/// Records of the ledger on one page.
pub(super) const LEDGER_SHOWN: u32 = 25;
/// Rounds on the page: half a year of weekly ones.
const ROUNDS_SHOWN: u32 = 26;
/// Smallest and largest budget that can be previewed.
pub(super) const PER_WEEK: (f64, f64) = (0.25, 14.0);

/// Why the page cannot show something. What a resident reads hides the inside; the log has it.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// The agent is stopping.
    #[error(transparent)]
    DetectorService(#[from] DetectorGone),
    /// The history cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The outbox cannot be read or written.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The ledger of rounds cannot be read.
    #[error(transparent)]
    Rounds(#[from] StateError),
    /// The agent is stopping, or the outbox failed.
    #[error(transparent)]
    Uplink(#[from] UplinkError),
    /// A thread panicked; the log has the message.
    #[error("a look at the memory did not end well")]
    Task,
    /// The path names nothing; the text says what was looked for.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A form that is out of date.
    #[error(transparent)]
    Refused(#[from] super::guard::Refusal),
    /// A form whose values make no sense; a sentence for the resident.
    #[error("{0}")]
    Wrong(String),
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::DetectorService(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Refused(_) => StatusCode::FORBIDDEN,
            Self::Wrong(_) => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %self, "the page cannot show something");
            return (status, "Something went wrong here; the agent's log says what.\n").into_response();
        }
        (status, format!("{self}\n")).into_response()
    }
}

/// All data of the page, read at once.
pub(super) struct Everything {
    pub(super) now: i64,
    pub(super) timezone: TimeZone,
    pub(super) view: HomeView,
    pub(super) updates: UpdateView,
    pub(super) mode: Mode,
    pub(super) detail: HomeDetail,
    /// Newest first, of the last [`TIMELINE_SECONDS`].
    pub(super) alarms: Vec<StoredAlarm>,
    pub(super) misses: Vec<StoredMiss>,
    /// Drawn by chance in the last week, newest first: who remembers an ordinary moment for longer?
    pub(super) questions: Vec<StoredQuestion>,
    pub(super) history: Option<OwnHistory>,
    pub(super) preview: Preview,
    pub(super) sharing: Option<Sharing>,
    /// Whole days that the history covers.
    pub(super) days_remembered: i64,
    /// Rows and files of the memory that could not be read, and are kept aside.
    pub(super) set_aside: u64,
    /// The outcome of the change that was just made.
    pub(super) said: Option<&'static str>,
}

/// The history of one entity, for the chart.
pub(super) struct OwnHistory {
    pub(super) info: EntityInfo,
    /// The name that residents see.
    pub(super) name: String,
    pub(super) days: i64,
    pub(super) points: Vec<Point>,
    pub(super) from: i64,
    pub(super) until: i64,
    /// Alarms of this entity in it, as (start, end).
    pub(super) alarms: Vec<(i64, i64)>,
}

/// A budget and what it would have brought.
pub(super) struct Preview {
    pub(super) timezone: TimeZone,
    pub(super) per_week: f64,
    pub(super) current: f64,
    /// Would-be alarms with the entity's name, oldest first.
    pub(super) alarms: Vec<(String, i64)>,
    /// From when to when there are judgements; none while nothing could be judged.
    pub(super) judged: Option<JudgedSpan>,
}

/// Records that were sent to the fleet.
pub(super) struct Sharing {
    pub(super) home: HomeId,
    pub(super) level: SharingLevel,
    pub(super) sent: u64,
    pub(super) taken_back: u64,
    pub(super) ledger: Vec<LedgerEntry>,
    pub(super) withdrawals: Vec<StoredWithdrawal>,
    pub(super) contributions: Vec<Contribution>,
    pub(super) samples: Vec<(SharingLevel, usize)>,
    /// None in a fleet that plans no rounds.
    pub(super) rounds: Option<Rounds>,
    /// Stored records and files that could not be read, and are kept aside.
    pub(super) set_aside: u64,
}

/// The rounds that this home took part in.
pub(super) struct Rounds {
    /// Newest first; at most [`ROUNDS_SHOWN`].
    pub(super) entries: Vec<RoundEntry>,
    pub(super) view: RoundsView,
}

/// An example of what a level of sharing sends.
pub(super) struct Sample {
    pub(super) level: SharingLevel,
    pub(super) payload: Option<Vec<u8>>,
    /// Whether the numbers are this home's own newest answer, and not made up.
    pub(super) own: bool,
}

impl Everything {
    pub(super) async fn read(page: &Page, query: &PageQuery) -> Result<Self, PageError> {
        let now = (page.parts.clock)();
        let detail = *page.parts.detection.request(DetectorCommand::Look).await?;
        let view = page.parts.view.borrow().clone();
        let sharing = match &page.parts.uplink {
            None => None,
            Some(uplink) => {
                let before = query.before.as_ref().and_then(|text| text.parse().ok()).map(Sequence);
                let home = uplink.home().clone();
                let (newest, rounds) = (newest_record(page, &detail).await?.0, rounds(page).await?);
                Some(uplink.with_outbox(move |outbox| read_sharing(outbox, home, before, &newest, rounds)).await?)
            }
        };
        let (query, preview) = (query.clone(), preview(page, query).await?);
        let (timezone, path) = (detail.config.timezone.clone(), page.parts.history.clone());
        let most_unusual = view.most_unusual.as_ref().map(|most_unusual| most_unusual.entity_id.clone());
        let (detail, past) = blocking(move || {
            let reader = History::open_to_read(&path)?;
            let mut alarms = reader.alarms(now - TIMELINE_SECONDS)?;
            alarms.reverse();
            let misses = (reader.misses()?, reader.questions(now - WEEK_SECONDS)?);
            let history = own_history(&reader, &detail, &query, most_unusual.as_deref(), &alarms, now)?;
            let extent = reader.extent(0)?.map_or(0, |(first, last, _)| whole_days(last - first));
            let set_aside = reader.set_aside();
            Ok((detail, (alarms, misses, history, (extent, set_aside), query.said)))
        })
        .await?;
        let (alarms, (misses, questions), history, (days_remembered, set_aside), said) = past;
        Ok(Self {
            now,
            timezone,
            view,
            updates: page.parts.updates.borrow().clone(),
            mode: page.parts.mode.borrow().clone(),
            detail,
            alarms,
            misses,
            questions,
            history,
            preview,
            sharing,
            days_remembered,
            set_aside,
            said: said.as_deref().and_then(super::outcome::Outcome::sentence),
        })
    }
}

fn read_sharing(
    outbox: &mut hearthwatch_edge_store::outbox::Outbox,
    home: HomeId,
    before: Option<Sequence>,
    newest: &FeedbackRecord,
    rounds: Option<Rounds>,
) -> Result<Sharing, OutboxError> {
    let (sent, taken_back) = outbox.shared_totals()?;
    let bytes = |level: SharingLevel| {
        let record = level.shape(newest.clone());
        record.map_or(0, |record| encode(&Message::Feedback(record)).map_or(0, |payload| payload.len()))
    };
    Ok(Sharing {
        home,
        level: outbox.sharing()?,
        sent,
        taken_back,
        ledger: outbox.ledger(before, LEDGER_SHOWN)?,
        withdrawals: outbox.withdrawals()?,
        contributions: outbox.contributions()?,
        set_aside: outbox.set_aside(),
        samples: SharingLevel::ALL.map(|level| (level, bytes(level))).to_vec(),
        rounds,
    })
}

/// The rounds of this home, from their own file.
async fn rounds(page: &Page) -> Result<Option<Rounds>, PageError> {
    let Some(part) = &page.parts.rounds else { return Ok(None) };
    let (path, view) = (part.state.clone(), part.view.borrow().clone());
    let entries = blocking(move || Ok(RoundState::read_ledger(&path, ROUNDS_SHOWN)?)).await?;
    Ok(Some(Rounds { entries, view }))
}

fn own_history(
    reader: &History,
    detail: &HomeDetail,
    query: &PageQuery,
    most_unusual: Option<&str>,
    alarms: &[StoredAlarm],
    now: i64,
) -> Result<Option<OwnHistory>, HistoryError> {
    let known = |id: &str| detail.entities.iter().map(|(info, _)| info).find(|info| info.entity_id == id).cloned();
    let chosen = query.entity.as_deref().and_then(known);
    let info = chosen
        .or_else(|| most_unusual.and_then(known))
        .or_else(|| detail.present().next().map(|(info, _)| info.clone()));
    let Some(info) = info else { return Ok(None) };
    let days =
        query.days.as_ref().and_then(|text| text.parse().ok()).filter(|days| [1, 7, 30].contains(days)).unwrap_or(7);
    let until = detail.closed.unwrap_or(now);
    let from = until - days * 86_400;
    let points = reader.points(&info.entity_id, from, until)?;
    let of_it = alarms.iter().filter(|alarm| alarm.entity_id == info.entity_id);
    let spans = of_it.map(|alarm| (alarm.alarm.start, alarm.alarm.end.unwrap_or(until)));
    let alarms = spans.filter(|(_, end)| *end >= from).collect();
    let name = detail.name_of(&info.entity_id);
    Ok(Some(OwnHistory { info, name, days, points, from, until, alarms }))
}

/// What a budget would have brought in the last month.
pub(super) async fn preview(page: &Page, query: &PageQuery) -> Result<Preview, PageError> {
    let now = (page.parts.clock)();
    let detail = *page.parts.detection.request(DetectorCommand::Look).await?;
    let chosen = query.per_week.as_ref().and_then(|text| text.parse().ok()).filter(|chosen: &f64| chosen.is_finite());
    let per_week = chosen.unwrap_or(detail.budget).clamp(PER_WEEK.0, PER_WEEK.1);
    // Closed only when the program ends.
    let _turn = page.heavy.acquire().await.map_err(|_| PageError::Task)?;
    let path = page.parts.history.clone();
    blocking(move || {
        let reader = History::open_to_read(&path)?;
        let judged = reader.judged(now - PREVIEW_SECONDS)?;
        let steps = reader.loud_steps(now - PREVIEW_SECONDS, preview::floor(per_week, detail.watched))?;
        let names: HashMap<i64, String> = reader.entity_ids()?;
        let name = |number| names.get(&number).map_or_else(String::new, |id| detail.name_of(id));
        let named = |one: WouldBe| (name(one.entity), one.at);
        let alarms = preview::alarms(&steps, per_week, detail.watched).into_iter().map(named).collect();
        let timezone = detail.config.timezone.clone();
        Ok(Preview { timezone, per_week, current: detail.budget, alarms, judged })
    })
    .await
}

/// Declared misses, with the state that says what was seen at each.
pub(super) async fn misses(page: &Page) -> Result<(Vec<StoredMiss>, HomeDetail), PageError> {
    let detail = *page.parts.detection.request(DetectorCommand::Look).await?;
    let path = page.parts.history.clone();
    Ok((blocking(move || Ok(History::open_to_read(&path)?.misses()?)).await?, detail))
}

/// The picture of an alarm as SVG.
pub(super) async fn picture(page: &Page, id: &str) -> Result<String, PageError> {
    let detail = *page.parts.detection.request(DetectorCommand::Look).await?;
    let language = page.parts.view.borrow().language;
    let (path, id) = (page.parts.history.clone(), id.to_owned());
    blocking(move || {
        let reader = History::open_to_read(&path)?;
        let found = reader.alarms(0)?.into_iter().find(|alarm| alarm.alarm.id == id);
        let shown = found.ok_or(PageError::NotFound("alarm"))?;
        let end = shown.alarm.end.unwrap_or(detail.closed.unwrap_or(shown.alarm.raised_at));
        let points = reader.points(&shown.entity_id, shown.alarm.start - PICTURE_LEAD_SECONDS, end + 86_400)?;
        let unit = shown.unit.clone();
        let known = detail.entities.iter().map(|(info, _)| info).find(|info| info.entity_id == shown.entity_id);
        let (entity_id, class) = (shown.entity_id.clone(), shown.class);
        let info = known.cloned().unwrap_or(EntityInfo { entity_id, class, unit });
        let timezone = &detail.config.timezone;
        let picture = Picture { shown: &shown, info: &info, language, points: &points, timezone };
        Ok(explain::svg(&picture, Theme::Auto))
    })
    .await
}

/// A record that was sent, by its sequence number.
pub(super) async fn ledger_entry(page: &Page, sequence: u64) -> Result<LedgerEntry, PageError> {
    let uplink = page.parts.uplink.as_ref().ok_or(PageError::NotFound("record"))?;
    let entry = uplink.with_outbox(move |outbox| outbox.ledger_entry(Sequence(sequence))).await?;
    entry.ok_or(PageError::NotFound("record"))
}

/// What a level would send for the newest answer.
pub(super) async fn sample(page: &Page, level: &str) -> Result<Sample, PageError> {
    let level = SharingLevel::parse(level).ok_or(PageError::NotFound("level of sharing"))?;
    let detail = *page.parts.detection.request(DetectorCommand::Look).await?;
    let (record, own) = newest_record(page, &detail).await?;
    let payload = level.shape(record).and_then(|record| encode(&Message::Feedback(record)).ok());
    Ok(Sample { level, payload, own })
}

/// The record of the newest answered alarm that has a window, or a made one where there is none yet.
async fn newest_record(page: &Page, detail: &HomeDetail) -> Result<(FeedbackRecord, bool), PageError> {
    let path = page.parts.history.clone();
    let answered: Vec<StoredAlarm> =
        detail.alarms.iter().rev().filter(|alarm| alarm.answer.is_some()).cloned().collect();
    let home = page.parts.uplink.as_ref().map(|uplink| uplink.home().clone());
    blocking(move || {
        let reader = History::open_to_read(&path)?;
        let home = home.or_else(|| HomeId::new("your-home").ok()).ok_or(PageError::Task)?;
        for alarm in answered {
            let window = reader.window_of(&alarm.alarm.id)?;
            if let Some((verdict, at)) = alarm.answer
                && let Ok(record) =
                    hearthwatch_edge_detection::service::feedback_record(home.clone(), &alarm, window, verdict, at)
            {
                return Ok((record, true));
            }
        }
        Ok((example_record(home), false))
    })
    .await
}

/// Runs what waits for the disk, or draws, on a thread that may. It always comes to its end; the request may be gone by then.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PageError> + Send + 'static,
) -> Result<T, PageError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| PageError::Task)?
}
