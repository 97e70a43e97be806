//! The rounds of training that this home took part in, what was sent in each, and what can be taken back of it.

use hearthwatch_edge_rounds::conditions::Unfit;
use hearthwatch_edge_rounds::machine::Waits;
use hearthwatch_edge_rounds::picture::{BARS, Picture};
use hearthwatch_edge_rounds::{Doing, Outcome, RoundEntry, RoundsView, promised};
use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::home::Rounds;
use crate::text;

/// Height of a histogram's highest bar, in pixels.
const HEIGHT: u32 = 16;
/// Bytes of a model's hash that are shown.
const HASH_BYTES: usize = 4;

pub(super) fn rounds(rounds: &Rounds, timezone: &TimeZone) -> Markup {
    html! {
        h3 #rounds { "Rounds of this home" }
        p { (doing(&rounds.view, timezone)) }
        @if let Some(refused) = &rounds.view.refused {
            p.faint { "The newest request was refused, " (text::moment(refused.at, timezone)) ": " (refused.detail) "." }
        }
        @if rounds.entries.is_empty() {
            p.empty { "This home has taken part in no round." }
        } @else {
            div.scroll {
                table.stack {
                    thead { tr {
                        th { "Round" } th { "When" } th { "For model" } th { "Sent" } th { "Change" } th { "Noise" }
                        th { "Histogram" } th { "Outcome" }
                    } }
                    tbody { @for entry in &rounds.entries { (row(entry, timezone)) } }
                }
            }
            @if let Some(words) = promised(&rounds.entries) { p { (words) } }
            p.faint {
                "A histogram counts how often each level occurs in what was sent: from the strongest decrease on the left to the strongest "
                "increase on the right. It is high in the middle, because most numbers change little; no time is in it."
            }
        }
        p.faint {
            "Choose another level and this home takes part in no further round; what waits here is deleted at once. "
            "What was taken before is in the sum of many homes, in models that others run, and cannot be taken out of them again. "
            "Whoever runs the fleet can exclude this home from a round that is not closed, roll back a model, and train it anew without this home."
        }
    }
}

fn doing(view: &RoundsView, timezone: &TimeZone) -> Markup {
    let until = |at: i64| text::moment(at, timezone);
    html! {
        @match view.doing {
            Doing::Nothing => "This home takes part in no rounds: another level is chosen above.",
            Doing::NoProgram => "This home cannot take part: the program hearthwatch-train-round is not installed beside the agent.",
            Doing::Idle => "This home takes part. No round asks for it now.",
            Doing::Fetching => "A round has begun: its model is being downloaded.",
            Doing::Training => "This home is training now.",
            Doing::Waiting(Waits::Fit(Unfit::Hours(_)), at) => { "A round waits for the hours that you allow: " (until(at)) "." }
            Doing::Waiting(Waits::Fit(Unfit::Hot), _) => "A round waits until this machine is cooler.",
            Doing::Waiting(Waits::Fit(Unfit::Battery), _) => "A round waits until this machine is off its battery.",
            Doing::Waiting(Waits::Fit(Unfit::Busy), _) => "A round waits until this machine is less busy.",
            Doing::Waiting(Waits::Fit(Unfit::Learning), _) => "A round waits until the history of your sensors is read.",
            Doing::Waiting(Waits::Models, at) => { "A round's model could not be downloaded; it is tried again " (until(at)) "." }
            Doing::Waiting(Waits::Rest, at) => { "Training ended early; it is tried once more " (until(at)) "." }
            Doing::Waiting(Waits::Group, _) => "The change of this home is ready. It waits for other homes, whose sum with it is all that the server will see.",
            Doing::Waiting(Waits::Receipt, _) => "The answer of this home is being sent; no receipt has come yet.",
        }
    }
}

fn row(entry: &RoundEntry, timezone: &TimeZone) -> Markup {
    let figures = entry.figures.as_ref();
    html! {
        tr {
            td data-name="Round" { (entry.round) }
            td { (text::moment(entry.trained_at.unwrap_or(entry.planned_at), timezone)) }
            td { code { (hex::encode(&entry.model[..HASH_BYTES])) } }
            td.number { @if entry.bytes > 0 { (text::bytes(entry.bytes)) } @else { "nothing" } }
            td data-name="Change" { (figures.map_or_else(|| "–".to_owned(), |figures| change(entry, figures.norm, figures.sent_norm))) }
            td data-name="Noise" { (figures.map_or_else(|| "–".to_owned(), |figures| noise(figures.noise))) }
            td { @if let Some(picture) = entry.picture.filter(|_| entry.bytes > 0) { (draw(&picture, entry.round)) } }
            td { (outcome(entry, timezone)) }
        }
    }
}

/// Norms: what training changed, and what of it is sent.
fn change(entry: &RoundEntry, norm: f64, sent: f64) -> String {
    if entry.evaluates {
        "counts only".to_owned()
    } else {
        format!("{sent:.2} of {norm:.2}, at most {:.2}", entry.clip)
    }
}

fn noise(noise: f64) -> String {
    if noise > 0.0 { format!("{noise:.4}") } else { "none".to_owned() }
}

