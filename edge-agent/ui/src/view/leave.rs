//! Leaving: everything away, with one button that cannot be pressed by mistake.

use maud::{Markup, html};

use super::Forms;
use crate::home::Everything;

pub(super) fn leave(all: &Everything, forms: Forms<'_>) -> Markup {
    let fields = html! {
        label {
            "Type " strong { "leave" } " to be sure"
            input type="text" name="word" required autocomplete="off" pattern="leave" autocapitalize="none";
        }
        button.danger { "Delete everything and leave" }
    };
    html! {
        section #leave {
            h2 { "Leave" }
            p { "One button takes Hearthwatch out of this home:" }
            ul {
                li { "its device and entities vanish from Home Assistant" }
                @if all.sharing.is_some() { li { "everything that was shared is taken back, and the home's certificate and key are deleted" } }
                li { "its memory, answers, models and secrets on this machine are deleted" }
            }
            p.faint { "It then stops. Nothing can be brought back. Afterwards remove the program and its token in Home Assistant." }
            details {
                summary { "I want to leave" }
                (forms.form("leave", "line", &fields))
            }
        }
    }
}
