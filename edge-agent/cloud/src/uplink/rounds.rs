//! What the uplink carries of rounds: the home's offer, and the parts of its answer, one at a time and after everything else.

use std::sync::Arc;

use hearthwatch_edge_store::outbox::SharingLevel;
use hearthwatch_link::Publication;
use hearthwatch_protocol::messages::{RoundPart, RoundReceipt, RoundRequest};
use hearthwatch_protocol::round::{SignedRoundOffer, SignedRoundPlan};
use hearthwatch_protocol::{Message, Topic, encode};
use tokio::sync::watch;

use super::client::{Task, UplinkHandle};

/// An answer that is being sent. A new one replaces it, and none stops the sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundDelivery {
    /// The whole answer, as [`RoundPart::cut`] cuts it.
    pub parts: Arc<[RoundPart]>,
    /// The parts before this one are stored by the aggregator.
    pub stored: u16,
    /// Counts up when everything that is not stored is to be sent again.
    pub attempt: u32,
}

/// The ends of the channels that the uplink's task holds; what they carry is described at [`RoundChannels`].
#[derive(Clone)]
pub(super) struct TaskChannels {
    pub(super) offer: watch::Receiver<Option<SignedRoundOffer>>,
    pub(super) delivery: watch::Receiver<Option<RoundDelivery>>,
    pub(super) plan: watch::Sender<Option<SignedRoundPlan>>,
    pub(super) receipt: watch::Sender<Option<RoundReceipt>>,
    pub(super) request: watch::Sender<Option<RoundRequest>>,
    pub(super) left: watch::Sender<u64>,
}

/// The ends that the home's side of rounds holds.
#[derive(Debug, Clone)]
pub struct RoundChannels {
    /// What leaves the home, as residents chose last.
    pub sharing: watch::Receiver<SharingLevel>,
    /// The newest plan as it came. Nothing in it is trusted.
    pub plan: watch::Receiver<Option<SignedRoundPlan>>,
    /// The newest receipt of an answer.
    pub receipt: watch::Receiver<Option<RoundReceipt>>,
    /// The newest request of a masked round as it came. Nothing in it is trusted.
    pub request: watch::Receiver<Option<RoundRequest>>,
    /// Counts the parts that the broker took since the start.
    pub left: watch::Receiver<u64>,
    /// Published (retained), now and on each connection, until the next one.
    pub offer: watch::Sender<Option<SignedRoundOffer>>,
    /// Sent as far as it is not stored yet, after everything else; with none, nothing more is sent.
    pub delivery: watch::Sender<Option<RoundDelivery>>,
}

/// Both ends of new channels.
pub(super) fn channels(sharing: watch::Receiver<SharingLevel>) -> (TaskChannels, RoundChannels) {
    let ((offer, offered), (delivery, delivered)) = (watch::channel(None), watch::channel(None));
    let ((plan, planned), (receipt, received)) = (watch::channel(None), watch::channel(None));
    let ((request, requested), (left, has_left)) = (watch::channel(None), watch::channel(0));
    let of_task = TaskChannels { offer: offered, delivery: delivered, plan, receipt, request, left };
    let of_rounds = RoundChannels {
        sharing,
        plan: planned,
        receipt: received,
        request: requested,
        left: has_left,
        offer,
        delivery,
    };
    (of_task, of_rounds)
}

/// Which part is sent next.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    current: Option<RoundDelivery>,
    next: usize,
}

impl Cursor {
    /// Takes what is to be sent now. Parts that were sent already are not sent again unless the attempt counts up.
    pub(super) fn take(&mut self, delivery: Option<RoundDelivery>) {
        let goes_on = match (&self.current, &delivery) {
            (Some(before), Some(now)) => before.attempt == now.attempt && before.parts == now.parts,
            _ => false,
        };
        let stored = delivery.as_ref().map_or(0, |delivery| usize::from(delivery.stored));
        self.next = if goes_on { self.next.max(stored) } else { stored };
        self.current = delivery;
    }

    /// There is a new connection: whatever no receipt covers is sent again.
    pub(super) fn connected(&mut self) {
        self.next = self.current.as_ref().map_or(0, |delivery| usize::from(delivery.stored));
    }

    /// The part that is sent next; none when all have been.
    pub(super) fn next(&self) -> Option<&RoundPart> {
        self.current.as_ref()?.parts.get(self.next)
    }

    /// The part that [`Cursor::next`] gave is sent.
    pub(super) fn sent(&mut self) {
        self.next += 1;
    }
}

impl UplinkHandle {
    /// What the uplink carries of rounds.
    #[must_use]
    pub fn rounds(&self) -> RoundChannels {
        self.rounds.clone()
    }
}

