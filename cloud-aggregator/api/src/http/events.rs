//! Things that change, watched: a stream of events (`text/event-stream`) with the thing as it is, now and whenever it has changed.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::unfold;
use hearthwatch_telemetry::chain::chain;
use serde::Serialize;
use tokio::time::{Instant, sleep};
use utoipa::ToSchema;

use super::Http;
use super::problem::Problem;

/// How often a thing is looked at: one row by its key, some microseconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Longest stream; whoever watches then asks again, and its token is looked at again.
const STREAM_MAX: Duration = Duration::from_secs(15 * 60);

/// An event of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventView {
    /// `changed`, or `ended` for the last one.
    event: String,
    /// The thing as it is then, JSON.
    data: String,
}

/// A thing as it was seen.
pub(crate) struct Seen<T> {
    /// The thing.
    pub(crate) thing: T,
    /// Whether nothing will change any more: the stream ends with it.
    pub(crate) ended: bool,
}

/// Streams what `look` sees: event `changed` at first and after each change, event `ended` with what does not change any more.
///
/// # Errors
/// [`Problem`] of the first look, and [`Problem::Unavailable`] while too many streams are open.
pub(crate) async fn watch<T, L, F>(http: &Http, look: L) -> Result<Response, Problem>
where
    T: Serialize + Send + 'static,
    L: Fn() -> F + Send + 'static,
    F: Future<Output = Result<Seen<T>, Problem>> + Send + 'static,
{
    let place = http.live_pages.clone().try_acquire_owned();
    let place = place.map_err(|_| Problem::Unavailable("too many streams are open; close one".to_owned()))?;
    let first = look().await?;
    let ends = Instant::now() + STREAM_MAX;
    let state = (Some(first), String::new(), look, place);
    let stream = unfold(state, move |(mut next, mut last, look, place)| async move {
        loop {
            let Some(seen) = next.take() else {
                if last.is_empty() || Instant::now() >= ends {
                    return None;
                }
                sleep(LOOK_EVERY).await;
                match look().await {
                    Ok(seen) => next = Some(seen),
                    Err(problem) => {
                        tracing::warn!(error = %chain(&problem), "a stream ended");
                        return None;
                    }
                }
                continue;
            };
            let now = serde_json::to_string(&seen.thing).ok()?;
            if seen.ended {
                // Nothing is left to look at: the next call finds the stream at its end.
                let event = Event::default().event("ended").data(now);
                return Some((Ok::<_, Infallible>(event), (None, String::new(), look, place)));
            }
            if now != last {
                last.clone_from(&now);
                return Some((Ok(Event::default().event("changed").data(now)), (None, last, look, place)));
            }
        }
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()).into_response())
}
