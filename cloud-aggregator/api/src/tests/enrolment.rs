//! A home comes in.

use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::renewal::Renewal;
use hearthwatch_protocol::seal::SigningKey;
use hearthwatch_protocol::statement::Statement as _;
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
    open_with(Bench::new())
}

fn open_with(bench: Bench) -> (Api, String) {
    let layout = Layout::new(bench.directory.path().join("installation"));
    let now = Timestamp::from_second(NOW).unwrap();
    init::run(&layout, &init::Options::default(), now).unwrap();
    let token = Claims::at(layout.claims()).issue(&home(), now, TOKEN_LIFE).unwrap().reveal().to_owned();
    let releaser = Enroller::load(&layout, 30).unwrap();
    (Api::over(bench, |http| http.with_enroller(releaser)), token)
}

fn home() -> HomeId {
    HomeId::new("home-7").unwrap()
}

fn asked(token: &str) -> Value {
    json!({"home": "home-7", "token": token, "csr": SigningRequest::new(&home()).unwrap().request_pem})
}

async fn enroll(api: &Api, body: &Value) -> Answer {
    api.send_json(Request::post("/enroll"), body.to_string()).await
}

/// Gives a home a claim and lets it enrol with it.
async fn enroll_new(api: &Api, name: &str) -> Answer {
    let layout = Layout::new(api.bench.directory.path().join("installation"));
    let (home, now) = (HomeId::new(name).unwrap(), Timestamp::from_second(NOW).unwrap());
    let token = Claims::at(layout.claims()).issue(&home, now, TOKEN_LIFE).unwrap();
    let csr = SigningRequest::new(&home).unwrap().request_pem;
    enroll(api, &json!({"home": home, "token": token.reveal(), "csr": csr})).await
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

    assert_eq!(enroll(&api, &asked(&token)).await.status_and_problem(), (409, "conflict".to_owned()));
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
    let slowed = enroll(&api, &asked("hwc_guess")).await;
    assert_eq!((slowed.status.as_u16(), slowed.problem().as_str()), (429, "too-many-requests"));
    assert_eq!(slowed.headers["retry-after"], "60");
    assert_eq!(enroll(&api, &asked(&token)).await.status, 201, "who has a claim does not pay for those who guess");
    api.wall.set(NOW + 60);
    assert_eq!(enroll(&api, &asked("hwc_guess")).await.problem(), "conflict");
}

#[tokio::test]
async fn twenty_homes_behind_one_router_enrol_at_once() {
    let (api, _) = open();
    for number in 1..=20 {
        let given = enroll_new(&api, &format!("nat-{number}")).await;
        assert_eq!(given.status, 201, "home {number}: {}", given.text());
    }
}

#[tokio::test]
async fn one_home_that_enrols_again_and_again_waits_alone() {
    let (api, token) = open();
    let asked = asked(&token);
    for _ in 0..10 {
        assert_eq!(enroll(&api, &asked).await.status, 201, "the same key may ask again");
    }
    assert_eq!(enroll(&api, &asked).await.problem(), "too-many-requests");
    assert_eq!(enroll_new(&api, "home-8").await.status, 201);
}

#[tokio::test]
async fn behind_a_trusted_proxy_strangers_are_counted_by_their_own_address() {
    let mut bench = Bench::new();
    bench.app.trusted_proxies = ["127.0.0.1".parse().unwrap()].into();
    let (api, _) = open_with(bench);
    let guess = async |from: &str| {
        let request = Request::post("/enroll").header("x-forwarded-for", from);
        api.send_json(request, asked("hwc_guess").to_string()).await.problem()
    };
    for _ in 0..10 {
        assert_eq!(guess("198.51.100.7").await, "conflict");
    }
    assert_eq!(guess("198.51.100.7").await, "too-many-requests");
    assert_eq!(guess("203.0.113.9, 198.51.100.7").await, "too-many-requests", "the left end is the caller's own word");
    assert_eq!(guess("198.51.100.8").await, "conflict");
}

#[tokio::test]
async fn an_aggregator_without_a_desk_says_so() {
    let api = Api::new();
    assert_eq!(enroll(&api, &asked("hwc_x")).await.problem(), "unavailable");
}

/// What a home signs to get its next certificate.
fn wish(request: &SigningRequest, next: &SigningRequest, at: i64) -> Value {
    let (_, pem) = x509_parser::pem::parse_x509_pem(request.key_pem.as_bytes()).unwrap();
    let key = SigningKey::from_pkcs8(&pem.contents).unwrap();
    let wish = Renewal { home: home(), csr: next.request_pem.clone(), at }.sign(&key).unwrap();
    json!({"home": "home-7", "wish": STANDARD.encode(wish.as_bytes())})
}

async fn renew(api: &Api, body: &Value) -> Answer {
    api.send_json(Request::post("/renew"), body.to_string()).await
}

/// An API where `home-7` has enrolled with this key.
async fn with_home() -> (Api, SigningRequest) {
    let (api, token) = open();
    let request = SigningRequest::new(&home()).unwrap();
    let asked = json!({"home": "home-7", "token": token, "csr": request.request_pem});
    assert_eq!(enroll(&api, &asked).await.status, 201);
    (api, request)
}

#[tokio::test]
async fn the_present_key_gets_a_certificate_for_the_next() {
    let (api, first) = with_home().await;
    let next = SigningRequest::new(&home()).unwrap();
    let given = renew(&api, &wish(&first, &next, NOW)).await;
    assert_eq!(given.status, 201, "{}", given.text());
    assert!(given.json()["certificate"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(api.bench.app.store.audit(None, 1).unwrap()[0].action, "home.renew");
    let stranger = renew(&api, &wish(&next, &next, NOW)).await;
    // A key that was certified a moment ago vouches for another, not for itself.
    assert_eq!(stranger.problem(), "conflict");
}

#[tokio::test]
async fn a_home_that_comes_back_late_waits_for_an_operator() {
    let (api, first) = with_home().await;
    let late = NOW + 40 * 86_400;
    api.wall.set(late);
    let asked = wish(&first, &SigningRequest::new(&home()).unwrap(), late);
    let waits = renew(&api, &asked).await;
    assert_eq!((waits.status.as_u16(), &waits.json()["state"]), (202, &json!("waits")));
    let listed = api.get("/api/v1/renewals").await.json();
    assert_eq!(listed["items"][0]["home"], "home-7");
    assert_eq!(listed["items"][0]["expired_at"], NOW + 30 * 86_400);
    let approved = api.call("POST", "/api/v1/renewals/home-7/approve", &api.operator, None).await.json();
    assert_eq!(approved["approved_by"], "token:operator");
    assert_eq!(renew(&api, &asked).await.status, 201);
    let nobody = api.call("POST", "/api/v1/renewals/home-7/deny", &api.operator, None).await;
    assert_eq!(nobody.problem(), "not-found", "it came in");
}

#[tokio::test]
async fn a_revoked_home_is_on_the_list_that_brokers_read_and_renews_nothing() {
    let (api, first) = with_home().await;
    let out = api.call("POST", "/api/v1/homes/home-7/revoke", &api.admin, None).await;
    assert_eq!(out.status, 200, "{}", out.text());
    let layout = Layout::new(api.bench.directory.path().join("installation"));
    assert!(std::fs::read_to_string(layout.mosquitto_acl()).unwrap().contains("user home-7\ntopic deny #"));
    let refused = renew(&api, &wish(&first, &SigningRequest::new(&home()).unwrap(), NOW)).await;
    assert_eq!(refused.problem(), "conflict");
}
