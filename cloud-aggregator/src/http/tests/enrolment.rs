//! A home comes in.

use axum::body::Body;
use axum::http::Request;
use hearthwatch_protocol::HomeId;
use hearthwatch_provision::authority::SigningRequest;
use hearthwatch_provision::claims::TOKEN_LIFE;
use hearthwatch_provision::enrol::Enroller;
use hearthwatch_provision::{Claims, Layout, init};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, Api};
use crate::bench::{Bench, NOW};

/// An API with an enrolment desk, and a claim token for `home-7`.
fn open() -> (Api, String) {
    let bench = Bench::new();
    let layout = Layout::new(bench.directory.path().join("installation"));
    let now = Timestamp::from_second(NOW).unwrap();
    init::run(&layout, &init::Options::default(), now).unwrap();
    let token = Claims::at(layout.claims()).issue(&home(), now, TOKEN_LIFE).unwrap().reveal().to_owned();
    let desk = Enroller::load(&layout, 30).unwrap();
    (Api::over(bench, |http| http.with_enroller(desk)), token)
}

fn home() -> HomeId {
    HomeId::new("home-7").unwrap()
}

fn asked(token: &str) -> Value {
    json!({"home": "home-7", "token": token, "csr": SigningRequest::new(&home()).unwrap().request_pem})
}

async fn enroll(api: &Api, body: &Value) -> Answer {
    let request = Request::post("/enroll").header("content-type", "application/json");
    api.send(request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn a_claim_token_becomes_a_certificate_for_one_key() {
    let (api, token) = open();
    let given = enroll(&api, &asked(&token)).await;
    assert_eq!(given.status, 201, "{}", given.text());
    let given = given.json();
    assert!(given["certificate"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(given["ca"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(given["root"].as_str().unwrap().contains("\"_type\": \"root\""));
    assert!(api.bench.app.store.home(&home()).unwrap().is_some(), "let in by the store too");
    let line = &api.bench.app.store.audit(None, 1).unwrap()[0];
    assert_eq!((line.action.as_str(), line.subject.as_str()), ("home.enrol", "home-7"));

    let again = enroll(&api, &asked(&token)).await;
    assert_eq!((again.status.as_u16(), again.problem().as_str()), (409, "conflict"));
}

#[tokio::test]
async fn a_guessed_token_a_broken_request_and_a_large_body_are_refused() {
    let (api, token) = open();
    assert_eq!(enroll(&api, &asked("hwc_guess")).await.problem(), "conflict");
    let broken = json!({"home": "home-7", "token": token, "csr": "no request"});
    assert_eq!(enroll(&api, &broken).await.problem(), "invalid");
    let large = json!({"home": "home-7", "token": token, "csr": "x".repeat(100_000)});
    assert_eq!(enroll(&api, &large).await.problem(), "too-large");
    assert_eq!(api.bench.app.store.home(&home()).unwrap(), None);
    assert_eq!(enroll(&api, &asked(&token)).await.status, 201, "none of these used the token up");
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let (api, token) = open();
    for _ in 0..10 {
        enroll(&api, &asked("hwc_guess")).await;
    }
    assert_eq!(enroll(&api, &asked(&token)).await.problem(), "too-many-requests");
    api.wall.set(NOW + 60);
    assert_eq!(enroll(&api, &asked(&token)).await.status, 201);
}

#[tokio::test]
async fn an_aggregator_without_a_desk_says_so() {
    let api = Api::new();
    assert_eq!(enroll(&api, &asked("hwc_x")).await.problem(), "unavailable");
}
