//! What leaves the service: the view, notices of what happened to alarms, and records for the fleet.

use hearthwatch_protocol::messages::FeedbackRecord;
use hearthwatch_protocol::{HomeId, ModelVersion};
use tokio::sync::{mpsc, watch};

use super::FeedbackSink;
use super::feedback::{self, ToFleet};
use super::view::{HomeView, Notice, NoticeKind, ShownAlarm};

/// The receivers of views, notices and records. Nobody is waited for.
pub(super) struct Delivery {
    pub(super) view: watch::Sender<HomeView>,
    notices: mpsc::Sender<Notice>,
    /// Notices that wait for the view to show what they are about.
    pending: Vec<Notice>,
    /// Who this home is to the fleet, and where records go; none while feedback stays here.
    pub(super) feedback: Option<(HomeId, FeedbackSink)>,
}

impl Delivery {
    pub(super) fn new(
        view: watch::Sender<HomeView>,
        notices: mpsc::Sender<Notice>,
        feedback: Option<(HomeId, FeedbackSink)>,
    ) -> Self {
        Self { view, notices, pending: Vec::new(), feedback }
    }

    /// Has a change of an alarm sent with the next view.
    pub(super) fn notify(&mut self, kind: NoticeKind, alarm: ShownAlarm) {
        tracing::info!(
            alarm.id = alarm.alarm.id,
            alarm.severity = alarm.alarm.severity.as_str(),
            "alarm {}",
            kind.as_str()
        );
        self.pending.push(Notice { kind, alarm });
    }

    /// Changes the view, and then sends what waits: whoever is notified of an alarm finds it in the view.
    pub(super) fn publish(&mut self, change: impl FnOnce(&mut HomeView)) {
        self.view.send_modify(change);
        for notice in self.pending.drain(..) {
            // Nobody listening, or far behind: the view and the history still hold the alarm.
            let _ = self.notices.try_send(notice);
        }
    }

    /// Hands a label to the fleet, if there is one and the resident shares; whether it is kept for it.
    pub(super) fn share(
        &mut self,
        id: &str,
        record: impl FnOnce(HomeId) -> Result<FeedbackRecord, &'static str>,
    ) -> bool {
        let Some((home, sink)) = &mut self.feedback else { return false };
        match record(home.clone()).map(ToFleet::Answer).map(sink) {
            Ok(Ok(true)) => {
                tracing::info!(alarm.id = id, "answer kept for the fleet");
                return true;
            }
            Ok(Ok(false)) => tracing::info!(alarm.id = id, "answer not shared, as the resident wishes"),
            Ok(Err(error)) => tracing::error!(error, alarm.id = id, "an answer is not kept for the fleet"),
            Err(why) => tracing::info!(alarm.id = id, "an answer stays here: {why}"),
        }
        false
    }

    /// Announces to the fleet an alarm or a question that nobody has answered yet, as far as the resident shares: an answer
    /// that comes later is held against it.
    pub(super) fn announce(&mut self, id: &str, model_version: ModelVersion, window: Option<&[f32]>, raised_at: i64) {
        let Some((home, sink)) = &mut self.feedback else { return };
        let announcement = feedback::announcement(home.clone(), id, model_version, window, raised_at);
        match announcement.map(ToFleet::Announcement).map(sink) {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(error, alarm.id = id, "an alarm is not announced to the fleet"),
            Err(why) => tracing::debug!(alarm.id = id, "an alarm is not announced to the fleet: {why}"),
        }
    }
}
