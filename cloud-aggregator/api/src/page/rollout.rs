//! Releases on their way: all of them, and one with its waves, its evidence in words, and what an operator may do.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use hearthwatch_fleet::rollout::execute::{Schedule, Watched};
use hearthwatch_fleet::rollout::gate::Finding;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_store::blocking;
use hearthwatch_store::rollouts::{RolloutRow, RolloutState};
use maud::{Markup, html};

use super::parts::{looker, number, page, when};
use crate::http::Http;
use crate::http::auth::Viewer;
use crate::http::extract::Segment;
use crate::http::problem::Problem;

/// Rollouts that are listed; one a week makes two years.
const LISTED: usize = 100;

/// The list.
pub(super) async fn list(viewer: Result<Viewer, Problem>, State(http): State<Http>) -> Result<Response, Problem> {
    let caller = match looker(viewer) {
        Ok(caller) => caller,
        Err(answer) => return Ok(*answer),
    };
    let now = http.app.clock.now();
    let rows = blocking(&http.app.store, |store| store.rollouts(None, LISTED)).await?;
    Ok(page("Rollouts", "/rollouts", &caller, &all(&rows, now)).into_response())
}

fn all(rows: &[RolloutRow], now: i64) -> Markup {
    html! {
        section {
            h2 { "Rollouts" }
            @if rows.is_empty() { p { "Nothing has gone out in waves yet. A model that the gate lets through begins a rollout by itself." } } @else {
                div.scroll tabindex="0" role="region" aria-label="Rollouts" {
                    table.stack {
                        thead { tr { th { "Version" } th { "State" } th { "Began" } th { "Why" } } }
                        tbody {
                            @for row in rows {
                                tr {
                                    td { a href={ "/rollouts/" (row.model_version) } { "Version " (row.model_version) } }
                                    td { (state(row)) }
                                    td.plain { (when(now, row.started_at)) }
                                    td.wide { (row.reason) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn state(row: &RolloutRow) -> Markup {
    let class = match row.state {
        RolloutState::Complete => "good",
        RolloutState::Halted | RolloutState::RolledBack => "bad",
        RolloutState::Running | RolloutState::Paused | RolloutState::Superseded => "",
    };
    html! { span class=(class) { (row.state.as_str().replace('_', " ")) } }
}

/// One rollout.
pub(super) async fn one(
    viewer: Result<Viewer, Problem>,
    State(http): State<Http>,
    Segment(version): Segment<ModelVersion>,
) -> Result<Response, Problem> {
    let caller = match looker(viewer) {
        Ok(caller) => caller,
        Err(answer) => return Ok(*answer),
    };
    let none = || Problem::Unavailable("no [rollout] is configured: nothing is ordered to homes".to_owned());
    let director = http.app.director.clone().ok_or_else(none)?;
    let now = http.app.clock.now();
    let found = blocking(&http.app.store, move |store| {
        let watched = director.look_lately(store, version)?;
        Ok(watched.zip(director.schedule(store, Some(version))?))
    });
    let missing = || Problem::NotFound { noun: "rollout", id: version.to_string() };
    let (watched, schedule) = found.await?.ok_or_else(missing)?;
    let title = format!("Rollout of version {version}");
    Ok(page(&title, "/rollouts", &caller, &about(&watched, &schedule, now)).into_response())
}

fn about(watched: &Watched, schedule: &Schedule, now: i64) -> Markup {
    let row = &watched.row;
    html! {
        section {
            h2 { "Version " (row.model_version) " " (state(row)) }
            @if !row.reason.is_empty() { p { (row.reason) } }
            p { (evidence(watched)) }
            p.faint { "Began " (when(now, row.started_at)) " by the policy " (schedule.policy) ". " (watched.next) "." }
            p { (actions(row)) }
        }
        section {
            h2 { "Waves" }
            div.scroll tabindex="0" role="region" aria-label="Waves" {
                table.stack {
                    thead { tr { th { "Wave" } th { "Of the fleet" } th { "Homes" } th { "Ordered" } th { "Told how it ended" } th { "Opens" } } }
                    tbody {
                        @for wave in &schedule.waves {
                            tr {
                                td { (wave.number) @if wave.number <= watched.open { " " span.good { "open" } } }
                                td data-name="up to" { (wave.percent) " %" }
                                td data-name="homes" { (number(wave.homes)) }
                                td data-name="ordered" { (number(wave.assigned)) }
                                td data-name="told" { (number(wave.reported)) }
                                td.plain data-name="opens" {
                                    @if wave.number > watched.open { (when(now, wave.opens_at)) } @else { "–" }
                                    @if wave.number > watched.open && wave.reports_needed > 0 { ", after " (number(wave.reports_needed)) " reports" }
                                }
                            }
                        }
                    }
                }
            }
        }
        section {
            h2 { "What would stop it" }
            ul { @for finding in &watched.findings { li { (in_words(finding)) } } }
            p.faint { "Evidence is an e-value: how many times likelier what was seen is if the release does harm than if it does not. It may be looked at at any time." }
        }
    }
}

/// What the homes have shown, in one sentence.
fn evidence(watched: &Watched) -> String {
    let told = number(watched.reported);
    let worst = watched.findings.iter().map(|finding| finding.log10_e / finding.limit).fold(0.0_f64, f64::max);
    match (watched.reported, worst) {
        (0, _) => "No home has told yet how the installation ended.".to_owned(),
        (_, worst) if worst >= 1.0 => format!("After {told} homes: a test says that it does harm."),
        (_, worst) if worst >= 0.5 => format!("After {told} homes: signs of harm, not enough to stop it."),
        _ => format!("After {told} homes: no sign of harm."),
    }
}

fn in_words(finding: &Finding) -> Markup {
    let ratio = |log10: f64| {
        if log10 < 6.0 { number(10_f64.powf(log10.max(0.0)).round() as u64) } else { format!("10^{log10:.0}") }
    };
    html! {
        strong { (finding.test.as_str().replace('_', " ")) } ": evidence " (ratio(finding.log10_e)) " to 1; would stop at "
        (ratio(finding.limit)) " to 1"
        progress max="1" value=(format!("{:.3}", (finding.log10_e / finding.limit).clamp(0.0, 1.0))) aria-label=(format!("{}: how near it is to stopping the rollout", finding.test.as_str())) {}
    }
}

/// What an operator may do now; each leads to a page that says what happens.
fn actions(row: &RolloutRow) -> Markup {
    let link = |action: &str, name: &str| html! { a.action href={ "/rollouts/" (row.model_version) "/" (action) } { (name) } " " };
    html! {
        @match row.state {
            RolloutState::Running => { (link("halt", "Halt")) (link("pause", "Pause")) (link("rollback", "Roll back")) }
            RolloutState::Paused => { (link("resume", "Go on")) (link("halt", "Halt")) (link("rollback", "Roll back")) }
            RolloutState::Halted | RolloutState::Complete => { (link("rollback", "Roll back")) }
            RolloutState::RolledBack | RolloutState::Superseded => span.faint { "It is over: nothing is left to decide." },
        }
    }
}

/// What an action does, for its confirmation page.
pub(super) fn consequence(action: &str, watched: &Watched, homes: u64) -> Option<String> {
    let (have, others) = (number(watched.assigned), number(homes.saturating_sub(watched.assigned)));
    let version = watched.row.model_version;
    let before = watched.row.previous.map_or_else(|| "the one before".to_owned(), |before| format!("version {before}"));
    Some(match action {
        "halt" => format!(
            "{have} homes keep version {version}; {others} will not get it. This is for good. To take it back from those that have it, roll back instead."
        ),
        "pause" => format!(
            "{have} homes keep version {version}; no other home gets it until it goes on. The time of waves stands still meanwhile."
        ),
        "resume" => format!("The waves go on: {others} homes may still get version {version}."),
        "rollback" => {
            format!("{have} homes are ordered back to {before}, and version {version} is withdrawn. This is for good.")
        }
        _ => return None,
    })
}
