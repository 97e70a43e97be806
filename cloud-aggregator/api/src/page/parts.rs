//! What every page is made of: its frame with the ways to the others, numbers, times, sort links, the pager.

use axum::response::{IntoResponse as _, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};

use super::view::{ago, shell};
use crate::http::auth::{Caller, Viewer};
use crate::http::problem::Problem;

/// The pages in the order of the navigation: address and name.
const PAGES: [(&str, &str); 10] = [
    ("/", "Overview"),
    ("/homes", "Homes"),
    ("/labels", "Labels"),
    ("/models", "Models"),
    ("/rollouts", "Rollouts"),
    ("/runs", "Runs"),
    ("/evaluation", "Evaluation"),
    ("/alerts", "Alerts"),
    ("/approvals", "Approvals"),
    ("/audit", "Audit"),
];

/// Whoever looks; somebody without a session is led to the login.
pub(super) fn looker(viewer: Result<Viewer, Problem>) -> Result<Caller, Box<Response>> {
    match viewer {
        Ok(Viewer(caller)) => Ok(caller),
        Err(Problem::Unauthenticated) => Err(Box::new(Redirect::to("/login").into_response())),
        Err(problem) => Err(Box::new(problem.into_response())),
    }
}

/// A whole page: `at` is its place in the navigation.
pub(super) fn page(title: &str, at: &str, caller: &Caller, body: &Markup) -> Markup {
    let head = html! { script src="/page.js" defer {} };
    let framed = html! {
        a.skip href="#main" { "Skip to the content" }
        header {
            h1 { "Hearthwatch" } span.faint { "aggregator" }
            form method="post" action="/logout" { button.quiet { "Log out " (caller.name()) } }
        }
        (navigation(at))
        main id="main" tabindex="-1" { (body) }
    };
    shell(&format!("{title} · Hearthwatch"), &head, &framed)
}

/// The ways to the other pages.
pub(super) fn navigation(at: &str) -> Markup {
    html! {
        nav aria-label="Pages" {
            ul {
                @for (address, name) in PAGES {
                    li { a href=(address) aria-current=[(address == at).then_some("page")] { (name) } }
                }
            }
        }
    }
}

/// A whole number with thin spaces between its thousands.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A time: how long ago; the exact one on hover, and in the reader's zone where there is script.
pub(super) fn when(now: i64, at: i64) -> Markup {
    let exact = Timestamp::from_second(at).map_or_else(|_| at.to_string(), |at| at.to_string());
    html! { time datetime=(exact) title=(exact) { (ago(now, at)) } }
}

/// A link to the same list in another order. `sort` is the order now, `query` everything else that was asked for.
pub(super) fn sort_link(path: &str, name: &str, key: &str, sort: &str, query: &str) -> Markup {
    let down = format!("-{key}");
    let (next, arrow, state) = match sort {
        now if now == key => (down.as_str(), " ↑", Some("ascending")),
        now if now == down => (key, " ↓", Some("descending")),
        _ => (down.as_str(), "", None),
    };
    html! {
        th aria-sort=[state] { a href={ (path) "?sort=" (next) (query) } { (name) (arrow) } }
    }
}

/// A bar on which `low`, `value` and `high` of an interval are drawn, up to `most`.
pub(super) fn interval_plot(value: f64, low: f64, high: f64, most: f64) -> Markup {
    let at = |value: f64| (value / most.max(1e-9)).clamp(0.0, 1.0) * 100.0;
    html! {
        svg.plot.interval-plot viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" {
            line.axis x1="0" y1="3" x2="100" y2="3" {}
            line.interval x1=(at(low)) y1="3" x2=(at(high)) y2="3" {}
            // Drawn as a line: the picture is stretched, and a circle would be an egg.
            line.value x1=(at(value)) y1="0" x2=(at(value)) y2="6" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!((number(0), number(999)), ("0".to_owned(), "999".to_owned()));
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
    }

    #[test]
    fn a_sort_link_turns_the_order_round_and_says_which_one_it_is() {
        let now = sort_link("/homes", "Answers", "records", "-records", "&state=late").into_string();
        assert!(now.contains("href=\"/homes?sort=records&amp;state=late\""), "{now}");
        assert!(now.contains("aria-sort=\"descending\""), "{now}");
    }
}
