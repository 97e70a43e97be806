//! Which model a home runs and since when; why it is shut out, excluded, doubted, late or not updated.

use serde_json::{Value, json};

use super::facts::{Seen, encoded};
use super::{Facts, Story};
use crate::document::Place;
use crate::failure::Done;
use crate::output::words::{self, many};
use crate::pages::Wanted;
use crate::world::World;

/// Lines of lists without an order by home that are looked through: some months of exclusions and refusals.
const LOOKED_MAX: u64 = 5_000;

/// Last words on a release that are looked through: one a home.
const OUTCOMES_MAX: u64 = 20_000;

/// A home that is online says so at least this often; after it the word is old.
const QUIET: i64 = 24 * 3_600;

/// What is known of a home.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Known {
    home: Value,
    champion: Option<Value>,
    rollout: Option<Value>,
    attestation: Option<Value>,
    outcome: Option<Value>,
    exclusion: Option<Value>,
    standing: Option<Value>,
    offer: Option<Value>,
    renewal: Option<Value>,
    round: Option<Value>,
    part: Option<Value>,
    refused: Vec<Value>,
    hidden: Vec<String>,
}

/// Gathers what there is, and tells it.
pub(super) async fn gather(facts: &Facts<'_>, home: &str, world: &mut World<'_>) -> Done<(Story, Value)> {
    let mut known = Known { home: facts.get(&format!("homes/{}", encoded(home)), world).await?, ..Known::default() };
    let mut hidden = Vec::new();
    let mut take = |what: &str, seen: Seen<Value>| match seen {
        Seen::There(value) => Some(value),
        Seen::Nothing => None,
        Seen::Hidden(why) => {
            hidden.push(format!("{what}: {why}"));
            None
        }
    };
    let named = |item: &Value| item["home"] == home;
    known.attestation = take("what it is proven to run", facts.of_home("attestations", home, world).await?);
    known.standing = take("its standing", facts.of_home("standings", home, world).await?);
    known.offer = take("its offer", facts.of_home("offers", home, world).await?);
    known.renewal = take("its renewal", facts.of_home("renewals", home, world).await?);
    known.exclusion = take("its exclusion", facts.find("exclusions", LOOKED_MAX, named, world).await?);
    known.champion =
        take("the fleet's model", facts.find("models", 100, |model| model["state"] == "champion", world).await?);
    known.rollout = take("the newest rollout", facts.find("rollouts", 1, |_| true, world).await?);
    if let Some(version) = known.rollout.as_ref().and_then(|rollout| rollout["model_version"].as_u64()) {
        let path = format!("releases/{version}/outcomes");
        known.outcome =
            take("how the newest release ended there", facts.find(&path, OUTCOMES_MAX, named, world).await?);
    }
    known.round = take("the newest round", facts.find("rounds", 1, |_| true, world).await?);
    if let Some(number) = known.round.as_ref().and_then(|round| round["number"].as_u64()) {
        known.part =
            take("its part in the newest round", facts.of_home(&format!("rounds/{number}/homes"), home, world).await?);
    }
    // Asked for by home where the API can; else looked for among the newest.
    let narrow = crate::api().find("quarantine", "list").is_some_and(|list| list.takes(Place::Query, "home"));
    let query = narrow.then(|| ("home".to_owned(), home.to_owned()));
    match facts.list_where("quarantine", query, &Wanted::first(LOOKED_MAX), world).await? {
        Seen::There(items) => known.refused = items.into_iter().filter(named).collect(),
        Seen::Nothing => {}
        Seen::Hidden(why) => hidden.push(format!("what was refused: {why}")),
    }
    known.hidden = hidden;
    let story = tell(&known, world);
    let evidence = json!({
        "home": known.home, "champion": known.champion, "rollout": known.rollout, "attestation": known.attestation,
        "outcome": known.outcome, "exclusion": known.exclusion, "standing": known.standing, "offer": known.offer,
        "renewal": known.renewal, "round": known.part, "refused": known.refused,
    });
    Ok((story, evidence))
}

