//! Each request has an id: the caller's own or a new one, in the answer, in a problem, in the log, and in what the log says meanwhile.

use std::future::Future;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use hearthwatch_learning::training::new_id;

/// Where a request and its answer carry the id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id of a caller's that is taken over: a UUID has 36 characters, a trace with span 55.
const LENGTH_MAX: usize = 64;

tokio::task_local! {
    static CURRENT: String;
}

/// The id that a request brings, if it can stand in a log line; else a new one.
pub(crate) fn id_of(headers: &HeaderMap) -> String {
    let plain = |text: &&str| {
        (1..=LENGTH_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(plain);
    given.map_or_else(new_id, str::to_owned)
}

/// The id as a header's value.
pub(crate) fn value(id: &str) -> HeaderValue {
    HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("unknown"))
}

/// Runs `work` as the request with this id.
pub(crate) async fn within<T>(id: String, work: impl Future<Output = T>) -> T {
    CURRENT.scope(id, work).await
}

/// The request that is being answered; none outside of one.
pub(crate) fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_the_callers_is_kept_unless_it_could_break_a_log_line() {
        let with = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(text.as_bytes()).unwrap());
            id_of(&headers)
        };
        assert_eq!(with("deploy-7.2"), "deploy-7.2");
        for bad in ["", "a b", "a\"b", &"x".repeat(65)] {
            assert_eq!(with(bad).len(), 32, "{bad:?}");
        }
    }
}
