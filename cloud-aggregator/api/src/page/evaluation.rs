//! How models do in homes; made to be printed, too.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use hearthwatch_fleet::evaluation::{self, Evaluation, Interval, ModelFigures, SliceFigures};
use hearthwatch_store::blocking;
use maud::{Markup, html};

use super::parts::{interval_plot, looker, number, page, when};
use super::view::span;
use crate::http::Http;
use crate::http::auth::Viewer;
use crate::http::extract::Params;
use crate::http::problem::Problem;
use crate::routes::evaluation::EvaluationAsked;

/// The page.
pub(super) async fn show(
    viewer: Result<Viewer, Problem>,
    State(http): State<Http>,
    Params(asked): Params<EvaluationAsked>,
) -> Result<Response, Problem> {
    let caller = match looker(viewer) {
        Ok(caller) => caller,
        Err(answer) => return Ok(*answer),
    };
    let now = http.app.clock.now();
    let period = asked.period(now)?;
    let found = blocking(&http.app.store, move |store| evaluation::read(store, period)).await?;
    Ok(page("How models do in homes", "/evaluation", &caller, &about(&found, now)).into_response())
}

fn about(found: &Evaluation, now: i64) -> Markup {
    let most = found
        .models
        .iter()
        .filter_map(|model| model.false_a_home_week)
        .map(|rate| rate.high.min(20.0))
        .fold(0.1, f64::max);
    html! {
        section {
            h2 { "How models do in homes" }
            p.faint { "From " (when(now, found.period.since)) " to " (when(now, found.period.until)) ". A false alarm is one that a resident dismissed; a home-week is a week in which a home ran the model. Intervals hold the true value in 95 of 100 cases." }
            p.choices { @for days in [7, 28, 91, 365] { a href={ "/evaluation?days=" (days) } { (days) " days" } " " } }
            @if let Some(versus) = &found.versus {
                p { strong { (versus.summary) }
                    @if let Some(ratio) = versus.false_ratio { " Ratio " (text(Some(ratio))) "." }
                }
            }
            @if found.models.is_empty() { p { "No home ran anything in this time." } }
        }
        @for model in &found.models { (figures(model, found.champion, most)) }
    }
}

/// A value with its interval; a sentence where there is none.
fn text(value: Option<Interval>) -> String {
    value.map_or_else(
        || "not enough to say".to_owned(),
        |Interval { value, low, high }| format!("{value:.2} ({low:.2} to {high:.2})"),
    )
}

fn share(value: Option<Interval>) -> String {
    value.map_or_else(
        || "not enough answers to say".to_owned(),
        |Interval { value, low, high }| format!("{:.0} % ({:.0} to {:.0} %)", value * 100.0, low * 100.0, high * 100.0),
    )
}

fn figures(model: &ModelFigures, champion: Option<u64>, most: f64) -> Markup {
    let name = if model.model_version == 0 {
        "Baseline detector".to_owned()
    } else {
        format!("Version {}", model.model_version)
    };
    let seconds = |value: Option<i64>| value.map_or_else(|| "–".to_owned(), span);
    html! {
        section {
            h2 { (name) @if champion == Some(model.model_version) { " " span.good { "the fleet's model" } } }
            dl.figures {
                div { dt { "Homes" } dd { (number(model.homes)) } }
                div { dt { "Home-weeks" } dd { (format!("{:.1}", model.home_weeks)) } }
                div { dt { "Alarms and questions" } dd { (number(model.announced)) } }
                div { dt { "Confirmed" } dd { (number(model.confirmed)) } }
                div { dt { "Dismissed" } dd { (number(model.dismissed)) } }
                div { dt { "Reported, not noticed" } dd { (number(model.missed)) } }
            }
            p { "False alarms a home and week: " strong { (text(model.false_a_home_week)) } }
            @if let Some(Interval { value, low, high }) = model.false_a_home_week { (interval_plot(value, low, high, most)) }
            p { "Confirmed, of confirmed and dismissed: " (share(model.confirmed_share)) ". Of all questions, unsure or without an answer: " (share(model.unsure_share)) "." }
            p.faint {
                "Half of the answers came within " (seconds(model.delay_median)) ", nine tenths within " (seconds(model.delay_p90)) "."
                @if let Some(drift) = model.score_drift {
                    " Scores against the time before: " (format!("{drift:.2}")) @if drift > 0.25 { ", " span.bad { "which is a change" } } "."
                }
            }
            @if !model.slices.is_empty() { (slices(&model.slices)) }
        }
    }
}

fn slices(figures: &[SliceFigures]) -> Markup {
    html! {
        details open[figures.iter().any(|figures| figures.worse)] {
            summary { "By size, age, country and class" @if figures.iter().any(|figures| figures.worse) { " · " span.bad { "some are worse than the fleet" } } }
            div.scroll tabindex="0" role="region" aria-label="Parts of the fleet" {
                table.stack {
                    thead { tr { th { "Part" } th { "Homes" } th { "Answered" } th { "False a home-week" } th { "Confirmed" } } }
                    tbody {
                        @for one in figures {
                            tr {
                                td { (one.slice.by) " " strong { (one.slice.of) } @if one.worse { " " span.bad { "worse" } } }
                                td data-name="homes" { (number(one.homes)) }
                                td data-name="answered" { (number(one.answered)) }
                                td data-name="false" { (text(one.false_a_home_week)) }
                                td data-name="confirmed" { (share(one.confirmed_share)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
