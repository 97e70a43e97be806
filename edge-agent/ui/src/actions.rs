//! What a visitor may change. Each form carries the page's secret; each answer is a redirect back to where it was asked.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use axum::{Extension, Form, Router};
use hearthwatch_detector::alarm::Verdict;
use hearthwatch_edge_core::alarm::Reason;
use hearthwatch_edge_core::preferences::{Change, Scope};
use hearthwatch_edge_detection::miss;
use hearthwatch_edge_detection::service::{DetectorCommand, verdict_name};
use hearthwatch_edge_store::outbox::{SharingLevel, TakeBack};
use hearthwatch_edge_update::UpdateRequest;
use hearthwatch_protocol::Sequence;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::guard::Refusal;
use super::home::PageError;
use super::outcome::Outcome;
use super::{Base, Page};

/// A redirect back to the page.
type Done = Result<Response, PageError>;

pub(super) fn router() -> Router<Page> {
    Router::new()
        .route("/answer", post(answer))
        .route("/miss", post(report_miss))
        .route("/budget", post(budget))
        .route("/mute", post(mute))
        .route("/unmute", post(unmute))
        .route("/sharing", post(sharing))
        .route("/withdraw", post(withdraw))
        .route("/roll-back", post(roll_back))
        .route("/leave", post(leave))
}

fn back(base: &Base, said: Outcome, place: &str) -> Response {
    Redirect::to(&format!("{}/?said={}#{place}", base.0, said.word())).into_response()
}

/// Whether the form came from a page that we rendered. Compared in constant time.
fn check(page: &Page, token: &str) -> Result<(), Refusal> {
    aws_lc_rs::constant_time::verify_slices_are_equal(token.as_bytes(), page.parts.token.as_bytes())
        .map_err(|_| Refusal::Token)
}

#[derive(Deserialize)]
struct AnswerForm {
    token: String,
    alarm: String,
    verdict: String,
    /// In the person's own words; stays in this home.
    #[serde(default)]
    reason: String,
}

async fn answer(State(page): State<Page>, Extension(base): Extension<Base>, Form(form): Form<AnswerForm>) -> Done {
    check(&page, &form.token)?;
    let verdicts = [Verdict::Confirmed, Verdict::Dismissed, Verdict::Expected];
    let verdict = verdicts.into_iter().find(|verdict| verdict_name(*verdict) == form.verdict);
    let verdict = verdict.ok_or(PageError::NotFound("answer"))?;
    if form.alarm.trim().is_empty() {
        return Err(PageError::Wrong(
            "Not taken: it does not say which alarm it answers. Load the page again.".to_owned(),
        ));
    }
    let now = (page.parts.clock)();
    page.parts
        .detection
        .send(DetectorCommand::Answer {
            alarm: Some(form.alarm),
            verdict,
            by: String::new(),
            reason: Reason::new(&form.reason),
            at: now,
        })
        .await?;
    Ok(back(&base, Outcome::Answered, "timeline"))
}

#[derive(Deserialize)]
struct MissForm {
    token: String,
    entity: String,
    when: String,
}

async fn report_miss(State(page): State<Page>, Extension(base): Extension<Base>, Form(form): Form<MissForm>) -> Done {
    check(&page, &form.token)?;
    let detail = page.parts.detection.request(DetectorCommand::Look).await?;
    let at = moment_of(&form.when, &detail.config.timezone).ok_or_else(|| {
        PageError::Wrong("Write the time as a date and a time of day, such as 2026-11-21T14:10.".to_owned())
    })?;
    let now = (page.parts.clock)();
    let kept = miss::declare(&page.parts.detection, &page.parts.history, form.entity, at, now).await;
    kept.map_err(|error| PageError::Wrong(format!("Not taken: {error}.")))?;
    Ok(back(&base, Outcome::MissKept, "miss"))
}

/// A local time as browsers write it.
fn moment_of(text: &str, timezone: &TimeZone) -> Option<i64> {
    let time: DateTime = text.parse().ok()?;
    Some(time.to_zoned(timezone.clone()).ok()?.timestamp().as_second())
}

/// Changes the preferences; a refusal becomes a sentence on the page.
async fn change_preferences(page: &Page, change: Change) -> Result<(), PageError> {
    let now = (page.parts.clock)();
    let granted = page.parts.detection.request(|reply| DetectorCommand::Change(change, now, reply)).await?;
    granted.map_err(|error| PageError::Wrong(format!("Not done: {error}.\n")))
}

#[derive(Deserialize)]
struct BudgetForm {
    token: String,
    per_week: f64,
}

