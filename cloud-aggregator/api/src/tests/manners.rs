//! What all calls have in common: ids, tags of answers, keys, dry runs, limits.

use axum::body::Body;
use axum::http::Request;
use axum::http::request::Builder;
use serde_json::{Value, json};

use super::{Answer, Api};
use crate::bench::Bench;

fn of(api: &Api, token: &str, method: &str, path: &str) -> Builder {
    let _ = api;
    Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"))
}

async fn bare(api: &Api, request: Builder) -> Answer {
    api.send(request.body(Body::empty()).unwrap()).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_problem_says_what_to_do_and_names_the_request_as_the_log_does() {
    let api = Api::new();
    let request = of(&api, &api.viewer, "GET", "/api/v1/homes/nobody").header("x-request-id", "try-7");
    let answer = bare(&api, request).await;
    assert_eq!((answer.problem(), header(&answer, "x-request-id")), ("not-found".to_owned(), "try-7"));
    let body = answer.json();
    assert_eq!(body["instance"], "urn:hearthwatch:request:try-7");
    assert_eq!(body["remedy"], "Look for it in the list of its kind; `/api/openapi.json` has all places.");
    assert_eq!(header(&api.get("/api/v1/homes").await, "x-request-id").len(), 32);
}

#[tokio::test]
async fn an_answer_that_the_caller_has_is_not_sent_again() {
    let api = Api::new();
    api.bench.answers("a", 1);
    let tag = header(&api.get("/api/v1/homes/a").await, "etag").to_owned();
    let again = || of(&api, &api.viewer, "GET", "/api/v1/homes/a").header("if-none-match", tag.clone());
    let same = bare(&api, again()).await;
    assert_eq!((same.status.as_u16(), same.body.len(), header(&same, "etag")), (304, 0, tag.as_str()));
    api.call("POST", "/api/v1/homes/a/revoke", &api.admin, None).await;
    assert_eq!(bare(&api, again()).await.status, 200);
}

#[tokio::test]
async fn a_call_with_if_match_is_done_only_if_the_thing_looks_as_it_did() {
    let api = Api::new();
    api.bench.answers("a", 1);
    let seen = header(&api.get("/api/v1/homes/a").await, "etag").to_owned();
    let revoke = |tag: &str| of(&api, &api.admin, "POST", "/api/v1/homes/a/revoke").header("if-match", tag.to_owned());
    let refused = bare(&api, revoke("\"00\"")).await;
    assert_eq!((refused.problem(), header(&refused, "etag")), ("precondition-failed".to_owned(), seen.as_str()));
    assert_eq!(api.get("/api/v1/homes/a").await.json()["revoked_at"], Value::Null);
    assert_eq!(bare(&api, revoke(&seen)).await.status, 200);
    assert_eq!(bare(&api, revoke(&seen)).await.problem(), "precondition-failed");
    let about_nothing = of(&api, &api.operator, "POST", "/api/v1/runs").header("if-match", "*");
    assert_eq!(bare(&api, about_nothing).await.problem(), "invalid");
    let nobody = Request::post("/api/v1/homes/a/revoke").header("if-match", seen);
    assert_eq!(bare(&api, nobody).await.problem(), "unauthenticated");
}

#[tokio::test]
async fn a_request_with_a_key_is_done_once_and_answered_alike() {
    let api = Api::new();
    let start = |key: &str| of(&api, &api.operator, "POST", "/api/v1/runs").header("idempotency-key", key.to_owned());
    let first = bare(&api, start("\"one\"")).await;
    let again = bare(&api, start("one")).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (202, 202));
    assert_eq!((first.json(), header(&first, "location")), (again.json(), header(&again, "location")));
    assert_eq!((header(&first, "idempotency-replayed"), header(&again, "idempotency-replayed")), ("", "true"));
    assert_eq!(api.bench.app.store.run_requests(0).unwrap().len(), 1);
    let other = of(&api, &api.operator, "POST", "/api/v1/homes/a/include").header("idempotency-key", "one");
    assert_eq!(api.send_json(other, json!({"reason": "x"}).to_string()).await.problem(), "key-reused");
    assert_eq!(bare(&api, start("two")).await.status, 202);
    assert_eq!(api.bench.app.store.run_requests(0).unwrap().len(), 2);
    let secret = of(&api, &api.admin, "POST", "/api/v1/tokens").header("idempotency-key", "three");
    let secret = api.send_json(secret, json!({"name": "kim", "role": "viewer"}).to_string()).await;
    assert_eq!(secret.problem(), "invalid");
    let forbidden = of(&api, &api.viewer, "POST", "/api/v1/runs").header("idempotency-key", "four");
    assert_eq!(bare(&api, forbidden).await.problem(), "forbidden");
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let api = Api::new();
    api.bench.answers("a", 1);
    let told = api.call("POST", "/api/v1/homes/a/revoke?dry_run=true", &api.admin, None).await.json();
    assert_eq!(
        (&told["dry_run"], &told["action"], &told["subject"]),
        (&json!(true), &json!("home.revoke"), &json!("a"))
    );
    assert_eq!(
        (&told["detail"]["before"]["state"], &told["detail"]["after"]["state"]),
        (&json!("admitted"), &json!("revoked"))
    );
    assert_eq!(api.get("/api/v1/homes/a").await.json()["revoked_at"], Value::Null);
    for (path, token, body) in [
        ("/api/v1/runs", &api.operator, None),
        ("/api/v1/tokens", &api.admin, Some(json!({"name": "kim", "role": "viewer"}))),
        ("/api/v1/homes/a/exclude", &api.operator, Some(json!({"reason": "odd"}))),
    ] {
        let answer = api.call("POST", &format!("{path}?dry_run=true"), token, body).await;
        assert_eq!(answer.json()["dry_run"], true, "{path}");
    }
    let refused = api.call("POST", "/api/v1/homes/nobody/revoke?dry_run=true", &api.admin, None).await;
    assert_eq!(refused.problem(), "not-found");
    let lesser = api.call("POST", "/api/v1/homes/a/revoke?dry_run=true", &api.viewer, None).await;
    assert_eq!(lesser.problem(), "forbidden");
    assert_eq!(api.call("POST", "/api/v1/homes/a/revoke?dry_run=1", &api.admin, None).await.problem(), "invalid");
    let store = &api.bench.app.store;
    assert_eq!((store.audit(None, 0).unwrap().len(), store.run_requests(0).unwrap().len()), (0, 0));
    assert_eq!(store.tokens().unwrap().len(), 3);
}

