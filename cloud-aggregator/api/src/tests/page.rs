//! The page and its log-in.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use hearthwatch_ingest::BatchTaker;
use hearthwatch_ingest::labels::LabelPolicy;
use hearthwatch_learning::training::TrainingStatus;
use hearthwatch_store::RunState;
use hearthwatch_store::fixtures::{home, message, record};
use hearthwatch_telemetry::metrics::Metrics;

use super::{Answer, Api};
use crate::bench::NOW;

async fn page(api: &Api, cookie: &str) -> Answer {
    api.send(Request::get("/").header("cookie", cookie).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_page_asks_for_a_token_and_then_shows_the_fleet() {
    let api = Api::new();
    api.bench.answers("home-1", 2);
    api.bench.run("ab12", RunState::Held, b"weights");
    let answer = api.open("/").await;
    assert_eq!((answer.status.as_u16(), answer.headers["location"].to_str().unwrap()), (303, "/login"));

    let entered = api.login(&api.viewer).await;
    let cookie = entered.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-hearthwatch=hws_"));
    assert!(cookie.ends_with("HttpOnly; SameSite=Strict; Secure"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let shown = page(&api, pair).await;
    assert_eq!(shown.status, 200);
    for part in ["home-1", "never seen", "Held back", "routine detector"] {
        assert!(shown.text().contains(part), "{part}");
    }

    let out = Request::post("/logout").header("cookie", pair).body(Body::empty()).unwrap();
    assert!(api.send(out).await.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(page(&api, pair).await.status, 303);
}

#[tokio::test]
async fn a_session_ends_when_its_token_is_withdrawn() {
    let api = Api::new();
    let pair = api.login(&api.viewer).await.cookie();
    assert_eq!(page(&api, &pair).await.status, 200);
    api.call("DELETE", "/api/v1/tokens/viewer", &api.admin, None).await;
    assert_eq!(page(&api, &pair).await.status, 303);
}

#[tokio::test]
async fn a_wrong_token_gets_the_form_again_and_after_ten_tries_a_pause() {
    let api = Api::new();
    for _ in 0..10 {
        let answer = api.login("hwt_guess").await;
        assert_eq!(answer.status, 401);
        assert!(answer.text().contains("not known") && !answer.headers.contains_key("set-cookie"));
    }
    let paused = api.login("hwt_guess").await;
    assert_eq!((paused.status.as_u16(), paused.problem().as_str()), (429, "too-many-requests"));
    assert_eq!(paused.headers["retry-after"], "6");
    assert_eq!(api.login(&api.viewer).await.status, 303, "who has a token does not pay for those who guess");
}

#[tokio::test]
async fn every_answer_forbids_foreign_content() {
    let api = Api::new();
    for path in ["/login", "/healthz", "/api/v1/homes", "/page.css", "/nowhere"] {
        let answer = api.open(path).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert!(answer.headers.contains_key("strict-transport-security"));
    }
}

#[tokio::test]
async fn the_live_part_comes_as_events() {
    let api = Api::new();
    let training = TrainingStatus { phase: "training", done: 1, total: 4, ..TrainingStatus::default() };
    api.bench.status.send_replace(training);
    let Api { bench, router, viewer, .. } = api;
    let request = Request::get("/live").header("authorization", format!("Bearer {viewer}")).body(Body::empty());
    let response = tower::ServiceExt::oneshot(router, request.unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = response.into_body().into_data_stream();
    let first = futures_util::StreamExt::next(&mut events).await.unwrap().unwrap();
    let text = String::from_utf8(first.to_vec()).unwrap();
    assert!(text.starts_with("data:") && text.contains("<progress max=\"4\" value=\"1\""), "{text}");
    // The trainer's end: the program is shutting down, and so does the stream.
    drop(bench);
    assert!(futures_util::StreamExt::next(&mut events).await.is_none());
}

#[tokio::test]
async fn what_was_refused_is_settled_from_the_page_by_an_operators_token_and_by_no_cookie() {
    let api = Api::new();
    let store = Arc::clone(&api.bench.app.store);
    let labels = LabelPolicy { unannounced_per_day: 0, ..LabelPolicy::default() };
    let taker = BatchTaker::new(Arc::clone(&store), Arc::new(Metrics::new())).with_labels(labels);
    store.enrol_home(&home("a"), 1).unwrap();
    taker.take(&[message(&record("a", 1)), message(&record("a", 2))], NOW).unwrap();
    let cookie = api.login(&api.operator).await.cookie();
    let rows = store.quarantine(0).unwrap();
    let shown = page(&api, &cookie).await.text();
    assert!(shown.contains(&format!("action=\"/quarantine/{}\"", rows[0].id)), "{shown}");

    let say = async |id: u64, form: String| {
        let request = Request::post(format!("/quarantine/{id}")).header("cookie", &cookie);
        api.send_form(request, form).await
    };
    let form = |token: &str, end: &str| format!("token={token}&reason=asked+the+resident&end={end}");
    let id = rows[0].id;
    assert_eq!(say(id, form("", "lifted")).await.problem(), "unauthenticated", "the session alone is not enough");
    assert_eq!(say(id, form(&api.viewer, "lifted")).await.problem(), "forbidden");
    assert_eq!(say(id, form(&api.operator, "eaten")).await.problem(), "invalid");
    assert_eq!(say(id, format!("token={}&reason=+&end=lifted", api.operator)).await.problem(), "invalid");
    assert_eq!(say(id, form(&api.operator, "lifted")).await.status, 303);
    assert_eq!(say(rows[1].id, form(&api.operator, "discarded")).await.status, 303);
    assert_eq!(say(id, form(&api.operator, "lifted")).await.problem(), "not-found", "once");
    let ends: Vec<_> = store.quarantine(0).unwrap().into_iter().filter_map(|row| row.settled).collect();
    let ends: Vec<_> = ends.iter().map(|end| (end.end.as_str(), end.by.as_str())).collect();
    assert_eq!(ends, [("lifted", "token:operator"), ("discarded", "token:operator")]);
}
