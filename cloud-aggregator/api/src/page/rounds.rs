//! The page's part about federated rounds: what each brought, who took part, and who was left out. Pure: rows in, markup out.

use hearthwatch_rounds::judge::RoundReport;
use hearthwatch_rounds::privacy::PrivacyStatement;
use hearthwatch_rounds::reputation::Suspected;
use hearthwatch_store::rounds::{RoundHomeRow, RoundOutcome, RoundRow, RoundStage, RoundTally};
use maud::{Markup, html};

use super::view::ago;

/// Rounds in the plots: two series of fifteen.
pub(super) const ROUNDS_SHOWN: usize = 30;
/// Homes of the newest round that are listed, of those that were refused or left out.
pub(super) const HOMES_LISTED: usize = 12;
/// Width and height of a plot, in units of its view box.
const PLOT: (f64, f64) = (640.0, 150.0);
/// Room at the left for the scale and below for the numbers of rounds.
const MARGIN: (f64, f64) = (44.0, 22.0);

/// What is shown of rounds.
#[derive(Default)]
pub(super) struct Rounds {
    /// Homes whose residents agreed to take part.
    pub willing: u64,
    /// The newest rounds, newest first, each with counts of its homes.
    pub rounds: Vec<(RoundRow, RoundTally)>,
    /// Homes of the newest round whose answer was refused or left out.
    pub not_used: Vec<RoundHomeRow>,
    /// Homes whose earlier rounds count against them, the worst first.
    pub suspected: Vec<Suspected>,
    /// What noise guarantees, since which round.
    pub privacy: Option<(u64, PrivacyStatement)>,
}

/// Rounds: two plots, a table, and the homes of the newest.
pub(super) fn rounds(shown: &Rounds, now: i64) -> Markup {
    let Some((newest, _)) = shown.rounds.first() else {
        return html! {
            p { "No round was held yet. " (shown.willing) " homes agreed to take part." }
            p.faint { "Rounds need a section " code { "[rounds]" } " in the aggregator's configuration." }
        };
    };
    html! {
        p {
            strong { "Round " (newest.number) } " " (state(newest))
            span.faint { " · opened " (ago(now, newest.opened_at)) " · " (shown.willing) " homes agreed to take part" }
        }
        @if !newest.reason.is_empty() { p { (newest.reason) } }
        (gain_plot(&shown.rounds))
        (homes_plot(&shown.rounds))
        div.scroll {
            table {
                thead { tr {
                    th { "Round" } th { "State" } th.number { "Used" } th.number { "Left out" } th.number { "Refused" }
                    th.number { "Silent" } th.number { "Evaluated" } th.number { "Mean norm" } th.number { "Less replay alone" }
                } }
                tbody { @for (row, tally) in &shown.rounds { (line(row, tally)) } }
            }
        }
        (not_used(&shown.not_used))
        (suspected(&shown.suspected))
        @if let Some((since, stated)) = &shown.privacy {
            p.faint { "Privacy since round " (since) ". " (stated.for_operator()) }
        }
    }
}

fn line(row: &RoundRow, tally: &RoundTally) -> Markup {
    let gain = report(row).map_or(String::new(), |report| signed(report.homes.less_control.point));
    html! {
        tr {
            td { (row.number) }
            td title=(row.reason) { (state(row)) }
            td.number { (tally.used) }
            td.number { (tally.left_out) }
            td.number { (tally.refused) }
            td.number { (tally.silent) }
            td.number { (tally.evaluated) }
            td.number { @if let Some(norm) = tally.mean_norm { (format!("{norm:.2}")) } }
            td.number { (gain) }
        }
    }
}

/// Homes of the newest round whose delta was not used, with the call that keeps a home out of rounds and answers for good.
fn not_used(homes: &[RoundHomeRow]) -> Markup {
    html! {
        @for row in homes {
            p {
                strong { (row.home) } " " (row.state.as_str().replace('_', " ")) ": " (row.reason)
                @if let Some(similarity) = row.similarity {
                    span.faint { (format!(" · cosine to the aggregate {similarity:+.2}")) }
                }
                span.faint { " · keep it out: " code { "POST /api/v1/homes/" (row.home) "/exclude" } }
            }
        }
    }
}

