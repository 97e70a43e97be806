//! What the calls on federated rounds answer.

use hearthwatch_protocol::round::{ClassCount, SignedRoundOffer};
use hearthwatch_store::fixtures::{NOW, home, round, round_home};
use hearthwatch_store::rounds::{
    OfferRow, RoundDuty, RoundHomeRow, RoundHomeState, RoundOutcome, RoundRow, RoundStage,
};
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
