//! The last run, live: the same markup that the page was rendered with, sent again whenever the trainer moves.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use hearthwatch_telemetry::chain::chain;
use tokio::time::{Instant, timeout_at};

use super::read_run;
use crate::http::Http;
use crate::http::auth::Viewer;
use crate::http::problem::Problem;

/// Shortest time between two events: a person sees no more than four pictures a second of a bar.
const EVENT_EVERY: Duration = Duration::from_millis(250);

/// Longest stream; the browser then asks again, and the token is looked at again.
const STREAM_MAX: Duration = Duration::from_secs(15 * 60);

/// Sends the run's part of the page, now and whenever it changes.
pub(super) async fn run(
    _: Viewer,
    State(http): State<Http>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = http.live_pages.clone().try_acquire_owned();
    let place = place.map_err(|_| Problem::Unavailable("too many live pages are open".to_owned()))?;
    let mut changes = http.app.training.status();
    changes.mark_changed();
    let ends = Instant::now() + STREAM_MAX;
    let stream = unfold((http, changes, place), move |(http, mut changes, place)| async move {
        // Ends with its time, or when the trainer is gone: the program is shutting down.
        timeout_at(ends, changes.changed()).await.ok()?.ok()?;
        tokio::time::sleep(EVENT_EVERY).await;
        changes.mark_unchanged();
        match read_run(&http.app).await {
            Ok(markup) => Some((Ok(Event::default().data(markup.into_string())), (http, changes, place))),
            Err(problem) => {
                tracing::warn!(error = %chain(&problem), "live page ended");
                None
            }
        }
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}
