//! Answers of residents, newest first, each with the window that its alarm was about.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use hearthwatch_detector::grid::Feature;
use hearthwatch_protocol::messages::{FeatureWindow, Verdict};
use hearthwatch_protocol::{HomeId, RecordKey, Sequence};
use hearthwatch_store::lists::FeedbackQuery;
use hearthwatch_store::{FeedbackRow, blocking};
use maud::{Markup, html};
use serde::Deserialize;
use url::form_urlencoded;

use super::parts::{looker, page, when};
use crate::http::Http;
use crate::http::auth::Viewer;
use crate::http::extract::Params;
use crate::http::problem::Problem;

/// Answers of a page: each has a window of some kilobytes.
const SHOWN: usize = 50;

/// How far a residual goes, in robust scales: the detector keeps it within this.
const RESIDUAL_MAX: f32 = 12.0;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    home: Option<String>,
    verdict: Option<String>,
    class: Option<String>,
    /// `SECONDS/HOME/SEQUENCE`: only older ones.
    after: Option<String>,
}

impl Asked {
    /// A form sends what was left empty as empty.
    fn given(text: Option<&String>) -> Option<&str> {
        text.map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    fn query(&self) -> Result<FeedbackQuery, Problem> {
        let home = Self::given(self.home.as_ref())
            .map(HomeId::new)
            .transpose()
            .map_err(|error| Problem::Invalid(format!("home: {error}")))?;
        let verdict = Self::given(self.verdict.as_ref())
            .map(|word| word.parse::<Verdict>())
            .transpose()
            .map_err(|_| Problem::Invalid("verdict: confirmed, dismissed, unsure or missed".to_owned()))?;
        let after = self
            .after
            .as_deref()
            .map(|text| place(text).ok_or_else(|| Problem::Invalid("after: as a link of this page says".to_owned())));
        Ok(FeedbackQuery {
            home,
            verdict,
            device_class: Self::given(self.class.as_ref()).map(str::to_owned),
            newest_first: true,
            after: after.transpose()?,
            limit: SHOWN + 1,
            ..FeedbackQuery::default()
        })
    }

    /// The filters as a part of an address, with `&` behind.
    fn repeated(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("home", &self.home), ("verdict", &self.verdict), ("class", &self.class)] {
            if let Some(value) = Self::given(value.as_ref()) {
                pairs.append_pair(name, value);
            }
        }
        let text = pairs.finish();
        if text.is_empty() { text } else { format!("{text}&") }
    }
}

fn place(text: &str) -> Option<(Option<i64>, RecordKey)> {
    let mut parts = text.splitn(3, '/');
    let (at, home, sequence) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?.parse().ok()?);
    Some((Some(at), RecordKey { home: HomeId::new(home).ok()?, sequence: Sequence(sequence) }))
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
    let (query, now) = (asked.query()?, http.app.clock.now());
    let mut rows = blocking(&http.app.store, move |store| store.list_feedback(&query)).await?;
    let more = rows.len() > SHOWN;
    rows.truncate(SHOWN);
    Ok(page("Labels", "/labels", &caller, &about(&rows, more, &asked, now)).into_response())
}

fn about(rows: &[FeedbackRow], more: bool, asked: &Asked, now: i64) -> Markup {
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    html! {
        section {
            h2 { "Labels" }
            p.faint {
                "What residents said of alarms. The curve is how far a reading was from what is usual at that time of day, in the 16 hours before \
                 the alarm, in the home's own scales; the readings themselves never leave the home."
            }
            form.filters method="get" action="/labels" role="search" {
                label { "Home" input name="home" value=(said(&asked.home)) pattern="[a-z0-9\\-]{0,64}"; }
                label {
                    "Said"
                    select name="verdict" {
                        @for word in ["", "confirmed", "dismissed", "unsure", "missed"] {
                            option value=(word) selected[asked.verdict.as_deref().unwrap_or_default() == word] { (if word.is_empty() { "anything" } else { word }) }
                        }
                    }
                }
                label { "Device class" input name="class" value=(said(&asked.class)) placeholder="temperature"; }
                button { "Find" }
                a href="/labels" { "Show all" }
            }
            @if rows.is_empty() { p { "No answer fits. Answers come when residents confirm or dismiss an alarm." } }
            @else {
                div.scroll tabindex="0" role="region" aria-label="Labels" {
                    table.stack {
                        thead { tr { th { "Home" } th { "Said" } th { "About" } th { "Alarm" } th { "Score" } th { "Window" } } }
                        tbody { @for row in rows { (line(row, now)) } }
                    }
                }
                @if let Some(last) = rows.last().filter(|_| more) {
                    @let key = &last.record;
                    p { a rel="next" href={ "/labels?" (asked.repeated()) "after=" (last.received_at) "/" (key.home) "/" (key.sequence.0) } { "Older answers" } }
                }
            }
        }
    }
}

