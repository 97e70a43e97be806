//! What is asked of each part's own progress: the probes behind `/healthz` and `/readyz`.

use std::time::Duration;

use hearthwatch_edge_cloud::uplink::{UplinkHandle, UplinkState};
use hearthwatch_edge_core::mode::BrokerState;
use hearthwatch_edge_core::mode::SessionState;
use hearthwatch_edge_detection::service::DetectorHandle;
use hearthwatch_supervision::{Board, Condition, Grade};
use tokio::sync::watch;

use super::unix_now;
use crate::diskless::Membership;

/// Records are sent again after a quarter of an hour at the latest: a fleet that has taken none of them for a day is not well.
const BACKLOG_MAX: Duration = Duration::from_secs(86_400);

/// The detector closes steps, and the disk takes what it remembers. Holds no handle: the thread ends when the last one is dropped.
pub(super) fn detector(board: &Board, detection: &DetectorHandle) {
    let (thread, memory) = (detection.health().clone(), detection.health().clone());
    board.probe("detector", Grade::Vital, move || thread.condition(unix_now()));
    board.probe("history", Grade::Optional, move || able(memory.remembers()));
}

pub(super) fn home_assistant(board: &Board, session: watch::Receiver<SessionState>) {
    let listens = move || matches!(*session.borrow(), SessionState::Listening { .. });
    board.probe("home-assistant", Grade::Vital, move || able(listens()));
}

pub(super) fn home_broker(board: &Board, broker: watch::Receiver<BrokerState>) {
    board.probe("discovery", Grade::Optional, move || able(*broker.borrow() == BrokerState::Connected));
}

/// The fleet's broker is connected, and receipts come for what waits.
pub(super) fn fleet(board: &Board, uplink: &UplinkHandle) {
    let (state, uplink) = (uplink.state(), uplink.clone());
    let takes = move || uplink.backlog().is_none_or(|age| age <= BACKLOG_MAX);
    board.probe("uplink", Grade::Optional, move || able(*state.borrow() == UplinkState::Connected && takes()));
}

pub(super) fn membership(board: &Board, membership: watch::Receiver<Membership>) {
    board.probe("enrolment", Grade::Optional, move || able(*membership.borrow() == Membership::Inside));
}

fn able(is: bool) -> Condition {
    if is { Condition::Able } else { Condition::Unable }
}
