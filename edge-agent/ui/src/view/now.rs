//! What is happening now: one sentence, what is open, and the entities, the most unusual first.

use hearthwatch_detector::detector::EntityScore;
use hearthwatch_detector::grid::step_of;
use hearthwatch_detector::reading::{EntityInfo, Value};
use hearthwatch_edge_core::explain::{Language, on_off_is_judged_by};
use hearthwatch_edge_core::mode::SessionState;
use hearthwatch_edge_detection::headline::{Headline, Tone};
use hearthwatch_edge_detection::service::{CLOSING_GRACE_SECONDS, LEARNING_DAYS, unusual_percent};
use maud::{Markup, html};

use super::{Forms, alarms, drawn};
use crate::home::Everything;
use crate::text;

/// Entities shown at once; the rest can be opened.
const ENTITIES_SHOWN: usize = 6;
/// Alarms that wait for an answer and are shown on top.
const QUESTIONS_SHOWN: usize = 5;
/// An alarm that is over and was never answered is still worth a question for two weeks.
const QUESTION_SECONDS: i64 = 14 * 86_400;

/// The part of the page that is sent again at every change.
pub(crate) fn now(all: &Everything, forms: Forms<'_>) -> Markup {
    let unanswered = |alarm: &&hearthwatch_edge_core::alarm::StoredAlarm| {
        alarm.answer.is_none() && alarm.alarm.end.is_none_or(|end| all.now - end < QUESTION_SECONDS)
    };
    let mut questions: Vec<_> = all.alarms.iter().filter(unanswered).collect();
    // What lasts comes first, then the gravest; the newest of these stays above the older.
    questions.sort_by_key(|alarm| (alarm.alarm.end.is_some(), std::cmp::Reverse(alarm.alarm.severity)));
    html! {
        section #now.hero {
            (headline(all))
            p.faint {
                (if is_watching(all) { "Watching " } else { "It knows " })
                (all.view.entities) @if all.view.entities == 1 { " entity" } @else { " entities" }
                ", with " (text::count(all.days_remembered.unsigned_abs(), "day")) " of memory."
                @if all.days_remembered < i64::from(LEARNING_DAYS) { " It knows a home well after " (LEARNING_DAYS) "." }
                @if all.set_aside > 0 {
                    " On this machine's disk " (text::count(all.set_aside, "piece")) " of it could not be read; nothing damaged is "
                    "deleted, and the agent's log says which."
                }
                @if let Some(back) = all.view.set_back {
                    " This machine's clock was set back by " (text::count(back.seconds.unsigned_abs().div_ceil(60), "minute")) " at "
                    (text::moment(back.at, &all.timezone)) "; what it had heard in that time is not learnt from."
                }
            }
        }
        @if !questions.is_empty() {
            section #questions {
                h2 { "What was it?" }
                p.faint { "Your word counts at once, here at home, and can be changed at any time." }
                @for alarm in questions.iter().take(QUESTIONS_SHOWN) { (alarms::card(alarm, all, forms)) }
            }
        }
        (drawn::questions(all, forms))
        section {
            h2 { "Right now" }
            @if is_watching(all) && !all.detail.judged && all.view.entities > 0 {
                p.faint { "How unusual each is shows after the first step, at " (first_step(all)) ". Danger is told at once." }
            }
            (unit_doubts(all))
            (entities(all))
            (weak_spots(all))
        }
    }
}

/// An entity with what the last step made of it, and its newest value.
type Row<'a> = (&'a (EntityInfo, Option<EntityScore>), Option<Value>);

fn headline(all: &Everything) -> Markup {
    let Headline { tone, text } = Headline::of(&all.mode, &all.view);
    let class = match tone {
        Tone::Calm => "calm",
        Tone::Alert => "alert",
        Tone::Waiting => "waiting",
    };
    html! { p.sentence { span class={ "lamp " (class) } aria-hidden="true" {} (text) } }
}

/// What a resident may not count on: on/off entities are judged by little yet (docs/reference/detection.md).
fn weak_spots(all: &Everything) -> Markup {
    html! {
        @if let Some(told) = on_off_is_judged_by(all.detail.entities.iter().map(|(info, _)| info)) {
            p.faint { (told) }
        }
    }
}