/// Homes whose earlier rounds count against them, with the call that gives them a fresh start.
fn suspected(homes: &[Suspected]) -> Markup {
    html! {
        @for Suspected { home, verdict, described } in homes {
            p {
                strong { (home) } " " (verdict.replace('_', " ")) " after earlier rounds: " (described)
                span.faint { " · a fresh start: " code { "POST /api/v1/homes/" (home) "/include" } }
            }
        }
    }
}

fn state(row: &RoundRow) -> Markup {
    let (class, word) = match (row.stage, row.outcome) {
        (RoundStage::Ended, Some(RoundOutcome::Promoted)) => ("good", "promoted"),
        (RoundStage::Ended, Some(RoundOutcome::Failed)) => ("bad", "failed"),
        (RoundStage::Ended, Some(outcome)) => ("", outcome.as_str()),
        (stage, _) => ("", stage.as_str()),
    };
    html! { span class=(class) { (word.replace('_', " ")) } }
}

fn report(row: &RoundRow) -> Option<RoundReport> {
    row.report.as_deref().and_then(|text| serde_json::from_str(text).ok())
}

fn signed(value: f64) -> String {
    format!("{value:+.3}")
}

/// A plot's frame: places of rounds from left to right, oldest first.
struct Frame {
    count: usize,
    low: f64,
    high: f64,
}

impl Frame {
    fn x(&self, place: usize) -> f64 {
        let width = (PLOT.0 - MARGIN.0) / self.count.max(1) as f64;
        MARGIN.0 + width * (place as f64 + 0.5)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value.clamp(self.low, self.high) - self.low) / (self.high - self.low).max(f64::EPSILON);
        (PLOT.1 - MARGIN.1) * (1.0 - share)
    }
}

fn svg(title: &str, described: &str, content: &Markup) -> Markup {
    html! {
        figure {
            figcaption.faint { (title) }
            svg.plot viewBox=(format!("0 0 {} {}", PLOT.0, PLOT.1)) role="img" aria-label=(described) { (content) }
        }
    }
}

/// Recall of each round's candidate less that of as much replay without homes, with its interval.
fn gain_plot(rounds: &[(RoundRow, RoundTally)]) -> Markup {
    let gains: Vec<_> =
        rounds.iter().rev().filter_map(|(row, _)| Some((row.number, report(row)?.homes.less_control))).collect();
    if gains.is_empty() {
        return html! {};
    }
    let most = gains.iter().map(|(_, gain)| gain.low.abs().max(gain.high.abs())).fold(0.02_f64, f64::max).min(1.0);
    let frame = Frame { count: gains.len(), low: -most, high: most };
    let described: Vec<String> =
        gains.iter().map(|(number, gain)| format!("round {number}: {}", signed(gain.point))).collect();
    let zero = frame.y(0.0);
    let content = html! {
        line.axis x1=(MARGIN.0) x2=(PLOT.0) y1=(zero) y2=(zero) {}
        text.scale x="0" y=(frame.y(most) + 12.0) { (signed(most)) }
        text.scale x="0" y=(zero) { "0" }
        @for (place, (number, gain)) in gains.iter().enumerate() {
            line.interval x1=(frame.x(place)) x2=(frame.x(place)) y1=(frame.y(gain.low)) y2=(frame.y(gain.high)) {}
            circle.point cx=(frame.x(place)) cy=(frame.y(gain.point)) r="4" {
                title { "Round " (number) ": " (signed(gain.point)) " (" (signed(gain.low)) " to " (signed(gain.high)) ")" }
            }
            text.scale x=(frame.x(place)) y=(PLOT.1 - 4.0) text-anchor="middle" { (number) }
        }
    };
    svg("Recall less that of as much replay without homes (90 % over homes)", &described.join("; "), &content)
}

