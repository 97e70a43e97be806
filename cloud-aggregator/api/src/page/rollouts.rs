//! The page's part about what goes out, and about homes that somebody has to look at. Pure: rows in, markup out.

use hearthwatch_fleet::rollout::execute::Watched;
use hearthwatch_provision::late::Late;
use hearthwatch_store::ModelRow;
use hearthwatch_store::rollouts::{ExclusionRow, RolloutRow, RolloutState};
use maud::{Markup, html};

use super::view::ago;

/// What is shown of rollouts.
#[derive(Default)]
pub(super) struct Rollouts {
    /// The newest, with its tests; none without a director or before the first.
    pub newest: Option<Watched>,
    /// The ones before it, newest first.
    pub earlier: Vec<RolloutRow>,
}

/// What is shown of homes that an operator may want to decide about.
#[derive(Default)]
pub(super) struct Cases {
    /// Let through by the gate, and not signed before a second person's word.
    pub awaiting: Vec<ModelRow>,
    /// Not learned from at present.
    pub excluded: Vec<ExclusionRow>,
    /// Their certificate ran out, and they want to come back.
    pub late: Vec<Late>,
}

/// How a release goes out, and how the ones before it did.
pub(super) fn rollouts(shown: &Rollouts, homes: u64, now: i64) -> Markup {
    let Some(newest) = &shown.newest else {
        return html! { p { "Nothing is going out in waves." } };
    };
    html! {
        p {
            strong { "Version " (newest.row.model_version) } " " (state(&newest.row))
            span.faint { " · began " (ago(now, newest.row.started_at)) }
        }
        @if !newest.row.reason.is_empty() { p { (newest.row.reason) } }
        p {
            "Ordered to " (newest.assigned) " of " (homes) " homes, " (newest.reported) " told how it went, proven on "
            (newest.attested) @if newest.evidence.undelivered > 0 { ", not delivered to " (newest.evidence.undelivered) }
            ". Waves open: " (newest.open) ". Next: " (newest.next) "."
        }
        div.scroll {
            table {
                thead { tr { th { "Test against the model before" } th.number { "Evidence" } th.number { "Stops at" } } }
                tbody {
                    @for finding in &newest.findings {
                        tr {
                            td { (finding.test.as_str()) }
                            td.number { (format!("10^{:.1}", finding.log10_e)) }
                            td.number { (format!("10^{:.1}", finding.limit)) }
                        }
                    }
                }
            }
        }
        @for row in &shown.earlier {
            p.faint {
                "Version " (row.model_version) " " (state(row)) ", began " (ago(now, row.started_at))
                @if !row.reason.is_empty() { ": " (row.reason) }
            }
        }
    }
}

fn state(row: &RolloutRow) -> Markup {
    let class = match row.state {
        RolloutState::Complete => "good",
        RolloutState::Halted | RolloutState::RolledBack => "bad",
        RolloutState::Running | RolloutState::Paused | RolloutState::Superseded => "",
    };
    html! { span class=(class) { (row.state.as_str().replace('_', " ")) } }
}

/// Homes that are quarantined or want to come back, each with its reason and the call that decides.
pub(super) fn cases(cases: &Cases, now: i64) -> Markup {
    html! {
        @for model in &cases.awaiting {
            p {
                strong { "Version " (model.version) } " awaits a signature: the gate let it through, a second person has not yet"
                span.faint {
                    " · since " (ago(now, model.created_at)) " · say yes where the signer is: "
                    code { "hearthwatch-provision approve " (model.sha256) }
                }
            }
        }
        @if cases.excluded.is_empty() && cases.late.is_empty() { p { "No home waits for a decision." } }
        @for row in &cases.excluded {
            p {
                strong { (row.home) } " is not learned from: " (row.reason)
                span.faint { " · " (row.by) ", " (ago(now, row.at)) " · lift it: " code { "POST /api/v1/homes/" (row.home) "/include" } }
            }
        }
        @for late in &cases.late {
            p {
                strong { (late.home) } " was away until its certificate ran out and wants to come back"
                span.faint {
                    " · since " (ago(now, late.asked_at.as_second()))
                    @match &late.approved {
                        Some((by, _)) => { " · " (by) " said yes" }
                        None => { " · let it: " code { "POST /api/v1/renewals/" (late.home) "/approve" } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_protocol::ModelVersion;
    use hearthwatch_store::fixtures::{home, rollout, versioned};
    use jiff::Timestamp;

    use super::*;

    fn row(version: u64, state: RolloutState, reason: &str) -> RolloutRow {
        RolloutRow { state, reason: reason.to_owned(), row_version: 1, ..rollout(ModelVersion(version)) }
    }

    #[test]
    fn a_decision_that_waits_is_shown_with_its_reason_and_the_call_that_makes_it() {
        let (home, at) = (home("home-7"), Timestamp::from_second(9_000).unwrap());
        let (reason, by) = ("contradicts <all>".to_owned(), hearthwatch_store::Actor::System);
        let excluded = ExclusionRow { home: home.clone(), reason, by, at: 9_000, lifted: None };
        let late = Late { home, key_sha256: String::new(), expired_at: at, asked_at: at, approved: None };
        let model = versioned(4, &"ab".repeat(32), hearthwatch_store::ModelState::AwaitingSignature);
        let shown = Cases { awaiting: vec![model], excluded: vec![excluded], late: vec![late] };
        let text = cases(&shown, 10_000).into_string();
        for part in [
            "Version 4",
            "hearthwatch-provision approve abab",
            "contradicts &lt;all&gt;",
            "/homes/home-7/include",
            "/renewals/home-7/approve",
            "16 min ago",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(cases(&Cases::default(), 0).into_string().contains("No home waits"));
    }

    #[test]
    fn a_rollout_that_was_stopped_says_why() {
        let stopped = state(&row(3, RolloutState::RolledBack, "")).into_string();
        assert_eq!(stopped, "<span class=\"bad\">rolled back</span>");
        assert!(rollouts(&Rollouts::default(), 5, 0).into_string().contains("Nothing is going out"));
    }
}
