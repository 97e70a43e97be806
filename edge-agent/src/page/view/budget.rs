//! Calm: how many alarms a week, tried on the home's own last month.

use maud::{Markup, html};

use super::Forms;
use crate::explain::friendly_name;
use crate::page::home::{Everything, PER_WEEK, Preview};
use crate::page::{plot, text};

/// Would-be alarms that are named.
const NAMED: usize = 8;

pub(super) fn calm(all: &Everything, forms: Forms<'_>) -> Markup {
    let preview = &all.preview;
    let (per_week, current) = (text::rate(preview.per_week), text::rate(preview.current));
    html! {
        section #calm {
            h2 { "How much may it speak?" }
            p.faint { "Now at most " (current) " a week. Move it and see what your own last 30 days would have been like." }
            form method="get" action={ (forms.base) "/#calm" } class="slider" {
                label for="per-week" {
                    "At most " output #per-week-shown for="per-week" { (per_week) } " alarms a week"
                }
                input #per-week type="range" name="per_week" min=(PER_WEEK.0) max=(PER_WEEK.1) step="0.25" value=(per_week);
                button { "Preview" }
            }
            div #preview aria-live="polite" { (outcome(preview)) }
        }
    }
}

/// What a budget would have brought.
pub(in crate::page) fn outcome(preview: &Preview) -> Markup {
    let days = (preview.until - preview.from) / 86_400;
    html! {
        @if preview.until <= preview.from {
            p.empty { "There are no scores to try this on yet; come back tomorrow." }
        } @else {
            p {
                "At most " strong { (text::rate(preview.per_week)) } " a week would have given "
                strong { (text::count(preview.alarms.len() as u64, "alarm")) }
                " in the last " (text::count(days.max(1).unsigned_abs(), "day")) "."
            }
            (plot::month(preview))
            @if !preview.alarms.is_empty() {
                ul.plain {
                    @for (entity_id, at) in preview.alarms.iter().rev().take(NAMED) {
                        li { (friendly_name(entity_id)) span.faint { " · " (text::moment(*at, &preview.timezone)) } }
                    }
                    @if preview.alarms.len() > NAMED { li.faint { "and " (preview.alarms.len() - NAMED) " more" } }
                }
            }
        }
    }
}