fn line(row: &FeedbackRow, now: i64) -> Markup {
    let record = &row.record;
    html! {
        tr {
            td.plain { a href={ "/homes/" (record.home) } { (record.home) } }
            td { (verdict(record.verdict)) }
            td data-name="about" { (record.device_class) }
            td.plain { (when(now, record.raised_at)) span.faint { ", version " (record.model_version.0) } }
            td data-name="score" { (format!("{:.2} over {:.2}", record.score, record.threshold)) }
            td.wide { (window(&record.window)) }
        }
    }
}

fn verdict(verdict: Verdict) -> Markup {
    let word: &'static str = verdict.into();
    let class = match word {
        "confirmed" => "good",
        "dismissed" => "bad",
        _ => "faint",
    };
    html! { span class=(class) { (word) } }
}

/// The residual over the window, and a day before in faint.
fn window(window: &FeatureWindow) -> Markup {
    let (steps, features) = (usize::from(window.steps), usize::from(window.features));
    if steps < 2 || features <= Feature::DayAgo.index() || window.values.len() != steps * features {
        return html! { span.faint { "the home shares its verdicts alone" } };
    }
    let series =
        |feature: Feature| window.values.iter().skip(feature.index()).step_by(features).copied().collect::<Vec<f32>>();
    let residual = series(Feature::Residual);
    let (low, high) = residual
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
    html! {
        svg.plot.window viewBox="0 0 240 48" role="img" aria-label=(format!("residual between {low:.1} and {high:.1} scales, at last {:.1}", residual[steps - 1])) {
            line.axis x1="0" y1="24" x2="240" y2="24" {}
            polyline.before points=(points(&series(Feature::DayAgo))) {}
            polyline.curve points=(points(&residual)) {}
        }
    }
}

fn points(values: &[f32]) -> String {
    let last = (values.len() - 1).max(1) as f32;
    let place = |(step, value): (usize, &f32)| {
        let value = value.clamp(-RESIDUAL_MAX, RESIDUAL_MAX);
        format!("{:.1},{:.1}", step as f32 / last * 240.0, 24.0 - value / RESIDUAL_MAX * 22.0)
    };
    values.iter().enumerate().map(place).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_drawn_within_its_frame_and_says_its_range() {
        let mut values = vec![0.0; 3 * 20];
        (values[0], values[20], values[40]) = (0.0, 30.0, -12.0);
        let drawn = window(&FeatureWindow { steps: 3, features: 20, values }).into_string();
        assert!(drawn.contains("points=\"0.0,24.0 120.0,2.0 240.0,46.0\""), "{drawn}");
        assert!(drawn.contains("residual between -12.0 and 30.0 scales, at last -12.0"), "{drawn}");
        assert!(window(&FeatureWindow::none()).into_string().contains("shares its verdicts alone"));
    }

    #[test]
    fn a_link_to_older_answers_keeps_the_filters() {
        let asked = Asked { verdict: Some("dismissed".to_owned()), home: Some(String::new()), ..Asked::default() };
        assert_eq!(asked.repeated(), "verdict=dismissed&");
        assert!(place("17/home-1/3").is_some() && place("17/home-1").is_none() && place("x/home-1/3").is_none());
    }
}
