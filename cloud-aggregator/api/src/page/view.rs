//! What the page looks like. Pure: rows in, markup out.

use hearthwatch_learning::training::TrainingStatus;
use hearthwatch_store::story::RecallEstimate;
use hearthwatch_store::{
    FeedbackTotals, FleetTotals, HomeRow, ModelRow, OutcomeTotals, QuarantineRow, ReleaseRow, Role, RunRow, RunState,
    RunTrigger,
};
use maud::{DOCTYPE, Markup, html};

use super::doer::credential;
use super::gate::{Figures, Report, Verdict};
use super::rollouts::{self, Cases, Rollouts};
use super::rounds::{self, Rounds};
use crate::http::auth::Caller;

/// Everything that the page shows.
pub(super) struct Fleet {
    pub now: i64,
    /// The first of them, by name.
    pub homes: Vec<HomeRow>,
    pub totals: FleetTotals,
    pub champion: Option<ModelRow>,
    /// The gate's report on the champion, JSON.
    pub report: Option<String>,
    pub released: Option<ReleaseRow>,
    /// Ends of the newest release on the homes.
    pub outcomes: OutcomeTotals,
    pub feedback: FeedbackTotals,
    /// What random questions say of the current model, as of the last run.
    pub recall: RecallEstimate,
    pub refusals: Vec<QuarantineRow>,
    pub rollouts: Rollouts,
    pub rounds: Rounds,
    pub cases: Cases,
    pub run: RunPanel,
}

/// What the part about the last run shows; sent anew while the trainer moves.
pub(super) struct RunPanel {
    pub run: Option<RunRow>,
    pub training: TrainingStatus,
    pub now: i64,
}

/// Whether a home's agent last said that it is there.
pub(super) fn is_online(home: &HomeRow) -> bool {
    home.revoked_at.is_none() && home.status.as_ref().is_some_and(|status| status.online)
}

pub(super) fn shell(title: &str, head: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="icon" type="image/svg+xml" href="/icon.svg";
                link rel="stylesheet" href="/page.css";
                (head)
            }
            body { (body) }
        }
    }
}

/// The form that asks for a token.
pub(super) fn login(fault: Option<&str>, provider: bool) -> Markup {
    let body = html! {
        header { h1 { "Hearthwatch" } span.faint { "aggregator" } }
        main.narrow {
            section {
                h2 { "Log in" }
                @if let Some(fault) = fault { p.bad role="alert" { (fault) } }
                @if provider {
                    p { a.button href="/login/start" { "Log in with your organisation" } }
                    p.faint { "Or with a token:" }
                }
                form method="post" action="/login" {
                    label {
                        "Token"
                        input type="password" name="token" required autocomplete="current-password" autofocus;
                    }
                    button { "Log in" }
                }
                p.faint { "Make one with " code { "hearthwatch-cloud token add --config FILE NAME" } "." }
            }
        }
    };
    shell("Log in · Hearthwatch", &html! {}, &body)
}

/// The whole page, for whoever is logged in.
pub(super) fn page(fleet: &Fleet, caller: &Caller) -> Markup {
    let head = html! {
        script src="/page.js" defer {}
        noscript { meta http-equiv="refresh" content="30"; }
    };
    let body = html! {
        header {
            h1 { "Hearthwatch" } span.faint { "aggregator" }
            form method="post" action="/logout" { button.quiet { "Log out " (caller.name()) } }
        }
        (super::parts::navigation("/"))
        main {
            (overview(fleet))
            div.pair {
                section { h2 { "Current model" } (model(fleet)) }
                section id="run" aria-live="polite" { (run_panel(&fleet.run)) }
            }
            section { h2 { "Going out" } (rollouts::rollouts(&fleet.rollouts, fleet.totals.homes, fleet.now)) }
            section { h2 { "Federated rounds" } (rounds::rounds(&fleet.rounds, fleet.now)) }
            section { h2 { "To decide" } (rollouts::cases(&fleet.cases, fleet.now)) }
            section { h2 { "Homes" } (homes(fleet)) }
            section { h2 { "Refused lately" } (refusals(fleet, caller)) }
        }
        footer { "All of this, and more, by the API: " a href="/api/openapi.json" { "openapi.json" } }
    };
    shell("Hearthwatch", &head, &body)
}

