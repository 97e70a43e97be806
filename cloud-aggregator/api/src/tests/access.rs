//! Who may do what.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use hearthwatch_store::Role;
use hearthwatch_store::token;
use serde_json::json;

use super::Api;
use crate::bench::NOW;
use crate::openapi::document;

/// Every call that wants a token, with the least role that may make it.
const ROLES: [(&str, &str, Role); 73] = [
    ("GET", "/api/v1/sessions", Role::Admin),
    ("DELETE", "/api/v1/sessions/{id}", Role::Admin),
    ("GET", "/api/v1/session", Role::Viewer),
    ("DELETE", "/api/v1/session", Role::Viewer),
    ("GET", "/api/v1/approvals", Role::Viewer),
    ("GET", "/api/v1/approvals/{id}", Role::Viewer),
    ("POST", "/api/v1/approvals/{id}/approve", Role::Operator),
    ("POST", "/api/v1/approvals/{id}/deny", Role::Operator),
    ("GET", "/api/v1/homes", Role::Viewer),
    ("GET", "/api/v1/homes/{home}", Role::Viewer),
    ("POST", "/api/v1/homes/{home}/revoke", Role::Admin),
    ("POST", "/api/v1/homes/{home}/restore", Role::Admin),
    ("POST", "/api/v1/homes/{home}/exclude", Role::Operator),
    ("POST", "/api/v1/homes/{home}/include", Role::Operator),
    ("GET", "/api/v1/exclusions", Role::Viewer),
    ("GET", "/api/v1/renewals", Role::Viewer),
    ("POST", "/api/v1/renewals/{home}/approve", Role::Operator),
    ("POST", "/api/v1/renewals/{home}/deny", Role::Operator),
    ("GET", "/api/v1/feedback", Role::Viewer),
    ("GET", "/api/v1/feedback/totals", Role::Viewer),
    ("GET", "/api/v1/quarantine", Role::Viewer),
    ("POST", "/api/v1/quarantine/settle", Role::Operator),
    ("POST", "/api/v1/quarantine/{id}/lift", Role::Operator),
    ("POST", "/api/v1/quarantine/{id}/discard", Role::Operator),
    ("GET", "/api/v1/datasets", Role::Viewer),
    ("GET", "/api/v1/datasets/{id}", Role::Viewer),
    ("GET", "/api/v1/runs", Role::Viewer),
    ("GET", "/api/v1/runs/{id}", Role::Viewer),
    ("GET", "/api/v1/training", Role::Viewer),
    ("GET", "/api/v1/run-requests", Role::Viewer),
    ("GET", "/api/v1/run-requests/{id}", Role::Viewer),
    ("POST", "/api/v1/runs", Role::Operator),
    ("POST", "/api/v1/runs/{id}/promote", Role::Operator),
    ("GET", "/api/v1/models", Role::Viewer),
    ("GET", "/api/v1/models/{version}", Role::Viewer),
    ("GET", "/api/v1/releases", Role::Viewer),
    ("GET", "/api/v1/releases/{version}/outcomes", Role::Viewer),
    ("POST", "/api/v1/releases/rollback", Role::Operator),
    ("GET", "/api/v1/rollouts", Role::Viewer),
    ("GET", "/api/v1/rollouts/{version}", Role::Viewer),
    ("GET", "/api/v1/attestations", Role::Viewer),
    ("GET", "/api/v1/rounds", Role::Viewer),
    ("GET", "/api/v1/rounds/{round}", Role::Viewer),
    ("GET", "/api/v1/rounds/{round}/homes", Role::Viewer),
    ("GET", "/api/v1/offers", Role::Viewer),
    ("GET", "/api/v1/standings", Role::Viewer),
    ("GET", "/api/v1/privacy", Role::Viewer),
    ("POST", "/api/v1/rollouts/{version}/pause", Role::Operator),
    ("POST", "/api/v1/rollouts/{version}/resume", Role::Operator),
    ("POST", "/api/v1/rollouts/{version}/promote", Role::Operator),
    ("POST", "/api/v1/rollouts/{version}/halt", Role::Operator),
    ("POST", "/api/v1/rollouts/{version}/rollback", Role::Operator),
    ("GET", "/api/v1/tags", Role::Viewer),
    ("GET", "/api/v1/tokens/{name}", Role::Admin),
    ("POST", "/api/v1/homes/{home}/erase", Role::Admin),
    ("PUT", "/api/v1/homes/{home}/tags", Role::Operator),
    ("GET", "/api/v1/renewals/{home}", Role::Viewer),
    ("GET", "/api/v1/claims", Role::Operator),
    ("GET", "/api/v1/claims/{home}", Role::Operator),
    ("POST", "/api/v1/claims", Role::Admin),
    ("DELETE", "/api/v1/claims/{home}", Role::Admin),
    ("GET", "/api/v1/quarantine/{id}", Role::Viewer),
    ("POST", "/api/v1/runs/{id}/cancel", Role::Operator),
    ("GET", "/api/v1/run-comparison", Role::Viewer),
    ("GET", "/api/v1/run-requests/{id}/events", Role::Viewer),
    ("GET", "/api/v1/rollouts/{version}/events", Role::Viewer),
    ("GET", "/api/v1/rollouts/{version}/schedule", Role::Viewer),
    ("GET", "/api/v1/rollout-schedule", Role::Viewer),
    ("GET", "/api/v1/evaluation", Role::Viewer),
    ("GET", "/api/v1/alerts", Role::Viewer),
    ("GET", "/api/v1/settings", Role::Operator),
    ("GET", "/api/v1/audit", Role::Operator),
    ("GET", "/api/v1/tokens", Role::Admin),
];

