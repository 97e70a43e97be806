//! Watches all connections, logs the mode in one line whenever it changes, and publishes it to the page and Home Assistant.

use std::time::Duration;

use hearthwatch_edge_cloud::uplink::UplinkState;
use hearthwatch_edge_core::mode::BrokerState;
use hearthwatch_edge_core::mode::SessionState;
use hearthwatch_edge_core::mode::{CloudState, Mode};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::diskless::Membership;

/// How long changes are gathered before the mode is put together again.
const SETTLE: Duration = Duration::from_millis(200);
/// How often the percents of a warm start are shown: each is a message to Home Assistant, and there are a hundred of them.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// The connections that are configured.
#[derive(Clone)]
pub(super) struct Sides {
    pub(super) session: watch::Receiver<SessionState>,
    pub(super) home_broker: Option<watch::Receiver<BrokerState>>,
    /// Whether this home is in its fleet.
    pub(super) membership: watch::Receiver<Membership>,
    /// None without a cloud; none inside where the cloud only has models to give.
    pub(super) cloud: Option<Option<watch::Receiver<UplinkState>>>,
}

/// Runs until `stop`. `now` always holds the mode.
pub(super) async fn watch(mut sides: Sides, now: watch::Sender<Mode>, stop: CancellationToken) {
    let mut logged = None;
    let mut shown: Option<(Mode, Instant)> = None;
    loop {
        let mode = Mode {
            session: sides.session.borrow_and_update().clone(),
            home_broker: sides.home_broker.as_mut().map(|side| side.borrow_and_update().clone()),
            cloud: match (&*sides.membership.borrow_and_update(), &mut sides.cloud) {
                (_, None) => CloudState::None,
                (Membership::Outside(reason), _) => CloudState::Outside { reason: reason.clone() },
                (Membership::Inside, Some(None)) => CloudState::UpdatesOnly,
                (Membership::Inside, Some(Some(uplink))) => cloud_state(&uplink.borrow_and_update()),
            },
        };
        // Percents of the warm-up and entities that come one by one are for the screen, not for the log.
        let outline = Mode { session: outline_of(&mode.session), ..mode.clone() };
        if logged.as_ref() != Some(&outline) {
            if let Some(refused @ BrokerState::Refused { .. }) = &mode.home_broker {
                tracing::warn!("{refused}; it is tried again by itself, and alarms stay on the local page until then");
            }
            tracing::info!("mode: {mode}");
            logged = Some(outline);
        }
        let due = shown.as_ref().and_then(|(before, at)| Some(*at + progress_due(before, &mode)?));
        let due = due.filter(|due| *due > Instant::now());
        if due.is_none() {
            shown = Some((mode.clone(), Instant::now()));
            now.send_replace(mode);
        }
        // Several changes in a row, as when a device with many entities is discovered, are shown as one.
        tokio::time::sleep(SETTLE).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = until(due) => {}
            changed = sides.session.changed() => if changed.is_err() { return },
            () = change_of(sides.home_broker.as_mut()) => {}
            () = change_of(Some(&mut sides.membership)) => {}
            () = change_of(sides.cloud.as_mut().and_then(Option::as_mut)) => {}
        }
    }
}

fn cloud_state(uplink: &UplinkState) -> CloudState {
    match uplink {
        UplinkState::Connecting => CloudState::Away { reason: String::new() },
        UplinkState::Connected => CloudState::Connected,
        UplinkState::Away(reason) => CloudState::Away { reason: reason.clone() },
    }
}

fn outline_of(state: &SessionState) -> SessionState {
    match state {
        SessionState::Remembering { .. } => SessionState::Remembering { percent: 0 },
        SessionState::Listening { version, .. } => SessionState::Listening { version: version.clone(), entities: 0 },
        other => other.clone(),
    }
}

/// How long after `before` was shown `after` is: none where more has changed than the percents of the warm start.
fn progress_due(before: &Mode, after: &Mode) -> Option<Duration> {
    let remembers = |mode: &Mode| matches!(mode.session, SessionState::Remembering { .. });
    let rest = |mode: &Mode| Mode { session: SessionState::Connecting, ..mode.clone() };
    (remembers(before) && remembers(after) && rest(before) == rest(after)).then_some(PROGRESS_EVERY)
}

/// Waits until `at`; for ever where there is nothing to wait for.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Waits for the next change; for ever where there is no such side, or it has ended.
async fn change_of<T>(side: Option<&mut watch::Receiver<T>>) {
    if let Some(side) = side
        && side.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_of_a_warm_start_wait_five_seconds_and_whatever_else_changes_does_not() {
        let at = |percent| Mode { session: SessionState::Remembering { percent }, ..Mode::default() };
        assert_eq!(progress_due(&at(3), &at(4)), Some(Duration::from_secs(5)));
        let listening = SessionState::Listening { version: "2026.11.0".to_owned(), entities: 3 };
        assert_eq!(progress_due(&at(99), &Mode { session: listening, ..Mode::default() }), None);
        let broker = Mode { home_broker: Some(BrokerState::Connected), ..at(4) };
        assert_eq!(progress_due(&at(3), &broker), None);
        assert_eq!(progress_due(&Mode::default(), &at(0)), None);
    }
}
