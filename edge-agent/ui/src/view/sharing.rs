//! Sharing: what leaves the home, what has left, byte for byte, and taking it back.

use hearthwatch_edge_store::outbox::{LedgerEntry, LedgerState, SharingLevel, StoredWithdrawal};
use hearthwatch_protocol::{Message, decode};
use maud::{Markup, html};

use super::Forms;
use crate::home::{Everything, LEDGER_SHOWN, Rounds, Sharing};
use crate::text;

/// Withdrawals shown.
const WITHDRAWALS_SHOWN: usize = 10;

pub(super) fn sharing(all: &Everything, forms: Forms<'_>) -> Markup {
    html! {
        section #sharing {
            h2 { "What leaves this home" }
            @match &all.sharing {
                None => p { "Nothing. No fleet is configured: everything stays on this machine." },
                Some(sharing) => {
                    p.faint { "Names, values and histories never leave. To the fleet this home is " code { (sharing.home) } "." }
                    (levels(sharing, forms))
                    @if let Some(rounds) = rounds(sharing) { (super::rounds::rounds(rounds, &all.timezone)) }
                    (ledger(sharing, forms))
                    (withdrawals(sharing, all))
                    @if sharing.set_aside > 0 {
                        p.faint {
                            "Of what waited to be sent, " (text::count(sharing.set_aside, "piece")) " could not be read on this machine's disk. "
                            "Nothing damaged is sent or deleted; the agent's log says which."
                        }
                    }
                }
            }
        }
    }
}

/// The rounds of a home that takes part or ever did.
fn rounds(sharing: &Sharing) -> Option<&Rounds> {
    let part = sharing.rounds.as_ref()?;
    (sharing.level.takes_part_in_rounds() || !part.entries.is_empty()).then_some(part)
}

fn levels(sharing: &Sharing, forms: Forms<'_>) -> Markup {
    let choices = html! {
        fieldset {
            legend { "Share" }
            @for (level, size) in &sharing.samples {
                label.choice {
                    input type="radio" name="level" value=(level.as_str()) checked[*level == sharing.level];
                    span {
                        strong { (name(*level)) }
                        span.faint { " · " (bytes(*level, *size)) }
                        br;
                        (meaning(*level)) " "
                        @if level.takes_part_in_rounds() && sharing.rounds.is_none() { "This fleet plans no rounds yet: nothing leaves. " }
                        a href={ (forms.base) "/sample/" (level.as_str()) } { "See the bytes" span.hidden { " of " (name(*level)) } }
                    }
                }
            }
        }
        button { "Choose" }
    };
    forms.form("sharing", "", &choices)
}

/// What a level sends; `size` is what it sends for an answer.
fn bytes(level: SharingLevel, size: usize) -> String {
    match level {
        SharingLevel::Learning => "0 bytes for each answer, about 30 KB for each round".to_owned(),
        _ if size == 0 => "0 bytes".to_owned(),
        _ => format!("{} for each answer", text::bytes(size)),
    }
}

pub(super) fn name(level: SharingLevel) -> &'static str {
    match level {
        SharingLevel::Off => "Nothing",
        SharingLevel::Learning => "Learning without data",
        SharingLevel::Verdicts => "Verdicts only",
        SharingLevel::Windows => "Verdicts and feature windows",
    }
}

pub(super) fn meaning(level: SharingLevel) -> &'static str {
    match level {
        SharingLevel::Off => "Answers stay here. You still receive models.",
        SharingLevel::Learning => {
            "Answers and history stay here. At night this home trains a copy of the model on them, and sends only by how much the model's numbers changed. No name, no value and no time is in them; in a small fleet an expert might still guess something about a home from such numbers."
        }
        SharingLevel::Verdicts => {
            "Your answer, the kind of sensor, its score, and the day. It helps to count false alarms."
        }
        SharingLevel::Windows => {
            "Also the 16 hours of numbers without units that the model saw. A model can learn from that; it can still tell when somebody was in. Of each alarm and question, answered or not, the day and a hash of its window are told when it comes up."
        }
    }
}