impl Task {
    /// Whether a part waits that the broker may get now.
    pub(super) fn has_part(&self) -> bool {
        self.session.is_connected() && self.cursor.next().is_some()
    }

    pub(super) async fn publish_offer(&mut self) {
        let Some(offer) = self.rounds.offer.borrow_and_update().clone() else { return };
        match encode(&Message::RoundOffer(offer)) {
            Ok(payload) => {
                let topic = Topic::RoundOffer(self.home.clone()).to_string();
                self.publish(Publication { topic, payload, retain: true }).await;
            }
            Err(error) => tracing::error!(home.id = %self.home, %error, "the offer for rounds is not published"),
        }
    }

    pub(super) fn take_delivery(&mut self) {
        let delivery = self.rounds.delivery.borrow_and_update().clone();
        self.cursor.take(delivery);
    }

    /// Sends one part. One that the broker does not take is sent again on the next connection or attempt.
    pub(super) async fn publish_part(&mut self) {
        let Some(part) = self.cursor.next().cloned() else { return };
        self.cursor.sent();
        match encode(&Message::RoundPart(part)) {
            Ok(payload) => {
                let topic = Topic::RoundPart(self.home.clone()).to_string();
                if self.publish(Publication { topic, payload, retain: false }).await {
                    self.rounds.left.send_modify(|count| *count += 1);
                }
            }
            Err(error) => tracing::error!(home.id = %self.home, %error, "a part of a round's answer is not sent"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hearthwatch_edge_store::outbox::Outbox;
    use hearthwatch_link::LinkConfig;
    use hearthwatch_protocol::messages::AgentStatus;
    use hearthwatch_protocol::round::SignedRoundAnswer;
    use hearthwatch_protocol::{HomeId, ModelVersion};

    use super::super::{RESEND, UplinkConfig, prepare, share};
    use super::*;

    fn delivery(stored: u16, attempt: u32) -> RoundDelivery {
        let answer = SignedRoundAnswer::from_bytes(vec![1]);
        RoundDelivery { parts: RoundPart::cut(&answer, &[7; 30_000]).into(), stored, attempt }
    }

    fn order(cursor: &mut Cursor) -> Vec<u16> {
        let mut order = Vec::new();
        while let Some(part) = cursor.next() {
            order.push(part.part);
            cursor.sent();
        }
        order
    }

    #[test]
    fn parts_go_out_once_and_again_from_the_first_that_is_not_stored() {
        let mut cursor = Cursor::default();
        cursor.take(Some(delivery(0, 0)));
        assert_eq!(order(&mut cursor), [0, 1, 2]);
        cursor.take(Some(delivery(1, 0)));
        assert_eq!(
            order(&mut cursor),
            [0_u16; 0],
            "a receipt for the first part is no reason to send the others twice"
        );
        cursor.take(Some(delivery(1, 1)));
        assert_eq!(order(&mut cursor), [1, 2]);
        cursor.connected();
        assert_eq!(order(&mut cursor), [1, 2], "a new connection begins where the receipts end");
    }

    #[tokio::test]
    async fn a_choice_of_what_is_shared_reaches_rounds_also_when_whoever_chose_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = share(Outbox::open(&folder.path().join("outbox.sqlite")).unwrap());
        let config = UplinkConfig {
            home: HomeId::new("home-7").unwrap(),
            link: LinkConfig::new("127.0.0.1", 1, "home-7"),
            directed: true,
            resend: RESEND,
            clock: Arc::new(|| 0),
            seed: 0,
        };
        let status = AgentStatus {
            online: true,
            agent_version: "1".to_owned(),
            model_version: ModelVersion::ROUTINE,
            entities: 0,
            outbox: 0,
        };
        let (uplink, _not_running) = prepare(config, outbox, watch::channel(status).1, None).unwrap();
        // Begun and dropped at once, as a handler is whose browser has closed the connection.
        let _gone = tokio::time::timeout(Duration::ZERO, uplink.choose_sharing(SharingLevel::Learning)).await;
        let mut level = uplink.rounds().sharing.clone();
        level.wait_for(|level| *level == SharingLevel::Learning).await.unwrap();
        assert_eq!(uplink.with_outbox(|outbox| outbox.sharing()).await.unwrap(), SharingLevel::Learning);
    }

    #[test]
    fn what_is_taken_back_is_not_sent_any_more() {
        let mut cursor = Cursor::default();
        cursor.take(Some(delivery(0, 0)));
        cursor.sent();
        cursor.take(None);
        cursor.connected();
        assert_eq!(cursor.next(), None);
    }
}
