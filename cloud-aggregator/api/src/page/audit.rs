//! The audit log: who did what, newest first.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use hearthwatch_store::{AuditRow, Role, blocking};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::parts::{looker, page, when};
use crate::http::Http;
use crate::http::auth::Viewer;
use crate::http::extract::Params;
use crate::http::problem::Problem;

/// Lines of a page.
const LINES: usize = 100;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Only lines before this one.
    after: Option<u64>,
}

/// The page.
pub(super) async fn list(
    viewer: Result<Viewer, Problem>,
    State(http): State<Http>,
    Params(asked): Params<Asked>,
) -> Result<Response, Problem> {
    let caller = match looker(viewer) {
        Ok(caller) => caller,
        Err(answer) => return Ok(*answer),
    };
    // As in the API.
    if caller.role < Role::Operator {
        return Err(Problem::Forbidden(Role::Operator.as_str()));
    }
    let mut rows = blocking(&http.app.store, move |store| store.audit(asked.after, LINES + 1)).await?;
    let more = rows.len() > LINES;
    rows.truncate(LINES);
    let now = http.app.clock.now();
    Ok(page("Audit", "/audit", &caller, &about(&rows, more, now)).into_response())
}

fn about(rows: &[AuditRow], more: bool, now: i64) -> Markup {
    html! {
        section {
            h2 { "Audit log" }
            p.faint {
                "Each line carries the hash of the line before. " code { "hearthwatch-cloud ctl audit verify" } " checks the whole chain, "
                code { "ctl audit export" } " writes it to a file."
            }
            @if rows.is_empty() { p { "Nothing has been done yet." } }
            @else {
                div.scroll tabindex="0" role="region" aria-label="Audit log" {
                    table {
                        thead { tr { th { "Line" } th { "When" } th { "Who" } th { "Did" } th { "To" } th { "Detail" } } }
                        tbody {
                            @for row in rows {
                                tr {
                                    td.number { (row.index) }
                                    td { (when(now, row.at)) }
                                    td { (row.actor) }
                                    td { (row.action) }
                                    td { (row.subject) }
                                    td { (detail(&row.detail)) }
                                }
                            }
                        }
                    }
                }
                @if let Some(last) = rows.last().filter(|_| more) {
                    p { a rel="next" href={ "/audit?after=" (last.index) } { "Older lines" } }
                }
            }
        }
    }
}

/// The fields of a detail, what was before beside what is after.
fn detail(text: &str) -> Markup {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(text) else { return html! {} };
    let changed = changes(fields.get("before"), fields.get("after"));
    let rest = fields.iter().filter(|(name, value)| !matches!(name.as_str(), "before" | "after") && !value.is_null());
    let rest: Vec<String> = rest.map(|(name, value)| format!("{name}: {}", plain(value))).collect();
    html! {
        @for (name, before, after) in &changed { div { (name) ": " del { (before) } " → " ins { (after) } } }
        @if !rest.is_empty() { span.faint { (rest.join(", ")) } }
    }
}

/// The fields that a change touched, with their values before and after. Pure.
fn changes(before: Option<&Value>, after: Option<&Value>) -> Vec<(String, String, String)> {
    let (Some(Value::Object(before)), Some(Value::Object(after))) = (before, after) else { return Vec::new() };
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    let of =
        |side: &serde_json::Map<String, Value>, name: &String| side.get(name).map_or_else(|| "none".to_owned(), plain);
    names
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| (name.clone(), of(before, name), of(after, name)))
        .collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_shows_what_it_touched_and_nothing_else() {
        let text = r#"{"before":{"state":"active","n":1},"after":{"state":"revoked","n":1},"reason":"lost"}"#;
        let shown = detail(text).into_string();
        assert_eq!(
            shown,
            "<div>state: <del>active</del> → <ins>revoked</ins></div><span class=\"faint\">reason: lost</span>"
        );
        assert_eq!(detail("no JSON").into_string(), "");
    }
}
