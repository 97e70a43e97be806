//! Narrowed tokens, sessions, and calls that two people have to stand behind.

use axum::body::Body;
use axum::http::Request;
use hearthwatch_store::people::SessionPurpose;
use hearthwatch_store::{Actor, Role, token};
use serde_json::json;

use super::Api;
use crate::bench::{Bench, NOW};
use crate::http::second_person::Guarded;
use crate::http::sessions::{IDLE_SECONDS, Lifetime};

fn scoped(api: &Api, name: &str, role: Role, scopes: &[&str]) -> String {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    token::make_scoped(api.bench.app.store.as_ref(), name, role, Some(scopes), None, NOW).unwrap().0
}

#[tokio::test]
async fn a_token_with_scopes_may_do_these_and_nothing_else_of_its_role() {
    let api = Api::new();
    let body = json!({"name": "exporter", "role": "operator", "scopes": ["homes:read", "homes:exclude"]});
    let made = api.call("POST", "/api/v1/tokens", &api.admin, Some(body)).await;
    assert_eq!(made.json()["token"]["scopes"], json!(["homes:read", "homes:exclude"]));
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    assert_eq!(api.call("GET", "/api/v1/homes", &secret, None).await.status, 200);
    let refused = api.call("GET", "/api/v1/runs", &secret, None).await;
    assert_eq!(refused.status_and_problem(), (403, "out-of-scope".to_owned()));
    assert_eq!(refused.json()["detail"], "this needs the scope runs:read, which the token has not");
    let refused = api.call("POST", "/api/v1/runs", &secret, None).await;
    assert_eq!(refused.json()["detail"], "this needs the scope runs:create, which the token has not");
}

#[tokio::test]
async fn a_scope_that_cannot_be_read_is_refused_before_a_token_is_made() {
    let api = Api::new();
    let body = json!({"name": "x", "role": "viewer", "scopes": ["Homes"]});
    let refused = api.call("POST", "/api/v1/tokens", &api.admin, Some(body)).await;
    let told = "scopes: \"Homes\" is no scope: NOUN:VERB, e.g. homes:read, rollouts:halt, runs:write, *:read";
    assert_eq!((refused.status.as_u16(), refused.json()["detail"].as_str()), (422, Some(told)));
    let none = json!({"name": "x", "role": "viewer", "scopes": []});
    assert_eq!(api.call("POST", "/api/v1/tokens", &api.admin, Some(none)).await.status, 422);
}

#[tokio::test]
async fn a_narrowed_token_opens_the_pages_only_with_their_scope_and_never_their_forms() {
    let api = Api::new();
    let blind = scoped(&api, "blind", Role::Operator, &["homes:read"]);
    let cookie = api.login(&blind).await.cookie();
    let page = |cookie: String| Request::get("/").header("cookie", cookie).body(Body::empty()).unwrap();
    assert_eq!(api.send(page(cookie)).await.status, 403);
    let seeing = scoped(&api, "seeing", Role::Operator, &["pages:read", "*:write"]);
    let cookie = api.login(&seeing).await.cookie();
    assert_eq!(api.send(page(cookie)).await.status, 200);
    let form = format!("token={seeing}&reason=noise&end=lifted");
    let sent = api.send_form(Request::post("/quarantine/1"), form).await;
    assert_eq!(sent.status_and_problem(), (403, "out-of-scope".to_owned()));
}

#[tokio::test]
async fn an_admin_sees_who_is_logged_in_and_ends_a_session() {
    let api = Api::new();
    let cookie = api.login(&api.viewer).await.cookie();
    let page = || Request::get("/").header("cookie", cookie.clone()).body(Body::empty()).unwrap();
    assert_eq!(api.send(page()).await.status, 200);
    let sessions = api.call("GET", "/api/v1/sessions", &api.admin, None).await.json();
    let one = &sessions["items"][0];
    assert_eq!((&one["holder"], &one["purpose"]), (&json!("token:viewer"), &json!("page")));
    let id = one["id"].as_str().unwrap();
    assert_eq!(api.call("DELETE", &format!("/api/v1/sessions/{id}"), &api.admin, None).await.status, 204);
    assert_eq!(api.send(page()).await.status, 303, "to the login");
    let gone = api.call("DELETE", &format!("/api/v1/sessions/{id}"), &api.admin, None).await;
    assert_eq!(gone.status_and_problem(), (404, "not-found".to_owned()));
    let log = api.call("GET", "/api/v1/audit", &api.admin, None).await.json();
    let actions: Vec<_> = log["items"].as_array().unwrap().iter().map(|line| line["action"].clone()).collect();
    assert_eq!(actions, ["session.end", "session.begin"]);
}