fn outcome(entry: &RoundEntry, timezone: &TimeZone) -> Markup {
    let sent = entry.sent_at.is_some();
    html! {
        @match entry.outcome {
            Outcome::Open => "not over yet",
            Outcome::Taken => "taken",
            Outcome::Refused => "not used",
            Outcome::Declined => "nothing to send",
            Outcome::Missed if sent && entry.bytes > 0 => "sent, no receipt",
            Outcome::Missed => "missed",
            Outcome::Withdrawn if sent => "taken back after parts of it had left",
            Outcome::Withdrawn => "taken back before it left",
            Outcome::Superseded => "replaced by a newer round",
        }
        @if let Some(at) = entry.ended_at { span.faint { " " (text::moment(at, timezone)) } }
        @if let Some(homes) = entry.masked { span.faint { " · " (masked(homes)) } }
        @if !entry.reason.is_empty() { span.faint { " · " (entry.reason.replace('_', " ")) } }
    }
}

/// What the server sees of a masked round.
fn masked(homes: u32) -> String {
    match homes {
        0 => "masked: the server sees a sum of homes only".to_owned(),
        homes => format!("masked: the server sees the sum of {homes} homes"),
    }
}

/// The histogram as bars. Their heights are square roots of the counts: the levels around zero would hide all others.
fn draw(picture: &Picture, round: u64) -> Markup {
    let highest = f64::from(picture.0.iter().copied().max().unwrap_or(0)).max(1.0);
    let height = |count: u32| (f64::from(count) / highest).sqrt() * f64::from(HEIGHT);
    html! {
        svg.levels viewBox={ "0 0 " (BARS * 2) " " (HEIGHT) } width=(BARS * 2) height=(HEIGHT) role="img"
            aria-label={ "How often each level occurs in what was sent in round " (round) } {
            @for (place, count) in picture.0.iter().enumerate() {
                @let high = height(*count);
                rect x=(place * 2) y=(format!("{:.2}", f64::from(HEIGHT) - high)) width="1.6" height=(format!("{high:.2}")) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_edge_core::round_job::JobFigures;

    use super::*;

    fn entry() -> RoundEntry {
        RoundEntry {
            round: 3,
            evaluates: false,
            planned_at: 1_790_000_000,
            trained_at: Some(1_790_000_060),
            sent_at: Some(1_790_000_070),
            ended_at: None,
            bytes: 30_000,
            figures: Some(JobFigures { norm: 2.5, sent_norm: 1.0, noise: 0.0, ..JobFigures::default() }),
            clip: 1.0,
            model: [0xab; 32],
            cohort: 12,
            least: 6,
            server_noise: 0.0,
            masked: None,
            outcome: Outcome::Taken,
            reason: String::new(),
            picture: Some(Picture::of(&[0, 0, 0, 0, 0x80])),
        }
    }

    fn shown(entry: RoundEntry) -> String {
        let view = RoundsView { doing: Doing::Idle, refused: None, taken: 0 };
        rounds(&Rounds { entries: vec![entry], view }, &TimeZone::UTC).into_string()
    }

    #[test]
    fn a_round_is_shown_with_what_was_sent_and_a_histogram_of_it() {
        let page = shown(entry());
        for text in ["29.3 KiB", "1.00 of 2.50, at most 1.00", "none", "abababab", "taken", "No round asks for it now"]
        {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert_eq!(page.matches("<rect").count(), BARS);
        assert!(
            page.contains(r#"<rect x="0" y="8.00" width="1.6" height="8.00">"#),
            "a quarter as often is half as high"
        );
        assert!(page.contains("cannot be taken out of them again"));
        assert!(page.contains("No noise is added to what homes send"), "{page}");
    }

    #[test]
    fn a_masked_round_says_that_the_server_sees_a_sum_and_of_how_many_homes() {
        let of = |masked| shown(RoundEntry { masked, picture: None, bytes: 62_000, ..entry() });
        assert!(of(Some(8)).contains("masked: the server sees the sum of 8 homes"));
        assert!(of(Some(0)).contains("masked: the server sees a sum of homes only"));
        assert!(!of(None).contains("masked"));
        assert!(!of(Some(8)).contains("<rect"), "words under masks are noise: there is no picture of them");
    }

    #[test]
    fn a_round_without_a_receipt_or_taken_back_shows_whether_something_had_left() {
        let of = |outcome, sent_at| shown(RoundEntry { outcome, sent_at, ..entry() });
        assert!(of(Outcome::Missed, Some(1)).contains("sent, no receipt"));
        assert!(of(Outcome::Missed, None).contains("missed"));
        assert!(of(Outcome::Withdrawn, Some(1)).contains("taken back after parts of it had left"));
        assert!(of(Outcome::Withdrawn, None).contains("taken back before it left"));
        let declined =
            RoundEntry { outcome: Outcome::Declined, reason: "out_of_memory".to_owned(), bytes: 0, ..entry() };
        let page = shown(declined);
        assert!(
            page.contains("nothing to send") && page.contains("out of memory") && !page.contains("<rect"),
            "{page}"
        );
    }
}
