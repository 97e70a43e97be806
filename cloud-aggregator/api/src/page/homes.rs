//! All homes, found by filters, and one home.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use hearthwatch_protocol::HomeId;
use hearthwatch_store::lists::{FeedbackQuery, HomeState, ListedHome};
use hearthwatch_store::{FeedbackRow, blocking};
use maud::{Markup, html};
use url::form_urlencoded;

use super::parts::{looker, number, page, sort_link, when};
use crate::http::Http;
use crate::http::auth::Viewer;
use crate::http::extract::{Params, Segment};
use crate::http::paging::Page;
use crate::http::problem::Problem;
use crate::routes::homes::{HomesAsked, LATE_SECONDS, next_home};

/// Answers of a home that are shown.
const ANSWERS_SHOWN: usize = 50;

/// States in the order of the filter, with their names.
const STATES: [(HomeState, &str); 5] = [
    (HomeState::Online, "online"),
    (HomeState::Offline, "offline"),
    (HomeState::Late, "late: offline for a day"),
    (HomeState::NeverSeen, "never seen"),
    (HomeState::Revoked, "shut out"),
];

/// What was asked for, as the form shows it again and links repeat it.
struct Shown {
    q: String,
    state: Option<HomeState>,
    tag: String,
    excluded: bool,
    sort: String,
}

impl Shown {
    /// The filters as a part of an address, with `&` in front; the order left out.
    fn query(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        for (name, value) in
            [("q", self.q.as_str()), ("state", self.state.map_or("", HomeState::as_str)), ("tag", &self.tag)]
        {
            if !value.is_empty() {
                pairs.append_pair(name, value);
            }
        }
        if self.excluded {
            pairs.append_pair("excluded", "true");
        }
        let text = pairs.finish();
        if text.is_empty() { text } else { format!("&{text}") }
    }
}

/// The list.
pub(super) async fn list(
    viewer: Result<Viewer, Problem>,
    State(http): State<Http>,
    Params(mut asked): Params<HomesAsked>,
) -> Result<Response, Problem> {
    let caller = match looker(viewer) {
        Ok(caller) => caller,
        Err(answer) => return Ok(*answer),
    };
    // A form sends what was left empty as empty.
    for field in [&mut asked.q, &mut asked.tag] {
        *field = field.take().filter(|text| !text.is_empty());
    }
    let shown = Shown {
        q: asked.q.clone().unwrap_or_default(),
        state: asked.state,
        tag: asked.tag.clone().unwrap_or_default(),
        excluded: asked.excluded == Some(true),
        sort: asked.sort.clone().unwrap_or_else(|| "home".to_owned()),
    };
    let now = http.app.clock.now();
    let (query, window) = asked.query(now)?;
    let order = query.order;
    let (rows, all) =
        blocking(&http.app.store, move |store| Ok((store.list_homes(&query)?, store.fleet_totals()?.homes))).await?;
    let listed = window.cut(rows, next_home(order), |row| row);
    Ok(page("Homes", "/homes", &caller, &homes(&listed, &shown, all, now)).into_response())
}

fn homes(listed: &Page<ListedHome>, shown: &Shown, all: u64, now: i64) -> Markup {
    let query = shown.query();
    let head = |name: &str, key: &str| sort_link("/homes", name, key, &shown.sort, &query);
    html! {
        section {
            h2 { "Homes" }
            form.filters method="get" action="/homes" role="search" {
                label { "Name has" input type="search" name="q" value=(shown.q) pattern="[a-z0-9\\-]{0,64}"; }
                label {
                    "State"
                    select name="state" {
                        // An empty value is no state: the browser leaves a disabled choice away.
                        option value=(shown.state.map_or("", HomeState::as_str)) disabled selected[shown.state.is_none()] { "any" }
                        @for (state, name) in STATES {
                            option value=(state.as_str()) selected[shown.state == Some(state)] { (name) }
                        }
                    }
                }
                label { "Tags" input name="tag" value=(shown.tag) placeholder="pilot,country:us"; }
                button { "Find" }
                a href="/homes" { "Show all" }
            }
            @if listed.items.is_empty() {
                @if all == 0 {
                    p { "No home is enrolled. " code { "hearthwatch-provision home add HOME" } ", or " code { "POST /api/v1/claims" } ", makes a claim for one." }
                } @else {
                    p { "None of " (number(all)) " homes is like that. " a href="/homes" { "Show all" } "." }
                }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Homes" {
                    table.stack {
                        thead {
                            tr {
                                (head("Home", "home")) th { "State" } (head("Model", "model_version")) (head("Entities", "entities"))
                                (head("Outbox", "outbox")) (head("Answers", "records")) (head("Last heard", "heard_at"))
                            }
                        }
                        tbody { @for home in &listed.items { (row(home, now)) } }
                    }
                }
                p {
                    @if let Some(next) = &listed.next {
                        a href={ "/homes?after=" (form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>()) "&sort=" (shown.sort) (query) } { "Next page" }
                        " · "
                    }
                    span.faint { (number(listed.items.len() as u64)) " shown of " (number(all)) " in all" }
                }
            }
        }
    }
}

