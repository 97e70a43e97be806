//! What the calls answer and do.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use hearthwatch_ingest::BatchTaker;
use hearthwatch_ingest::labels::LabelPolicy;
use hearthwatch_store::fixtures::{NOW, announcement, home, payload, record};
use hearthwatch_store::{AuditEntry, RunState};
use serde_json::{Value, json};

use super::Api;
use crate::bench::REPORT;

#[tokio::test]
async fn lists_come_in_pages_that_name_the_next() {
    let api = Api::new();
    for home in ["a", "b", "c"] {
        api.bench.answers(home, 1);
    }
    let first = api.get("/api/v1/homes?limit=2").await.json();
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    assert_eq!(first["next"], "b");
    let second = api.get("/api/v1/homes?limit=2&after=b").await.json();
    assert_eq!(second["items"][0]["home"], "c");
    assert_eq!(second.get("next"), None);
    for bad in ["limit=0", "limit=501", "limit=x", "after=%2F", "limit=1&limit=2"] {
        assert_eq!(api.get(&format!("/api/v1/homes?{bad}")).await.problem(), "invalid", "{bad}");
    }
}

#[tokio::test]
async fn feedback_is_told_without_its_windows() {
    let api = Api::new();
    api.bench.answers("a", 3);
    let page = api.get("/api/v1/feedback?limit=2").await.json();
    assert_eq!(page["next"], "a/2");
    assert_eq!(page["items"][0]["verdict"], "dismissed");
    assert_eq!(page["items"][0].get("window"), None);
    let rest = api.get("/api/v1/feedback?limit=2&after=a/2").await.json();
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    assert_eq!(api.get("/api/v1/feedback?after=nonsense").await.problem(), "invalid");
    assert_eq!(api.get("/api/v1/feedback/totals").await.json()["dismissed"], 3);
}

#[tokio::test]
async fn a_retraining_is_asked_for_and_written_down() {
    let mut api = Api::new();
    let answer = api.call("POST", "/api/v1/runs", &api.operator, None).await;
    let asked = answer.json();
    let said = (answer.status.as_u16(), &asked["state"], &asked["by"]);
    assert_eq!(said, (202, &json!("queued"), &json!("token:operator")));
    let place = answer.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(place, format!("/api/v1/run-requests/{}", asked["id"].as_str().unwrap()));
    assert_eq!(api.get(&place).await.json(), asked, "it is in the store before it is answered");
    assert_eq!(api.get("/api/v1/run-requests").await.json()["items"], json!([asked]));
    assert_eq!(api.bench.requests.try_recv().unwrap().row.id, asked["id"]);
    assert_eq!(api.get("/api/v1/run-requests/none").await.problem(), "not-found");
    let id = asked["id"].as_str().unwrap();
    let shown = api.get(&format!("/api/v1/runs/{id}")).await.json();
    assert_eq!((&shown["id"], &shown["state"], &shown["ended_at"]), (&asked["id"], &json!("running"), &Value::Null));
    let audit = api.call("GET", "/api/v1/audit", &api.operator, None).await.json();
    assert_eq!(audit["items"][0]["action"], "run.start");
    assert_eq!(audit["items"][0]["actor"], "token:operator");
}

#[tokio::test]
async fn when_the_trainer_is_busy_a_further_request_says_so_and_the_log_too() {
    let api = Api::new();
    for _ in 0..hearthwatch_learning::training::REQUESTS_MAX {
        assert_eq!(api.call("POST", "/api/v1/runs", &api.operator, None).await.status, 202);
    }
    let answer = api.call("POST", "/api/v1/runs", &api.operator, None).await;
    assert_eq!(answer.problem(), "conflict");
    assert_eq!(api.bench.app.store.run_requests(0).unwrap().len(), hearthwatch_learning::training::REQUESTS_MAX);
    let newest = &api.bench.app.store.audit(None, 1).unwrap()[0];
    assert_eq!(newest.action, "run.start.refused");
}

#[tokio::test]
async fn the_audit_log_is_a_chain_that_can_be_checked() {
    let api = Api::new();
    for _ in 0..3 {
        api.call("POST", "/api/v1/runs", &api.operator, None).await;
    }
    let mut rows = api.bench.app.store.audit(None, 10).unwrap();
    rows.reverse();
    let mut previous = [0; 32];
    for row in rows {
        let (at, actor, action, subject, detail) = (row.at, row.actor, row.action, row.subject, row.detail);
        let entry = AuditEntry { at, actor, action, subject, detail };
        assert_eq!(row.previous, previous);
        assert_eq!(row.hash, entry.hash(row.index, &previous));
        previous = row.hash;
    }
}

