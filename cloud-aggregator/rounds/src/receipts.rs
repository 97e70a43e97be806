//! Receipts that are sent again: a process that was killed after it took an answer may not have sent one, and a home asks for a receipt only
//! until its round's deadline or the next plan. Its ledger would then have "missed" for an answer that is part of a model.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use hearthwatch_ingest::MessagePublisher;
use hearthwatch_ingest::event::MessageUnsent;
use hearthwatch_protocol::messages::{RoundReceipt, RoundState};
use hearthwatch_protocol::round::MaskExchange;
use hearthwatch_protocol::{HomeId, Message, Topic, encode};
use hearthwatch_store::rounds::RoundHomeState;
use hearthwatch_store::{Store, StoreResult};
use hearthwatch_telemetry::event::Event as _;
use hearthwatch_telemetry::metrics::Metrics;

use super::settings;

/// Rounds that are looked at: the process may have ended one and opened the next before it reached a broker.
const ROUNDS: usize = 2;

/// Receipts on their way to the broker at the same time; brokers commonly take 20 to 100 unacknowledged ones.
const IN_FLIGHT_MAX: usize = 16;

/// For each home whose answer was taken in one of the newest rounds, the receipt of the newest of these answers: a home keeps only the
/// newest receipt that it has not read. Blocks.
///
/// # Errors
/// The store's.
pub(super) fn taken(store: &dyn Store) -> StoreResult<Vec<(HomeId, RoundReceipt)>> {
    let (mut receipts, mut seen) = (Vec::new(), BTreeSet::new());
    for round in store.rounds(None, ROUNDS)? {
        // In the exchanges of a masked round a home has more to send: by the receipt of a whole answer it would leave its group.
        let masked = settings::read(&round)?.masks.is_some();
        let exchange = round.stage.exchange().filter(|exchange| masked && *exchange != MaskExchange::Opened);
        for row in store.round_homes(round.number, None, 0)? {
            let counts = matches!(row.state, RoundHomeState::Taken | RoundHomeState::LeftOut | RoundHomeState::Carried);
            if counts && seen.insert(row.home.clone()) {
                let goes_on = exchange.filter(|_| row.state == RoundHomeState::Taken);
                let state = goes_on.map_or(RoundState::Taken, RoundState::Received);
                receipts.push((row.home, RoundReceipt { round: row.round, state }));
            }
        }
    }
    Ok(receipts)
}

/// Hands `receipts` to the broker. What does not reach it is sent again at the next connection.
pub(super) async fn send(
    publisher: &Arc<dyn MessagePublisher>,
    receipts: Vec<(HomeId, RoundReceipt)>,
    metrics: &Metrics,
) {
    futures_util::stream::iter(receipts)
        .for_each_concurrent(IN_FLIGHT_MAX, |(home, receipt)| async move {
            let sent = match encode(&Message::RoundReceipt(receipt)) {
                Ok(payload) => {
                    let sent = publisher.publish(&Topic::RoundReceipt(home), payload).await;
                    sent.map_err(|error| error.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            if let Err(cause) = sent {
                MessageUnsent { kind: "round_receipt", cause: &cause }.emit(metrics);
            }
        })
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bench;

    fn receipts_of(bench: &Bench) -> Vec<(HomeId, u64)> {
        let receipts = taken(bench.store.as_ref()).unwrap();
        assert!(receipts.iter().all(|(_, receipt)| receipt.state == RoundState::Taken));
        receipts.into_iter().map(|(home, receipt)| (home, receipt.round)).collect()
    }

    #[test]
    fn a_restarted_aggregator_sends_receipts_of_the_answers_that_it_has() {
        let bench = Bench::new();
        bench.work();
        bench.send_delta(&bench.train[0]);
        bench.decline(&bench.train[1]);
        let bench = bench.restart();
        assert_eq!(
            receipts_of(&bench),
            [(bench.train[0].clone(), 1)],
            "who declined or is still waited for has nothing taken"
        );
    }

    #[test]
    fn an_answer_of_the_round_before_has_its_receipt_until_one_of_the_next_round_is_taken() {
        let bench = Bench::new();
        bench.work();
        bench.train[..3].iter().for_each(|home| assert_eq!(bench.send_delta(home).state, RoundState::Taken));
        bench.at(60);
        bench.work();
        bench.at(120);
        bench.work();
        bench.work();
        let mut wanted: Vec<(HomeId, u64)> = bench.train[..3].iter().map(|home| (home.clone(), 1)).collect();
        assert_eq!(
            (bench.round(2).number, receipts_of(&bench)),
            (2, wanted.clone()),
            "round 2 is open, and nobody has answered"
        );
        bench.send_delta(&bench.train[1]);
        wanted.remove(1);
        wanted.insert(0, (bench.train[1].clone(), 2));
        assert_eq!(receipts_of(&bench), wanted);
    }
}
