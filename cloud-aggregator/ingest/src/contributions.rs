//! Tells each home, and it alone, what its answers did in a newly released model.

use std::sync::Arc;

use futures_util::StreamExt;
use hearthwatch_protocol::messages::Contribution;
use hearthwatch_protocol::{HomeId, Message, ModelVersion, Topic, encode};
use hearthwatch_store::story::lineage_of;
use hearthwatch_store::{Store, StoreResult};
use hearthwatch_telemetry::event::Event;
use hearthwatch_telemetry::metrics::Metrics;

use super::publisher::MessagePublisher;
use super::receipts::IN_FLIGHT_MAX;
use crate::event::MessageUnsent;

/// What each home is told of `version`, by home. Homes of which nothing was learnt are told nothing.
pub(super) fn contributions(store: &dyn Store, version: ModelVersion) -> StoreResult<Vec<(HomeId, Contribution)>> {
    let Some((snapshot, lineage)) = lineage_of(store, version)? else { return Ok(Vec::new()) };
    let at = store.snapshot(&snapshot)?.map_or(0, |row| row.created_at);
    let told = lineage.homes.into_iter().filter(|(_, part)| part.examples > 0);
    let contribution = |(home, part): (HomeId, hearthwatch_store::story::HomeLineage)| {
        let said = Contribution {
            model_version: version,
            snapshot: snapshot.clone(),
            answers: part.answers,
            examples: part.examples,
            at,
        };
        (home, said)
    };
    Ok(told.map(contribution).collect())
}

/// Says them. Best effort: they are retained, and said again when the aggregator starts anew.
pub(super) async fn publish_all(
    publisher: &Arc<dyn MessagePublisher>,
    said: Vec<(HomeId, Contribution)>,
    metrics: &Metrics,
) {
    futures_util::stream::iter(said)
        .for_each_concurrent(IN_FLIGHT_MAX, |(home, contribution)| async move {
            let result = match encode(&Message::Contribution(contribution)) {
                Ok(payload) => {
                    publisher.publish(&Topic::Contribution(home), payload).await.map_err(|error| error.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            if let Err(cause) = result {
                MessageUnsent { kind: "contribution", cause: &cause }.emit(metrics);
            }
        })
        .await;
}
