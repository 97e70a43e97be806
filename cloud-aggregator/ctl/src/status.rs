//! `status`: one screen of the fleet.

use clap::ArgMatches;
use serde_json::{Value, json};

use crate::api;
use crate::client::{Client, Request};
use crate::explain::{Facts, Story};
use crate::failure::{Done, Failure};
use crate::output::{indented, words};
use crate::pages::{Pages, Wanted};
use crate::watch::{self, Watch};
use crate::world::World;

/// Open refusals and the like that are counted: beyond it, it is a flood, and `quarantine list` tells more.
const COUNTED_MAX: u64 = 2_000;

/// Homes that are counted; of a larger fleet the metrics tell.
const HOMES_MAX: u64 = 200_000;

/// Does it, once or again and again.
///
/// # Errors
/// What asking brings.
pub async fn run(matches: &ArgMatches, client: &Client, world: &mut World<'_>) -> Done {
    let Some(interval) = watch::interval(matches) else { return once(matches, client, world).await };
    let mut watch = Watch::new(api(), None, None, interval);
    loop {
        let mut text = Vec::new();
        let done = once(matches, client, &mut world.into_buffer(&mut text)).await;
        match done {
            Ok(()) => watch.show(text, world)?,
            Err(failure) => Watch::bear(failure, world)?,
        }
        watch.wait(client).await;
    }
}

async fn once(matches: &ArgMatches, client: &Client, world: &mut World<'_>) -> Done {
    let seen = gather(client, world).await?;
    if matches.get_flag("json") {
        writeln!(world.out, "{}", indented(&seen.to_string(), 0))?;
    } else {
        let text = tell(&seen, world).text(world.terminal);
        write!(world.out, "{text}")?;
    }
    world.out.flush()?;
    Ok(())
}

async fn gather(client: &Client, world: &mut World<'_>) -> Done<Value> {
    let facts = Facts::new(client);
    let ready = ready(client, world).await?;
    let mut homes =
        Pages::new(client, Request::get("/api/v1/homes"), "after", &Wanted { limit: Some(HOMES_MAX), ..Wanted::all() });
    let (mut all, mut online, mut shut, mut never) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut versions: std::collections::BTreeMap<u64, u64> = std::collections::BTreeMap::new();
    while let Some(items) = homes.more(world).await? {
        for home in items.into_iter().map(|item| item.value) {
            all += 1;
            online += u64::from(home["agent"]["online"] == true);
            never += u64::from(home["agent"].is_null());
            shut += u64::from(home["revoked_at"].is_i64());
            if let Some(version) = home["agent"]["model_version"].as_u64().filter(|_| home["revoked_at"].is_null()) {
                *versions.entry(version).or_default() += 1;
            }
        }
    }
    let versions: Vec<Value> =
        versions.iter().rev().map(|(version, homes)| json!({"version": version, "homes": homes})).collect();
    let champion = facts.find("models", 100, |model| model["state"] == "champion", world).await?;
    let rollout = facts.find("rollouts", 1, |_| true, world).await?;
    let run = facts.find("runs", 1, |_| true, world).await?;
    let round = facts.find("rounds", 1, |_| true, world).await?;
    let training = facts.look("training", world).await?;
    let totals = facts.look("feedback/totals", world).await?;
    let alerts = match api().find("alerts", "list") {
        Some(_) => facts.list("alerts", &Wanted::first(COUNTED_MAX), world).await?.there().cloned().unwrap_or_default(),
        None => Vec::new(),
    };
    let open = facts.list("quarantine", &Wanted::first(COUNTED_MAX), world).await?;
    let open = open.there().map(|rows| rows.iter().filter(|row| row["settled"].is_null()).count());
    let waiting = facts.list("renewals", &Wanted::first(COUNTED_MAX), world).await?;
    let waiting = waiting.there().map(|rows| rows.iter().filter(|row| row["approved_by"].is_null()).count());
    let excluded = facts.list("exclusions", &Wanted::first(COUNTED_MAX), world).await?;
    let excluded = excluded.there().map(|rows| rows.iter().filter(|row| row["lifted_at"].is_null()).count());
    Ok(json!({
        "ready": ready,
        "homes": {"all": all, "online": online, "never_heard": never, "shut_out": shut, "excluded": excluded, "versions": versions},
        "model": champion.there(), "rollout": rollout.there(), "run": run.there(), "round": round.there(),
        "alerts": alerts, "training": training.there(), "answers": totals.there(),
        "waiting": {"quarantine": open, "renewals": waiting},
    }))
}

