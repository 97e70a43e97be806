//! The gate's report in words: why a candidate was held or let through, and the figures behind it.
//!
//! Only what is said is read, so that reports of older and newer aggregators are explained too.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Story;
use crate::output::words::{many, percent};

/// Whether the gate let the candidate through.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Yes.
    Promote,
    /// No.
    Hold {
        /// Why.
        reasons: Vec<String>,
    },
}

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub struct Share {
    found: u32,
    all: u32,
}

impl Share {
    fn ratio(self) -> f64 {
        if self.all == 0 { 0.0 } else { f64::from(self.found) / f64::from(self.all) }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Figures {
    homes: u64,
    #[serde(default)]
    home_weeks: f64,
    recall: Share,
    false_alarms_per_week: f64,
    #[serde(default)]
    false_alarms_per_week_max: Option<f64>,
    #[serde(default)]
    median_delay_s: Option<i64>,
    #[serde(default)]
    by_class: BTreeMap<String, Share>,
    #[serde(default)]
    by_family: BTreeMap<String, Share>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct Interval {
    low: f64,
    point: f64,
    high: f64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Comparison {
    against: String,
    recall: Interval,
    #[serde(default)]
    false_alarms: Option<Interval>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Influence {
    home: String,
    weight_share: f64,
    #[serde(default)]
    recall: Option<Interval>,
    #[serde(default)]
    held_without: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
struct Policy {
    budget_per_week: Option<f64>,
    budget_ratio_max: Option<f64>,
    coverage: Option<f64>,
    events_min: Option<u32>,
    slice_events_min: Option<u32>,
    slice_loss_max: Option<f64>,
}

/// The gate's report, as far as it is explained.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Report {
    /// Whether it let the candidate through.
    pub verdict: Verdict,
    candidate: Figures,
    #[serde(rename = "routine")]
    baseline: Figures,
    #[serde(default)]
    champion: Option<Figures>,
    #[serde(default)]
    control: Option<Figures>,
    #[serde(default)]
    comparisons: Vec<Comparison>,
    #[serde(default)]
    influences: Vec<Influence>,
    #[serde(default)]
    policy: Policy,
}

impl Report {
    /// Reads one; none of another form.
    #[must_use]
    pub fn read(report: &Value) -> Option<Self> {
        serde_json::from_value(report.clone()).ok()
    }

    /// Tells it.
    pub fn tell(&self, story: &mut Story) {
        self.tell_verdict(story);
        self.tell_figures(story);
        self.tell_comparisons(story);
        self.tell_slices(story);
        self.tell_influences(story);
        self.tell_rules(story);
    }

    fn tell_verdict(&self, story: &mut Story) {
        match &self.verdict {
            Verdict::Promote => {
                story.heading("Why the gate let it through");
                story.say(
                    "It finds more than each of the others with an interval above zero, keeps the budget of false alarms, and loses in no \
                     class and no family of some size.",
                );
            }
            Verdict::Hold { reasons } => {
                story.heading(format!(
                    "Why the gate held it: {}",
                    many(reasons.len().try_into().unwrap_or(i64::MAX), "reason")
                ));
                for reason in reasons {
                    let meaning = meaning(reason);
                    let reason = in_plain_words(reason);
                    story.point(if meaning.is_empty() { reason } else { format!("{reason}. {meaning}.") });
                }
            }
        }
    }

    fn tell_figures(&self, story: &mut Story) {
        let own = &self.candidate;
        let homes = many(own.homes.try_into().unwrap_or(i64::MAX), "home");
        story.heading(format!(
            "On {homes} held out from training ({:.0} home-weeks, {} events)",
            own.home_weeks, own.recall.all
        ));
        let head = ["", "found", "recall", "false alarms a home-week", "worst home", "median delay"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        let others = [
            ("candidate", Some(own)),
            ("champion", self.champion.as_ref()),
            ("baseline detector", Some(&self.baseline)),
            ("replay without answers", self.control.as_ref()),
        ];
        for (name, figures) in others {
            let Some(figures) = figures else { continue };
            let Share { found, all } = figures.recall;
            let worst = figures.false_alarms_per_week_max.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.2}"));
            let delay = figures.median_delay_s.map_or_else(|| "-".to_owned(), crate::output::words::duration);
            rows.push(vec![
                name.to_owned(),
                format!("{found} of {all}"),
                percent(found.into(), all.into()),
                format!("{:.2}", figures.false_alarms_per_week),
                worst,
                delay,
            ]);
        }
        story.figures(rows);
    }

    fn tell_comparisons(&self, story: &mut Story) {
        for Comparison { against, recall, false_alarms } in &self.comparisons {
            let against = plain(against);
            let enough = if recall.low > 0.0 {
                "the whole interval is above zero, as it must be"
            } else if recall.high < 0.0 {
                "it finds less: the whole interval is below zero"
            } else {
                "the interval holds zero, so the difference may be chance"
            };
            story.point(format!("recall against the {against}: {}; {enough}", told(*recall, 3)));
            if let Some(rate) = false_alarms {
                let verdict =
                    if rate.low > 0.0 { "more than before, which is not allowed" } else { "not more than before" };
                story.point(format!("false alarms a home-week against the {against}: {}; {verdict}", told(*rate, 2)));
            }
        }
    }

    /// Where it gained and lost most against the champion, or the baseline detector where there is none.
    fn tell_slices(&self, story: &mut Story) {
        let (name, other) =
            self.champion.as_ref().map_or(("baseline detector", &self.baseline), |other| ("champion", other));
        let least = self.policy.slice_events_min.unwrap_or_default();
        let slices = [
            ("class", &self.candidate.by_class, &other.by_class),
            ("family", &self.candidate.by_family, &other.by_family),
        ];
        let mut changes: Vec<(f64, String)> = Vec::new();
        for (what, own, before) in slices {
            for (slice, share) in own {
                let before = before.get(slice).copied().unwrap_or_default();
                let change = share.ratio() - before.ratio();
                let small = if share.all < least { ", too few to count" } else { "" };
                let text = format!(
                    "{what} {slice}: {} of {} against {} of {} of the {name}{small}",
                    share.found, share.all, before.found, before.all
                );
                changes.push((change, text));
            }
        }
        changes.sort_by(|a, b| a.0.total_cmp(&b.0));
        let worst: Vec<_> = changes.iter().filter(|(change, _)| *change < 0.0).take(3).collect();
        let best: Vec<_> = changes.iter().rev().filter(|(change, _)| *change > 0.0).take(3).collect();
        if worst.is_empty() && best.is_empty() {
            return;
        }
        story.heading(format!("Where it differs most from the {name}"));
        for (change, text) in worst.into_iter().chain(best) {
            let word = if *change < 0.0 { "less" } else { "more" };
            story.point(format!("{:.0} points {word}, {text}", 100.0 * change.abs()));
        }
    }

    fn tell_influences(&self, story: &mut Story) {
        if self.influences.is_empty() {
            return;
        }
        story.heading("What it owes single homes");
        for Influence { home, weight_share, recall, held_without } in &self.influences {
            let share = format!("{home} gives {:.0} % of the weight of all answers", 100.0 * weight_share);
            let worth = recall.map_or_else(String::new, |recall| format!("; with it, recall is {}", told(recall, 3)));
            let without = if held_without.is_empty() {
                "; without it the gate says the same".to_owned()
            } else {
                format!(
                    "; without it the gate would hold: {}",
                    held_without.iter().map(|reason| in_plain_words(reason)).collect::<Vec<_>>().join("; ")
                )
            };
            story.point(format!("{share}{worth}{without}"));
        }
    }

    fn tell_rules(&self, story: &mut Story) {
        let policy = &self.policy;
        let (Some(budget), Some(ratio), Some(coverage)) =
            (policy.budget_per_week, policy.budget_ratio_max, policy.coverage)
        else {
            return;
        };
        story.heading("What the gate asks for");
        story.point(format!(
            "at most {:.2} false alarms a home-week ({ratio:.1} times the {budget:.1} that residents asked for)",
            budget * ratio
        ));
        story.point(format!(
            "recall above each of the others and no more false alarms, by an interval of {:.0} % over homes",
            100.0 * coverage
        ));
        if let (Some(events), Some(slice), Some(loss)) =
            (policy.events_min, policy.slice_events_min, policy.slice_loss_max)
        {
            story.point(format!(
                "at least {events} events to judge; in no class and no family of {slice} events or more a loss of over {:.0} points",
                100.0 * loss
            ));
        }
    }
}

/// The names that stored reports use, as people know them.
fn plain(against: &str) -> &str {
    match against {
        "routine detector" => "baseline detector",
        "replay without feedback" => "replay without answers",
        other => other,
    }
}

fn in_plain_words(reason: &str) -> String {
    ["routine detector", "replay without feedback"]
        .iter()
        .fold(reason.to_owned(), |text, name| text.replace(name, plain(name)))
}

fn told(Interval { low, point, high }: Interval, digits: usize) -> String {
    format!("{point:+.digits$} (interval {low:+.digits$} to {high:+.digits$})")
}

/// What a reason of the gate means for whoever reads it.
fn meaning(reason: &str) -> &'static str {
    if reason.contains("replay without feedback") && reason.contains("not above zero") {
        "The answers did not make it better than the same training without them"
    } else if reason.contains("champion") && reason.contains("not above zero") {
        "It is not shown to be better than the model in charge"
    } else if reason.contains("routine detector") && reason.contains("not above zero") {
        "It is not shown to be better than the detector that every home has anyway"
    } else if reason.contains("are needed to judge") {
        "With so few events a figure is chance: more recorded homes, or longer ones, are needed"
    } else if reason.contains("are allowed") {
        "Residents would be disturbed more often than they asked for"
    } else if reason.contains("more than before") {
        "Residents would be disturbed more often than now"
    } else if reason.starts_with("class ") || reason.starts_with("family ") {
        "A gain on average is not paid for by one kind"
    } else {
        ""
    }
}