/// Thermometers whose unit is wrong: no anomaly, and nothing that time mends.
fn unit_doubts(all: &Everything) -> Markup {
    html! {
        @for doubt in &all.detail.unit_doubts {
            p.note { (doubt.sentence(&doubt.name, Language::English)) }
        }
    }
}

fn entities(all: &Everything) -> Markup {
    let newest = all.detail.newest.iter().copied().chain(std::iter::repeat(None));
    let mut rows: Vec<Row<'_>> = all.detail.entities.iter().zip(newest).collect();
    rows.retain(|((info, _), _)| !all.detail.gone.contains(&info.entity_id));
    let margin = |score: &Option<EntityScore>| {
        score.as_ref().and_then(|score| Some(score.score? - score.threshold)).unwrap_or(f32::NEG_INFINITY)
    };
    rows.sort_by(|one, other| margin(&other.0.1).total_cmp(&margin(&one.0.1)));
    let (first, rest) = rows.split_at(rows.len().min(ENTITIES_SHOWN));
    html! {
        @if rows.is_empty() {
            p.empty { "No entity is known yet. They come from Home Assistant by themselves." }
        } @else {
            ul.entities { @for row in first { (entity(row, all)) } }
            @if !rest.is_empty() {
                details {
                    summary { "All " (rows.len()) " entities" }
                    ul.entities { @for row in rest { (entity(row, all)) } }
                }
            }
        }
    }
}

fn entity(((info, score), newest): &Row<'_>, all: &Everything) -> Markup {
    let name = all.detail.name_of(&info.entity_id);
    let percent = score.as_ref().and_then(|score| Some(unusual_percent(score.score?, score.threshold)));
    let band = score.as_ref().and_then(|score| score.band).filter(|_| !info.class.is_binary());
    html! {
        li {
            span.name { (name) }
            span.reading { (reading(info, *newest, score.as_ref().and_then(|score| score.observed))) }
            span.usual {
                @if let Some(band) = band {
                    "usually " (text::range(info, band.low, band.high))
                } @else if percent.is_none() { (not_judged(info, all)) }
            }
            @if let Some(percent) = percent {
                meter min="0" max="100" low="50" high="75" optimum="0" value=(format!("{percent:.0}"))
                    aria-label={ "How unusual " (name) " is" } { (format!("{percent:.0} of 100")) }
            }
        }
    }
}

/// Whether anything is watched at all: not while Home Assistant is away, or before its first readings.
fn is_watching(all: &Everything) -> bool {
    all.view.listening && matches!(all.mode.session, SessionState::Listening { .. })
}

/// Local time of the end of the open step.
fn first_step(all: &Everything) -> String {
    text::local(step_of(all.now) + CLOSING_GRACE_SECONDS, &all.timezone, "%H:%M")
}

/// Why an entity has neither a band nor a score.
fn not_judged(info: &EntityInfo, all: &Everything) -> String {
    if info.class.warns_of_danger() {
        return "told at once when it warns".to_owned();
    }
    let known = all.view.readiness.entities.iter().find(|known| known.entity_id == info.entity_id);
    match known.map(|known| known.days) {
        Some(days) if days < LEARNING_DAYS => format!("still learning, {days} of {LEARNING_DAYS} days"),
        Some(_) if !all.detail.judged => format!("waiting for the first step, at {}", first_step(all)),
        Some(_) => "nothing to compare just now".to_owned(),
        None => "still learning".to_owned(),
    }
}

/// What is so now. What counts up is shown by what it counted in the last ten minutes: where a counter stands tells a resident
/// nothing.
fn reading(info: &EntityInfo, newest: Option<Value>, observed: Option<f32>) -> String {
    match newest {
        _ if info.class.counter() => text::value(info, observed),
        #[expect(clippy::cast_possible_truncation, reason = "three digits are shown")]
        Some(Value::Number(number)) => text::value(info, Some(number as f32)),
        Some(Value::Binary(on)) => text::value(info, Some(f32::from(u8::from(on)))),
        Some(Value::Gap) => "not known now".to_owned(),
        None => text::value(info, observed),
    }
}