async fn budget(State(page): State<Page>, Extension(base): Extension<Base>, Form(form): Form<BudgetForm>) -> Done {
    check(&page, &form.token)?;
    change_preferences(&page, Change::Budget(form.per_week)).await?;
    Ok(back(&base, Outcome::Changed, "calm"))
}

#[derive(Deserialize)]
struct MuteForm {
    token: String,
    entity: String,
    hours: u32,
}

async fn mute(State(page): State<Page>, Extension(base): Extension<Base>, Form(form): Form<MuteForm>) -> Done {
    check(&page, &form.token)?;
    let until = (form.hours > 0).then(|| (page.parts.clock)() + i64::from(form.hours) * 3_600);
    let detail = page.parts.detection.request(DetectorCommand::Look).await?;
    let warns = detail.present().any(|(info, _)| info.entity_id == form.entity && info.class.warns_of_danger());
    let scope = Scope::Entity { entity_id: form.entity, kind: None };
    change_preferences(&page, Change::Mute { scope, until }).await?;
    Ok(back(&base, if warns { Outcome::QuietButDanger } else { Outcome::Changed }, "calm"))
}

#[derive(Deserialize)]
struct UnmuteForm {
    token: String,
    id: u64,
}

async fn unmute(State(page): State<Page>, Extension(base): Extension<Base>, Form(form): Form<UnmuteForm>) -> Done {
    check(&page, &form.token)?;
    change_preferences(&page, Change::Unmute(form.id)).await?;
    Ok(back(&base, Outcome::Changed, "calm"))
}

#[derive(Deserialize)]
struct SharingForm {
    token: String,
    level: String,
}

async fn sharing(State(page): State<Page>, Extension(base): Extension<Base>, Form(form): Form<SharingForm>) -> Done {
    check(&page, &form.token)?;
    let level = SharingLevel::parse(&form.level).ok_or(PageError::NotFound("level of sharing"))?;
    let uplink = page.parts.uplink.as_ref().ok_or(PageError::NotFound("fleet"))?;
    uplink.choose_sharing(level).await?;
    tracing::info!(sharing.level = level.as_str(), "a resident chose what is shared");
    Ok(back(&base, Outcome::Sharing, "sharing"))
}

#[derive(Deserialize)]
struct WithdrawForm {
    token: String,
    record: String,
}

async fn withdraw(State(page): State<Page>, Extension(base): Extension<Base>, Form(form): Form<WithdrawForm>) -> Done {
    check(&page, &form.token)?;
    let what = match form.record.as_str() {
        "all" => TakeBack::Everything,
        number => {
            let number = number.parse().map_err(|_| PageError::NotFound("record"))?;
            TakeBack::Records(vec![Sequence(number)])
        }
    };
    let uplink = page.parts.uplink.as_ref().ok_or(PageError::NotFound("fleet"))?;
    let (home, now) = (uplink.home().clone(), (page.parts.clock)());
    let id = uplink.with_outbox(move |outbox| outbox.take_back(&home, what, now)).await?;
    Ok(back(&base, if id.is_some() { Outcome::TakenBack } else { Outcome::NothingShared }, "sharing"))
}

#[derive(Deserialize)]
struct RollBackForm {
    token: String,
}

async fn roll_back(State(page): State<Page>, Extension(base): Extension<Base>, Form(form): Form<RollBackForm>) -> Done {
    check(&page, &form.token)?;
    let said = page.parts.requests.submit_aside(UpdateRequest::RollBack, (page.parts.clock)()).await;
    said.map_err(|error| PageError::Wrong(format!("Not taken: it cannot be written down: {error}.\n")))?;
    Ok(back(&base, Outcome::RollingBack, "learnt"))
}

#[derive(Deserialize)]
struct LeaveForm {
    token: String,
    word: String,
}

async fn leave(State(page): State<Page>, Form(form): Form<LeaveForm>) -> Done {
    check(&page, &form.token)?;
    if form.word.trim() != "leave" {
        return Err(PageError::Wrong("Nothing was deleted: the word was not \"leave\".".to_owned()));
    }
    // A full queue means that the same request is already there.
    let _ = page.parts.leave.try_send(());
    Ok(super::view::farewell().into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_cannot_put_a_sentence_into_our_mouth() {
        assert_eq!(Outcome::sentence("Your home was hacked, call 555"), None);
        for (said, word, sentence) in Outcome::ALL {
            assert_eq!((said.word(), Outcome::sentence(word)), (word, Some(sentence)));
        }
    }

    #[test]
    fn a_time_is_the_homes_local_time() {
        let brussels = TimeZone::get("Europe/Brussels").unwrap();
        assert_eq!(moment_of("2023-08-01T13:00", &brussels), Some(1_690_887_600));
        assert_eq!(moment_of("yesterday", &brussels), None);
    }
}
