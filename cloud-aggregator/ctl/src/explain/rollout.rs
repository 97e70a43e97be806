//! Where a rollout stands, who or what stopped it and on what evidence, and what would stop it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::facts::{Seen, version_of};
use super::{Facts, Story};
use crate::failure::Done;
use crate::output::words::{self, count, many};
use crate::pages::Wanted;
use crate::world::World;

/// Lines of the audit log that are looked through for who did it: some months of a busy fleet.
const AUDIT_MAX: u64 = 5_000;

/// Homes' last words that are looked through for reasons.
const OUTCOMES_MAX: u64 = 20_000;

/// Reasons that are told one by one.
const REASONS_MAX: usize = 6;

/// The rules that a rollout began with.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Policy {
    name: String,
    #[serde(default)]
    minimum_reports: u64,
    #[serde(default)]
    error: f64,
    #[serde(default)]
    on_alarm: String,
    #[serde(default, rename = "wave")]
    waves: Vec<Wave>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Wave {
    start_after_hours: f64,
    percent: f64,
}

/// Gathers what there is, and tells it.
pub(super) async fn gather(facts: &Facts<'_>, id: &str, world: &mut World<'_>) -> Done<(Story, Value)> {
    let id = facts.latest("rollouts", "model_version", id, world).await?;
    let version = version_of(&id)?;
    let detail = facts.get(&format!("rollouts/{version}"), world).await?;
    let outcomes = facts.list(&format!("releases/{version}/outcomes"), &Wanted::first(OUTCOMES_MAX), world).await?;
    let subject = version.to_string();
    let about = |line: &Value| {
        line["subject"].as_str() == Some(&subject)
            && line["action"].as_str().is_some_and(|action| {
                action.starts_with("rollout.") && !action.ends_with(".refused") && !action.ends_with(".failed")
            })
    };
    let act = facts.find("audit", AUDIT_MAX, about, world).await?;
    let outcomes = outcomes.there().cloned().unwrap_or_default();
    let story = tell(&detail, &outcomes, &act, world);
    let reasons = reasons(&outcomes);
    Ok((story, json!({"rollout": detail, "act": act.there(), "refusals": reasons})))
}

/// The explanation.
pub(super) fn tell(detail: &Value, outcomes: &[Value], act: &Seen<Value>, world: &World<'_>) -> Story {
    let mut story = Story::default();
    let rollout = &detail["rollout"];
    let (now, zone) = ((world.now)().as_second(), &world.zone);
    let time = |name: &str| rollout[name].as_i64().map(|at| words::time(at, now, zone));
    let state = rollout["state"].as_str().unwrap_or("unknown");
    let version = &rollout["model_version"];
    let policy: Option<Policy> = rollout["policy"].as_str().and_then(|text| toml::from_str(text).ok());
    story.heading(format!("Rollout of model {version}: {}", state.replace('_', " ")));
    let before = rollout["previous"].as_u64().map_or_else(
        || "before it, homes ran the baseline detector or the model that ships".to_owned(),
        |previous| format!("before it, the fleet ran model {previous}"),
    );
    story.say(format!("It began {}; {before}.", time("started_at").unwrap_or_default()));
    story.say(meaning(state, version));
    if let Some(at) = time("paused_at") {
        story.say(format!("It is paused since {at}."));
    }
    if let Some(at) = time("ended_at") {
        story.say(format!("{} {at}.", if state == "complete" { "The last home was ordered" } else { "It ended" }));
    }
    if rollout["forced"] == true {
        story.say("A person opened every wave at once; the tests can still stop it.");
    }
    tell_who(rollout, state, act, &mut story, world);
    tell_homes(detail, outcomes, &mut story);
    tell_tests(detail, state, policy.as_ref(), &mut story);
    tell_waves(detail, state, policy.as_ref(), &mut story);
    story
}

fn meaning(state: &str, version: &Value) -> String {
    match state {
        "running" => "It goes on: homes are ordered to run it wave by wave.".to_owned(),
        "paused" => "Its clock stands still: no further home gets it until `rollouts resume`.".to_owned(),
        "halted" => format!(
            "No further home gets it. Homes that have it keep it: `rollouts rollback {version}` orders them back."
        ),
        "rolled_back" => "Homes that had it are ordered back to the release before, by signed orders.".to_owned(),
        "complete" => "Every home is ordered to run it; its tests go on, and can still stop it.".to_owned(),
        "superseded" => "A later release took its place before it was complete.".to_owned(),
        other => format!("Its state is {other}, which this program does not know."),
    }
}

