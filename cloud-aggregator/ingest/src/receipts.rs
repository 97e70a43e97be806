//! Tells homes what is safe. Best effort: a receipt that gets lost is asked for again by resending.

use std::sync::Arc;

use futures_util::StreamExt;
use hearthwatch_protocol::limits::REFUSALS_MAX;
use hearthwatch_protocol::messages::{Receipt, Refusal, RoundReceipt, WithdrawalReceipt};
use hearthwatch_protocol::{HomeId, Message, Topic, encode};
use hearthwatch_telemetry::event::Event;
use hearthwatch_telemetry::metrics::Metrics;
use tokio::sync::mpsc;

use super::publisher::MessagePublisher;
use crate::event::{MessageUnsent, ReceiptSent};

/// Receipts that may wait for the broker: one for each of so many homes. The rest is dropped, and asked for again.
pub const RECEIPTS_WAITING_MAX: usize = 4_096;

/// Publications on their way at the same time; brokers commonly take 20 to 100 unacknowledged ones.
pub(super) const IN_FLIGHT_MAX: usize = 32;

/// What a home is told.
#[derive(Debug)]
pub(super) enum OutboundMessage {
    /// What of its records is safe.
    Receipt(HomeId, Receipt),
    /// What it took back is gone.
    Withdrawn(HomeId, WithdrawalReceipt),
    /// How its answer in a round stands.
    Round(HomeId, RoundReceipt),
}

/// Sends every word that comes in, until the sender is dropped.
pub(super) async fn send_all(
    publisher: Arc<dyn MessagePublisher>,
    inbox: mpsc::Receiver<OutboundMessage>,
    metrics: Arc<Metrics>,
) {
    let words = futures_util::stream::unfold(inbox, |mut inbox| async { inbox.recv().await.map(|word| (word, inbox)) });
    words
        .flat_map(|word| futures_util::stream::iter(messages(word)))
        .for_each_concurrent(IN_FLIGHT_MAX, |(topic, message)| send(&publisher, topic, message, &metrics))
        .await;
}

fn messages(word: OutboundMessage) -> Vec<(Topic, Message)> {
    match word {
        OutboundMessage::Receipt(home, receipt) => {
            split(receipt).map(|part| (Topic::Receipt(home.clone()), Message::Receipt(part))).collect()
        }
        OutboundMessage::Withdrawn(home, receipt) => {
            vec![(Topic::Withdrawn(home), Message::WithdrawalReceipt(receipt))]
        }
        OutboundMessage::Round(home, receipt) => vec![(Topic::RoundReceipt(home), Message::RoundReceipt(receipt))],
    }
}

async fn send(publisher: &Arc<dyn MessagePublisher>, topic: Topic, message: Message, metrics: &Metrics) {
    let result = match encode(&message) {
        Ok(payload) => publisher.publish(&topic, payload).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match result {
        Ok(()) => ReceiptSent.emit(metrics),
        Err(cause) => MessageUnsent { kind: message.kind(), cause: &cause }.emit(metrics),
    }
}

/// A receipt lists at most [`REFUSALS_MAX`] refusals; further ones follow in further receipts.
fn split(receipt: Receipt) -> impl Iterator<Item = Receipt> {
    let part = |refused: &[Refusal]| Receipt { refused: refused.to_vec(), digests: receipt.digests.clone(), ..receipt };
    let mut parts: Vec<Receipt> = receipt.refused.chunks(REFUSALS_MAX).map(part).collect();
    if parts.is_empty() {
        parts.push(receipt);
    }
    parts.into_iter()
}

#[cfg(test)]
mod tests {
    use hearthwatch_protocol::Sequence;
    use hearthwatch_protocol::messages::{PayloadDigest, RefusalReason};

    use super::*;

    fn refusals(count: u64) -> Receipt {
        let refused =
            (1..=count).map(|n| Refusal { sequence: Sequence(n), reason: RefusalReason::NotFinite }).collect();
        Receipt { through: Sequence(500), refused, digests: vec![PayloadDigest([5; 8])] }
    }

    #[test]
    fn a_receipt_with_too_many_refusals_becomes_several_that_a_reader_takes() {
        let parts: Vec<_> = split(refusals(150)).collect();
        assert_eq!(parts.iter().map(|part| part.refused.len()).collect::<Vec<_>>(), [64, 64, 22]);
        assert!(parts.iter().all(|part| part.digests == refusals(0).digests), "each may be the first to arrive");
        assert!(parts.iter().all(|part| encode(&Message::Receipt(part.clone())).is_ok()));
    }

    #[test]
    fn a_receipt_without_refusals_stays_one() {
        assert_eq!(split(refusals(0)).count(), 1);
    }
}
