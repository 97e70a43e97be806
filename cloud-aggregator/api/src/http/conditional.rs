//! `ETag`, `If-None-Match` and `If-Match` (RFC 9110 §13) for every call.
//!
//! The tag of an answer is a hash of its bytes: whatever somebody could see change changes it. A call with `If-Match` is done only if the
//! thing that it is about looks as it did when its tag was read; between the look and the deed no other call changes anything. What the
//! fleet itself changes meanwhile is caught by the store, which writes over the version of a row that it read.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts as _, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};
use tower::ServiceExt as _;

use super::Http;
use super::auth::Viewer;
use super::call::thing_of;
use super::limits::CallsLeft;
use super::problem::Problem;
use crate::contract::is_call;
use crate::openapi::document;

/// Largest answer that gets a tag: a page of 500 runs with their reports has 2 MB.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The path of the thing that a call is about, by the call's path: `/homes/{home}` for `/homes/{home}/revoke`.
static THINGS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let paths = &document().paths.paths;
    let shown = |path: &str| paths.get(path).is_some_and(|item| item.get.is_some());
    paths.keys().filter_map(|path| Some((path.clone(), thing_of(path, shown)?))).collect()
});

/// The path of the thing that the call at `path` is about; none for calls that are about a list, or about nothing that can be shown.
pub(crate) fn thing(path: &str) -> Option<&'static str> {
    THINGS.get(path).map(String::as_str)
}

/// The middleware; the router answers the look at a thing, without any of this.
pub(crate) async fn hold(
    State((http, plain)): State<(Http, Router)>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let path = path.as_ref().map_or("", MatchedPath::as_str).to_owned();
    if !path.starts_with("/api/v1/") {
        return next.run(request).await;
    }
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        let wanted = request.headers().get(header::IF_NONE_MATCH).cloned();
        return tagged(next.run(request).await, wanted.as_ref()).await;
    }
    let wanted = request.headers().get(header::IF_MATCH).cloned();
    let Some(wanted) = wanted.filter(|_| is_call(&path, request.method())) else {
        let _others = http.changes.read().await;
        return next.run(request).await;
    };
    let _alone = http.changes.write().await;
    let look = look(&path, &request);
    let (mut parts, body) = request.into_parts();
    // Whoever is nobody learns nothing of the thing.
    if let Err(problem) = Viewer::from_request_parts(&mut parts, &http).await {
        return problem.into_response();
    }
    let request = Request::from_parts(parts, body);
    match met(look, &wanted, plain).await {
        Ok(()) => next.run(request).await,
        Err(answer) => *answer,
    }
}

/// Whether the thing that the call is about still has one of the wanted tags; else what the caller is to be told.
async fn met(look: Result<Request, Problem>, wanted: &HeaderValue, plain: Router) -> Result<(), Box<Response>> {
    let told = |problem: Problem| Box::new(problem.into_response());
    let seen = match plain.oneshot(look.map_err(told)?).await {
        Ok(answer) => tagged(answer, None).await,
        Err(never) => match never {},
    };
    if seen.status() != StatusCode::OK {
        return Err(Box::new(seen));
    }
    let present = seen.headers().get(header::ETAG).cloned();
    let present = present.as_ref().and_then(|tag| tag.to_str().ok()).unwrap_or_default();
    if matches(wanted, present) { Ok(()) } else { Err(told(Problem::PreconditionFailed { etag: present.to_owned() })) }
}

/// The request that shows the thing that a call is about.
fn look(path: &str, request: &Request) -> Result<Request, Problem> {
    let none = "If-Match: this call is about nothing that has an ETag; leave the header away";
    let thing = thing(path).ok_or_else(|| Problem::Invalid(none.to_owned()))?;
    let parts = thing.split('/').count();
    let place = request.uri().path().split('/').take(parts).collect::<Vec<_>>().join("/");
    let built = Request::builder().method(Method::GET).uri(place).body(Body::empty());
    let mut look = built.map_err(Problem::internal)?;
    look.headers_mut().extend(credentials(request.headers()));
    // What the caller has left to ask; nothing of how the call itself was routed.
    if let Some(left) = request.extensions().get::<CallsLeft>() {
        look.extensions_mut().insert(left.clone());
    }
    Ok(look)
}

/// What says who asks.
fn credentials(headers: &HeaderMap) -> HeaderMap {
    let names = [header::AUTHORIZATION, header::COOKIE];
    names.into_iter().filter_map(|name| Some((name.clone(), headers.get(&name)?.clone()))).collect()
}

/// Gives an answer in JSON its tag; *304 Not Modified* if the caller has it already.
async fn tagged(response: Response, known: Option<&HeaderValue>) -> Response {
    let json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if response.status() != StatusCode::OK || !json {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let bytes = match to_bytes(body, ANSWER_BYTES_MAX).await {
        Ok(bytes) => bytes,
        Err(error) => return Problem::internal(error).into_response(),
    };
    let tag = tag(&bytes);
    if let Ok(value) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, value);
    }
    // Kept by the caller, and asked about each time.
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if known.is_some_and(|known| matches(known, &tag)) {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// Half of a SHA-256: nobody who could make two answers alike gains anything by it.
fn tag(bytes: &Bytes) -> String {
    format!("\"{}\"", hex::encode(&Sha256::digest(bytes)[..16]))
}

/// Whether `tag` is in a list of tags; `*` stands for any. Weak tags are compared as strong ones: ours are all strong.
fn matches(list: &HeaderValue, tag: &str) -> bool {
    let list = list.to_str().unwrap_or_default();
    list.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_about_the_nearest_thing_that_can_be_shown() {
        assert_eq!(thing("/api/v1/homes/{home}/revoke"), Some("/api/v1/homes/{home}"));
        assert_eq!(thing("/api/v1/rollouts/{version}/halt"), Some("/api/v1/rollouts/{version}"));
        assert_eq!(thing("/api/v1/runs"), None);
    }

    #[test]
    fn a_tag_is_found_in_a_list_and_by_a_star() {
        let list = HeaderValue::from_static("\"a\", W/\"b\"");
        assert!(matches(&list, "\"a\"") && matches(&list, "\"b\"") && !matches(&list, "\"c\""));
        assert!(matches(&HeaderValue::from_static("*"), "\"c\""));
    }
}