/// Calls of the same kind that are tried elsewhere or by hand.
const MORE: [(&str, &str, Role); 2] =
    [("POST", "/api/v1/tokens", Role::Admin), ("DELETE", "/api/v1/tokens/{name}", Role::Admin)];

fn filled(path: &str) -> String {
    path.replace("{home}", "home-1").replace("{id}", "x").replace("{version}", "1").replace("{name}", "nobody")
}

#[test]
fn the_table_names_every_documented_call() {
    let mut documented = Vec::new();
    for (path, item) in &document().paths.paths {
        let operations = [("GET", &item.get), ("POST", &item.post), ("DELETE", &item.delete), ("PUT", &item.put)];
        for (method, operation) in operations {
            if operation.is_some() && path.starts_with("/api/") {
                documented.push((method.to_owned(), path.clone()));
            }
        }
    }
    documented.sort();
    let mut tabled: Vec<_> =
        ROLES.iter().chain(&MORE).map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    tabled.sort();
    assert_eq!(documented, tabled);
}

#[tokio::test]
async fn nobody_gets_in_without_a_token_or_with_a_wrong_one() {
    let api = Api::new();
    for (method, path, _) in ROLES.iter().chain(&MORE) {
        let bare = Request::builder().method(*method).uri(filled(path)).body(Body::empty()).unwrap();
        let answer = api.send(bare).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (401, "unauthenticated"), "{method} {path}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        let wrong = api.call(method, &filled(path), "hwt_0000", None).await;
        assert_eq!(wrong.problem(), "unauthenticated", "{method} {path}");
    }
}

#[tokio::test]
async fn each_call_is_refused_to_lesser_roles_and_open_to_its_own() {
    let api = Api::new();
    for (method, path, least) in ROLES.iter().chain(&MORE) {
        for (role, token) in [(Role::Viewer, &api.viewer), (Role::Operator, &api.operator), (Role::Admin, &api.admin)] {
            let answer = api.call(method, &filled(path), token, None).await;
            if role < *least {
                assert_eq!(answer.problem(), "forbidden", "{method} {path} as {}", role.as_str());
            } else {
                let refused = matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
                assert!(!refused, "{method} {path} as {}: {}", role.as_str(), answer.text());
            }
        }
    }
}

#[tokio::test]
async fn a_token_that_has_ended_or_was_withdrawn_opens_nothing() {
    let api = Api::new();
    let store = api.bench.app.store.as_ref();
    let (secret, _) = token::make(store, "short", Role::Viewer, Some(1), NOW).unwrap();
    assert_eq!(api.call("GET", "/api/v1/homes", &secret, None).await.status, 200);
    api.wall.set(NOW + 24 * 3600);
    assert_eq!(api.call("GET", "/api/v1/homes", &secret, None).await.status, 401);

    assert_eq!(api.call("DELETE", "/api/v1/tokens/viewer", &api.admin, None).await.status, 204);
    assert_eq!(api.get("/api/v1/homes").await.status, 401);
}

#[tokio::test]
async fn a_made_token_is_shown_once_and_works() {
    let api = Api::new();
    let asked = json!({"name": "kim", "role": "operator", "days": 30});
    let make = async |asked| api.call("POST", "/api/v1/tokens", &api.admin, Some(asked)).await;
    let made = make(asked.clone()).await;
    assert_eq!(made.status, 201);
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    assert_eq!(api.call("GET", "/api/v1/audit", &secret, None).await.status, 200);
    let listed = api.call("GET", "/api/v1/tokens", &api.admin, None).await;
    assert!(!listed.text().contains(&secret));
    let stored = std::fs::read(api.bench.directory.path().join("data/aggregator.db")).unwrap();
    assert!(!stored.windows(secret.len()).any(|window| window == secret.as_bytes()), "hashed at rest");

    assert_eq!(make(asked).await.status_and_problem(), (409, "conflict".to_owned()));
    let whole = json!({"name": "kim-3", "role": "viewer", "days": 30.0});
    assert_eq!(make(whole).await.status, 201, "30.0 is a whole number");
    for bad in [
        json!({"name": "../kim", "role": "viewer"}),
        json!({"name": "king", "role": "king"}),
        json!({"name": "kim-4", "role": "viewer", "days": 1.5}),
        json!({"name": "kim-2", "role": "viewer", "days": 0}),
        json!({"name": "kim-2", "role": "viewer", "days": 36_501}),
    ] {
        assert_eq!(make(bad.clone()).await.problem(), "invalid", "{bad}");
    }
}