#[tokio::test]
async fn every_answer_says_how_many_calls_are_left_and_the_last_one_when_to_come_back() {
    let api = Api::over(Bench::new(), |http| http.with_calls_per_minute(3));
    for left in [2, 1, 0] {
        let answer = api.get("/api/v1/homes").await;
        assert_eq!(header(&answer, "ratelimit"), format!("\"calls\";r={left};t=60"));
        assert_eq!(header(&answer, "ratelimit-policy"), "\"calls\";q=3;w=60");
    }
    let refused = api.get("/api/v1/homes").await;
    assert_eq!((refused.problem(), header(&refused, "retry-after")), ("too-many-requests".to_owned(), "20"));
    let other = api.call("GET", "/api/v1/homes", &api.operator, None).await;
    assert_eq!(other.status, 200, "another token has its own");
}

#[tokio::test]
async fn homes_are_filtered_sorted_and_tagged() {
    let api = Api::new();
    for (home, count) in [("a", 1), ("b", 3), ("c", 2)] {
        api.bench.answers(home, count);
    }
    let tagged = api.call("PUT", "/api/v1/homes/b/tags", &api.operator, Some(json!({"tags": ["pilot", "nyc"]}))).await;
    assert_eq!(tagged.json()["tags"], json!(["nyc", "pilot"]));
    let names = async |query: &str| {
        let page = api.get(&format!("/api/v1/homes?{query}")).await.json();
        let names = page["items"].as_array().unwrap().iter().map(|home| home["home"].as_str().unwrap().to_owned());
        (names.collect::<String>(), page["next"].as_str().map(str::to_owned))
    };
    assert_eq!(names("sort=-records&limit=2").await, ("bc".to_owned(), Some("2/c".to_owned())));
    assert_eq!(names("sort=-records&limit=2&after=2/c").await, ("a".to_owned(), None));
    assert_eq!(names("tag=pilot,nyc").await.0, "b");
    assert_eq!(names("state=never_seen&q=c").await.0, "c");
    for bad in
        ["sort=colour", "tag=A", "state=gone", "sort=-records&after=1/2/c", "q=%25", "heard_before=9007199254740992"]
    {
        assert_eq!(api.get(&format!("/api/v1/homes?{bad}")).await.problem(), "invalid", "{bad}");
    }
    assert_eq!(api.get("/api/v1/tags").await.json()["items"][1], json!({"tag": "pilot", "homes": 1}));
    let line = &api.bench.app.store.audit(None, 1).unwrap()[0];
    assert_eq!(line.action, "home.tag");
    let too_long =
        api.call("PUT", "/api/v1/homes/b/tags", &api.operator, Some(json!({"tags": ["x".repeat(65)]}))).await;
    assert_eq!(too_long.problem(), "invalid");
}

#[tokio::test]
async fn a_run_that_waits_is_cancelled_and_one_that_has_ended_is_not() {
    let api = Api::new();
    let asked = api.call("POST", "/api/v1/runs", &api.operator, None).await.json();
    let path = format!("/api/v1/runs/{}/cancel", asked["id"].as_str().unwrap());
    let answer = api.call("POST", &path, &api.operator, Some(json!({"reason": "not now"}))).await;
    assert_eq!(answer.status, 202);
    let cancellations = api.bench.app.training.cancellations();
    assert_eq!(format!("{cancellations:?}").matches("token:operator").count(), 1);
    assert_eq!(
        api.call("POST", "/api/v1/runs/none/cancel", &api.operator, Some(json!({"reason": "x"}))).await.problem(),
        "not-found"
    );
}

#[tokio::test]
async fn what_a_call_will_lose_is_said_when_it_is_used() {
    let api = Api::new();
    let former = api.call("GET", "/api/v1/audit?before=9", &api.operator, None).await;
    assert_eq!(header(&former, "deprecation"), "@1795132800");
    assert_eq!(header(&api.call("GET", "/api/v1/audit?after=9", &api.operator, None).await, "deprecation"), "");
}

#[tokio::test]
async fn settings_and_alerts_are_lists_like_all_others() {
    let api = Api::new();
    assert_eq!(api.call("GET", "/api/v1/settings", &api.operator, None).await.json(), json!({"items": []}));
    assert_eq!(api.get("/api/v1/settings").await.problem(), "forbidden");
    assert_eq!(api.get("/api/v1/alerts").await.json(), json!({"items": []}));
}
