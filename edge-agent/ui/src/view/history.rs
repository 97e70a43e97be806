//! The history of any entity, with its usual range and its alarms.

use maud::{Markup, html};

use super::Forms;
use crate::home::Everything;
use crate::plot;

/// Lengths of time to choose from.
const SPANS: [(i64, &str); 3] = [(1, "1 day"), (7, "7 days"), (30, "30 days")];

pub(super) fn history(all: &Everything, forms: Forms<'_>) -> Markup {
    let shown = all.history.as_ref();
    html! {
        section #history {
            h2 { "Your own history" }
            form method="get" action={ (forms.base) "/#history" } class="line" {
                label {
                    "Entity"
                    select name="entity" {
                        @for (info, _) in all.detail.present() {
                            option value=(info.entity_id) selected[shown.is_some_and(|shown| shown.info.entity_id == info.entity_id)] {
                                (all.detail.name_of(&info.entity_id))
                            }
                        }
                    }
                }
                label {
                    "Time"
                    select name="days" {
                        @for (days, name) in SPANS {
                            option value=(days) selected[shown.is_some_and(|shown| shown.days == days)] { (name) }
                        }
                    }
                }
                button { "Show" }
            }
            @match shown {
                None => p.empty { "Nothing is watched yet." },
                Some(shown) => {
                    (plot::history(shown, &all.timezone))
                    p.legend {
                        span.key.value {} "measured "
                        span.key.band {} "usual "
                        span.key.alarm {} "alarm"
                    }
                }
            }
        }
    }
}