#[tokio::test]
async fn the_audit_log_is_paged_as_every_list_and_knows_its_former_parameter() {
    let api = Api::new();
    for _ in 0..3 {
        api.call("POST", "/api/v1/runs", &api.operator, None).await;
    }
    let queries = ["limit=2", "limit=2&after=2", "limit=2&before=2", "limit=1&after=2&before=3"];
    let mut pages = Vec::new();
    for query in queries {
        let page = api.call("GET", &format!("/api/v1/audit?{query}"), &api.operator, None).await.json();
        let lines = page["items"].as_array().unwrap().iter().map(|line| line["index"].as_u64().unwrap());
        pages.push((lines.collect::<Vec<_>>(), page.get("next").cloned()));
    }
    assert_eq!(pages, [(vec![3, 2], Some(json!("2"))), (vec![1], None), (vec![1], None), (vec![1], None)]);
    let answer = api.call("GET", "/api/v1/audit?after=x", &api.operator, None).await;
    assert_eq!(answer.json()["detail"], "after: give what the page before called `next`");
}

#[tokio::test]
async fn a_home_is_shut_out_and_let_in_again_by_an_admin() {
    let api = Api::new();
    api.bench.answers("a", 1);
    let out = api.call("POST", "/api/v1/homes/a/revoke", &api.admin, None).await.json();
    assert!(out["revoked_at"].is_i64());
    let back = api.call("POST", "/api/v1/homes/a/restore", &api.admin, None).await.json();
    assert_eq!(back["revoked_at"], Value::Null);
    assert_eq!(api.call("POST", "/api/v1/homes/b/revoke", &api.admin, None).await.problem(), "not-found");
    assert_eq!(api.call("POST", "/api/v1/homes/B/revoke", &api.admin, None).await.problem(), "invalid");
}

#[tokio::test]
async fn who_comes_second_is_told_where_the_home_is_and_the_log_says_that_it_was_refused() {
    let api = Api::new();
    api.bench.answers("a", 1);
    let exclude = async |token: &str, why: &str| {
        api.call("POST", "/api/v1/homes/a/exclude", token, Some(json!({"reason": why}))).await
    };
    assert_eq!(exclude(&api.operator, "contradicts all").await.status, 200);
    let second = exclude(&api.admin, "odd").await;
    assert_eq!((second.status.as_u16(), second.problem().as_str()), (409, "changed"));
    assert_eq!(second.json()["present"], json!({"state": "excluded", "row_version": 0}));
    let lines = api.bench.app.store.audit(None, 0).unwrap();
    let told: Vec<_> = lines.iter().map(|line| (line.actor.to_string(), line.action.as_str())).collect();
    let expected = [("token:admin".to_owned(), "home.exclude.refused"), ("token:operator".to_owned(), "home.exclude")];
    assert_eq!(told, expected);
    let why: Value = serde_json::from_str(&lines[0].detail).unwrap();
    assert_eq!(why, json!({"reason": "odd", "why": "home a was changed meanwhile: it is excluded"}));
    let listed = api.get("/api/v1/exclusions").await.json();
    let first = &listed["items"][0];
    assert_eq!((&first["by"], &first["reason"]), (&json!("token:operator"), &json!("contradicts all")));
}

#[tokio::test]
async fn a_model_is_shown_with_the_gates_report() {
    let api = Api::new();
    let version = api.bench.run("ab12", RunState::Promoted, b"weights").unwrap();
    let shown = api.get(&format!("/api/v1/models/{version}")).await.json();
    assert_eq!(shown["report"], serde_json::from_str::<Value>(REPORT).unwrap());
    assert_eq!((&shown["run"], &shown["state"], &shown["again"]), (&json!("ab12"), &json!("approved"), &json!(false)));
    assert_eq!(api.get("/api/v1/models/99").await.problem(), "not-found");
    assert_eq!(api.get("/api/v1/models/x").await.problem(), "invalid");
    assert_eq!(api.get("/api/v1/runs/ab12").await.json()["config"], json!({"seed": 7}));
}

#[tokio::test]
async fn promoting_needs_a_reason_a_candidate_and_a_repository() {
    let api = Api::new();
    api.bench.run("held", RunState::Held, b"not an artifact");
    api.bench.run("open", RunState::Running, b"weights");
    api.bench.run("good", RunState::Promoted, b"weights");
    let promote = async |run: &str, body: Value| {
        api.call("POST", &format!("/api/v1/runs/{run}/promote"), &api.operator, Some(body)).await
    };
    let why = json!({"reason": "checked by hand"});
    assert_eq!(promote("held", json!({})).await.problem(), "invalid");
    assert_eq!(promote("held", json!({"reason": " "})).await.problem(), "invalid");
    assert_eq!(promote("none", why.clone()).await.problem(), "not-found");
    assert_eq!(promote("open", why.clone()).await.problem(), "conflict");
    assert_eq!(promote("held", why.clone()).await.problem(), "conflict", "no agent would take these bytes");
    assert_eq!(promote("good", why).await.problem(), "unavailable", "no [release] is configured");
    assert_eq!(api.bench.app.store.releases().unwrap(), []);
}

