//! Retrainings: all of them, and one with its curves and the gate's word.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use hearthwatch_store::lists::RunQuery;
use hearthwatch_store::{RunRow, RunState, blocking};
use maud::{Markup, html};

use super::gate::{Report, Verdict};
use super::parts::{looker, page, when};
use crate::http::Http;
use crate::http::auth::Viewer;
use crate::http::extract::Segment;
use crate::http::problem::Problem;

/// Runs that are listed, the newest; the API lists all.
const LISTED: usize = 100;

/// Largest file of figures that is read: 100 epochs of 20 figures have 100 KB.
const FIGURES_BYTES_MAX: u64 = 4 << 20;

/// Curves that are drawn.
const CURVES_MAX: usize = 8;

/// The list.
pub(super) async fn list(viewer: Result<Viewer, Problem>, State(http): State<Http>) -> Result<Response, Problem> {
    let caller = match looker(viewer) {
        Ok(caller) => caller,
        Err(answer) => return Ok(*answer),
    };
    let now = http.app.clock.now();
    let query = RunQuery { limit: LISTED, ..RunQuery::default() };
    let rows = blocking(&http.app.store, move |store| store.list_runs(&query)).await?;
    let body = html! {
        section {
            h2 { "Runs" }
            @if rows.is_empty() { p { "There has been no retraining yet. The first begins after 50 answers, after a week with one, or by " code { "POST /api/v1/runs" } "." } } @else {
                div.scroll tabindex="0" role="region" aria-label="Runs" {
                    table.stack {
                        thead { tr { th { "Run" } th { "State" } th { "Why it began" } th { "Began" } th { "What the gate said" } } }
                        tbody {
                            @for row in &rows {
                                tr {
                                    td.plain { a href={ "/runs/" (row.id) } { (row.id.get(..12).unwrap_or(&row.id)) } }
                                    td { (state(row.state)) }
                                    td data-name="by" { (row.trigger.as_str()) }
                                    td.plain { (when(now, row.started_at)) }
                                    td.wide { (said(row)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    Ok(page("Runs", "/runs", &caller, &body).into_response())
}

fn state(state: RunState) -> Markup {
    let (class, word) = match state {
        RunState::Running => ("", "running"),
        RunState::Promoted => ("good", "promoted"),
        RunState::Held => ("bad", "held back"),
        RunState::Failed => ("bad", "failed"),
        RunState::Cancelled => ("faint", "cancelled"),
    };
    html! { span class=(class) { (word) } }
}

/// The gate's first reason, or what went wrong.
fn said(row: &RunRow) -> String {
    if let Some(failure) = &row.failure {
        return failure.clone();
    }
    match row.report.as_deref().and_then(Report::read).map(|report| report.verdict) {
        Some(Verdict::Promote) => "let through".to_owned(),
        Some(Verdict::Hold { reasons }) => reasons.into_iter().next().unwrap_or_default(),
        None => String::new(),
    }
}

/// One run.
pub(super) async fn one(
    viewer: Result<Viewer, Problem>,
    State(http): State<Http>,
    Segment(id): Segment<String>,
) -> Result<Response, Problem> {
    let caller = match looker(viewer) {
        Ok(caller) => caller,
        Err(answer) => return Ok(*answer),
    };
    let (asked, data, now) = (id.clone(), http.app.releases.artifact_store().data().to_owned(), http.app.clock.now());
    let found = blocking(&http.app.store, move |store| {
        let row = store.run(&asked)?;
        // The id of a row of ours is no path out of the folder.
        let folder = row.as_ref().map(|row| data.join("runs").join(&row.id).join("metrics.csv"));
        let text = folder.and_then(|file| {
            let small = std::fs::metadata(&file).is_ok_and(|about| about.len() <= FIGURES_BYTES_MAX);
            small.then(|| std::fs::read_to_string(&file).ok()).flatten()
        });
        Ok(row.map(|row| (row, text)))
    });
    let (row, text) = found.await?.ok_or(Problem::NotFound { noun: "run", id })?;
    Ok(page("Run", "/runs", &caller, &about(&row, text.as_deref(), now)).into_response())
}

fn about(row: &RunRow, figures: Option<&str>, now: i64) -> Markup {
    let report = row.report.as_deref().and_then(Report::read);
    html! {
        section {
            h2 { "Run " code { (row.id.get(..12).unwrap_or(&row.id)) } " " (state(row.state)) }
            p.faint { "Began " (when(now, row.started_at)) ", by " (row.trigger.as_str()) ". Data set " code { (row.snapshot.get(..12).unwrap_or(&row.snapshot)) } "." }
            @if let Some(failure) = &row.failure { p.bad { (failure) } }
            @match report.as_ref().map(|report| &report.verdict) {
                Some(Verdict::Promote) => p { span.good { "The gate let its candidate through." } },
                Some(Verdict::Hold { reasons }) => {
                    p { "The gate held its candidate back:" }
                    ul { @for reason in reasons { li { (reason) } } }
                }
                None => {},
            }
        }
        section {
            h2 { "Curves" }
            @let curves = figures.map(curves).unwrap_or_default();
            @if curves.is_empty() { p { "No curve is stored for this run: it ended before its first epoch, or its folder is gone." } }
            @for (name, points) in curves.iter().take(CURVES_MAX) { (curve(name, points)) }
        }
    }
}

/// Curves by name: figures with more than one step.
fn curves(text: &str) -> BTreeMap<String, Vec<(f64, f64)>> {
    let mut found: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let mut parts = line.rsplitn(3, ',');
        let (Some(value), Some(step), Some(name)) = (parts.next(), parts.next(), parts.next()) else { continue };
        if let (Ok(step), Ok(value)) = (step.parse::<f64>(), value.parse::<f64>())
            && value.is_finite()
        {
            found.entry(name.to_owned()).or_default().push((step, value));
        }
    }
    found.retain(|_, points| points.len() > 1);
    found
}

fn curve(name: &str, points: &[(f64, f64)]) -> Markup {
    let of = |pick: fn(&(f64, f64)) -> f64| {
        points
            .iter()
            .map(pick)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
    };
    let ((left, right), (low, high)) = (of(|point| point.0), of(|point| point.1));
    let place = |(step, value): &(f64, f64)| {
        let x = 10.0 + (step - left) / (right - left).max(1e-9) * 580.0;
        let y = 110.0 - (value - low) / (high - low).max(1e-9) * 100.0;
        format!("{x:.1},{y:.1}")
    };
    let line = points.iter().map(place).collect::<Vec<_>>().join(" ");
    let (first, last) = (points[0].1, points[points.len() - 1].1);
    html! {
        figure {
            figcaption { (name) span.faint { ": from " (format!("{first:.4}")) " to " (format!("{last:.4}")) " over " (points.len()) " steps" } }
            svg.plot viewBox="0 0 600 120" role="img" aria-label=(format!("{name} over the run: from {first:.4} to {last:.4}")) {
                line.axis x1="10" y1="110" x2="590" y2="110" {}
                polyline.curve points=(line) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_figures_with_more_than_one_step() {
        let found =
            curves("metric,step,value\ntrain_loss,0,0.5\ntrain_loss,1,0.25\nrecall,0,0.7\nodd,0,NaN\nodd,1,x\n");
        assert_eq!(found, BTreeMap::from([("train_loss".to_owned(), vec![(0.0, 0.5), (1.0, 0.25)])]));
        let drawn = curve("train_loss", &found["train_loss"]).into_string();
        assert!(drawn.contains("points=\"10.0,10.0 590.0,110.0\""), "{drawn}");
    }
}
