//! What the aggregator itself knows to be wrong, in the names of the monitoring's alerts. Pure: facts in, alerts out.
//!
//! This is for those who run no Prometheus, and for the page. What only a history shows (how often a link broke within an hour) and what a
//! dead program cannot say is for the monitoring alone.

use hearthwatch_store::rollouts::{RolloutRow, RolloutState};
use hearthwatch_store::story::RecallEstimate;
use hearthwatch_store::{ModelRow, RunRow, RunState};
use hearthwatch_supervision::{Grade, PartReport, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Share of the fleet that is late before that is an alert: single homes are always away.
const LATE_SHARE: f64 = 0.1;

/// Refused payloads that wait for an operator before that is an alert.
const QUARANTINED: u64 = 100;

/// How long somebody may wait for an operator before that is an alert, in seconds: an hour.
const WAITS: i64 = 3_600;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// To be looked at today.
    Warning,
    /// To be looked at now: something is lost or stands still until then.
    Critical,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertView {
    /// The alert's name, as in the monitoring and in the runbooks.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: a part, a run, a release; empty for the whole.
    pub subject: String,
    /// Since when it is so, as far as that is known, Unix seconds.
    pub since: Option<i64>,
    /// What is wrong, in one sentence.
    pub summary: String,
    /// What to do.
    pub remedy: String,
    /// The section of the runbooks: file and anchor below `docs/runbooks/`.
    pub runbook: String,
}

/// What the alerts follow from. Times are Unix seconds.
pub(crate) struct Facts {
    pub now: i64,
    /// The program's parts.
    pub parts: Vec<PartReport>,
    /// Homes that are not shut out, and how many of these are late.
    pub homes: u64,
    pub late: u64,
    /// Homes that wait for a certificate, and since when the first of them does.
    pub renewals: (u64, Option<i64>),
    /// Refused payloads that nobody settled.
    pub quarantined: u64,
    /// The newest run that has ended.
    pub run: Option<RunRow>,
    /// The newest rollout.
    pub rollout: Option<RolloutRow>,
    /// Models that a second person's word is missing for.
    pub awaiting: Vec<ModelRow>,
    /// What is known of the current model's recall.
    pub recall: RecallEstimate,
}

fn alert(name: &str, severity: Severity, page: &str, summary: String, remedy: &str) -> AlertView {
    let (name, remedy) = (name.to_owned(), remedy.to_owned());
    let runbook = format!("{page}.md#{}", name.to_lowercase());
    AlertView { name, severity, subject: String::new(), since: None, summary, remedy, runbook }
}

/// What is wrong, the worst first.
pub(crate) fn alerts(facts: &Facts) -> Vec<AlertView> {
    let mut found: Vec<AlertView> = facts.parts.iter().filter_map(part).collect();
    found.extend(fleet(facts));
    found.extend(pipeline(facts));
    found.sort_by(|one, other| {
        (other.severity, &one.name, &one.subject).cmp(&(one.severity, &other.name, &other.subject))
    });
    found
}

fn part(report: &PartReport) -> Option<AlertView> {
    let PartReport { part, grade, state, since } = *report;
    let (name, page, remedy) = match (part, state) {
        (_, State::Able | State::Stopped) => return None,
        ("broker", _) => {
            ("BrokerLinkDown", "aggregator", "Look whether the broker runs and accepts the aggregator's certificate.")
        }
        ("signer", _) => ("SignerSilent", "aggregator", "Start the signer; what is promoted waits until then."),
        ("disk", _) => ("DiskFull", "machine", "Make room in the data directory, or make it writable."),
        ("intake", State::Unable) => ("StoreFailing", "aggregator", "Look in the log for what the database says."),
        ("repository", _) => {
            ("RepositoryTimestampExpired", "pipeline", "Look why the signer did not renew the timestamp.")
        }
        _ => ("AggregatorStuck", "aggregator", "Look in the log for this part; restart the aggregator if it stays so."),
    };
    let severity = if grade == Grade::Vital || part == "broker" { Severity::Critical } else { Severity::Warning };
    let summary = format!("The part {part} is {}.", state.as_str());
    Some(AlertView { subject: part.to_owned(), since: Some(since), ..alert(name, severity, page, summary, remedy) })
}

fn fleet(facts: &Facts) -> Vec<AlertView> {
    let mut found = Vec::new();
    if facts.homes > 0 && facts.late as f64 >= LATE_SHARE * facts.homes as f64 && facts.late > 1 {
        let summary = format!("{} of {} homes are offline and were not heard for a day.", facts.late, facts.homes);
        let remedy = "List them with `state=late`: one address, one version or one day says what they have in common.";
        found.push(alert("HomesLate", Severity::Warning, "fleet", summary, remedy));
    }
    if let (count @ 1.., Some(since)) = facts.renewals
        && facts.now.saturating_sub(since) >= WAITS
    {
        let summary = format!("{count} homes whose certificate ran out wait for an operator.");
        let remedy = "Approve or deny each: `/api/v1/renewals`.";
        found.push(AlertView {
            since: Some(since),
            ..alert("RenewalsWait", Severity::Warning, "fleet", summary, remedy)
        });
    }
    if facts.quarantined >= QUARANTINED {
        let summary = format!("{} refused messages wait in quarantine.", facts.quarantined);
        let remedy = "Look at their reasons: `/api/v1/quarantine?settled=false`; let them in or throw them away.";
        found.push(alert("MessagesRefused", Severity::Warning, "fleet", summary, remedy));
    }
    found
}

fn pipeline(facts: &Facts) -> Vec<AlertView> {
    let mut found = Vec::new();
    if let Some(run) = facts.run.as_ref().filter(|run| run.state == RunState::Failed) {
        let why = run.failure.as_deref().unwrap_or("no cause is known");
        let about = alert(
            "RunFailed",
            Severity::Warning,
            "pipeline",
            format!("The newest retraining failed: {why}."),
            "Mend what it says; the next trigger or `POST /api/v1/runs` runs it again.",
        );
        found.push(AlertView { subject: run.id.clone(), since: run.ended_at, ..about });
    }
    let stopped = |row: &&RolloutRow| matches!(row.state, RolloutState::Halted | RolloutState::RolledBack);
    if let Some(rollout) = facts.rollout.as_ref().filter(stopped) {
        let about = alert(
            "RolloutStopped",
            Severity::Critical,
            "pipeline",
            format!(
                "The rollout of version {} is {}: {}",
                rollout.model_version,
                rollout.state.as_str(),
                rollout.reason
            ),
            "Look at its tests; retrain without what made it bad, or release again if a person stopped it.",
        );
        found.push(AlertView { subject: rollout.model_version.to_string(), since: rollout.ended_at, ..about });
    }
    for model in &facts.awaiting {
        let about = alert(
            "ReleaseAwaitsApproval",
            Severity::Warning,
            "pipeline",
            format!("Version {} waits for a second person's signature.", model.version),
            "`hearthwatch-provision sign` on the machine that holds the targets key.",
        );
        found.push(AlertView { subject: model.version.to_string(), since: Some(model.created_at), ..about });
    }
    if facts.recall.low_recall {
        let share =
            facts.recall.recall.map_or_else(String::new, |recall| format!(" It finds {:.0} %.", recall * 100.0));
        let summary = format!("The current model misses most of what residents see.{share}");
        let remedy = "Retrain; if the next model is as deaf, go back to the one before.";
        found.push(alert("ModelLowRecall", Severity::Warning, "model", summary, remedy));
    }
    found
}

#[cfg(test)]
mod tests {
    use hearthwatch_protocol::ModelVersion;
    use hearthwatch_store::fixtures;

    use super::*;

    fn quiet() -> Facts {
        Facts {
            now: 10_000,
            parts: vec![PartReport { part: "broker", grade: Grade::Optional, state: State::Able, since: 1 }],
            homes: 100,
            late: 1,
            renewals: (1, Some(9_000)),
            quarantined: 3,
            run: Some(fixtures::run("ab", RunState::Held)),
            rollout: Some(fixtures::rollout(ModelVersion(3))),
            awaiting: Vec::new(),
            recall: RecallEstimate::default(),
        }
    }

    #[test]
    fn an_ordinary_fleet_has_no_alert() {
        assert_eq!(alerts(&quiet()), []);
    }

    #[test]
    fn what_stands_still_comes_before_what_can_wait_and_each_names_its_runbook() {
        let mut facts = quiet();
        facts.parts[0].state = State::Unable;
        facts.late = 20;
        facts.run =
            Some(RunRow { failure: Some("no recorded sets".to_owned()), ..fixtures::run("ab", RunState::Failed) });
        let found = alerts(&facts);
        let names: Vec<&str> = found.iter().map(|alert| alert.name.as_str()).collect();
        assert_eq!(names, ["BrokerLinkDown", "HomesLate", "RunFailed"]);
        assert_eq!(found[0].runbook, "aggregator.md#brokerlinkdown");
        assert_eq!(found[2].summary, "The newest retraining failed: no recorded sets.");
    }

    #[test]
    fn every_alert_has_a_section_in_the_runbooks() {
        let mut facts = quiet();
        (facts.late, facts.quarantined, facts.renewals) = (50, 500, (2, Some(1)));
        facts.recall.low_recall = true;
        facts.run = Some(fixtures::run("ab", RunState::Failed));
        facts.rollout = Some(RolloutRow { state: RolloutState::Halted, ..fixtures::rollout(ModelVersion(3)) });
        facts.awaiting = vec![fixtures::versioned(4, "c", hearthwatch_store::ModelState::AwaitingSignature)];
        facts.parts = ["broker", "signer", "disk", "intake", "repository", "trainer"]
            .map(|part| PartReport { part, grade: Grade::Vital, state: State::Unable, since: 1 })
            .into();
        let found = alerts(&facts);
        assert_eq!(found.len(), 13);
        for alert in found {
            let (page, _) = alert.runbook.split_once('#').unwrap();
            let path = format!("{}/../../docs/runbooks/{page}", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(path).unwrap();
            assert!(text.contains(&format!("\n## {}\n", alert.name)), "{}", alert.name);
        }
    }
}