fn tell_who(rollout: &Value, state: &str, act: &Seen<Value>, story: &mut Story, world: &World<'_>) {
    let reason = rollout["reason"].as_str().filter(|reason| !reason.is_empty());
    let stopped = matches!(state, "halted" | "rolled_back" | "paused");
    if reason.is_none() && !stopped {
        return;
    }
    story.heading(if stopped { "Who or what stopped it, and why" } else { "The last word on it" });
    match act {
        Seen::There(line) => {
            let actor = line["actor"].as_str().unwrap_or_default();
            let action = line["action"].as_str().unwrap_or_default().trim_start_matches("rollout.").replace('_', " ");
            let at = line["at"]
                .as_i64()
                .map_or_else(String::new, |at| words::time(at, (world.now)().as_second(), &world.zone));
            let who =
                if actor == "system" { "The system itself, by its tests".to_owned() } else { format!("By {actor}") };
            story.say(format!("{who}: {action} {at}, line {} of the audit log.", line["index"]));
        }
        Seen::Hidden(why) => {
            story.say(format!("Who did it is in the audit log, which is not shown to this token: {why}."));
        }
        Seen::Nothing if stopped => story.say("The audit log's newest lines do not tell who did it."),
        Seen::Nothing => {}
    }
    if let Some(reason) = reason {
        story.point(format!("reason: {reason}"));
        if reason.contains("e-value") {
            story.say(
                "An e-value is how many times likelier the reports are if the release does harm than if it does not. A harmless release hardly \
                 ever reaches the limit, however long it is watched.",
            );
        }
    }
}

fn tell_homes(detail: &Value, outcomes: &[Value], story: &mut Story) {
    let number = |name: &str| detail[name].as_i64().unwrap_or_default();
    story.heading(format!("Evidence after reports of {}", many(number("reported"), "home")));
    story.say(format!(
        "{} ordered to run it, {} proven to run it, {} told how the installation ended.",
        many(number("assigned"), "home"),
        count(number("attested")),
        count(number("reported"))
    ));
    if number("undelivered") > 0 {
        story.say(format!(
            "To {} it did not come whole, or was not trusted there: that is about the way to them, and weighs in no test.",
            many(number("undelivered"), "home")
        ));
    }
    let results =
        |word: &str| i64::try_from(outcomes.iter().filter(|one| one["result"] == word).count()).unwrap_or(i64::MAX);
    if !outcomes.is_empty() {
        story.say(format!(
            "Installed in {}, refused by {}, gave way again in {}.",
            count(results("installed")),
            count(results("refused")),
            count(results("rolled_back"))
        ));
    }
    for (reason, homes) in reasons(outcomes).into_iter().take(REASONS_MAX) {
        story.point(format!("{}: {reason}", many(homes, "home")));
    }
}

/// Why homes did not install it or went back, the commonest first.
fn reasons(outcomes: &[Value]) -> Vec<(String, i64)> {
    let mut all: BTreeMap<String, i64> = BTreeMap::new();
    for outcome in outcomes {
        if let Some(reason) = outcome["reason"].as_str() {
            let stage = outcome["stage"].as_str().unwrap_or("an unnamed stage");
            *all.entry(format!(
                "{} at {stage}: {reason}",
                outcome["result"].as_str().unwrap_or_default().replace('_', " ")
            ))
            .or_default() += 1;
        }
    }
    let mut sorted: Vec<_> = all.into_iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    sorted
}