fn figure(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn overview(fleet: &Fleet) -> Markup {
    html! {
        section {
            dl.figures {
                (figure("Homes", &fleet.totals.homes.to_string()))
                (figure("Online", &fleet.totals.online.to_string()))
                (figure("Answers stored", &fleet.feedback.records.to_string()))
                (figure("Confirmed", &fleet.feedback.confirmed.to_string()))
                (figure("False alarms", &fleet.feedback.dismissed.to_string()))
                (figure("Waiting in homes", &fleet.totals.waiting.to_string()))
            }
            p.faint { (recall(&fleet.recall)) }
        }
    }
}

/// What random questions say of the current model.
fn recall(estimate: &RecallEstimate) -> Markup {
    let audit_samples = estimate.audit_samples;
    html! {
        @match (estimate.recall, estimate.low, estimate.high) {
            (Some(recall), Some(low), Some(high)) => {
                @if estimate.low_recall { strong.bad { "The current model has low recall: it misses most of what residents see. " } }
                "By " (audit_samples) " answered random questions it finds "
                (format!("{:.0} % ({:.0} to {:.0} %)", recall * 100.0, low * 100.0, high * 100.0))
                " of what is really off."
            }
            _ => { (audit_samples) " random questions answered; 20 are needed to say how much the model misses." }
        }
    }
}

fn model(fleet: &Fleet) -> Markup {
    let Some(champion) = &fleet.champion else {
        return html! { p { "No network is released: every home runs the routine detector." } };
    };
    let report = fleet.report.as_deref().and_then(Report::read);
    html! {
        p {
            strong { "Version " (champion.version) }
            @if let Some(release) = &fleet.released {
                span.faint { " released " (ago(fleet.now, release.released_at)) " by " (if release.by == "auto" { "the gate's consent" } else { &release.by }) }
            }
        }
        @if let Some(report) = &report { (gate(report)) } @else { p.faint { "No gate report is stored for it." } }
        (spread(fleet))
        p.faint { "weights " code { (short(&champion.weights_id)) } " · " (champion.length / 1024) " KiB" }
    }
}

fn gate(report: &Report) -> Markup {
    html! {
        div.scroll {
            table {
                thead {
                    tr {
                        th { "Held-out homes" }
                        th.number { "Found" }
                        th.number { "Recall" }
                        th.number { "False alarms a week" }
                    }
                }
                tbody {
                    (gate_row("This model", &report.candidate))
                    @if let Some(champion) = &report.champion { (gate_row("Model before", champion)) }
                    (gate_row("Routine detector", &report.baseline))
                }
            }
        }
        @match &report.verdict {
            Verdict::Promote => p { span.good { "The gate let it through" } " on " (report.candidate.homes) " homes." },
            Verdict::Hold { reasons } => {
                p { span.bad { "The gate held it back" } "; it was released by hand." }
                ul { @for reason in reasons { li { (reason) } } }
            }
        }
    }
}

fn gate_row(name: &str, summary: &Figures) -> Markup {
    html! {
        tr {
            td { (name) }
            td.number { (summary.recall.found) "/" (summary.recall.all) }
            td.number { (format!("{:.2}", summary.recall.ratio())) }
            td.number { (format!("{:.2}", summary.false_alarms_per_week)) }
        }
    }
}

fn spread(fleet: &Fleet) -> Markup {
    let OutcomeTotals { installed, refused, rolled_back: back, undelivered } = fleet.outcomes;
    html! {
        p {
            "Installed on " (installed) " of " (fleet.totals.homes) " homes"
            @if refused > 0 { ", " span.bad { "refused by " (refused) } }
            @if back > 0 { ", " span.bad { "rolled back by " (back) } }
            @if undelivered > 0 { ", not delivered to " (undelivered) }
            "."
        }
    }
}

/// The last run: where it is, or how it ended.
pub(super) fn run_panel(panel: &RunPanel) -> Markup {
    let RunPanel { run, training, now } = panel;
    let working = training.phase != "idle" && !training.phase.is_empty();
    html! {
        h2 { "Last retraining" }
        @if working { (progress(training)) }
        @match run {
            None if working => {},
            None => p { "There has been none yet." },
            Some(run) => (ended(run, *now)),
        }
    }
}

fn progress(training: &TrainingStatus) -> Markup {
    let TrainingStatus { phase, done, total, loss, remaining_s, .. } = training;
    html! {
        p {
            strong { (phase) }
            @if *total > 0 { " " (done) " of " (total) }
            @if let Some(loss) = loss { span.faint { " · loss " (format!("{loss:.4}")) } }
            @if let Some(left) = remaining_s { span.faint { " · about " (left) " s left" } }
        }
        @if *total > 0 {
            progress max=(total) value=(done) aria-label=(phase) {}
        } @else {
            progress aria-label=(phase) {}
        }
    }
}

fn ended(run: &RunRow, now: i64) -> Markup {
    let (class, word) = match run.state {
        RunState::Running => ("", "Running"),
        RunState::Promoted => ("good", "Promoted"),
        RunState::Held => ("bad", "Held back"),
        RunState::Failed => ("bad", "Failed"),
        RunState::Cancelled => ("", "Cancelled"),
    };
    let cause = match run.trigger {
        RunTrigger::Count => "enough new answers",
        RunTrigger::Schedule => "it was time",
        RunTrigger::Drift => "windows moved",
        RunTrigger::Confirmations => "fewer confirmations",
        RunTrigger::Freshness => "answers waited too long",
        RunTrigger::Hand => "by hand",
    };
    let report = run.report.as_deref().and_then(Report::read);
    html! {
        p {
            strong class=(class) { (word) }
            span.faint {
                " · started " (ago(now, run.started_at)) ", " (cause)
                @if let Some(end) = run.ended_at { " · took " (span(end - run.started_at)) }
            }
        }
        @if let Some(failure) = &run.failure { p.bad { (failure) } }
        @if let Some(report) = &report {
            @if let Verdict::Hold { reasons } = &report.verdict {
                ul { @for reason in reasons { li { (reason) } } }
            }
            @for pair in &report.comparisons {
                p.faint {
                    "Recall against " (pair.against) ": "
                    (format!("{:+.2} ({:+.2} to {:+.2})", pair.recall.point, pair.recall.low, pair.recall.high))
                }
            }
        }
        p.faint { "run " code { (short(&run.id)) } " · data set " code { (short(&run.snapshot)) } }
    }
}

fn homes(fleet: &Fleet) -> Markup {
    if fleet.homes.is_empty() {
        return html! {
            p { "No home is enrolled. " code { "hearthwatch-provision home add HOME" } " makes a claim token for one." }
        };
    }
    html! {
        div.scroll {
            table.stack {
                thead {
                    tr {
                        th { "Home" } th { "State" } th.number { "Model" } th.number { "Entities" }
                        th.number { "Outbox" } th.number { "Answers" } th { "Last heard" }
                    }
                }
                tbody { @for home in &fleet.homes { (home_row(home, fleet.now)) } }
            }
        }
        @if fleet.totals.homes > fleet.homes.len() as u64 {
            p.faint { "The first " (fleet.homes.len()) " of " (fleet.totals.homes) "; " a href="/homes" { "find others" } "." }
        }
    }
}

fn home_row(home: &HomeRow, now: i64) -> Markup {
    let status = home.status.as_ref();
    let number = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), |value| value.to_string());
    let model = status.map(|status| match status.model_version.0 {
        0 => "routine".to_owned(),
        version => version.to_string(),
    });
    html! {
        tr {
            td.plain { a href={ "/homes/" (home.home) } { (home.home) } }
            td {
                @if home.revoked_at.is_some() { span.bad { "shut out" } }
                @else if is_online(home) { span.good { "online" } }
                @else if status.is_some() { span.faint { "offline" } }
                @else { span.faint { "never seen" } }
            }
            td.number data-name="model" { (model.as_deref().unwrap_or("–")) }
            td.number data-name="entities" { (number(status.map(|status| u64::from(status.entities)))) }
            td.number data-name="outbox" { (number(status.map(|status| u64::from(status.outbox)))) }
            td.number data-name="answers" { (home.records) }
            td.plain data-name="heard" { (status.map_or_else(|| "–".to_owned(), |status| ago(now, status.heard_at))) }
        }
    }
}

