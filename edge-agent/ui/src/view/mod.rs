//! What the page looks like. Pure: what was read goes in, markup comes out.

pub(super) mod alarms;
pub(super) mod budget;
mod drawn;
mod history;
mod learnt;
mod leave;
pub(super) mod now;
pub(super) mod record;
mod rounds;
mod sharing;

use maud::{DOCTYPE, Markup, html};

use super::home::Everything;

/// Where the parts are, in the order of the page.
const PLACES: [(&str, &str); 7] = [
    ("now", "Now"),
    ("timeline", "Alarms"),
    ("history", "History"),
    ("calm", "Calm"),
    ("learnt", "Learnt"),
    ("sharing", "Sharing"),
    ("leave", "Leave"),
];

/// What every form contains.
#[derive(Clone, Copy)]
pub(super) struct Forms<'a> {
    /// Path prefix of the page: empty, or the ingress path.
    pub(super) base: &'a str,
    /// The page's secret.
    pub(super) token: &'a str,
}

impl Forms<'_> {
    /// A form that posts to `path`.
    pub(super) fn form(self, path: &str, class: &str, body: &Markup) -> Markup {
        html! {
            form method="post" action={ (self.base) "/" (path) } class=(class) {
                input type="hidden" name="token" value=(self.token);
                (body)
            }
        }
    }
}

/// The whole page as HTML.
pub(super) fn page(all: &Everything, base: &str, token: &str) -> Markup {
    let forms = Forms { base, token };
    let body = html! {
        a.skip href="#now" { "Skip to what is happening now" }
        header {
            h1 { "Hearthwatch" }
            nav aria-label="Parts of this page" {
                @for (place, name) in PLACES { a href={ "#" (place) } { (name) } }
            }
        }
        main {
            @if let Some(said) = &all.said { p.said role="status" { (said) } }
            div #live aria-live="polite" { (now::now(all, forms)) }
            (alarms::timeline(all, forms))
            (history::history(all, forms))
            (budget::calm(all, forms))
            (learnt::learnt(all, forms))
            (sharing::sharing(all, forms))
            (leave::leave(all, forms))
        }
        footer { (all.mode.to_string()) }
    };
    shell("Hearthwatch", base, &body)
}

/// The page after a resident asked to remove the agent.
pub(super) fn farewell() -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; meta name="viewport" content="width=device-width, initial-scale=1"; title { "Goodbye" } }
            body { h1 { "Goodbye." } p { "Hearthwatch is leaving this home now. This page will not answer any more." } }
        }
    }
}

/// Head, style and script around `body`.
pub(super) fn shell(title: &str, base: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-base=(base) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" type="image/svg+xml" href={ (base) "/icon.svg" };
                link rel="stylesheet" href={ (base) "/page.css" };
                script src={ (base) "/page.js" } defer {}
            }
            body { (body) }
        }
    }
}