fn tell_tests(detail: &Value, state: &str, policy: Option<&Policy>, story: &mut Story) {
    let tests = detail["tests"].as_array().map(Vec::as_slice).unwrap_or_default();
    if tests.is_empty() {
        return;
    }
    story.heading("The tests that can stop it");
    let mut rows = vec![["question", "evidence of harm", "stops at", "so"].map(str::to_owned).to_vec()];
    for test in tests {
        let (log, limit) = (test["log10_e"].as_f64().unwrap_or_default(), test["limit"].as_f64().unwrap_or_default());
        rows.push(vec![
            question(test["test"].as_str().unwrap_or_default()),
            odds(log),
            odds(limit),
            verdict(log, limit).to_owned(),
        ]);
    }
    story.figures(rows);
    let limit = tests[0]["limit"].as_f64().unwrap_or_default();
    let over = matches!(state, "halted" | "rolled_back" | "superseded");
    let what = if over { "What stops a rollout" } else { "What would stop it" };
    let error = policy.map_or_else(String::new, |policy| {
        format!(
            " A release that does no harm is ever stopped with a chance of at most {} %, all tests together.",
            words::figure(100.0 * policy.error)
        )
    });
    let then = match policy.map(|policy| policy.on_alarm.as_str()) {
        Some("roll_back") => " Then homes that have it are ordered back to the release before.",
        Some("halt") => " Then no further home gets it, and homes that have it keep it.",
        _ => "",
    };
    story.say(format!("{what}: any one of them reaching {}.{error}{then}", odds(limit)));
}

fn question(test: &str) -> String {
    match test {
        "installation" => "Do installations fail?",
        "dismissals" => "Do residents dismiss more alarms than without it?",
        "confirmations" => "Do residents confirm fewer alarms than without it?",
        "canaries" => "Does it miss synthetic faults that the model before it finds?",
        "disagreement" => "Does it judge quite otherwise than the model before it?",
        other => other,
    }
    .to_owned()
}

/// A power of ten as odds.
fn odds(log10: f64) -> String {
    if log10.abs() < 0.005 {
        return "1 to 1".to_owned();
    }
    let size = log10.abs();
    let odds = if size > 6.0 {
        format!("10^{size:.1}")
    } else if size < 1.0 {
        format!("{:.1}", 10_f64.powf(size))
    } else {
        // At most a million, which an integer holds.
        count(10_f64.powf(size).round() as i64)
    };
    if log10 > 0.0 { format!("{odds} to 1") } else { format!("1 to {odds}") }
}

fn verdict(log: f64, limit: f64) -> &'static str {
    if log >= limit {
        "stops it"
    } else if log > 0.5 * limit {
        "some sign of harm"
    } else if log.abs() < 0.005 {
        "nothing known yet"
    } else if log > 0.0 {
        "little, far from stopping"
    } else {
        "no sign of harm"
    }
}

fn tell_waves(detail: &Value, state: &str, policy: Option<&Policy>, story: &mut Story) {
    story.heading("What comes next");
    let next = detail["next"].as_str().unwrap_or_default();
    story.say(match state {
        "paused" => "Nothing, until a person lets it go on.".to_owned(),
        "halted" | "rolled_back" | "superseded" => "Nothing: it is over.".to_owned(),
        _ => format!("{next}."),
    });
    let over = matches!(state, "halted" | "rolled_back" | "superseded");
    let Some(policy) = policy.filter(|_| !over) else { return };
    let open = detail["open"].as_u64().unwrap_or_default();
    story.say(format!(
        "Its rules are `{}`: {}{}.",
        policy.name,
        many(policy.waves.len().try_into().unwrap_or(i64::MAX), "wave"),
        if policy.minimum_reports > 0 {
            format!(", the next of which waits for {} reports", policy.minimum_reports)
        } else {
            String::new()
        }
    ));
    for (place, wave) in (1..).zip(&policy.waves) {
        let mark = if place <= open { "open" } else { "not open" };
        story.point(format!(
            "wave {place}: {} % of homes, {}; {mark}",
            words::figure(wave.percent),
            match wave.start_after_hours {
                0.0 => "at once".to_owned(),
                hours => format!("{} h after the beginning", words::figure(hours)),
            }
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_told_as_odds() {
        let cases =
            [(0.0, "1 to 1"), (2.69897, "500 to 1"), (-0.7396, "1 to 5.5"), (0.3, "2.0 to 1"), (9.25, "10^9.2 to 1")];
        for (log, words) in cases {
            assert_eq!(odds(log), words);
        }
        assert_eq!(verdict(-0.74, 2.7), "no sign of harm");
        assert_eq!(
            (verdict(0.0, 2.7), verdict(1.5, 2.7), verdict(2.8, 2.7)),
            ("nothing known yet", "some sign of harm", "stops it")
        );
    }
}
