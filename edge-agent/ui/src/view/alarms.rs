//! Alarms: with their picture, their reason and the three answers; and what was missed.

use hearthwatch_detector::alarm::{Severity, Verdict};
use hearthwatch_detector::finding::AnomalyKind;
use hearthwatch_edge_core::alarm::Reason;
use hearthwatch_edge_core::alarm::StoredAlarm;
use hearthwatch_edge_core::explain::{self, Language};
use hearthwatch_edge_detection::service::{HomeDetail, LookBack, verdict_name};
use hearthwatch_edge_store::history::StoredMiss;
use maud::{Markup, html};

use super::Forms;
use crate::home::{Everything, TIMELINE_SECONDS};
use crate::text;

/// Declared misses shown.
const MISSES_SHOWN: usize = 10;

/// What was held back and is named.
const WITHHELD_SHOWN: usize = 10;

/// The answers, in the order of the buttons.
const ANSWERS: [(Verdict, &str); 3] = [
    (Verdict::Confirmed, "Something was really off: never be quieter about this"),
    (Verdict::Dismissed, "It was nothing: be quieter about this"),
    (Verdict::Expected, "Unusual, but known to us: learn nothing from it"),
];

/// The answers to a sensor that warns of danger: none of them makes the next one quieter.
const ANSWERS_TO_DANGER: [(Verdict, &str); 3] = [
    (Verdict::Confirmed, "There was danger"),
    (Verdict::Dismissed, "There was none: the next warning is told all the same"),
    (Verdict::Expected, "Somebody tried the detector out: this alarm is over, the next warning is told all the same"),
];

/// One alarm that waits for an answer, opened.
pub(super) fn card(alarm: &StoredAlarm, all: &Everything, forms: Forms<'_>) -> Markup {
    html! {
        article class={ "alarm " (alarm.alarm.severity.as_str()) } {
            (picture(alarm, all, forms))
            div.words {
                h3 { (all.detail.name_of(&alarm.entity_id)) }
                (when(alarm, all))
                p { (text::reason(alarm)) }
                (precedent(alarm, all))
                (answers(alarm, forms))
            }
        }
    }
}

/// Every alarm of the last month, newest first.
pub(super) fn timeline(all: &Everything, forms: Forms<'_>) -> Markup {
    html! {
        section #timeline {
            h2 { "Alarms of the last 30 days" }
            @if all.alarms.is_empty() {
                p.empty { "There was none." }
            }
            ol.timeline {
                @for alarm in &all.alarms {
                    li {
                        details name="alarm" {
                            summary {
                                span class={ "dot " (alarm.alarm.severity.as_str()) } aria-hidden="true" {}
                                span.name { (all.detail.name_of(&alarm.entity_id)) }
                                time datetime=(text::machine(alarm.alarm.raised_at)) {
                                    (text::moment(alarm.alarm.raised_at, &all.timezone))
                                }
                                span.answer { (alarm.answer.map_or("No answer yet", |(verdict, _)| text::verdict_on(alarm.alarm.kind, verdict))) }
                            }
                            article class={ "alarm " (alarm.alarm.severity.as_str()) } {
                                (picture(alarm, all, forms))
                                div.words {
                                    (when(alarm, all))
                                    p { (text::reason(alarm)) }
                                    (precedent(alarm, all))
                                    (given(alarm, all))
                                    (answers(alarm, forms))
                                    p.faint { "Raised by model " (alarm.model_version) ", alarm " code { (alarm.alarm.id) } }
                                }
                            }
                        }
                    }
                }
            }
            (withheld(all))
            (misses(all, forms))
        }
    }
}

/// Withheld findings, with the reason.
fn withheld(all: &Everything) -> Markup {
    let detail = &all.detail;
    let since = all.now - TIMELINE_SECONDS;
    let withheld: Vec<_> = detail.memory.withheld.iter().rev().filter(|one| one.until > since).collect();
    let name = |entity: u32| detail.entities.get(entity as usize).map(|(info, _)| detail.name_of(&info.entity_id));
    html! {
        @if !withheld.is_empty() {
            details #withheld {
                summary { "Not told: " (text::count(withheld.len() as u64, "finding")) }
                p.faint {
                    "You asked for at most " (text::alarms_a_week(detail.budget)) ", and in four weeks you are told no more than three times "
                    "as many, the strongest first. These were weaker. What lies far above its threshold, and every danger, is told all the same."
                }
                ul.plain {
                    @for one in withheld.iter().take(WITHHELD_SHOWN) {
                        li {
                            (name(one.entity).unwrap_or_default()) ", " (text::manner(one.kind))
                            span.faint { " · " (text::moment(one.from, &all.timezone)) }
                        }
                    }
                    @if withheld.len() > WITHHELD_SHOWN { li.faint { "and " (withheld.len() - WITHHELD_SHOWN) " more" } }
                }
            }
        }
    }
}

