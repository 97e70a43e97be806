//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header) for every call that changes something: the same request with the same key
//! is done once, and answered alike for a day.

use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts as _, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hearthwatch_store::blocking;
use hearthwatch_store::idempotency::{Claimed, KeptAnswer, KeyedRequest};
use sha2::{Digest as _, Sha256};

use super::Http;
use super::auth::Viewer;
use super::call::SECRET;
use super::problem::Problem;
use super::request;
use crate::contract::{BODY_BYTES_MAX, is_call};

/// The header, in a request.
pub(crate) const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header that says of an answer that it was given before.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Longest key: a UUID has 36 characters, a hash in hexadecimal 64.
const KEY_LENGTH_MAX: usize = 255;

/// Largest answer that is kept. Answers to changes are one row of something with a report, a few kilobytes.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// Headers that are part of an answer.
const KEPT_HEADERS: [HeaderName; 2] = [header::CONTENT_TYPE, header::LOCATION];

/// The middleware.
pub(crate) async fn hold(
    State(http): State<Http>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let path = path.as_ref().map_or("", MatchedPath::as_str).to_owned();
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD) && is_call(&path, request.method());
    let Some(key) = request.headers().get(KEY).cloned().filter(|_| changes && path.starts_with("/api/v1/")) else {
        return next.run(request).await;
    };
    let (mut parts, body) = request.into_parts();
    // Whoever is nobody is told so by the call itself.
    let Ok(Viewer(caller)) = Viewer::from_request_parts(&mut parts, &http).await else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let asked = async {
        if SECRET.contains(&path.as_str()) {
            let why = "Idempotency-Key: the answer holds a secret, which is not kept for a second time".to_owned();
            return Err(Problem::Invalid(why));
        }
        let key = read(&key).ok_or_else(|| {
            Problem::Invalid(format!("Idempotency-Key: 1 to {KEY_LENGTH_MAX} characters that can be seen, e.g. a UUID"))
        })?;
        let bytes = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| Problem::TooLarge)?;
        let mut hasher = Sha256::new();
        for part in [parts.method.as_str().as_bytes(), parts.uri.to_string().as_bytes(), &bytes] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let asked =
            KeyedRequest { caller: caller.holder.to_string(), key, request: hasher.finalize().into(), at: http.wall() };
        let claim = asked.clone();
        let claimed = blocking(&http.app.store, move |store| store.claim_key(&claim)).await?;
        Ok((asked, bytes, claimed))
    };
    match asked.await {
        Err(problem) => problem.into_response(),
        Ok((_, _, Claimed::Answered(answer))) => again(answer),
        Ok((_, _, Claimed::Pending)) => Problem::KeyPending.into_response(),
        Ok((_, _, Claimed::Other)) => Problem::KeyReused.into_response(),
        Ok((asked, bytes, Claimed::New)) => {
            let request = Request::from_parts(parts, Body::from(bytes));
            // On a task of its own: a caller who hangs up must not leave it half done, with a key that never ends.
            let id = request::current().unwrap_or_default();
            let done = tokio::spawn(request::within(id, async move {
                let response = next.run(request).await;
                keep(&http, asked, response).await
            }));
            done.await.unwrap_or_else(|error| Problem::internal(error).into_response())
        }
    }
}

/// The key as text, with or without the quotes that the draft asks for.
fn read(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?.trim();
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let fits = (1..=KEY_LENGTH_MAX).contains(&inner.len()) && inner.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| inner.to_owned())
}

/// Keeps an answer that the same request would get again; after any other the key is free.
async fn keep(http: &Http, asked: KeyedRequest, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let bytes = match to_bytes(body, ANSWER_BYTES_MAX).await {
        Ok(bytes) => bytes,
        Err(error) => return Problem::internal(error).into_response(),
    };
    let final_word = !parts.status.is_server_error()
        && !matches!(parts.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS);
    let answer = final_word.then(|| {
        let text =
            |name: &HeaderName| Some((name.as_str().to_owned(), parts.headers.get(name)?.to_str().ok()?.to_owned()));
        let headers: BTreeMap<String, String> = KEPT_HEADERS.iter().filter_map(text).collect();
        let headers = serde_json::to_string(&headers).unwrap_or_default();
        KeptAnswer { status: parts.status.as_u16(), headers, body: bytes.to_vec() }
    });
    let kept = blocking(&http.app.store, move |store| store.keep_answer(&asked, answer.as_ref())).await;
    if let Err(error) = kept {
        // It is done; only a second request will not know.
        tracing::error!(%error, "an answer was not kept for its Idempotency-Key");
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// The answer that was given before.
fn again(answer: KeptAnswer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let headers: BTreeMap<String, String> = serde_json::from_str(&answer.headers).unwrap_or_default();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_with_or_without_quotes() {
        let read = |text: &'static str| read(&HeaderValue::from_static(text));
        assert_eq!(read("\"8e03\""), Some("8e03".to_owned()));
        assert_eq!(read("8e03"), Some("8e03".to_owned()));
        assert_eq!((read(""), read("a b"), read("\"\"")), (None, None, None));
    }
}
