//! Explanations of what aggregators really answered, or nearly: each `golden/NAME.json` is told, and held against `golden/NAME.txt`.
//! `UPDATE_GOLDEN=1` writes the texts anew.

use std::path::Path;

use serde_json::Value;

use super::Story;
use super::facts::Seen;
use super::{model, rollout, run};
use crate::testing;
use crate::world::{Terminal, World};

fn told(name: &str, tell: impl FnOnce(&Value, &World<'_>) -> Story) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/explain/golden");
    let given = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    let given: Value = serde_json::from_str(&given).unwrap();
    let text = testing::in_a_world("", |world| tell(&given, world).text(Terminal::NONE));
    let file = folder.join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(text == expected, "{name} is told otherwise:\n{text}");
    text
}

fn there(value: &Value) -> Option<&Value> {
    (!value.is_null()).then_some(value)
}

fn of_run(given: &Value, world: &World<'_>) -> Story {
    run::tell(&given["run"], &given["training"], there(&given["model"]), &given["dataset"], world)
}

fn of_rollout(given: &Value, world: &World<'_>) -> Story {
    let act = there(&given["act"]).map_or(Seen::Nothing, |act| Seen::There(act.clone()));
    rollout::tell(&given["rollout"], given["outcomes"].as_array().unwrap(), &act, world)
}

#[test]
fn why_a_run_was_held_is_told_with_its_figures() {
    let text = told("run-held", of_run);
    for part in [
        "Why the gate held it: 2 reasons",
        "122 of 319",
        "recall against the champion: -0.006",
        "hearthwatch-cloud ctl runs promote",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn why_a_run_was_promoted_is_told_and_what_it_owes_single_homes() {
    let text = told("run-promoted", of_run);
    assert!(text.contains("Why the gate let it through") && text.contains("home-03 gives 31 %"), "{text}");
}

#[test]
fn a_rollout_that_its_tests_stopped_says_on_what_evidence() {
    let text = told("rollout-rolled-back", of_rollout);
    for part in [
        "The system itself, by its tests: rolled back",
        "Evidence after reports of 212 homes",
        "2 homes: rolled back at run: golden vectors",
        "1,259 to 1",
        "stops it",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn a_rollout_that_goes_on_or_is_paused_says_what_would_stop_it() {
    let text = told("rollout-paused", of_rollout);
    for part in [
        "By token:kim: pause 2026-12-01 07:26",
        "some sign of harm",
        "What would stop it: any one of them reaching 500 to 1.",
        "wave 2: 10 % of homes, 48 h",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(told("rollout-complete", of_rollout).contains("no sign of harm"));
}

#[test]
fn a_model_and_a_release_say_where_they_came_from_and_how_homes_fared() {
    let of_model = |given: &Value, world: &World<'_>| {
        model::tell(&given["model"], there(&given["release"]), there(&given["rollout"]), world)
    };
    assert!(told("model", of_model).contains("Model 1: the fleet's model"));
    let of_release = |given: &Value, world: &World<'_>| {
        let outcomes = given["outcomes"].as_array().unwrap();
        model::tell_release(&given["release"], there(&given["model"]), there(&given["rollout"]), outcomes, world)
    };
    assert!(told("release", of_release).contains("2 homes had it in charge, and it gave way: home-6, home-7"));
}
