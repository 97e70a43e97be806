//! What the calls on federated rounds answer.

use hearthwatch_protocol::round::{ClassCount, SignedRoundOffer};
use hearthwatch_rounds::RoundSettings;
use hearthwatch_rounds::fixtures::settings;
use hearthwatch_store::fixtures::{NOW, home, round, round_home};
use hearthwatch_store::rounds::{
    OfferRow, RoundDuty, RoundHomeRow, RoundHomeState, RoundOutcome, RoundRow, RoundStage,
};
use hearthwatch_store::standings::{Remembered, ReputationRow, StandingRow};
use serde_json::{Value, json};

use super::Api;

/// An API in whose fleet the first round was held and the second is open.
fn held() -> Api {
    let api = Api::new();
    let store = api.bench.app.store.as_ref();
    let left_out = RoundHomeRow {
        reason: "against replay".to_owned(),
        similarity: Some(-0.4),
        norm: Some(0.5),
        ..round_home(1, "a", RoundDuty::Train, RoundHomeState::LeftOut)
    };
    let used = round_home(1, "b", RoundDuty::Train, RoundHomeState::Taken);
    let first = store.advance_round(&round(1, RoundStage::Training), &[left_out, used]).unwrap();
    let ended = RoundRow {
        stage: RoundStage::Ended,
        outcome: Some(RoundOutcome::Held),
        report: Some(r#"{"homes": 2}"#.to_owned()),
        ended_at: Some(NOW),
        ..first
    };
    store.advance_round(&ended, &[]).unwrap();
    store.advance_round(&round(2, RoundStage::Training), &[]).unwrap();
    api
}

#[tokio::test]
async fn rounds_are_listed_newest_first_and_shown_with_what_the_gate_found() {
    let api = held();
    let page = api.get("/api/v1/rounds?limit=1").await.json();
    assert_eq!((&page["items"][0]["number"], &page["next"]), (&json!(2), &json!("2")));
    let rest = api.get("/api/v1/rounds?after=2").await.json();
    assert_eq!((rest["items"].as_array().unwrap().len(), rest.get("next")), (1, None));
    let shown = api.get("/api/v1/rounds/1").await.json();
    assert_eq!(shown, rest["items"][0]);
    assert_eq!((&shown["outcome"], &shown["report"]), (&json!("held"), &json!({"homes": 2})));
    assert_eq!(api.get("/api/v1/rounds/2").await.json()["report"], Value::Null);
    assert_eq!(api.get("/api/v1/rounds/3").await.problem(), "not-found");
    assert_eq!(api.get("/api/v1/rounds/x").await.problem(), "invalid");
}

#[tokio::test]
async fn the_homes_of_a_round_are_listed_with_how_each_answer_stands() {
    let api = held();
    let page = api.get("/api/v1/rounds/1/homes?limit=1").await.json();
    let first = &page["items"][0];
    assert_eq!((&first["home"], &first["state"], &page["next"]), (&json!("a"), &json!("left_out"), &json!("a")));
    assert_eq!((&first["reason"], &first["similarity"]), (&json!("against replay"), &json!(-0.4)));
    let rest = api.get("/api/v1/rounds/1/homes?after=a").await.json();
    assert_eq!((&rest["items"][0]["home"], &rest["items"][0]["state"]), (&json!("b"), &json!("taken")));
    assert_eq!(api.get("/api/v1/rounds/2/homes").await.json()["items"], json!([]));
    assert_eq!(api.get("/api/v1/rounds/3/homes").await.problem(), "not-found");
}

#[tokio::test]
async fn what_homes_said_about_taking_part_comes_in_pages_by_name() {
    let api = Api::new();
    for (name, willing) in [("a", true), ("b", false)] {
        let class = |class: &str, entities| ClassCount { class: class.to_owned(), entities };
        let row = OfferRow {
            masks: false,
            home: home(name),
            willing,
            classes: vec![class("temperature", 4), class("power", 3)],
            signed: SignedRoundOffer::from_bytes(vec![1]),
            at: NOW,
            heard_at: NOW,
        };
        api.bench.app.store.put_offer(&row).unwrap();
    }
    let page = api.get("/api/v1/offers?limit=1").await.json();
    assert_eq!(page["items"], json!([{"home": "a", "willing": true, "entities": 7, "heard_at": NOW}]));
    let rest = api.get(&format!("/api/v1/offers?after={}", page["next"].as_str().unwrap())).await.json();
    assert_eq!((&rest["items"][0]["home"], &rest["items"][0]["willing"]), (&json!("b"), &json!(false)));
}

#[tokio::test]
async fn what_earlier_rounds_say_of_homes_and_what_noise_guarantees_can_be_read() {
    let api = Api::new();
    let none = json!({
        "rounds": 0, "homes": 0, "delta": 1e-5, "words": "No deltas became one yet.",
        "since": null, "published": null, "server": null,
    });
    assert_eq!(api.get("/api/v1/privacy").await.json(), none);
    let store = api.bench.app.store.as_ref();
    let settings = serde_json::to_string(&RoundSettings { noise: 1.0, ..settings() }).unwrap();
    let opened = RoundRow { settings, ..round(1, RoundStage::Training) };
    let used = round_home(1, "b", RoundDuty::Train, RoundHomeState::Taken);
    let opened = store.advance_round(&opened, &[used]).unwrap();
    let way = vec![0; 2_048];
    let alike = Some(("c".to_owned(), 0.7));
    let standing =
        StandingRow { home: home("b"), rounds: 3, left_out: 2, copied: 0, alike, suspicion: 0.6, latest: 3, way };
    let reputation = ReputationRow { seed: [1; 8], rounds: 3, before: None };
    let remembered = Remembered { reputation, standings: vec![standing], forgotten: Vec::new() };
    let aggregated = RoundRow { aggregate: Some("ab".to_owned()), ..opened };
    store.advance_round_and_remember(&aggregated, &[], &remembered).unwrap();
    let page = api.get("/api/v1/standings").await.json();
    let expected = json!({
        "home": "b", "rounds": 3, "left_out": 2, "copied": 0, "alike": "c", "suspicion": 0.6, "verdict": "doubted",
    });
    assert_eq!(page["items"], json!([expected]));
    let stated = api.get("/api/v1/privacy").await.json();
    assert_eq!(
        (&stated["since"], &stated["homes"], &stated["published"]["strength"]),
        (&json!(1), &json!(1), &json!("reasonable"))
    );
    assert!(stated["words"].as_str().unwrap().starts_with("Against readers of the weights ε "), "{stated}");
}