/// The explanation.
pub(super) fn tell(known: &Known, world: &World<'_>) -> Story {
    let mut story = Story::default();
    let (now, zone) = ((world.now)().as_second(), &world.zone);
    let when =
        |value: &Value| value.as_i64().map_or_else(|| "at an unknown time".to_owned(), |at| words::time(at, now, zone));
    let home = &known.home;
    story.heading(format!("Home {}", home["home"].as_str().unwrap_or_default()));
    story.say(format!("It was let in {}.", when(&home["enrolled_at"])));
    if home["revoked_at"].is_i64() {
        story.point(format!(
            "SHUT OUT since {}: nothing of it is admitted, and its certificates are taken back. `homes restore` lets it in again, with a new \
             claim token.",
            when(&home["revoked_at"])
        ));
    }
    if let Some(renewal) = &known.renewal {
        let word = renewal["approved_by"].as_str().map_or_else(
            || "it waits for a word: `renewals approve` or `renewals deny`".to_owned(),
            |by| format!("{by} said yes, and it comes back when it asks again"),
        );
        story.point(format!("CERTIFICATE RAN OUT {}: {word}.", when(&renewal["expired_at"])));
    }
    tell_agent(home, now, &when, &mut story);
    tell_model(known, &when, &mut story);
    tell_answers(known, &when, &mut story);
    tell_rounds(known, &mut story);
    if !known.hidden.is_empty() {
        story.heading("Not shown to this token, or off");
        for what in &known.hidden {
            story.point(what);
        }
    }
    story
}

fn tell_agent(home: &Value, now: i64, when: &dyn Fn(&Value) -> String, story: &mut Story) {
    let agent = &home["agent"];
    if !agent.is_object() {
        story.say("Its agent was never heard: it is not running, or cannot reach the broker.");
        return;
    }
    let heard = agent["heard_at"].as_i64().unwrap_or_default();
    let state = match (agent["online"] == true, now - heard > QUIET) {
        (true, false) => "online",
        (true, true) => "said to be online, and not heard for long",
        (false, _) => "offline: it was stopped, or lost its connection",
    };
    story.say(format!(
        "Its agent (version {}) is {state}; last heard {}. It watches {}, and {} for a receipt.",
        agent["agent_version"].as_str().unwrap_or("unknown"),
        when(&agent["heard_at"]),
        many(agent["entities"].as_i64().unwrap_or_default(), "entity").replace("entitys", "entities"),
        match agent["outbox"].as_i64().unwrap_or_default() {
            0 => "nothing waits".to_owned(),
            1 => "1 record waits".to_owned(),
            more => format!("{} records wait", words::count(more)),
        }
    ));
}

fn tell_model(known: &Known, when: &dyn Fn(&Value) -> String, story: &mut Story) {
    story.heading("The model that it runs");
    let runs = known.home["agent"]["model_version"].as_u64();
    let champion = known.champion.as_ref().and_then(|model| model["version"].as_u64());
    match runs {
        None => story.say("Unknown: its agent was never heard."),
        Some(0) => {
            story.say("It says that the baseline detector is in charge: no model came, or the last one gave way.");
        }
        Some(version) => story.say(format!("It says that model {version} is in charge.")),
    }
    if let Some(outcome) = &known.outcome {
        let version = &outcome["model_version"];
        let reason = outcome["reason"].as_str().map_or_else(String::new, |reason| format!(": {reason}"));
        let stage = outcome["stage"].as_str().map_or_else(String::new, |stage| format!(" at the stage {stage}"));
        let back = outcome["back_to"].as_u64().map_or_else(String::new, |back| match back {
            0 => ", and the baseline detector is in charge again".to_owned(),
            back => format!(", and model {back} is in charge again"),
        });
        let what = match outcome["result"].as_str().unwrap_or_default() {
            "installed" => format!("Model {version} is in charge there since {}.", when(&outcome["received_at"])),
            "refused" => format!("It refused model {version}{stage}{reason}: {}.", when(&outcome["received_at"])),
            "rolled_back" => format!(
                "Model {version} was in charge and gave way{stage}{reason}{back}: {}.",
                when(&outcome["received_at"])
            ),
            other => format!("The update to model {version} ended {other}{reason}."),
        };
        story.point(what);
        if outcome["weighs"] == false {
            story.point("That is about the way to the home, and weighs in no test of the release.");
        }
    }
    if let Some(attestation) = &known.attestation {
        story.point(format!("By its signed word: {}.", attested(attestation)));
    }
    match (runs, champion) {
        (_, None) => story.say("The fleet has no model of its own yet."),
        (Some(runs), Some(champion)) if runs == champion => story.say("That is the fleet's model."),
        (_, Some(champion)) => {
            story.say(format!("The fleet's model is {champion}. Why it does not run it:"));
            for reason in why_not(known, champion) {
                story.point(reason);
            }
        }
    }
}