/// How many homes' deltas were used, left out or refused, round by round.
fn homes_plot(rounds: &[(RoundRow, RoundTally)]) -> Markup {
    let tallies: Vec<(u64, RoundTally)> = rounds.iter().rev().map(|(row, tally)| (row.number, *tally)).collect();
    let asked = |tally: &RoundTally| tally.used + tally.left_out + tally.refused + tally.silent;
    let most = tallies.iter().map(|(_, tally)| asked(tally)).max().unwrap_or(0).max(1);
    let frame = Frame { count: tallies.len(), low: 0.0, high: most as f64 };
    let width = ((PLOT.0 - MARGIN.0) / tallies.len().max(1) as f64 * 0.7).min(28.0);
    let described: Vec<String> = tallies
        .iter()
        .map(|(number, tally)| format!("round {number}: {} of {} homes", tally.used, asked(tally)))
        .collect();
    let bar = |place: usize, class: &'static str, from: u64, count: u64| {
        let (top, bottom) = (frame.y((from + count) as f64), frame.y(from as f64));
        html! { rect class=(class) x=(frame.x(place) - width / 2.0) y=(top) width=(width) height=(bottom - top) {} }
    };
    let content = html! {
        text.scale x="0" y=(frame.y(most as f64) + 12.0) { (most) }
        text.scale x="0" y=(frame.y(0.0)) { "0" }
        @for (place, (number, tally)) in tallies.iter().enumerate() {
            (bar(place, "bar used", 0, tally.used))
            (bar(place, "bar out", tally.used, tally.left_out + tally.refused))
            (bar(place, "bar silent", tally.used + tally.left_out + tally.refused, tally.silent))
            text.scale x=(frame.x(place)) y=(PLOT.1 - 4.0) text-anchor="middle" { (number) }
        }
    };
    svg(
        "Homes that were asked to train: used (full), left out or refused (red), silent (outline)",
        &described.join("; "),
        &content,
    )
}

#[cfg(test)]
mod tests {
    use hearthwatch_store::fixtures::{round, round_home};
    use hearthwatch_store::rounds::{RoundDuty, RoundHomeState};

    use super::*;

    #[test]
    fn before_the_first_round_it_says_how_many_homes_agreed() {
        let text = rounds(&Rounds { willing: 3, ..Rounds::default() }, 0).into_string();
        assert!(text.contains("No round was held yet. 3 homes agreed"), "{text}");
    }

    #[test]
    fn a_home_that_earlier_rounds_speak_against_is_named_with_the_call_that_gives_it_a_fresh_start() {
        let described = "left out 2 of 3 rounds".to_owned();
        let home = Suspected { home: hearthwatch_store::fixtures::home("home-7"), verdict: "doubted", described };
        let row = (round(2, RoundStage::Ended), RoundTally::default());
        let text = rounds(&Rounds { rounds: vec![row], suspected: vec![home], ..Rounds::default() }, 0).into_string();
        assert!(text.contains("home-7</strong> doubted after earlier rounds: left out 2 of 3 rounds"), "{text}");
        assert!(text.contains("POST /api/v1/homes/home-7/include"), "{text}");
    }

    #[test]
    fn a_home_that_was_left_out_is_named_with_its_reason_and_the_call_that_excludes_it() {
        let out = RoundHomeRow {
            reason: "against <replay>".to_owned(),
            similarity: Some(-0.4),
            ..round_home(2, "home-7", RoundDuty::Train, RoundHomeState::LeftOut)
        };
        let reason = "what replay alone explains".to_owned();
        let row = RoundRow { outcome: Some(RoundOutcome::Held), reason, ..round(2, RoundStage::Ended) };
        let tally = RoundTally { used: 1, left_out: 1, mean_norm: Some(1.25), ..RoundTally::default() };
        let shown = Rounds { willing: 2, rounds: vec![(row, tally)], not_used: vec![out], ..Rounds::default() };
        let text = rounds(&shown, 0).into_string();
        for part in [
            "Round 2",
            "held",
            "what replay alone explains",
            "home-7</strong> left out: against &lt;replay&gt;",
            "cosine to the aggregate -0.40",
            "POST /api/v1/homes/home-7/exclude",
            "round 2: 1 of 2 homes",
            "1.25",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
