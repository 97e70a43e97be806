//! What is happening now, sent again whenever it changes: the same markup that the page was rendered with.

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::time::Instant;

use super::home::Everything;
use super::view::{Forms, now};
use super::{Base, Page, PageQuery};

/// Shortest time between two events: a burst of alarms is one picture.
const EVENT_EVERY: Duration = Duration::from_millis(500);
/// A value that moved is shown after this long at the latest, though nothing was judged meanwhile.
const REFRESH_EVERY: Duration = Duration::from_secs(30);
/// Longest stream; the browser then asks again, and the door is looked at again.
const STREAM_MAX: Duration = Duration::from_secs(15 * 60);

/// Sends the live part, whenever it changes.
pub(super) async fn stream(
    State(page): State<Page>,
    Extension(base): Extension<Base>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, (StatusCode, &'static str)> {
    let place = page.live_pages.clone().try_acquire_owned();
    let place = place.map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, "too many live pages are open\n"))?;
    let changes = (page.parts.view.clone(), page.parts.mode.clone());
    let ends = Instant::now() + STREAM_MAX;
    let stream = unfold((page, base, changes, place), move |(page, base, (mut view, mut mode), place)| async move {
        tokio::select! {
            () = page.stop.cancelled() => return None,
            () = tokio::time::sleep_until(ends) => return None,
            changed = view.changed() => changed.ok()?,
            Ok(()) = mode.changed() => {}
            () = tokio::time::sleep(REFRESH_EVERY) => {}
        }
        tokio::time::sleep(EVENT_EVERY).await;
        view.mark_unchanged();
        mode.mark_unchanged();
        let everything = Everything::read(&page, &PageQuery::default()).await.ok()?;
        let markup = now::now(&everything, Forms { base: &base.0, token: &page.parts.token });
        Some((Ok(Event::default().data(markup.into_string())), (page, base, (view, mode), place)))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}