fn attested(attestation: &Value) -> String {
    let model = |value: &Value| value.as_u64().map_or_else(|| "none".to_owned(), |version| format!("model {version}"));
    let (ordered, runs) = (model(&attestation["ordered"]), model(&attestation["runs"]));
    match attestation["state"].as_str().unwrap_or_default() {
        "attested" => format!("it runs {runs}, as ordered"),
        "differs" => format!("it runs {runs}, and was ordered to run {ordered}"),
        "behind" => format!("its word is about an order before the newest ({ordered})"),
        "unproven" => format!("its word does not prove what it runs; ordered is {ordered}"),
        "silent" if attestation["ordered"].is_null() => "it was not ordered to run a model, and sent none".to_owned(),
        "silent" => format!("it sent none since it was ordered to run {ordered}"),
        other => format!("{other}; ordered is {ordered}"),
    }
}

/// Why a home does not run the fleet's model, as far as it can be known.
fn why_not(known: &Known, champion: u64) -> Vec<String> {
    let mut reasons = Vec::new();
    if known.home["revoked_at"].is_i64() {
        reasons.push("it is shut out".to_owned());
    }
    let rollout = known.rollout.as_ref().filter(|rollout| rollout["model_version"] == champion);
    let ordered = known.attestation.as_ref().and_then(|attestation| attestation["ordered"].as_u64());
    match rollout.and_then(|rollout| rollout["state"].as_str()) {
        Some("paused") => reasons.push(format!("the rollout of model {champion} is paused")),
        Some("halted") => {
            reasons.push(format!("the rollout of model {champion} was halted: `explain rollout {champion}`"));
        }
        Some("rolled_back") => {
            reasons.push(format!("the rollout of model {champion} was rolled back: `explain rollout {champion}`"));
        }
        Some("running") if ordered != Some(champion) => {
            reasons.push(format!("its wave is not open yet: `explain rollout {champion}` says when the next opens"));
        }
        _ => {}
    }
    if let Some(outcome) = &known.outcome
        && matches!(outcome["result"].as_str(), Some("refused" | "rolled_back"))
    {
        reasons.push(format!(
            "it tried, and that ended as said above ({})",
            outcome["result"].as_str().unwrap_or_default().replace('_', " ")
        ));
    }
    if known.home["agent"]["online"] != true {
        reasons.push("it is not online: it looks for updates when it comes back".to_owned());
    }
    if known.renewal.is_some() {
        reasons.push("its certificate ran out".to_owned());
    }
    if reasons.is_empty() {
        reasons.push(if ordered == Some(champion) {
            "it is ordered to, and has not done it yet: agents look every few minutes".to_owned()
        } else {
            "nothing here tells; its own page and log do".to_owned()
        });
    }
    reasons
}