#[tokio::test]
async fn what_was_refused_is_let_in_by_an_operator_with_a_reason_and_the_log_has_one_line_of_it() {
    let api = Api::new();
    let store = &api.bench.app.store;
    store.enrol_home(&home("a"), NOW).unwrap();
    let answers: Vec<_> = (2..=4).map(|sequence| record("a", sequence)).collect();
    let topics = answers.iter().map(|answer| announcement(answer, 1).0);
    let forged: Vec<_> = topics.zip(answers.iter().map(payload)).collect();
    let taker = BatchTaker::new(Arc::clone(store), Arc::clone(&api.bench.app.metrics))
        .with_labels(LabelPolicy { unannounced_per_day: 0, ..LabelPolicy::default() });
    taker.take(&[announcement(&record("a", 9), 1)], NOW).unwrap();
    taker.take(&forged, NOW).unwrap();
    let listed = api.get("/api/v1/quarantine").await.json();
    let row = &listed["items"][0];
    assert_eq!((&row["reason"], &row["liftable"]), (&json!("quota_exceeded"), &json!(true)));
    let path = format!("/api/v1/quarantine/{}/lift", row["id"]);
    let why = || Some(json!({"reason": "asked the resident"}));
    assert_eq!(api.call("POST", &path, &api.viewer, why()).await.problem(), "forbidden");
    let lifted = api.call("POST", &path, &api.operator, why()).await.json();
    assert_eq!(lifted, json!({"settled": 1, "left": 0, "audit": 1}));
    assert_eq!(api.call("POST", &path, &api.operator, why()).await.problem(), "not-found", "once");
    let all = |end: &str| json!({"home": "a", "refused_for": "quota_exceeded", "end": end, "reason": "a bad day"});
    let settled = api.call("POST", "/api/v1/quarantine/settle", &api.operator, Some(all("discarded"))).await.json();
    assert_eq!(settled["settled"], 2);
    let odd = api.call("POST", "/api/v1/quarantine/settle", &api.operator, Some(all("eaten"))).await;
    assert_eq!(odd.problem(), "invalid");
    let ends: Vec<_> = api.get("/api/v1/quarantine").await.json()["items"].as_array().unwrap().clone();
    assert_eq!(ends.iter().map(|row| row["settled"].clone()).collect::<Vec<_>>(), ["lifted", "discarded", "discarded"]);
    let newest = &store.audit(None, 1).unwrap()[0];
    assert_eq!((newest.action.as_str(), newest.subject.as_str()), ("quarantine.discard", "a/quota_exceeded"));
    assert_eq!(api.get("/api/v1/feedback/totals").await.json()["records"], 1);
}

#[tokio::test]
async fn what_is_too_large_strange_or_elsewhere_is_a_problem_and_no_more() {
    let api = Api::new();
    let large = json!({"reason": "x".repeat(20_000)});
    let answer = api.call("POST", "/api/v1/runs/x/promote", &api.operator, Some(large)).await;
    assert_eq!(answer.status_and_problem(), (413, "too-large".to_owned()));
    let extra = json!({"to": 1, "reason": "why", "force": true});
    let answer = api.call("POST", "/api/v1/releases/rollback", &api.operator, Some(extra)).await;
    assert_eq!(answer.status_and_problem(), (422, "invalid".to_owned()));
    assert_eq!(api.get("/api/v1/nothing").await.problem(), "not-found");
    assert_eq!(api.call("PUT", "/api/v1/runs", &api.admin, None).await.problem(), "method-not-allowed");
    let bearer = format!("Bearer {}", api.operator);
    let post = || Request::post("/api/v1/releases/rollback").header("authorization", &bearer);
    let text = api.send(post().body(Body::from("to=1")).unwrap()).await;
    assert_eq!(text.status_and_problem(), (415, "unsupported-media-type".to_owned()));
    assert_eq!(api.send_json(post(), "{\"to\":").await.status_and_problem(), (400, "malformed".to_owned()));
}

#[tokio::test]
async fn health_and_metrics_are_open_and_name_no_home() {
    let api = Api::new();
    api.bench.answers("secret-home", 1);
    for path in ["/healthz", "/readyz"] {
        let health = api.open(path).await;
        assert_eq!(health.status, 200, "{path}");
        assert_eq!(health.text(), r#"{"status":"able","parts":[]}"#, "{path}");
    }
    let plain = api.open("/metrics").await;
    assert_eq!(plain.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(plain.text().contains("# TYPE hearthwatch_cloud_build_info gauge\n"));
    let asked = Request::get("/metrics").header("accept", "application/openmetrics-text;version=1.0.0");
    let metrics = api.send(asked.body(Body::empty()).unwrap()).await;
    assert!(metrics.headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    assert!(metrics.text().contains("hearthwatch_cloud_") && metrics.text().ends_with("# EOF\n"));
    assert!(!metrics.text().contains("secret-home"));
}

#[tokio::test]
async fn the_api_describes_itself() {
    let api = Api::new();
    let document = api.open("/api/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    assert_eq!(document["paths"]["/api/v1/homes"]["get"]["tags"][0], "homes");
}
