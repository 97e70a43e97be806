//! Whether a request is sent again, and when.

use std::time::Duration;

use super::{Answered, Request, retry_after};

/// Times that a request is sent at most: with the pauses below, an aggregator that restarts within some seconds is waited for.
const TRIES_MAX: u32 = 4;

/// The pause before the second try; each further one is twice as long: .5, 1 and 2 s.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause that an answer may ask for and get; a person rather reads that it is too often.
const ASKED_PAUSE_MAX: u64 = 30;

/// After an answer. One that says that the request was not taken may always be asked again; of others only one that may be sent twice.
pub(super) fn of_answer(request: &Request, answered: &Answered, tried: u32) -> Option<Duration> {
    match answered.status {
        429 => pause(tried)
            .filter(|_| retry_after(answered).is_none_or(|wait| wait <= ASKED_PAUSE_MAX))
            .map(|own| retry_after(answered).map_or(own, Duration::from_secs)),
        502 | 504 if request.again => pause(tried),
        // 503 is what a part that is off answers too, for long: only a proxy and a restart name a time.
        503 if request.again => {
            let wait = retry_after(answered).filter(|wait| *wait <= ASKED_PAUSE_MAX)?;
            pause(tried).map(|own| own.max(Duration::from_secs(wait)))
        }
        _ => None,
    }
}

/// After none. A request that never went out may be sent again; of others only one that may be sent twice.
pub(super) fn of_error(request: &Request, error: &reqwest::Error, tried: u32) -> Option<Duration> {
    // A wrong certificate is wrong the next time too, and looks like a connection that did not come about.
    let hopeless = super::causes(error).contains("certificate") || error.is_builder();
    let safe = if error.is_connect() { tried < 2 } else { request.again && !error.is_timeout() };
    pause(tried).filter(|_| safe && !hopeless)
}

fn pause(tried: u32) -> Option<Duration> {
    (tried < TRIES_MAX).then(|| FIRST_PAUSE * 2_u32.pow(tried.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::*;

    fn answer(status: u16, wait: Option<&'static str>) -> Answered {
        let headers = wait.map(|wait| (RETRY_AFTER, HeaderValue::from_static(wait)));
        Answered { status, headers: headers.into_iter().collect::<HeaderMap>(), body: Vec::new() }
    }

    #[test]
    fn what_may_not_be_done_twice_is_not_sent_again_after_a_proxys_error() {
        let read = Request::get("/x");
        let act = Request { again: false, ..read.clone() };
        let half = Some(Duration::from_millis(500));
        assert_eq!(of_answer(&read, &answer(502, None), 1), half);
        assert_eq!(of_answer(&act, &answer(502, None), 1), None);
        assert_eq!(of_answer(&read, &answer(502, None), 4), None, "not without end");
    }

    #[test]
    fn too_often_waits_as_long_as_it_is_asked_to() {
        let act = Request { again: false, ..Request::get("/x") };
        assert_eq!(of_answer(&act, &answer(429, Some("7")), 1), Some(Duration::from_secs(7)));
        assert_eq!(of_answer(&act, &answer(429, Some("700")), 1), None);
    }

    #[test]
    fn a_part_that_is_off_is_not_asked_again() {
        let read = Request::get("/x");
        assert_eq!(of_answer(&read, &answer(503, None), 1), None);
        assert_eq!(of_answer(&read, &answer(503, Some("2")), 1), Some(Duration::from_secs(2)));
        assert_eq!(of_answer(&read, &answer(404, None), 1), None);
    }
}
