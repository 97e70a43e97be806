//! Models as cards: where each came from, what the gate measured, by class and by family of faults, and how it does in homes.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use hearthwatch_fleet::evaluation::{self, ModelFigures, Period};
use hearthwatch_store::{ModelRow, ModelState, StoreResult, blocking};
use maud::{Markup, html};

use super::gate::{Figures, Report, Share};
use super::parts::{looker, page, when};
use crate::http::Http;
use crate::http::auth::Viewer;
use crate::http::problem::Problem;

/// Cards shown, the newest models; the API lists all.
const CARDS: usize = 20;

/// Days of the figures from homes.
const DAYS: i64 = 28;

/// What a card is made from.
struct Card {
    model: ModelRow,
    report: Option<Report>,
    homes: Option<ModelFigures>,
}

/// The page.
pub(super) async fn list(viewer: Result<Viewer, Problem>, State(http): State<Http>) -> Result<Response, Problem> {
    let caller = match looker(viewer) {
        Ok(caller) => caller,
        Err(answer) => return Ok(*answer),
    };
    let now = http.app.clock.now();
    let found = blocking(&http.app.store, move |store| {
        let period = Period { since: now.saturating_sub(DAYS * 86_400), until: now };
        let online = evaluation::read(store, period)?;
        let models = store.models_before(None, CARDS)?;
        let cards: StoreResult<Vec<Card>> = models
            .into_iter()
            .map(|model| {
                let run = store.run(hearthwatch_store::release::origin(&model.run))?;
                let report = run.and_then(|run| run.report).as_deref().and_then(Report::read);
                let homes = online.models.iter().find(|one| one.model_version == model.version.0).cloned();
                Ok(Card { model, report, homes })
            })
            .collect();
        cards
    });
    let cards = found.await?;
    Ok(page("Models", "/models", &caller, &about(&cards, now)).into_response())
}

fn about(cards: &[Card], now: i64) -> Markup {
    html! {
        section {
            h2 { "Models" }
            @if cards.is_empty() {
                p { "No model has been made yet: the baseline detector runs in every home. The first retraining begins after 50 answers." }
            } @else {
                p.faint { "Offline figures are of recorded homes that trained nothing, with faults put in; those from homes are of the last " (DAYS) " days." }
            }
        }
        @for card in cards { (one(card, now)) }
    }
}

fn one(card: &Card, now: i64) -> Markup {
    let Card { model, report, homes } = card;
    html! {
        section {
            h2 { "Version " (model.version.0) " " (state(model.state)) }
            p.faint {
                "Made " (when(now, model.created_at))
                @if !model.run.is_empty() { " by run " a href={ "/runs/" (hearthwatch_store::release::origin(&model.run)) } { code { (short(&model.run)) } } }
                ", " (model.length / 1024) " KiB, SHA-256 " code { (short(&model.sha256)) }
                ". " a href={ "/rollouts/" (model.version.0) } { "Its rollout" }
            }
            @match homes {
                Some(figures) => p { (in_homes(figures)) },
                None => p.faint { "No home ran it in this time." },
            }
            @match report {
                None => p.faint { "No gate's report is stored for it." },
                Some(report) => (offline(report)),
            }
        }
    }
}

fn in_homes(figures: &ModelFigures) -> String {
    match figures.false_a_home_week {
        Some(rate) => format!(
            "In homes: {} answers, {:.2} false a home-week ({:.2} to {:.2}).",
            figures.answered, rate.value, rate.low, rate.high
        ),
        None => format!("In homes: {} answers; too few to say how many are false.", figures.answered),
    }
}

/// Candidate, champion and baseline side by side.
fn offline(report: &Report) -> Markup {
    let detectors: Vec<(&str, &Figures)> = [
        Some(("This model", &report.candidate)),
        report.champion.as_ref().map(|champion| ("The model before", champion)),
        Some(("Baseline", &report.baseline)),
    ]
    .into_iter()
    .flatten()
    .collect();
    html! {
        div.scroll tabindex="0" role="region" aria-label="What the gate measured" {
            table {
                thead { tr { th { "Events found" } @for (name, _) in &detectors { th { (name) } } } }
                tbody {
                    tr { th scope="row" { "All" } @for (_, figures) in &detectors { td { (share(Some(figures.recall))) } } }
                    (rows("class", &detectors, |figures| &figures.by_class))
                    (rows("fault", &detectors, |figures| &figures.by_family))
                    tr {
                        th scope="row" { "False alarms a home-week" }
                        @for (_, figures) in &detectors { td { (format!("{:.2}", figures.false_alarms_per_week)) } }
                    }
                }
            }
        }
    }
}

fn rows(
    kind: &str,
    detectors: &[(&str, &Figures)],
    of: impl for<'a> Fn(&'a Figures) -> &'a BTreeMap<String, Share>,
) -> Markup {
    let names: BTreeSet<&String> = detectors.iter().flat_map(|(_, figures)| of(figures).keys()).collect();
    html! {
        @for name in names {
            tr {
                th scope="row" { (kind) " " (name.replace('_', " ")) }
                @for (_, figures) in detectors { td { (share(of(figures).get(name).copied())) } }
            }
        }
    }
}

fn share(share: Option<Share>) -> String {
    share.map_or_else(
        || "–".to_owned(),
        |share| format!("{} of {} ({:.0} %)", share.found, share.all, share.ratio() * 100.0),
    )
}

fn state(state: ModelState) -> Markup {
    let (class, word) = match state {
        ModelState::AwaitingSignature => ("warm", "waits for a signature"),
        ModelState::Approved => ("", "let through by the gate"),
        ModelState::Retired => ("faint", "followed by a later one"),
        ModelState::Champion => ("good", "the fleet's model"),
        ModelState::Withdrawn => ("bad", "withdrawn"),
    };
    html! { span class=(class) { (word) } }
}

fn short(text: &str) -> &str {
    text.get(..12).unwrap_or(text)
}