fn state(home: &ListedHome) -> Markup {
    let (class, word) = match home.state {
        HomeState::Online => ("good", "online"),
        HomeState::Offline => ("faint", "offline"),
        HomeState::Late => ("bad", "late"),
        HomeState::NeverSeen => ("faint", "never seen"),
        HomeState::Revoked => ("bad", "shut out"),
    };
    html! { span class=(class) { (word) } @if home.excluded { " · " span.bad { "not learned from" } } }
}

fn row(home: &ListedHome, now: i64) -> Markup {
    let status = home.row.status.as_ref();
    let of = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), number);
    html! {
        tr {
            td.plain { a href={ "/homes/" (home.row.home) } { (home.row.home) } @for tag in &home.tags { " " span.tag { (tag) } } }
            td { (state(home)) }
            td data-name="model" { (status.map_or_else(|| "–".to_owned(), |status| model(status.model_version.0))) }
            td data-name="entities" { (of(status.map(|status| u64::from(status.entities)))) }
            td data-name="outbox" { (of(status.map(|status| u64::from(status.outbox)))) }
            td data-name="answers" { (number(home.row.records)) }
            td.plain data-name="heard" { @match status { Some(status) => (when(now, status.heard_at)), None => "–" } }
        }
    }
}

fn model(version: u64) -> String {
    if version == 0 { "baseline".to_owned() } else { version.to_string() }
}

/// One home.
pub(super) async fn one(
    viewer: Result<Viewer, Problem>,
    State(http): State<Http>,
    Segment(home): Segment<HomeId>,
) -> Result<Response, Problem> {
    let caller = match looker(viewer) {
        Ok(caller) => caller,
        Err(answer) => return Ok(*answer),
    };
    let now = http.app.clock.now();
    let asked = home.clone();
    let found = blocking(&http.app.store, move |store| {
        let Some(listed) = store.listed_home(&asked, now.saturating_sub(LATE_SECONDS))? else { return Ok(None) };
        let query =
            FeedbackQuery { home: Some(asked), newest_first: true, limit: ANSWERS_SHOWN, ..FeedbackQuery::default() };
        Ok(Some((listed, store.list_feedback(&query)?)))
    });
    let found = found.await?.ok_or_else(|| Problem::NotFound { noun: "home", id: home.to_string() })?;
    Ok(page(home.as_str(), "/homes", &caller, &about(&found.0, &found.1, now)).into_response())
}

fn about(home: &ListedHome, answers: &[FeedbackRow], now: i64) -> Markup {
    let (name, status) = (&home.row.home, home.row.status.as_ref());
    html! {
        section {
            h2 { (name) " " (state(home)) }
            dl.figures {
                div { dt { "Let in" } dd.small { (when(now, home.row.enrolled_at)) } }
                @if let Some(at) = home.row.revoked_at { div { dt { "Shut out" } dd.small { (when(now, at)) } } }
                @if let Some(status) = status {
                    div { dt { "Last heard" } dd.small { (when(now, status.heard_at)) } }
                    div { dt { "Model in charge" } dd { (model(status.model_version.0)) } }
                    div { dt { "Agent" } dd.small { (status.agent_version) } }
                    div { dt { "Entities" } dd { (number(status.entities.into())) } }
                    div { dt { "Waiting in its outbox" } dd { (number(status.outbox.into())) } }
                }
                div { dt { "Answers stored" } dd { (number(home.row.records)) } }
            }
            @if status.is_none() { p { "It was never heard. Its agent enrols and connects by itself once it runs; " code { "hearthwatch-edge doctor" } " says what is in its way." } }
            p { @for tag in &home.tags { span.tag { (tag) } " " } }
        }
        section {
            h2 { "Decide" }
            p {
                @if home.excluded { a href={ "/homes/" (name) "/include" } { "Learn from it again" } }
                @else { a href={ "/homes/" (name) "/exclude" } { "Learn nothing from it" } }
                " · "
                @if home.row.revoked_at.is_some() { a href={ "/homes/" (name) "/restore" } { "Let it in again" } }
                @else { a href={ "/homes/" (name) "/revoke" } { "Shut it out" } }
            }
        }
        section {
            h2 { "Its answers, newest first" }
            @if answers.is_empty() { p { "No answer is stored." } } @else {
                div.scroll tabindex="0" role="region" aria-label="Answers" {
                    table.stack {
                        thead { tr { th { "Stored" } th { "Said" } th { "About" } th { "Model" } th { "Score" } th { "Threshold" } } }
                        tbody {
                            @for answer in answers {
                                @let record = &answer.record;
                                tr {
                                    td.plain { (when(now, answer.received_at)) }
                                    td { (<&str>::from(record.verdict)) }
                                    td data-name="about" { (record.device_class) }
                                    td data-name="model" { (model(record.model_version.0)) }
                                    td data-name="score" { (format!("{:.2}", record.score)) }
                                    td data-name="threshold" { (format!("{:.2}", record.threshold)) }
                                }
                            }
                        }
                    }
                }
                p.faint { "What its sensors said is for training, and not shown." }
            }
        }
    }
}
