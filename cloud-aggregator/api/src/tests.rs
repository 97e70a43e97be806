//! The API as its callers see it: requests through the router, on a real store.

mod access;
mod enrolment;
mod files;
mod manners;
mod nouns;
mod page;
mod rounds;
mod who;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use hearthwatch_store::Role;
use hearthwatch_store::clock::ManualClock;
use hearthwatch_store::token;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::bench::{Bench, NOW};
use crate::http::Http;
use crate::router::router;

/// An aggregator and its API, with a token for each role.
struct Api {
    bench: Bench,
    wall: Arc<ManualClock>,
    router: Router,
    viewer: String,
    operator: String,
    admin: String,
}

/// An answer, read whole.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The session that began, as a request brings it.
    fn cookie(&self) -> String {
        self.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    /// The status and the name of the problem.
    fn status_and_problem(&self) -> (u16, String) {
        (self.status.as_u16(), self.problem())
    }

    /// The name of the problem, e.g. `forbidden`.
    fn problem(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text());
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16());
        body["type"].as_str().unwrap().strip_prefix("urn:hearthwatch:problem:").unwrap().to_owned()
    }
}

impl Api {
    fn new() -> Self {
        Self::over(Bench::new(), |http| http)
    }

    fn over(bench: Bench, change: impl FnOnce(Http) -> Http) -> Self {
        let wall = Arc::new(ManualClock::new(NOW));
        let http = change(Http::new(bench.app.clone(), true).with_wall(wall.clone()));
        let make = |role: Role| token::make(bench.app.store.as_ref(), role.as_str(), role, None, NOW).unwrap().0;
        let [viewer, operator, admin] = [Role::Viewer, Role::Operator, Role::Admin].map(make);
        Self { router: router(http), wall, viewer, operator, admin, bench }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 8 << 20).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn call(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> Answer {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        match body {
            Some(body) => self.send_json(request, body.to_string()).await,
            None => self.send(request.body(Body::empty()).unwrap()).await,
        }
    }

    async fn send_form(&self, request: axum::http::request::Builder, form: String) -> Answer {
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form)).unwrap()).await
    }

    async fn send_json(&self, request: axum::http::request::Builder, body: impl Into<Body>) -> Answer {
        self.send(request.header("content-type", "application/json").body(body.into()).unwrap()).await
    }

    async fn login(&self, token: &str) -> Answer {
        self.send_form(Request::post("/login"), format!("token={token}")).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &self.viewer, None).await
    }

    async fn open(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }
}
