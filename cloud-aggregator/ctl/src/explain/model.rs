//! Where a model came from, who released it, and how the homes fared with it.

use serde_json::{Value, json};

use super::facts::{Seen, version_of};
use super::gate::Report;
use super::run::state_of_model;
use super::{Facts, Story};
use crate::failure::{Done, Failure};
use crate::output::words::{self, count, many};
use crate::pages::Wanted;
use crate::problem::Problem;
use crate::world::World;

/// Homes' last words that are counted: one a home.
const OUTCOMES_MAX: u64 = 20_000;

/// Gathers what there is of a model, and tells it.
pub(super) async fn gather(facts: &Facts<'_>, id: &str, world: &mut World<'_>) -> Done<(Story, Value)> {
    let version = version_of(&facts.latest("models", "version", id, world).await?)?;
    let model = facts.get(&format!("models/{version}"), world).await?;
    let release = facts.of_version("releases", "model_version", version, world).await?;
    let rollout = facts.look(&format!("rollouts/{version}"), world).await?;
    let story = tell(&model, release.there(), rollout.there(), world);
    Ok((story, json!({"model": model, "release": release.there(), "rollout": rollout.there()})))
}

/// The explanation of a model.
pub(super) fn tell(model: &Value, release: Option<&Value>, rollout: Option<&Value>, world: &World<'_>) -> Story {
    let mut story = Story::default();
    let (now, zone) = ((world.now)().as_second(), &world.zone);
    let when =
        |value: &Value| value.as_i64().map_or_else(|| "at an unknown time".to_owned(), |at| words::time(at, now, zone));
    let version = &model["version"];
    story.heading(format!("Model {version}: {}", state_of_model(model["state"].as_str().unwrap_or_default())));
    let run = model["run"].as_str().unwrap_or_default();
    let origin = match (run.is_empty(), model["again"] == true) {
        (true, _) => "It was given from outside: no run made it".to_owned(),
        (false, false) => format!("Run {run} made it (`explain run {run}`)"),
        (false, true) => {
            format!("It is an older model's bytes under a new version, by a person's order; run {run} made them")
        }
    };
    story.say(format!("{origin}; it has its version since {}.", when(&model["created_at"])));
    story.say(format!(
        "Its file has {} bytes, SHA-256 {}; its tensors are {}.",
        count(model["length"].as_i64().unwrap_or_default()),
        model["sha256"].as_str().unwrap_or_default(),
        model["weights_id"].as_str().unwrap_or_default()
    ));
    match release {
        Some(release) => story.say(format!("{} released it {}.", by(release), when(&release["released_at"]))),
        None => story.say("It was not released: no home gets it."),
    }
    if let Some(rollout) = rollout {
        let state = rollout["rollout"]["state"].as_str().unwrap_or_default().replace('_', " ");
        story.say(format!("Its rollout is {state}: `explain rollout {version}`."));
    }
    match Report::read(&model["report"]) {
        Some(report) => report.tell(&mut story),
        None => story.say("There is no report of the gate on it."),
    }
    story
}

fn by(release: &Value) -> String {
    match release["by"].as_str().unwrap_or_default() {
        "auto" => "The gate let it through, and the aggregator".to_owned(),
        by => by.to_owned(),
    }
}

/// Gathers what there is of a release, and tells it.
pub(super) async fn gather_release(facts: &Facts<'_>, id: &str, world: &mut World<'_>) -> Done<(Story, Value)> {
    let version = version_of(&facts.latest("releases", "model_version", id, world).await?)?;
    let release = match facts.of_version("releases", "model_version", version, world).await? {
        Seen::There(release) => release,
        Seen::Nothing => {
            let detail = format!("model {version} was never released");
            return Err(Problem { status: 404, detail, ..Problem::default() }.into());
        }
        Seen::Hidden(why) => return Err(Failure::Unreachable(why)),
    };
    let outcomes = facts.list(&format!("releases/{version}/outcomes"), &Wanted::first(OUTCOMES_MAX), world).await?;
    let model = facts.look(&format!("models/{version}"), world).await?;
    let rollout = facts.look(&format!("rollouts/{version}"), world).await?;
    let outcomes = outcomes.there().cloned().unwrap_or_default();
    let story = tell_release(&release, model.there(), rollout.there(), &outcomes, world);
    Ok((story, json!({"release": release, "model": model.there(), "rollout": rollout.there(), "outcomes": outcomes})))
}

/// The explanation of a release.
pub(super) fn tell_release(
    release: &Value,
    model: Option<&Value>,
    rollout: Option<&Value>,
    outcomes: &[Value],
    world: &World<'_>,
) -> Story {
    let mut story = Story::default();
    let (now, zone) = ((world.now)().as_second(), &world.zone);
    let when =
        |value: &Value| value.as_i64().map_or_else(|| "at an unknown time".to_owned(), |at| words::time(at, now, zone));
    let version = &release["model_version"];
    story.heading(format!("Release of model {version}"));
    story.say(format!("{} released it {}.", by(release), when(&release["released_at"])));
    if let Some(model) = model {
        story.say(format!("It is {}.", state_of_model(model["state"].as_str().unwrap_or_default())));
        if model["again"] == true {
            story.say("It is an older model's bytes under a new version: a person went back to it.");
        }
    }
    story.say(format!(
        "Homes get the file {} ({} bytes, SHA-256 {}), signed together with the gate's report (SHA-256 {}).",
        release["target"].as_str().unwrap_or_default(),
        count(release["length"].as_i64().unwrap_or_default()),
        release["sha256"].as_str().unwrap_or_default(),
        release["report_sha256"].as_str().unwrap_or_default()
    ));
    story.heading("How the homes fared with it");
    let of = |word: &str| outcomes.iter().filter(|one| one["result"] == word).collect::<Vec<_>>();
    if outcomes.is_empty() {
        story.say("No home has told yet.");
    }
    for (word, what) in [
        ("installed", "have it in charge"),
        ("refused", "refused it"),
        ("rolled_back", "had it in charge, and it gave way"),
    ] {
        let homes = of(word);
        if homes.is_empty() {
            continue;
        }
        let names: Vec<&str> = homes.iter().filter_map(|one| one["home"].as_str()).take(5).collect();
        let more = if homes.len() > names.len() { ", …" } else { "" };
        let names = if word == "installed" { String::new() } else { format!(": {}{more}", names.join(", ")) };
        story.point(format!("{} {what}{names}", many(homes.len().try_into().unwrap_or(i64::MAX), "home")));
        for one in homes.iter().take(5).filter(|one| one["reason"].is_string()) {
            let stage = one["stage"].as_str().unwrap_or("an unnamed stage");
            story.point(format!(
                "{} at {stage}: {}",
                one["home"].as_str().unwrap_or_default(),
                one["reason"].as_str().unwrap_or_default()
            ));
        }
    }
    if let Some(rollout) = rollout {
        let state = rollout["rollout"]["state"].as_str().unwrap_or_default().replace('_', " ");
        story.say(format!("Its rollout is {state}: `explain rollout {version}` tells the evidence."));
    }
    story
}
