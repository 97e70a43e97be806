//! Random audit samples: whether something was wrong at a moment without an alarm.

use hearthwatch_detector::alarm::Verdict;
use hearthwatch_edge_detection::service::verdict_name;
use hearthwatch_edge_store::history::StoredQuestion;
use maud::{Markup, html};

use super::Forms;
use crate::home::Everything;
use crate::text;

/// The answers, in the order of the buttons: what they are called, and what they mean.
const ANSWERS: [(Verdict, &str, &str); 3] = [
    (Verdict::Dismissed, "Nothing was off", "An ordinary moment: it was right to say nothing"),
    (Verdict::Confirmed, "Something was off", "It should have been said"),
    (Verdict::Expected, "Unusual, but known", "Guests, holidays: learn nothing from it"),
];

/// Those of the last week; nothing where there are none.
pub(super) fn questions(all: &Everything, forms: Forms<'_>) -> Markup {
    html! {
        @if !all.questions.is_empty() {
            section #drawn {
                h2 { "Was it quiet for good reason?" }
                p.faint {
                    "Drawn by chance, so that what is missed can be counted. If you do not remember, leave it: it goes after a week."
                }
                @for question in &all.questions { (card(question, all, forms)) }
            }
        }
    }
}

fn card(question: &StoredQuestion, all: &Everything, forms: Forms<'_>) -> Markup {
    let given = question.answer.map(|(verdict, _)| verdict);
    let buttons = html! {
        input type="hidden" name="alarm" value=(question.id);
        @for (verdict, words, meaning) in ANSWERS {
            button name="verdict" value=(verdict_name(verdict)) title=(meaning) aria-pressed=(given == Some(verdict)) { (words) }
        }
    };
    html! {
        article.alarm.info {
            div.words {
                h3 { (all.detail.name_of(&question.info.entity_id)) }
                p.when { time datetime=(text::machine(question.at)) { (text::moment(question.at, &all.timezone)) } }
                p { "It was " strong { (text::value(&question.info, question.observed)) } ", and nothing was said." }
                (forms.form("answer", "answers", &buttons))
            }
        }
    }
}
