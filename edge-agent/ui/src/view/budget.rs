//! Calm: how many alarms a week, tried on the home's own last month.

use hearthwatch_edge_core::preferences::Scope;
use hearthwatch_edge_store::history::JudgedSpan;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::Forms;
use crate::home::{Everything, PER_WEEK, Preview};
use crate::{plot, text};

/// How long something can be kept quiet, in hours; 0 is for good.
const LENGTHS: [(u32, &str); 5] = [(1, "1 hour"), (8, "8 hours"), (24, "1 day"), (168, "7 days"), (0, "good")];
/// Would-be alarms that are named.
const NAMED: usize = 8;

pub(super) fn calm(all: &Everything, forms: Forms<'_>) -> Markup {
    let preview = &all.preview;
    let (per_week, current) = (text::rate(preview.per_week), text::rate(preview.current));
    let slider = html! {
        label for="per-week" { "At most " output #per-week-shown for="per-week" { (per_week) } " alarms a week" }
        input #per-week type="range" name="per_week" min=(PER_WEEK.0) max=(PER_WEEK.1) step="0.25" value=(per_week);
        button formmethod="get" formaction={ (forms.base) "/#calm" } { "Preview" }
        button { "Keep this" }
    };
    html! {
        section #calm {
            h2 { "How much may it speak?" }
            p.faint { "Now at most " (current) " a week. Move it and see what your own last 30 days would have been like." }
            (forms.form("budget", "slider", &slider))
            div #preview aria-live="polite" { (outcome(preview)) }
            (mutes(all, forms))
        }
    }
}

/// What is not mentioned, with its scope and its end, and a way to add to it.
fn mutes(all: &Everything, forms: Forms<'_>) -> Markup {
    let fields = html! {
        label {
            "Do not mention"
            select name="entity" required {
                @for (info, _) in all.detail.present() {
                    option value=(info.entity_id) { (all.detail.name_of(&info.entity_id)) }
                }
            }
        }
        label {
            "For"
            select name="hours" {
                @for (hours, name) in LENGTHS { option value=(hours) { (name) } }
            }
        }
        button { "Keep quiet" }
    };
    let now: Vec<_> = all.view.preferences.mutes.iter().filter(|mute| mute.holds(all.now)).collect();
    html! {
        h3 { "What is not mentioned" }
        @if now.is_empty() { p.empty { "Everything is mentioned." } }
        ul.plain {
            @for mute in now {
                li {
                    (scope(&mute.scope, all))
                    span.faint {
                        @match mute.until {
                            None => " · for good, except danger",
                            Some(until) => { " · until " (text::moment(until, &all.timezone)) }
                        }
                    }
                    " "
                    (forms.form("unmute", "inline", &html! {
                        input type="hidden" name="id" value=(mute.id);
                        button.quiet { "Lift" span.hidden { " for " (scope(&mute.scope, all)) } }
                    }))
                }
            }
        }
        (forms.form("mute", "line", &fields))
        p.faint { "It is still watched and kept in the list of alarms. Smoke, gas and water are never silenced for good." }
    }
}

fn scope(scope: &Scope, all: &Everything) -> String {
    match scope {
        Scope::Home => "The whole home".to_owned(),
        Scope::Area { area } => format!("Everything in {area}"),
        Scope::Entity { entity_id, kind: None } => all.detail.name_of(entity_id),
        Scope::Entity { entity_id, kind: Some(kind) } => {
            format!("{}, {}", all.detail.name_of(entity_id), text::manner(*kind))
        }
    }
}

/// What a budget would have brought.
pub(crate) fn outcome(preview: &Preview) -> Markup {
    html! {
        @if let Some(judged) = preview.judged.filter(|judged| judged.first < judged.last) {
            p {
                "At most " strong { (text::rate(preview.per_week)) } " a week would have given "
                strong { (text::count(preview.alarms.len() as u64, "alarm")) }
                " in the last " (text::count(days(judged.first, judged.last), "day")) "."
            }
            @if let Some(words) = hindsight(judged, &preview.timezone) { p.faint { (words) } }
            (plot::month(preview, judged))
            @if !preview.alarms.is_empty() {
                ul.plain {
                    @for (name, at) in preview.alarms.iter().rev().take(NAMED) {
                        li { (name) span.faint { " · " (text::moment(*at, &preview.timezone)) } }
                    }
                    @if preview.alarms.len() > NAMED { li.faint { "and " (preview.alarms.len() - NAMED) " more" } }
                }
            }
        } @else {
            p.empty { "There are no scores to try this on yet; come back tomorrow." }
        }
    }
}

/// Whole days, and at least one.
fn days(from: i64, until: i64) -> u64 {
    ((until - from) / 86_400).max(1).unsigned_abs()
}

/// What is to be known of days that were judged only afterwards.
fn hindsight(judged: JudgedSpan, timezone: &TimeZone) -> Option<String> {
    let until = judged.lived.unwrap_or(judged.last);
    (until > judged.first).then(|| {
        let lived = judged.lived.map_or_else(
            || "All of it was".to_owned(),
            |at| format!("What lies before {} was", text::moment(at, timezone)),
        );
        format!(
            "{lived} judged in hindsight, from what Home Assistant remembered: each step by what was known before it."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_nobody_watched_are_said_to_be_judged_in_hindsight() {
        let of = |lived| hindsight(JudgedSpan { first: 0, last: 9 * 86_400, lived }, &TimeZone::UTC);
        assert!(of(None).unwrap().starts_with("All of it was judged in hindsight, "));
        assert!(
            of(Some(8 * 86_400)).unwrap().starts_with("What lies before Fri 9 Jan, 00:00 was judged in hindsight, ")
        );
        assert_eq!(of(Some(0)), None);
    }

    #[test]
    fn a_first_day_has_a_preview_and_only_a_home_without_any_judgement_has_none() {
        let preview = |judged| Preview {
            timezone: TimeZone::UTC,
            per_week: 1.0,
            current: 1.0,
            alarms: vec![("Cellar".to_owned(), 600)],
            judged,
        };
        let shown = outcome(&preview(Some(JudgedSpan { first: 0, last: 9 * 86_400, lived: None }))).into_string();
        assert!(
            shown.contains("<strong>1 alarm</strong> in the last 9 days.") && shown.contains("in hindsight"),
            "{shown}"
        );
        assert!(outcome(&preview(None)).into_string().contains("There are no scores to try this on yet"));
    }
}