#[tokio::test]
async fn the_last_admin_token_in_force_cannot_be_withdrawn() {
    let api = Api::new();
    let last = api.call("DELETE", "/api/v1/tokens/admin", &api.admin, None).await;
    assert_eq!((last.status.as_u16(), last.problem().as_str()), (409, "conflict"));
    assert_eq!(last.json()["detail"], "\"admin\" is the last admin token in force; make another admin token first");
    assert_eq!(api.call("GET", "/api/v1/tokens", &api.admin, None).await.status, 200, "it still works");
    let (second, _) = token::make(api.bench.app.store.as_ref(), "second", Role::Admin, Some(1), NOW).unwrap();
    assert_eq!(api.call("DELETE", "/api/v1/tokens/admin", &second, None).await.status, 204);
    assert_eq!(api.call("DELETE", "/api/v1/tokens/second", &second, None).await.status, 409);
}

#[test]
fn of_two_admins_who_withdraw_each_other_at_once_one_stays() {
    let api = Api::new();
    let store = &api.bench.app.store;
    token::make(store.as_ref(), "other", Role::Admin, None, NOW).unwrap();
    std::thread::scope(|scope| {
        for name in ["admin", "other"] {
            scope.spawn(move || store.revoke_token(name, NOW));
        }
    });
    let admins = store.tokens().unwrap().into_iter().filter(|token| token.role == Role::Admin);
    assert_eq!(admins.filter(|token| token.revoked_at.is_none()).count(), 1);
}

#[tokio::test]
async fn a_query_parameter_that_a_call_does_not_know_stops_it_whatever_the_method() {
    let api = Api::new();
    let store = &api.bench.app.store;
    let posted = api.call("POST", "/api/v1/runs?dryRun=true", &api.operator, None).await;
    assert_eq!((posted.status.as_u16(), posted.problem().as_str()), (400, "unknown-parameter"));
    assert_eq!(posted.json()["detail"], "unknown query parameter \"dryRun\"; known here: dry_run");
    let listed = api.call("GET", "/api/v1/homes?limit=1&page=2", &api.viewer, None).await;
    assert_eq!(
        listed.json()["detail"],
        "unknown query parameter \"page\"; known here: q, state, excluded, model_version, agent_version, tag, heard_before, sort, limit, after"
    );
    let deleted = api.call("DELETE", "/api/v1/tokens/viewer?dryRun=true", &api.admin, None).await;
    assert_eq!(deleted.problem(), "unknown-parameter");
    for place in ["/healthz?x=1", "/login?next=/", "/api/openapi.json?v=2"] {
        assert_eq!(api.open(place).await.problem(), "unknown-parameter", "{place}");
    }
    assert_eq!(store.audit(None, 1).unwrap(), [], "nothing was done");
    assert_eq!(store.run_requests(0).unwrap(), []);
    assert!(store.tokens().unwrap().iter().all(|token| token.revoked_at.is_none()));
}

#[tokio::test]
async fn a_body_where_none_is_taken_is_refused_and_not_passed_over() {
    let api = Api::new();
    let answer = api.call("POST", "/api/v1/runs", &api.operator, Some(json!({"dryRun": true}))).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (400, "no-body"));
    assert_eq!(api.bench.app.store.run_requests(0).unwrap(), []);
}

#[tokio::test]
async fn a_place_that_does_not_take_a_method_says_which_it_takes() {
    let api = Api::new();
    let answer = api.call("PUT", "/api/v1/runs?limit=1", &api.admin, Some(json!({}))).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (405, "method-not-allowed"));
    let allowed = answer.headers["allow"].to_str().unwrap();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
}

#[tokio::test]
async fn a_session_cookie_reads_and_changes_nothing() {
    let api = Api::new();
    let pair = api.login(&api.admin).await.cookie();
    let with_cookie = |method: &str| {
        Request::builder().method(method).uri("/api/v1/runs").header("cookie", &pair).body(Body::empty()).unwrap()
    };
    assert_eq!(api.send(with_cookie("GET")).await.status, 200);
    assert_eq!(api.send(with_cookie("POST")).await.status, 401);
}