/// What the parts say; an aggregator that is not able says so by 503, which is no failure of this question.
async fn ready(client: &Client, world: &mut World<'_>) -> Done<Value> {
    match client.ask(&Request::get("/readyz"), world).await {
        Ok(answered) => answered.json(),
        Err(Failure::Refused(problem)) if problem.status == 503 && problem.more.contains_key("parts") => {
            Ok(json!({"status": "unable", "parts": problem.more["parts"]}))
        }
        Err(failure) => Err(failure),
    }
}

fn tell(seen: &Value, world: &World<'_>) -> Story {
    let mut story = Story::default();
    let (now, zone) = ((world.now)().as_second(), &world.zone);
    let when = |value: &Value| value.as_i64().map_or_else(|| "-".to_owned(), |at| words::time(at, now, zone));
    let number = |value: &Value| words::count(value.as_i64().unwrap_or_default());
    let text = |value: &Value| value.as_str().unwrap_or_default().replace('_', " ");

    let parts = seen["ready"]["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let bad: Vec<&Value> = parts.iter().filter(|part| part["state"] != "able").collect();
    if bad.is_empty() {
        story.heading(format!("Aggregator: able, all {} parts", parts.len()));
    } else {
        story.heading(format!("Aggregator: {} of {} parts are not able", bad.len(), parts.len()));
    }
    for part in bad {
        story.point(format!(
            "{} is {} since {} ({})",
            text(&part["part"]),
            text(&part["state"]),
            when(&part["since"]),
            text(&part["grade"])
        ));
    }

    let homes = &seen["homes"];
    story.heading(format!("Homes: {}, {} online", number(&homes["all"]), number(&homes["online"])));
    let notes = [("never_heard", "never heard"), ("shut_out", "shut out"), ("excluded", "not learned from")];
    let notes: Vec<String> = notes
        .iter()
        .filter(|(name, _)| homes[*name].as_u64().is_some_and(|count| count > 0))
        .map(|(name, words)| format!("{} {words}", number(&homes[*name])))
        .collect();
    if !notes.is_empty() {
        story.say(notes.join(", "));
    }
    let mut rows = vec![["model", "homes"].map(str::to_owned).to_vec()];
    for entry in homes["versions"].as_array().into_iter().flatten() {
        let version = entry["version"].as_u64().unwrap_or_default();
        let name = if version == 0 { "baseline detector".to_owned() } else { format!("model {version}") };
        rows.push(vec![name, number(&entry["homes"])]);
    }
    story.figures(rows);

    story.heading("Model");
    match &seen["model"] {
        Value::Null => {
            story
                .say("The fleet has no model of its own yet: homes run the baseline detector or the model that ships.");
        }
        model => story.say(format!("Model {} is the fleet's, since {}.", model["version"], when(&model["created_at"]))),
    }
    if seen["rollout"].is_object() {
        let rollout = &seen["rollout"];
        let reason = rollout["reason"].as_str().filter(|reason| !reason.is_empty());
        let why = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        story.say(format!(
            "The newest rollout, of model {}, is {}{why}.",
            rollout["model_version"],
            text(&rollout["state"])
        ));
    }

    story.heading("Learning");
    let answers = &seen["answers"];
    if answers.is_object() {
        story.say(format!(
            "{} answers of {} homes: {} confirmed, {} dismissed, {} expected.",
            number(&answers["records"]),
            number(&answers["homes"]),
            number(&answers["confirmed"]),
            number(&answers["dismissed"]),
            number(&answers["expected"])
        ));
    }
    match text(&seen["training"]["phase"]).as_str() {
        "" | "idle" => {}
        phase => story.say(format!(
            "The trainer is at {phase}: {} of {}.",
            number(&seen["training"]["done"]),
            number(&seen["training"]["total"])
        )),
    }
    if seen["run"].is_object() {
        let run = &seen["run"];
        story.say(format!(
            "The newest run, {}, is {}; it began {}.",
            text(&run["id"]),
            text(&run["state"]),
            when(&run["started_at"])
        ));
    }
    if seen["round"].is_object() {
        let round = &seen["round"];
        let outcome = round["outcome"]
            .as_str()
            .map_or_else(|| format!("at {}", text(&round["stage"])), |word| word.replace('_', " "));
        story.say(format!(
            "The newest round, {}, is {outcome}; it opened {}.",
            round["number"],
            when(&round["opened_at"])
        ));
    }

    let alerts = seen["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !alerts.is_empty() {
        story.heading(format!("Alerts: {}", alerts.len()));
    }
    for alert in alerts {
        let subject = alert["subject"].as_str().filter(|subject| !subject.is_empty());
        let of = subject.map_or_else(String::new, |subject| format!(" ({subject})"));
        let plain = |name: &str| alert[name].as_str().unwrap_or_default();
        story.point(format!("{} {}{of}: {} {}", plain("severity"), plain("name"), plain("summary"), plain("remedy")));
    }

    let mut waits = Vec::new();
    let waiting = &seen["waiting"];
    if waiting["renewals"].as_u64().is_some_and(|count| count > 0) {
        waits.push(format!(
            "{} whose certificate ran out: `renewals list`",
            words::many(waiting["renewals"].as_i64().unwrap_or_default(), "home")
        ));
    }
    if waiting["quarantine"].as_u64().is_some_and(|count| count > 0) {
        waits.push(format!(
            "{} in quarantine: `quarantine list`",
            words::many(waiting["quarantine"].as_i64().unwrap_or_default(), "message")
        ));
    }
    if seen["run"]["state"] == "held" {
        waits.push("the newest run was held: `explain run latest`".to_owned());
    }
    if matches!(seen["rollout"]["state"].as_str(), Some("halted" | "rolled_back" | "paused")) {
        waits.push(format!("the newest rollout is {}: `explain rollout latest`", text(&seen["rollout"]["state"])));
    }
    story.heading(if waits.is_empty() { "Nothing waits for you" } else { "What waits for you" });
    for wait in waits {
        story.point(wait);
    }
    story
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, NOW};

    #[test]
    fn one_screen_says_what_there_is_and_what_waits() {
        let seen = json!({
            "ready": {"status": "unable", "parts": [{"part": "broker", "grade": "optional", "state": "unable", "since": NOW - 300},
                {"part": "http", "grade": "vital", "state": "able", "since": NOW}]},
            "homes": {"all": 10_400, "online": 10_150, "never_heard": 3, "shut_out": 0, "excluded": 2,
                "versions": [{"version": 7, "homes": 10_000}, {"version": 0, "homes": 400}]},
            "model": {"version": 7, "created_at": NOW - 86_400 * 3},
            "rollout": {"model_version": 8, "state": "halted", "reason": "dismissals: e-value 10^3.0, limit 10^2.7"},
            "run": {"id": "aa", "state": "held", "started_at": NOW - 600}, "round": null,
            "training": {"phase": "idle"}, "answers": {"records": 1_000_000, "homes": 9_000, "confirmed": 600_000, "dismissed": 300_000,
                "expected": 100_000},
            "waiting": {"quarantine": 12, "renewals": 1},
        });
        let text = testing::in_a_world("", |world| tell(&seen, world).lines().join("\n"));
        for part in [
            "Aggregator: 1 of 2 parts are not able\nbroker is unable since 2026-12-01 09:01 (5 min ago) (optional)",
            "Homes: 10,400, 10,150 online\n3 never heard, 2 not learned from\nmodel  homes\nmodel 7  10,000\nbaseline detector  400",
            "The newest rollout, of model 8, is halted: dismissals: e-value 10^3.0, limit 10^2.7.",
            "1,000,000 answers of 9,000 homes",
            "What waits for you\n1 home whose certificate ran out: `renewals list`\n12 messages in quarantine: `quarantine list`",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }
}
