//! Hands stored orders to the broker, each after a last look at whether its rollout was stopped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use hearthwatch_ingest::MessagePublisher;
use hearthwatch_ingest::event::MessageUnsent;
use hearthwatch_protocol::{HomeId, Message, Topic, encode};
use hearthwatch_store::blocking;
use hearthwatch_store::rollouts::AssignmentRow;
use hearthwatch_telemetry::event::Event;

use super::Director;

/// Orders on their way to the broker at the same time; brokers commonly take 20 to 100 unacknowledged ones.
const IN_FLIGHT_MAX: usize = 16;

/// Orders after which the store is told what the broker has: 157 commits for 10,000 homes.
const NOTED_AT_ONCE: usize = 64;

/// Longest that a person who stops a rollout waits for orders that are on their way to the broker. A broker in reach acknowledges
/// within milliseconds.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);

impl Director {
    /// Waits until no order that was looked at before is still on its way, for two seconds at most. After a stop that is stored,
    /// whatever is looked at later stays here: so once this returns, nothing more goes out.
    pub async fn settled(&self) {
        if tokio::time::timeout(SETTLED_WITHIN, self.handing.write()).await.is_err() {
            tracing::warn!("the broker is slow: up to {IN_FLIGHT_MAX} orders that were on their way may still arrive");
        }
    }

    /// Sends every home's newest order that is not at the broker yet.
    pub(super) async fn send(&self, publisher: &Arc<dyn MessagePublisher>, sent: &mut BTreeMap<HomeId, u64>) {
        let orders = match blocking(&self.store, |store| store.assignments()).await {
            Ok(orders) => orders,
            Err(error) => return tracing::error!(%error, "assignments cannot be read"),
        };
        let new: Vec<AssignmentRow> =
            orders.into_iter().filter(|row| sent.get(&row.home) != Some(&row.generation)).collect();
        for part in new.chunks(NOTED_AT_ONCE) {
            let done: Vec<(HomeId, u64)> = futures_util::stream::iter(part.to_vec())
                .map(|row| self.hand_over(publisher, row))
                .buffer_unordered(IN_FLIGHT_MAX)
                .filter_map(std::future::ready)
                .collect()
                .await;
            if done.is_empty() {
                continue;
            }
            sent.extend(done.iter().cloned());
            if let Err(error) = blocking(&self.store, move |store| store.delivered(&done)).await {
                tracing::error!(%error, "deliveries cannot be noted");
            }
        }
    }

    /// Hands one order to the broker, unless its rollout was stopped. `None` where the broker has not taken it.
    async fn hand_over(&self, publisher: &Arc<dyn MessagePublisher>, row: AssignmentRow) -> Option<(HomeId, u64)> {
        // Held from before the look to after the answer: see `settled`.
        let _handing = self.handing.read().await;
        let order = (row.home.clone(), row.generation);
        match blocking(&self.store, move |store| store.may_deliver(&order.0, order.1)).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                tracing::error!(%error, "an order cannot be looked up");
                return None;
            }
        }
        let payload = encode(&Message::Assignment(row.signed)).map_err(|error| error.to_string());
        let result = match payload {
            Ok(payload) => {
                let topic = Topic::Assignment(row.home.clone());
                publisher.publish(&topic, payload).await.map_err(|error| error.to_string())
            }
            Err(cause) => Err(cause),
        };
        if let Err(cause) = &result {
            MessageUnsent { kind: "assignment", cause }.emit(&self.metrics);
        }
        result.is_ok().then_some((row.home, row.generation))
    }
}
