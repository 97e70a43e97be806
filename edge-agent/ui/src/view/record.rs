//! One record as it travels: every field in words, then every byte.

use hearthwatch_edge_store::outbox::LedgerEntry;
use hearthwatch_protocol::messages::{Announcement, FeedbackRecord, Origin, Verdict};
use hearthwatch_protocol::{Message, decode};
use maud::{Markup, html};

use super::{Forms, sharing, shell};
use crate::home::Sample;
use crate::{record as bytes, text};

/// Windows are shown with this many decimals; the bytes below are exact.
const DECIMALS: usize = 2;

/// A record that was sent.
pub(crate) fn sent(entry: &LedgerEntry, base: &str, token: &str) -> Markup {
    let forms = Forms { base, token };
    let body = html! {
        header { h1 { "Record " (entry.sequence) } nav { a href={ (base) "/#sharing" } { "Back" } } }
        main {
            section {
                p { "State: " strong { (sharing::state(entry)) } ". This is what left the home, all of it." }
                (content(&entry.payload))
                @if entry.withdrawal.is_none() {
                    (forms.form("withdraw", "", &html! {
                        input type="hidden" name="record" value=(entry.sequence);
                        button.danger { "Take it back" }
                    }))
                }
            }
        }
    };
    shell("Record · Hearthwatch", base, &body)
}

/// What a level of sharing sends.
pub(crate) fn sample(sample: &Sample, base: &str) -> Markup {
    let body = html! {
        header { h1 { (sharing::name(sample.level)) } nav { a href={ (base) "/#sharing" } { "Back" } } }
        main {
            section {
                p { (sharing::meaning(sample.level)) }
                @match &sample.payload {
                    None => p.empty { "Nothing is sent: 0 bytes." },
                    Some(payload) => {
                        p.faint {
                            @if sample.own { "Your newest answer, as this level would send it." }
                            @else { "You have not answered yet: this is an example of the true form and size." }
                        }
                        (content(payload))
                    }
                }
            }
        }
    };
    shell("What is sent · Hearthwatch", base, &body)
}

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Confirmed => "Real",
        Verdict::Dismissed => "False alarm",
        Verdict::Expected => "Expected",
    }
}

fn content(payload: &[u8]) -> Markup {
    html! {
        h2 { "Decoded" }
        @match decode(payload) {
            Ok(Message::Feedback(record)) => (fields(&record)),
            Ok(Message::Announcement(announcement)) => (announced(&announcement)),
            Ok(other) => p { "A " (other.kind()) "." },
            Err(error) => p { "Not readable: " (error) },
        }
        h2 { "Byte for byte" }
        p.faint { (text::bytes(payload.len())) " of CBOR, as published." }
        pre.hex tabindex="0" aria-label="The record in hexadecimal" { (bytes::hex_dump(payload)) }
    }
}

fn announced(announcement: &Announcement) -> Markup {
    let rows = [
        ("home", announcement.home.to_string()),
        ("sequence", announcement.sequence.to_string()),
        ("alarm", announcement.alarm.to_string()),
        ("model_version", announcement.model_version.to_string()),
        ("window_sha256", hex::encode(announcement.window_sha256)),
        ("raised_on", text::machine(announcement.raised_on)),
    ];
    html! {
        dl.fields { @for (name, value) in rows { dt { code { (name) } } dd { (value) } } }
    }
}

fn fields(record: &FeedbackRecord) -> Markup {
    let window = &record.window;
    let origin = match record.origin {
        Origin::Alarm => "an alarm".to_owned(),
        Origin::Miss => "a miss that you declared".to_owned(),
        Origin::AuditSample { propensity } => format!("a question drawn by chance, propensity {propensity}"),
    };
    let rows = [
        ("home", record.home.to_string()),
        ("sequence", record.sequence.to_string()),
        ("alarm", record.alarm.to_string()),
        ("device_class", record.device_class.clone()),
        ("verdict", verdict(record.verdict).to_owned()),
        ("origin", origin),
        ("score", format!("{:.4}", record.score)),
        ("threshold", format!("{:.4}", record.threshold)),
        ("model_version", record.model_version.to_string()),
        ("feature_schema", record.feature_schema.to_string()),
        ("raised_at", text::machine(record.raised_at)),
        ("answered_at", text::machine(record.answered_at)),
        ("window", format!("{} steps × {} features", window.steps, window.features)),
    ];
    html! {
        dl.fields { @for (name, value) in rows { dt { code { (name) } } dd { (value) } } }
        @if !window.is_none() {
            details {
                summary { "The " (window.values.len()) " numbers of the window" }
                pre.hex tabindex="0" aria-label="The window's numbers" {
                    @for step in window.values.chunks(usize::from(window.features).max(1)) {
                        @for value in step { (format!("{value:>7.DECIMALS$}")) } "\n"
                    }
                }
            }
        }
    }
}
