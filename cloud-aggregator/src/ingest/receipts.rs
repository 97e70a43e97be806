//! Tells homes what is safe. Best effort: a receipt that gets lost is asked for again by resending.

use std::sync::Arc;

use futures_util::StreamExt;
use hearthwatch_protocol::limits::REFUSALS_MAX;
use hearthwatch_protocol::messages::Receipt;
use hearthwatch_protocol::{HomeId, Message, Topic, encode};
use tokio::sync::mpsc;

use super::worker::Wire;
use crate::event::{Event, ReceiptSent, WordUnsent};
use crate::metrics::Metrics;

/// Receipts that may wait for the broker: one for each of so many homes. The rest is dropped, and asked for again.
pub const RECEIPTS_WAITING_MAX: usize = 4_096;

/// Publications on their way at the same time; brokers commonly take 20 to 100 unacknowledged ones.
const IN_FLIGHT_MAX: usize = 32;

/// Sends every receipt that comes in, until the sender is dropped.
pub(super) async fn send_all(wire: Arc<dyn Wire>, inbox: mpsc::Receiver<(HomeId, Receipt)>, metrics: Arc<Metrics>) {
    let receipts =
        futures_util::stream::unfold(inbox, |mut inbox| async { inbox.recv().await.map(|receipt| (receipt, inbox)) });
    receipts
        .flat_map(|(home, receipt)| futures_util::stream::iter(split(receipt).map(move |part| (home.clone(), part))))
        .for_each_concurrent(IN_FLIGHT_MAX, |(home, receipt)| send(&wire, home, receipt, &metrics))
        .await;
}

async fn send(wire: &Arc<dyn Wire>, home: HomeId, receipt: Receipt, metrics: &Metrics) {
    let result = match encode(&Message::Receipt(receipt)) {
        Ok(payload) => wire.publish(&Topic::Receipt(home), payload).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match result {
        Ok(()) => ReceiptSent.emit(metrics),
        Err(cause) => WordUnsent { kind: "receipt", cause: &cause }.emit(metrics),
    }
}

/// A receipt lists at most [`REFUSALS_MAX`] refusals; further ones follow in further receipts.
fn split(receipt: Receipt) -> impl Iterator<Item = Receipt> {
    let through = receipt.through;
    let mut parts: Vec<Receipt> =
        receipt.refused.chunks(REFUSALS_MAX).map(|part| Receipt { through, refused: part.to_vec() }).collect();
    if parts.is_empty() {
        parts.push(receipt);
    }
    parts.into_iter()
}

#[cfg(test)]
mod tests {
    use hearthwatch_protocol::Sequence;
    use hearthwatch_protocol::messages::{Refusal, RefusalReason};

    use super::*;

    fn refusals(count: u64) -> Receipt {
        let refused =
            (1..=count).map(|n| Refusal { sequence: Sequence(n), reason: RefusalReason::NotFinite }).collect();
        Receipt { through: Sequence(500), refused }
    }

    #[test]
    fn a_receipt_with_too_many_refusals_becomes_several_that_a_reader_takes() {
        let parts: Vec<_> = split(refusals(150)).collect();
        assert_eq!(parts.iter().map(|part| part.refused.len()).collect::<Vec<_>>(), [64, 64, 22]);
        assert!(parts.iter().all(|part| encode(&Message::Receipt(part.clone())).is_ok()));
    }

    #[test]
    fn a_receipt_without_refusals_stays_one() {
        assert_eq!(split(refusals(0)).count(), 1);
    }
}
