//! Why a run was held or promoted, or failed.

use serde_json::{Value, json};

use super::facts::Seen;
use super::gate::{Report, Verdict};
use super::{Facts, Story, encoded};
use crate::failure::Done;
use crate::output::words;
use crate::pages::Wanted;
use crate::world::World;

/// Models that are looked through for the run's: a model a day is four months.
const MODELS_MAX: u64 = 200;

/// Gathers what there is, and tells it.
pub(super) async fn gather(facts: &Facts<'_>, id: &str, world: &mut World<'_>) -> Done<(Story, Value)> {
    let id = facts.latest("runs", "id", id, world).await?;
    let run = facts.get(&format!("runs/{}", encoded(&id)), world).await?;
    let training = facts.look("training", world).await?;
    let models = facts.list("models", &Wanted::first(MODELS_MAX), world).await?;
    let made = models.there().into_iter().flatten().find(|model| model["run"] == run["id"]).cloned();
    let dataset = match run["dataset"].as_str().filter(|dataset| !dataset.is_empty()) {
        Some(dataset) => facts.look(&format!("datasets/{}", encoded(dataset)), world).await?,
        None => Seen::Nothing,
    };
    let (training, dataset) =
        (training.there().cloned().unwrap_or_default(), dataset.there().cloned().unwrap_or_default());
    let story = tell(&run, &training, made.as_ref(), &dataset, world);
    Ok((story, json!({"run": run, "training": training, "model": made, "dataset": dataset})))
}

/// The explanation.
pub(super) fn tell(run: &Value, training: &Value, made: Option<&Value>, dataset: &Value, world: &World<'_>) -> Story {
    let mut story = Story::default();
    let (now, zone) = ((world.now)().as_second(), &world.zone);
    let time = |name: &str| run[name].as_i64().map_or_else(|| "-".to_owned(), |at| words::time(at, now, zone));
    let state = run["state"].as_str().unwrap_or("unknown");
    let id = run["id"].as_str().unwrap_or_default();
    story.heading(format!("Run {id}: {state}"));
    let trigger = trigger(run["trigger"].as_str().unwrap_or_default());
    story.say(format!("It began {} {trigger}.", time("started_at")));
    if run["ended_at"].is_i64() {
        story.say(format!("It ended {}.", time("ended_at")));
    }
    if dataset.is_object() {
        let count = |name: &str| dataset[name].as_i64().unwrap_or_default();
        story.say(format!(
            "It learned from {} of {}.",
            words::many(count("rows"), "answer"),
            words::many(count("homes"), "home")
        ));
        let findings = dataset["lineage"]["quality"]["findings"].as_array().into_iter().flatten();
        for finding in findings.filter_map(Value::as_str) {
            story.point(format!("found in its data: {finding}"));
        }
    }
    match state {
        "running" => running(run, training, &mut story),
        "failed" => {
            let why = run["failure"].as_str().unwrap_or("no cause was written down");
            story.heading("Why it failed");
            story.point(why);
            story.say("Its folder in <data>/runs has its log; what failed for want of recordings or disk is tried again by the next trigger.");
        }
        _ => {}
    }
    let report = Report::read(&run["report"]);
    if let Some(report) = &report {
        report.tell(&mut story);
    } else if run["report"].is_object() {
        story.say("Its report is of a form that this program does not know; `runs get` with --json shows it.");
    }
    story.heading("What became of it");
    match made {
        Some(model) => {
            let (version, of) = (&model["version"], model["state"].as_str().unwrap_or_default());
            story.say(format!("It is model {version}, {}; `explain model {version}` tells more.", state_of_model(of)));
        }
        None if state == "held" => {
            story.say("It is no model, and no home gets it. Most runs end so: the model in charge stays until one is shown to be better.");
            if run["candidate"].is_string() {
                story.say(format!(
                    "A person may release it all the same: `hearthwatch-cloud ctl runs promote {id} --reason 'why'`; the gate's reasons stay true."
                ));
            }
        }
        None if matches!(report.map(|report| report.verdict), Some(Verdict::Promote)) => {
            story.say(format!(
                "The gate let it through, and it has no version yet: it waits for a person where `auto_release = false`, or for the signer. \
                 `hearthwatch-cloud ctl runs promote {id} --reason 'why'` releases it."
            ));
        }
        None => story.say("There is no model of it."),
    }
    story
}

fn running(run: &Value, training: &Value, story: &mut Story) {
    if training["run"] != run["id"] {
        story.say("The trainer is not at it now: it waits, or was stopped and is taken up again.");
        return;
    }
    let number = |name: &str| training[name].as_i64().unwrap_or_default();
    let phase = training["phase"].as_str().unwrap_or_default();
    let share = words::percent(number("done").unsigned_abs(), number("total").unsigned_abs());
    let left = training["remaining_s"]
        .as_i64()
        .map_or_else(String::new, |left| format!(", some {} left in this phase", words::duration(left)));
    story.say(format!("The trainer is at {phase}: {share}{left}."));
}

fn trigger(word: &str) -> &str {
    match word {
        "hand" => "because a person asked for it",
        "count" => "because enough new answers had come",
        "schedule" => "because the time since the last run was over",
        "drift" => "because the incoming windows had changed",
        "confirmations" => "because residents confirmed less than before",
        _ => "by a trigger that this program does not know",
    }
}

/// What the state of a model means.
pub(super) fn state_of_model(word: &str) -> &str {
    match word {
        "approved" => "approved and not yet out",
        "awaiting_signature" => "waiting for a second person's word at the signer",
        "champion" => "the fleet's model",
        "retired" => "replaced by a later one",
        "withdrawn" => "withdrawn by a person",
        other => other,
    }
}
