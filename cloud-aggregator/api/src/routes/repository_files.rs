//! The signed repository over HTTP: flat files of known names, with ranges so that an agent can go on where it stopped.
//!
//! Names are matched against the few forms that the repository writes, so nothing else below its directory, and
//! nothing above it, can be asked for. Files are at most 4 MiB and are read whole.

use std::path::Path;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path as Segment;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hearthwatch_fleet::release::version_of;

use crate::http::Http;
use crate::http::problem::Problem;

/// How long a file that never changes may be kept: a year.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// The timestamp is asked for anew each time: it is what says that there is something new.
const ALWAYS_ASK: &str = "no-cache";

/// Serves `metadata/`, `targets/` and `rounds/` below `repository`.
pub fn router(repository: &Path) -> Router<Http> {
    let [metadata, targets, rounds] = ["metadata", "targets", "rounds"].map(|folder| repository.join(folder));
    let get_metadata = move |Segment(name): Segment<String>, headers: HeaderMap| {
        let directory = metadata.clone();
        async move { serve(&directory, &name, is_metadata(&name), "application/json", &headers).await }
    };
    let get_target = move |Segment(name): Segment<String>, headers: HeaderMap| {
        let directory = targets.clone();
        async move { serve(&directory, &name, is_target(&name), "application/octet-stream", &headers).await }
    };
    let get_round = move |Segment(name): Segment<String>, headers: HeaderMap| {
        let directory = rounds.clone();
        async move { serve(&directory, &name, is_digest(&name), "application/octet-stream", &headers).await }
    };
    Router::new()
        .route("/metadata/{name}", get(get_metadata))
        .route("/targets/{name}", get(get_target))
        .route("/rounds/{sha256}", get(get_round))
}

/// `timestamp.json`, or `N.root.json`, `N.targets.json`, `N.snapshot.json`.
fn is_metadata(name: &str) -> bool {
    if name == "timestamp.json" {
        return true;
    }
    let Some((version, role)) = name.split_once('.') else { return false };
    let digits = !version.is_empty() && version.len() <= 20 && version.bytes().all(|byte| byte.is_ascii_digit());
    digits && matches!(role, "root.json" | "targets.json" | "snapshot.json")
}

/// `<sha256>.model-N.safetensors`.
fn is_target(name: &str) -> bool {
    name.split_once('.').is_some_and(|(hash, target)| is_digest(hash) && version_of(target).is_some())
}

/// A SHA-256 in lower-case hex: an artifact of a round.
fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

async fn serve(
    directory: &Path,
    name: &str,
    known: bool,
    kind: &'static str,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let absent = || Problem::NotFound { noun: "file", id: name.to_owned() };
    if !known {
        return Err(absent());
    }
    let bytes = match tokio::fs::read(directory.join(name)).await {
        Ok(bytes) => Bytes::from(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(absent()),
        Err(error) => return Err(Problem::internal(error)),
    };
    let cache = if name == "timestamp.json" { ALWAYS_ASK } else { IMMUTABLE };
    let fixed = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache), (header::ACCEPT_RANGES, "bytes")];
    let length = bytes.len();
    Ok(match range(headers, length) {
        Range::Whole => (fixed, bytes).into_response(),
        Range::Part { first, last } => {
            let place = [(header::CONTENT_RANGE, format!("bytes {first}-{last}/{length}"))];
            (StatusCode::PARTIAL_CONTENT, fixed, place, bytes.slice(first..=last)).into_response()
        }
        Range::Outside => {
            let place = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
            (StatusCode::RANGE_NOT_SATISFIABLE, place).into_response()
        }
    })
}

/// What of a file is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    Whole,
    /// Both ends included.
    Part {
        first: usize,
        last: usize,
    },
    Outside,
}

/// RFC 9110 §14: one range of bytes. Several, or one that cannot be read, are answered with the whole, as the standard
/// allows; so is one with `If-Range`, since we give no validators.
fn range(headers: &HeaderMap, length: usize) -> Range {
    let text = headers.get(header::RANGE).map(HeaderValue::to_str);
    let (Some(Ok(text)), None) = (text, headers.get(header::IF_RANGE)) else { return Range::Whole };
    let Some((from, to)) = text.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return Range::Whole;
    };
    let bounds = match (from.parse::<usize>(), to.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(length.saturating_sub(1))),
        (Ok(first), Err(_)) if to.is_empty() => (first, length.saturating_sub(1)),
        (Err(_), Ok(count)) if from.is_empty() => (length.saturating_sub(count), length.saturating_sub(1)),
        _ => return Range::Whole,
    };
    let (first, last) = bounds;
    if first < length && first <= last { Range::Part { first, last } } else { Range::Outside }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &'static str) -> Range {
        range(&HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(text))]), 10)
    }

    #[test]
    fn a_range_is_cut_to_the_file() {
        assert_eq!(asked("bytes=4-"), Range::Part { first: 4, last: 9 });
        assert_eq!(asked("bytes=2-3"), Range::Part { first: 2, last: 3 });
        assert_eq!(asked("bytes=8-99"), Range::Part { first: 8, last: 9 });
        assert_eq!(asked("bytes=-3"), Range::Part { first: 7, last: 9 });
        assert_eq!(asked("bytes=-99"), Range::Part { first: 0, last: 9 });
    }

    #[test]
    fn a_range_behind_the_end_is_not_to_be_had() {
        assert_eq!(asked("bytes=10-"), Range::Outside);
        assert_eq!(asked("bytes=-0"), Range::Outside);
        assert_eq!(range(&HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static("bytes=0-"))]), 0), {
            Range::Outside
        });
    }

    #[test]
    fn what_is_not_one_range_gets_the_whole() {
        for text in ["bytes=1-2,4-5", "lines=1-2", "bytes=x-2", "bytes=5-2", "bytes", "bytes=-"] {
            assert_eq!(asked(text), Range::Whole, "{text}");
        }
    }

    #[test]
    fn only_names_that_the_repository_writes_are_served() {
        assert!(is_metadata("timestamp.json") && is_metadata("12.targets.json") && is_metadata("1.root.json"));
        let target = format!("{}.model-3.safetensors", "ab".repeat(32));
        assert!(is_target(&target) && is_digest(&"ab".repeat(32)) && !is_digest(&"AB".repeat(32)));
        for name in ["../root.key", "root.json", ".root.json", "1.root.key", "-1.root.json", "model-3.safetensors"] {
            assert!(!is_metadata(name) && !is_target(name) && !is_digest(name), "{name}");
        }
    }
}