#[tokio::test]
async fn a_session_ends_when_nobody_uses_it_and_lives_through_a_restart() {
    let api = Api::new();
    let cookie = api.login(&api.viewer).await.cookie();
    let page = || Request::get("/").header("cookie", cookie.clone()).body(Body::empty()).unwrap();
    api.wall.set(NOW + IDLE_SECONDS - 1);
    assert_eq!(api.send(page()).await.status, 200);
    api.wall.set(NOW + 2 * IDLE_SECONDS - 2);
    assert_eq!(api.send(page()).await.status, 200, "it was used in between");
    api.wall.set(NOW + 3 * IDLE_SECONDS);
    assert_eq!(api.send(page()).await.status, 303);
    let again = api.login(&api.viewer).await.cookie();
    let other = Api {
        router: crate::router::router(crate::http::Http::new(api.bench.app.clone(), true).with_wall(api.wall.clone())),
        ..api
    };
    let page = Request::get("/").header("cookie", again).body(Body::empty()).unwrap();
    assert_eq!(other.send(page).await.status, 200);
}

/// A person's session, as the identity provider's answer begins it.
async fn person(api: &Api, name: &str, role: Role, purpose: SessionPurpose) -> String {
    let http = crate::http::Http::new(api.bench.app.clone(), true).with_wall(api.wall.clone());
    let who = crate::http::sessions::Beginner {
        holder: Actor::Person(name.to_owned()),
        subject: Some(format!("https://id.example {name}")),
        token: None,
        role,
        purpose,
    };
    crate::http::sessions::begin(&http, who).await.unwrap().0
}

#[tokio::test]
async fn a_person_without_a_token_changes_something_by_a_form_of_the_own_session_alone() {
    let api = Api::new();
    api.bench.answers("home-7", 2);
    let ada = person(&api, "ada", Role::Operator, SessionPurpose::Page).await;
    let eve = person(&api, "eve", Role::Viewer, SessionPurpose::Page).await;
    let cookie = |secret: &str| format!("__Host-hearthwatch={secret}");
    let page = Request::get("/homes/home-7/exclude").header("cookie", cookie(&ada)).body(Body::empty()).unwrap();
    let text = api.send(page).await.text();
    let check = text.split("name=\"check\" value=\"").nth(1).unwrap()[..32].to_owned();
    assert!(!text.contains("name=\"token\""), "{text}");
    let form = |secret: &str, check: &str| {
        let request = Request::post("/homes/home-7/exclude").header("cookie", cookie(secret));
        (request, format!("check={check}&reason=noise"))
    };
    let (request, body) = form(&eve, &check);
    assert_eq!(api.send_form(request, body).await.status, 401, "the word of another session");
    let (request, body) = form(&ada, "0".repeat(32).as_str());
    assert_eq!(api.send_form(request, body).await.status, 401);
    let (request, body) = form(&ada, &check);
    assert_eq!(api.send_form(request, body).await.status, 303);
    let log = api.call("GET", "/api/v1/audit", &api.admin, None).await.json();
    assert_eq!((&log["items"][0]["action"], &log["items"][0]["actor"]), (&json!("home.exclude"), &json!("person:ada")));
}

#[tokio::test]
async fn a_session_of_the_command_line_is_sent_like_a_token_and_can_log_out() {
    let api = Api::new();
    let secret = person(&api, "ada", Role::Operator, SessionPurpose::CommandLine).await;
    let own = api.call("GET", "/api/v1/session", &secret, None).await.json();
    assert_eq!((&own["holder"], &own["role"]), (&json!("person:ada"), &json!("operator")));
    assert_eq!(api.call("DELETE", "/api/v1/session", &secret, None).await.status, 204);
    assert_eq!(api.call("GET", "/api/v1/session", &secret, None).await.status, 401);
    let token = api.call("DELETE", "/api/v1/session", &api.viewer, None).await;
    assert_eq!(token.json()["detail"], "this request is made with a token, which is no session");
    let page = person(&api, "ada", Role::Operator, SessionPurpose::Page).await;
    assert_eq!(api.call("GET", "/api/v1/homes", &page, None).await.status, 401, "a cookie is no token");
}

