//! Watches how each side is doing, says the mode once in one line whenever it changes, and keeps it for the screen.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::discovery::BrokerState;
use crate::diskless::Membership;
use crate::home_assistant::SessionState;
use crate::mode::{CloudState, Mode};
use crate::uplink::UplinkState;

/// How long changes are gathered before the mode is put together again.
const SETTLE: Duration = Duration::from_millis(200);

/// The sides that are configured.
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
    let mut said = None;
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
        if said.as_ref() != Some(&outline) {
            tracing::info!("mode: {mode}");
            said = Some(outline);
        }
        now.send_replace(mode);
        // Several changes in a row, as when a device with many entities is discovered, are shown as one.
        tokio::time::sleep(SETTLE).await;
        tokio::select! {
            () = stop.cancelled() => return,
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

/// Waits for the next change; for ever where there is no such side, or it has ended.
async fn change_of<T>(side: Option<&mut watch::Receiver<T>>) {
    if let Some(side) = side
        && side.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}