fn ledger(sharing: &Sharing, forms: Forms<'_>) -> Markup {
    html! {
        h3 { "Every record that was ever sent" }
        @if sharing.sent == 0 {
            p.empty { "No record has ever left." }
        } @else {
            p.faint {
                (text::count(sharing.sent, "record")) ", " (sharing.taken_back) " of them taken back."
            }
            div.scroll {
                table.stack {
                    thead { tr { th { "No." } th { "Answer" } th { "Sensor" } th { "Day" } th { "Size" } th { "State" } th { span.hidden { "Actions" } } } }
                    tbody { @for entry in &sharing.ledger { (row(entry, forms)) } }
                }
            }
            @if sharing.ledger.len() == LEDGER_SHOWN as usize {
                @if let Some(last) = sharing.ledger.last() {
                    p { a href={ (forms.base) "/?before=" (last.sequence) "#sharing" } { "Older records" } }
                }
            }
            (forms.form("withdraw", "", &html! {
                input type="hidden" name="record" value="all";
                button.danger { "Take everything back" }
            }))
        }
    }
}

fn row(entry: &LedgerEntry, forms: Forms<'_>) -> Markup {
    let record = match decode(&entry.payload) {
        Ok(Message::Feedback(record)) => Some(record),
        _ => None,
    };
    let announced = match decode(&entry.payload) {
        Ok(Message::Announcement(announcement)) => Some(announcement),
        _ => None,
    };
    let what = match (&record, &announced) {
        (Some(record), _) => super::record::verdict(record.verdict),
        (None, Some(_)) => "Announced",
        (None, None) => "–",
    };
    let at = record.as_ref().map(|record| record.raised_at).or(announced.as_ref().map(|announced| announced.raised_on));
    let day =
        |at: i64| jiff::Timestamp::from_second(at).map_or_else(|_| String::new(), |at| at.strftime("%F").to_string());
    html! {
        tr {
            td data-name="No." { (entry.sequence) }
            td { (what) }
            td { (record.as_ref().map_or("–", |record| record.device_class.as_str()).replace('_', " ")) }
            td { (at.map_or_else(String::new, day)) }
            td.number { (text::bytes(entry.payload.len())) }
            td { (state(entry)) }
            td.actions {
                a href={ (forms.base) "/record/" (entry.sequence) } { "Read" span.hidden { " record " (entry.sequence) } }
                @if entry.withdrawal.is_none() {
                    (forms.form("withdraw", "inline", &html! {
                        input type="hidden" name="record" value=(entry.sequence);
                        button.quiet { "Take back" span.hidden { " record " (entry.sequence) } }
                    }))
                }
            }
        }
    }
}

pub(super) fn state(entry: &LedgerEntry) -> &'static str {
    match (entry.withdrawal, entry.state) {
        (Some(_), _) => "taken back",
        (None, LedgerState::Sent) => "on its way",
        (None, LedgerState::Stored) => "stored",
        (None, LedgerState::Refused) => "not accepted",
        (None, LedgerState::Renumbered) => "sent again",
    }
}

fn withdrawals(sharing: &Sharing, all: &Everything) -> Markup {
    html! {
        @if !sharing.withdrawals.is_empty() {
            h3 { "Taken back" }
            ul.plain { @for one in sharing.withdrawals.iter().take(WITHDRAWALS_SHOWN) { li { (withdrawal(one, all)) } } }
        }
    }
}

fn withdrawal(one: &StoredWithdrawal, all: &Everything) -> Markup {
    html! {
        "No. " (one.id) ", asked " (text::moment(one.asked_at, &all.timezone)) ": "
        @match &one.receipt {
            None => "waits for the aggregator's receipt.",
            Some(receipt) => {
                strong { "receipt of " (text::moment(receipt.at, &all.timezone)) } ", "
                (text::count(receipt.removed, "record")) " deleted, and not in any data set taken since. "
                @if receipt.models.is_empty() { "No released model had learnt from them." }
                @else {
                    "Models " (receipt.models.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
                    " may have learnt from them; the next retraining does not."
                }
            }
        }
    }
}
