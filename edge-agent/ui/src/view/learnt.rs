//! What answers did: here at once, and in the shared model when it was trained again.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_edge_core::alarm::PersonsAnswer;
use hearthwatch_edge_core::alarm::Reason;
use hearthwatch_edge_core::backtest::Backtest;
use hearthwatch_protocol::ModelVersion;
use maud::{Markup, html};

use super::Forms;
use crate::home::Everything;
use crate::text;

/// Lessons shown.
const ANSWERS_SHOWN: usize = 20;

pub(super) fn learnt(all: &Everything, forms: Forms<'_>) -> Markup {
    html! {
        section #learnt {
            h2 { "What was learnt" }
            div.pair {
                div {
                    h3 { "The model in charge" }
                    (in_charge(all))
                    (way_back(all, forms))
                    (receipt(all))
                }
                div {
                    h3 { "From your answers, at once" }
                    (answers(all))
                }
            }
        }
    }
}

fn in_charge(all: &Everything) -> Markup {
    html! {
        p { strong { (model_name(all.view.model, all.view.network)) } }
        p.faint {
            (who_judges(all.view.network, &all.view.judged))
        }
        @if let Some(line) = all.updates.request_line() { p { (line) } }
        @if let Some(line) = all.updates.mirror_line() { p { (line) } }
        @if !all.updates.summary.is_empty() { p { (all.updates.summary) } }
        @if let Some(latest) = all.updates.latest.filter(|latest| *latest > all.view.model) {
            p { "Model " (latest) " is offered; it is tried on this home's own recent windows before it may judge." }
        }
    }
}

/// A network judges what it was seen to judge better; nothing else is taken from the home's own habits.
fn who_judges(network: bool, judged: &[DeviceClass]) -> String {
    const WHY: &str = "it was not seen to find more in homes that taught it nothing";
    let classes: Vec<String> = judged.iter().map(|class| class.as_str().replace('_', " ")).collect();
    match classes.as_slice() {
        _ if !network => "The routine detector judges alone: this home's own habits, without a network.".to_owned(),
        [] => {
            format!("The routine detector judges. The shared network has earned no kind of sensor that is here: {WHY}.")
        }
        classes => format!(
            "The shared network judges {}. Fixed rules and the routine detector judge the rest, where {WHY}.",
            classes.join(", ")
        ),
    }
}

/// The button that leads back to the model before, where there is one.
fn way_back(all: &Everything, forms: Forms<'_>) -> Markup {
    html! {
        @if let Some(to) = all.updates.fallback {
            @let name = model_name(to, true);
            (forms.form("roll-back", "inline", &html! { button.quiet { "Go back to: " (name) } }))
            p.faint { "It stays until a newer model than today's is released. The fleet is told." }
        }
    }
}

fn model_name(version: ModelVersion, network: bool) -> String {
    match (version, network) {
        (_, false) => "Routine detector".to_owned(),
        (ModelVersion::ROUTINE, true) => "The model that came with the program".to_owned(),
        (version, true) => format!("Model {version}"),
    }
}

/// "Your 6 answers are in model 14; on your home it would have raised 2 alarms instead of 5 last month."
fn receipt(all: &Everything) -> Markup {
    let contribution = all.sharing.as_ref().and_then(|sharing| sharing.contributions.first());
    let backtest = all.detail.backtest.as_ref();
    html! {
        @if contribution.is_some() || backtest.is_some() {
            div.receipt {
                @if let Some(contribution) = contribution {
                    p {
                        (yours(contribution.examples)) " in model " (contribution.model_version) "."
                    }
                    p.faint {
                        "Of " (text::count(contribution.answers, "answer")) " that reached the aggregator. Data set "
                        code { (contribution.snapshot.get(..12).unwrap_or(&contribution.snapshot)) } "."
                    }
                }
                @if let Some(backtest) = backtest { p { (compared(backtest)) } p.faint { (period(backtest, all)) } }
            }
        }
    }
}

fn yours(examples: u64) -> String {
    if examples == 1 { "Your 1 answer is".to_owned() } else { format!("Your {examples} answers are") }
}

fn compared(backtest: &Backtest) -> String {
    let ((_, before), (version, after)) = (backtest.before, backtest.after);
    let raised = text::count(u64::from(after), "alarm");
    if before == after {
        format!("On your home, model {version} would have raised {raised}, as many as the one before.")
    } else {
        format!("On your home, model {version} would have raised {raised} instead of {before}.")
    }
}

fn period(backtest: &Backtest, all: &Everything) -> String {
    let day = |at| text::local(at, &all.timezone, "%-d %b");
    format!(
        "Both tried on what this home remembers, {} to {}, with your answers of today.",
        day(backtest.from),
        day(backtest.until)
    )
}

fn answers(all: &Everything) -> Markup {
    let memory = &all.detail.memory;
    html! {
        @if memory.answers.all().is_empty() {
            p.empty { "Nothing yet. Each answer changes something here, and you see what." }
        }
        ul.lessons {
            @for answer in memory.answers.all().iter().rev().take(ANSWERS_SHOWN) {
                li {
                    strong { (memory.entity_ids.get(answer.context.entity as usize).map_or_else(String::new, |id| all.detail.name_of(id))) }
                    " · " (text::verdict(answer.verdict))
                    span.faint { ", " (text::moment(answer.at, &all.timezone)) }
                    br;
                    (text::effect(answer))
                    @if let Some((said, reason)) = reasoned(&answer.alarm_id, all) {
                        br;
                        span.faint {
                            "Because: “" (reason.as_str()) "”" @if !said.by.is_empty() { " (" (said.by) ")" }
                        }
                    }
                }
            }
        }
        @if !memory.answers.all().is_empty() {
            p.faint { "Change an answer under " a href="#timeline" { "Alarms" } " and its lesson changes with it." }
        }
    }
}

/// What somebody gave for a reason when they answered an alarm.
fn reasoned<'a>(alarm_id: &str, all: &'a Everything) -> Option<(&'a PersonsAnswer, &'a Reason)> {
    all.detail.alarms.iter().find(|alarm| alarm.alarm.id == alarm_id)?.reasoned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_which_sensors_the_network_judges_and_why_not_the_others() {
        assert!(who_judges(false, &[]).starts_with("The routine detector judges alone"));
        assert!(
            who_judges(true, &[]).starts_with("The routine detector judges. The shared network has earned no kind")
        );
        let words = who_judges(true, &[DeviceClass::Power, DeviceClass::CarbonDioxide]);
        assert!(words.starts_with("The shared network judges power, carbon dioxide. Fixed rules"), "{words}");
    }
}
