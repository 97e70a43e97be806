//! What in the gate's report on recordings held out is against a candidate. The homes decide whether it is better; here it must only
//! not be worse, in nothing.

use hearthwatch_evaluation::evaluate::{GateReport, Interval, Summary};

/// What the baseline detector is called in the gate's comparisons: it stays beside every network, and is no rival here.
const BASELINE: &str = "routine detector";

/// Why the candidate is held back; none where nothing is worse.
pub(super) fn reasons(report: &GateReport) -> Vec<String> {
    let mut reasons = Vec::new();
    let limit = report.policy.budget_per_week * report.policy.budget_ratio_max;
    let rate = report.candidate.false_alarms_per_week;
    if rate > limit {
        reasons.push(format!("on recordings {rate:.2} false alarms a home-week; at most {limit:.2} are allowed"));
    }
    for comparison in report.comparisons.iter().filter(|comparison| comparison.against != BASELINE) {
        let (name, Interval { low, point, high }) = (&comparison.against, comparison.recall);
        if high < 0.0 {
            reasons.push(format!(
                "on recordings recall against the {name} is {point:+.3}, interval {low:+.3} to {high:+.3}: below zero"
            ));
        }
    }
    for (name, other) in [("the model in use", &report.champion), ("replay alone", &report.control)] {
        reasons.extend(other.iter().flat_map(|other| forgotten(report, name, other)));
    }
    reasons
}

fn forgotten(report: &GateReport, name: &str, other: &Summary) -> Vec<String> {
    let policy = &report.policy;
    let lost = |(class, share): (&String, &hearthwatch_evaluation::evaluate::Share)| {
        let before = other.by_class.get(class).copied().unwrap_or_default().ratio();
        let loses = share.all >= policy.slice_events_min && before - share.ratio() > policy.slice_loss_max;
        let (recall, events) = (share.ratio(), share.all);
        loses.then(|| {
            format!(
                "forgets {class}: on recordings recall {recall:.2} against {before:.2} of {name}, on {events} faults"
            )
        })
    };
    report.candidate.by_class.iter().filter_map(lost).collect()
}