fn refusals(fleet: &Fleet, caller: &Caller) -> Markup {
    if fleet.refusals.is_empty() {
        return html! { p { "Nothing was refused." } };
    }
    html! {
        div.scroll {
            table.stack {
                thead { tr { th { "When" } th { "Home" } th { "Reason" } th { "Detail" } } }
                tbody {
                    @for row in &fleet.refusals {
                        tr {
                            td.plain { (ago(fleet.now, row.at)) }
                            td.plain { (row.home.as_ref().map_or("–", |home| home.as_str())) }
                            td.plain.wide { (row.reason.as_str().replace('_', " ")) }
                            td.wide {
                                (row.detail)
                                @match &row.settled {
                                    Some(settled) => span.faint { " · " (settled.end.as_str()) " by " (settled.by) }
                                    None if row.payload.is_some() => (decide(row.id, caller)),
                                    None => {}
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// An operator's word on what was refused. The token is asked for each time: the session is for looking alone.
fn decide(id: u64, caller: &Caller) -> Markup {
    html! {
        details {
            summary { "Decide" }
            form method="post" action={ "/quarantine/" (id) } {
                label { "Why" input name="reason" required maxlength="1000" autocomplete="off"; }
                (credential(caller, Role::Operator))
                button name="end" value="lifted" { "Let it in" }
                button.quiet name="end" value="discarded" { "Throw it away" }
            }
        }
    }
}

/// The first twelve characters of a hash: enough to tell two apart.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// How long before `now` something was.
pub(super) fn ago(now: i64, at: i64) -> String {
    match now - at {
        seconds if seconds < 0 => format!("in {}", span(now.abs_diff(at).try_into().unwrap_or(i64::MAX))),
        seconds if seconds < 5 => "just now".to_owned(),
        seconds => format!("{} ago", span(seconds)),
    }
}

/// A length of time in its largest unit.
pub(super) fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