fn tell_answers(known: &Known, when: &dyn Fn(&Value) -> String, story: &mut Story) {
    story.heading("Its answers");
    story.say(format!("{} stored.", many(known.home["records"].as_i64().unwrap_or_default(), "answer")));
    match &known.exclusion {
        Some(exclusion) => {
            let (by, reason) =
                (exclusion["by"].as_str().unwrap_or_default(), exclusion["reason"].as_str().unwrap_or_default());
            if exclusion["lifted_at"].is_i64() {
                let lifted = exclusion["lifted_by"].as_str().unwrap_or_default();
                story.say(format!(
                    "They are learned from. It was excluded {} by {by} ({reason}); {lifted} lifted that {}.",
                    when(&exclusion["at"]),
                    when(&exclusion["lifted_at"])
                ));
            } else {
                story.point(format!(
                    "EXCLUDED since {} by {by}: {reason}. They are kept and not learned from; `homes include` ends that, `runs start` retrains.",
                    when(&exclusion["at"])
                ));
            }
        }
        None => story.say("They are learned from: it is not excluded."),
    }
    let open: Vec<&Value> = known.refused.iter().filter(|row| row["settled"].is_null()).collect();
    if open.is_empty() {
        story.say("Nothing that it sent waits in quarantine.");
        return;
    }
    story.say(format!("{} in quarantine, newest first:", many(open.len().try_into().unwrap_or(i64::MAX), "message")));
    let mut by_reason: Vec<(String, usize, &Value)> = Vec::new();
    for row in open {
        let reason = row["reason"].as_str().unwrap_or_default().to_owned();
        match by_reason.iter_mut().find(|(own, _, _)| *own == reason) {
            Some((_, count, _)) => *count += 1,
            None => by_reason.push((reason, 1, row)),
        }
    }
    for (reason, count, newest) in by_reason {
        story.point(format!(
            "{count} for {}, the newest {}: {}. `quarantine lift {}` lets that one in, `quarantine discard` throws it away.",
            reason.replace('_', " "),
            when(&newest["at"]),
            newest["detail"].as_str().unwrap_or_default(),
            newest["id"]
        ));
    }
}

fn tell_rounds(known: &Known, story: &mut Story) {
    if known.offer.is_none() && known.standing.is_none() && known.part.is_none() {
        return;
    }
    story.heading("Federated rounds");
    if let Some(offer) = &known.offer {
        let willing = if offer["willing"] == true { "agreed to take part" } else { "did not agree to take part" };
        story.say(format!("Its residents {willing}; it could train on {} sensors.", offer["entities"]));
    }
    if let (Some(round), Some(part)) = (&known.round, &known.part) {
        let state = part["state"].as_str().unwrap_or_default();
        let reason = part["reason"].as_str().filter(|reason| !reason.is_empty());
        let why = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let late = match state {
            "late" => " Its delta came after the deadline.",
            "straggling" => " The round went on without it; its delta may count in a later one.",
            "carried" => " Its delta counts in a later round.",
            _ => "",
        };
        let duty = part["duty"].as_str().unwrap_or_default();
        story.say(format!(
            "In round {} it was asked to {duty}: {}{why}.{late}",
            round["number"],
            state.replace('_', " ")
        ));
    }
    match &known.standing {
        Some(standing) => {
            let word = match standing["verdict"].as_str().unwrap_or_default() {
                "trusted" => "its next delta counts in full",
                "doubted" => "SUSPECTED: its next delta counts less",
                "left_out" => "SUSPECTED: its next delta is left out",
                other => other,
            };
            story.say(format!(
                "By {} in which it was judged, {word} (suspicion {} of 1).",
                many(standing["rounds"].as_i64().unwrap_or_default(), "round"),
                words::figure(standing["suspicion"].as_f64().unwrap_or_default())
            ));
            let count = |name: &str| standing[name].as_i64().unwrap_or_default();
            if count("left_out") > 0 {
                story.point(format!(
                    "left out for a reason that counts against it in {}",
                    many(count("left_out"), "round")
                ));
            }
            if count("copied") > 0 {
                story.point(format!(
                    "sent the aggregate of the round before instead of work of its own in {}",
                    many(count("copied"), "round")
                ));
            }
            if let Some(alike) = standing["alike"].as_str() {
                story.point(format!("its deltas have the same direction as those of {alike}, round after round"));
            }
        }
        None => story.say("No round judged a delta of it yet."),
    }
}

#[cfg(test)]
mod tests;