fn guarded(kinds: &[Guarded]) -> Api {
    Api::over(Bench::new(), |http| http.with_second_person(kinds).with_lifetime(Lifetime::default()))
}

#[tokio::test]
async fn what_needs_two_people_waits_for_the_second_and_is_done_as_the_first() {
    let api = guarded(&[Guarded::Erase]);
    api.bench.answers("home-7", 2);
    let place = "/api/v1/homes/home-7/erase";
    let asked = api.call("POST", place, &api.admin, Some(json!({"reason": "moved out"}))).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    assert_eq!(asked.headers["location"], "/api/v1/approvals/1");
    let view = asked.json();
    assert_eq!((&view["state"], &view["asked_by"]), (&json!("waiting"), &json!("token:admin")));
    assert_eq!(view["would"]["action"], "home.erase");
    assert_eq!(api.get("/api/v1/homes/home-7").await.status, 200, "nothing is done yet");

    let own = api.call("POST", "/api/v1/approvals/1/approve", &api.admin, None).await;
    assert_eq!(own.json()["detail"], "you asked for this yourself: a second person has to approve it");
    let low = api.call("POST", "/api/v1/approvals/1/approve", &api.operator, None).await;
    assert_eq!(low.status_and_problem(), (403, "forbidden".to_owned()));

    let second = token::make(api.bench.app.store.as_ref(), "second", Role::Admin, None, NOW).unwrap().0;
    let trial = api.call("POST", "/api/v1/approvals/1/approve?dry_run=true", &second, None).await;
    assert_eq!(trial.json()["action"], "approval.approve");
    let done = api.call("POST", "/api/v1/approvals/1/approve", &second, None).await.json();
    assert_eq!(
        (&done["state"], &done["answer_status"], &done["decided_by"]),
        (&json!("done"), &json!(200), &json!("token:second"))
    );
    assert_eq!(api.get("/api/v1/homes/home-7").await.status, 404);
    let log = api.call("GET", "/api/v1/audit", &api.admin, None).await.json();
    let lines = log["items"].as_array().unwrap();
    let erased = lines.iter().find(|line| line["action"] == "home.erase").unwrap();
    assert_eq!((&erased["actor"], &erased["detail"]["approved_by"]), (&json!("token:admin"), &json!("token:second")));

    let again = api.call("POST", "/api/v1/approvals/1/approve", &second, None).await;
    assert_eq!(again.json()["detail"], "call 1 does not wait any more: it is done");
}

#[tokio::test]
async fn what_could_not_be_done_waits_for_nobody() {
    let api = guarded(&[Guarded::Erase]);
    let asked = api.call("POST", "/api/v1/homes/nobody/erase", &api.admin, Some(json!({"reason": "x"}))).await;
    assert_eq!(asked.status_and_problem(), (404, "not-found".to_owned()));
    let low = api.call("POST", "/api/v1/homes/nobody/erase", &api.operator, Some(json!({"reason": "x"}))).await;
    assert_eq!(low.status, 403);
    assert_eq!(api.get("/api/v1/approvals").await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_wish_lapses_after_a_day_is_taken_back_by_its_asker_and_dies_with_its_token() {
    let api = guarded(&[Guarded::Erase]);
    api.bench.answers("home-7", 2);
    let ask = || api.call("POST", "/api/v1/homes/home-7/erase", &api.admin, Some(json!({"reason": "moved out"})));
    let second = token::make(api.bench.app.store.as_ref(), "second", Role::Admin, None, NOW).unwrap().0;
    ask().await;
    api.wall.set(NOW + 86_400);
    let late = api.call("POST", "/api/v1/approvals/1/approve", &second, None).await;
    assert_eq!(late.json()["detail"], "call 1 does not wait any more: it is lapsed");
    ask().await;
    let back = api.call("POST", "/api/v1/approvals/2/deny", &api.admin, None).await;
    assert_eq!(back.json()["state"], "denied");
    ask().await;
    api.bench.app.store.revoke_token("admin", NOW).unwrap();
    let dead = api.call("POST", "/api/v1/approvals/3/approve", &second, None).await;
    assert_eq!(dead.json()["detail"], "token:admin may not ask for anything any more");
    assert_eq!(api.get("/api/v1/homes/home-7").await.status, 200);
}