fn picture(alarm: &StoredAlarm, all: &Everything, forms: Forms<'_>) -> Markup {
    let words = format!("{}: measured and usual values around the alarm", all.detail.name_of(&alarm.entity_id));
    html! {
        img src={ (forms.base) "/alarm/" (alarm.alarm.id) ".svg" } alt=(words) width="360" height="330" loading="lazy";
    }
}

fn when(alarm: &StoredAlarm, all: &Everything) -> Markup {
    let urgency = match alarm.alarm.severity {
        Severity::Info => "Worth a look",
        Severity::Warning => "Look at this today",
        Severity::Critical => "Look at this now",
    };
    html! {
        p.when {
            strong { (urgency) } " · "
            @match alarm.alarm.end {
                None => { "since " (text::moment(alarm.alarm.start, &all.timezone)) }
                Some(end) => {
                    (text::moment(alarm.alarm.start, &all.timezone)) " to " (text::local(end, &all.timezone, "%H:%M"))
                }
            }
        }
    }
}

/// The answer to an earlier alarm of the same kind.
fn precedent(alarm: &StoredAlarm, all: &Everything) -> Markup {
    html! {
        @if let Some(before) = &alarm.precedent {
            p { (explain::precedent(before, &all.timezone, Language::English)) }
        }
    }
}

/// Who answered, and the reason where one was given.
fn given(alarm: &StoredAlarm, all: &Everything) -> Markup {
    let given = alarm.answers.iter().filter(|answer| !answer.by.is_empty() || answer.reason.is_some());
    let given: Vec<_> = given.collect();
    html! {
        @if !given.is_empty() {
            ul.plain {
                @for answer in given {
                    li {
                        @if !answer.by.is_empty() { (answer.by) ": " }
                        (text::verdict_on(alarm.alarm.kind, answer.verdict))
                        @if let Some(reason) = &answer.reason { ", “" (reason.as_str()) "”" }
                        span.faint { " · " (text::moment(answer.at, &all.timezone)) }
                    }
                }
            }
        }
    }
}

fn answers(alarm: &StoredAlarm, forms: Forms<'_>) -> Markup {
    let given = alarm.answer.map(|(verdict, _)| verdict);
    let buttons = html! {
        input type="hidden" name="alarm" value=(alarm.alarm.id);
        @for (verdict, meaning) in if alarm.alarm.kind == AnomalyKind::Alert { ANSWERS_TO_DANGER } else { ANSWERS } {
            button name="verdict" value=(verdict_name(verdict)) title=(meaning)
                aria-pressed=(given == Some(verdict)) { (text::verdict_on(alarm.alarm.kind, verdict)) }
        }
        // No field of one line: there Enter would press the first button.
        label.why {
            "Why, if you like; it stays in this home"
            textarea name="reason" rows="1" maxlength=(Reason::CHARS_MAX) {}
        }
    };
    forms.form("answer", "answers", &buttons)
}

fn misses(all: &Everything, forms: Forms<'_>) -> Markup {
    let fields = html! {
        label {
            "Where"
            select name="entity" required {
                @for (info, _) in all.detail.present() {
                    option value=(info.entity_id) { (all.detail.name_of(&info.entity_id)) }
                }
            }
        }
        label {
            "When, about"
            input type="datetime-local" name="when" required value=(text::local(all.now - 3_600, &all.timezone, "%Y-%m-%dT%H:%M"));
        }
        button { "Something was off here" }
    };
    html! {
        details #miss {
            summary { "Was something missed?" }
            p.faint {
                "Say where and when. What the detector saw then becomes an example of something that it should notice"
                @if all.sharing.is_some() { ", shared as far as you chose below" }
                "."
            }
            (forms.form("miss", "line", &fields))
            div #misses { (declared(&all.misses, &all.detail)) }
        }
    }
}

/// The declared misses, with what was seen at each. While that is looked up, the page asks for this part again.
pub(crate) fn declared(misses: &[StoredMiss], detail: &HomeDetail) -> Markup {
    let shown: Vec<_> = misses.iter().take(MISSES_SHOWN).map(|miss| (miss, detail.look_back(&miss.id))).collect();
    let waits = shown.iter().any(|(_, look)| *look == Some(LookBack::Underway));
    html! {
        @if !shown.is_empty() {
            ul.plain data-waits[waits] {
                @for (miss, look) in shown {
                    li {
                        (detail.name_of(&miss.entity_id)) ", " (text::moment(miss.at, &detail.config.timezone))
                        span.faint {
                            @if let Some(look) = look { " · " (text::look_back(look)) }
                            @if look != Some(LookBack::Underway) {
                                @if miss.shared { " · kept for the fleet" } @else { " · stays here" }
                            }
                        }
                    }
                }
            }
        }
    }
}
