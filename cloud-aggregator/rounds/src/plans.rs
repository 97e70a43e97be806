//! Signs what homes are asked for, and sees that each has its plan, and in masked rounds its requests.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use hearthwatch_ingest::MessagePublisher;
use hearthwatch_ingest::event::MessageUnsent;
use hearthwatch_protocol::messages::RoundRequest;
use hearthwatch_protocol::round::{MaskExchange, ROUND_SECONDS_MAX, RoundPlan, RoundWork};
use hearthwatch_protocol::seal::SigningKey;
use hearthwatch_protocol::statement::Statement as _;
use hearthwatch_protocol::{HomeId, Message, Topic, encode};
use hearthwatch_store::rounds::{RequestRow, RoundDuty, RoundHomeRow, RoundHomeState};
use hearthwatch_store::{Store, StoreResult};
use hearthwatch_telemetry::event::Event;
use hearthwatch_telemetry::metrics::Metrics;

/// Plans hold from a little before they are signed, for homes whose clocks are slow, in seconds.
const BACKDATED: i64 = 300;

/// Longest time that homes can be given, in minutes: 10,075.
pub const MINUTES_MAX: u64 = (ROUND_SECONDS_MAX - BACKDATED).unsigned_abs() / 60;

/// Plans on their way to the broker at the same time; brokers commonly take 20 to 100 unacknowledged ones.
const IN_FLIGHT_MAX: usize = 16;

/// What all homes with one duty are asked alike.
pub(super) struct Asked<'a> {
    /// Number of the round.
    pub round: u64,
    /// What to do.
    pub work: &'a RoundWork,
    /// Answers that are needed.
    pub least: u32,
    /// When the plan is signed.
    pub now: i64,
    /// Until when the answer counts.
    pub deadline: i64,
}

/// A signed plan for each of `homes`, as it is stored before it is sent.
///
/// # Errors
/// What cannot be signed: a setting outside the limits, a key, no randomness.
pub(super) fn sign(key: &SigningKey, homes: &[HomeId], asked: &Asked<'_>) -> Result<Vec<RoundHomeRow>, String> {
    let cohort = u32::try_from(homes.len()).unwrap_or(u32::MAX);
    let duty = match asked.work {
        RoundWork::Train(_) | RoundWork::MaskedTrain(_) => RoundDuty::Train,
        RoundWork::Evaluate(_) => RoundDuty::Evaluate,
    };
    let one = |home: &HomeId| {
        let mut nonce = [0; 16];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| "the system gives no randomness".to_owned())?;
        let plan = RoundPlan {
            home: home.clone(),
            round: asked.round,
            work: asked.work.clone(),
            cohort,
            least: asked.least.clamp(1, cohort.max(1)),
            opens_at: asked.now - BACKDATED,
            deadline: asked.deadline,
            nonce,
        };
        let signed = plan.sign(key).map_err(|error| error.to_string())?;
        Ok(RoundHomeRow {
            round: asked.round,
            home: home.clone(),
            duty,
            nonce,
            signed,
            state: RoundHomeState::Planned,
            reason: String::new(),
            answer: None,
            digest: None,
            bytes: 0,
            norm: None,
            similarity: None,
            counted_in: None,
            at: Some(asked.now),
        })
    };
    homes.iter().map(one).collect()
}

/// Something that a home is sent, once for each exchange of a round.
pub(super) struct Outgoing {
    key: SentKey,
    message: Message,
}

#[cfg(test)]
impl Outgoing {
    /// The round, where it is for this home.
    pub(super) fn is_for(&self, home: &HomeId) -> Option<u64> {
        (self.key.2 == *home).then_some(self.key.0)
    }
}

/// By what something that was sent is known: the round, the exchange where it is masked, and the home.
pub(super) type SentKey = (u64, Option<MaskExchange>, HomeId);

/// What homes whose answers are waited for in the open round are sent. Blocks.
pub(super) fn open(store: &dyn Store) -> StoreResult<Vec<Outgoing>> {
    let Some(round) = store.rounds(None, 1)?.pop() else { return Ok(Vec::new()) };
    let homes = store.round_homes(round.number, None, 0)?;
    let open = homes.into_iter().filter(|row| round.stage.takes(row.duty) && row.state.open());
    // Plans ask for the first exchange.
    let Some(exchange) = round.stage.exchange().filter(|exchange| *exchange != MaskExchange::Keys) else {
        let plan =
            |row: RoundHomeRow| Outgoing { key: (row.round, None, row.home), message: Message::RoundPlan(row.signed) };
        // Those of earlier rounds that may still come, too.
        let behind = store.round_homes_behind()?.into_iter();
        let straggling = behind.filter(|row| row.state == RoundHomeState::Straggling);
        return Ok(open.chain(straggling).map(plan).collect());
    };
    let open: BTreeSet<HomeId> = open.map(|row| row.home).collect();
    let requests = store.round_requests(round.number)?.into_iter().filter(|row| open.contains(&row.home));
    let request = |row: RequestRow| Outgoing {
        key: (row.round, Some(exchange), row.home),
        message: Message::RoundRequest(RoundRequest { signed: row.signed, body: row.body }),
    };
    Ok(requests.map(request).collect())
}

/// Hands `plans` to the broker, each once for what is remembered in `sent`.
pub(super) async fn send(
    publisher: &Arc<dyn MessagePublisher>,
    plans: Vec<Outgoing>,
    sent: &mut BTreeSet<SentKey>,
    metrics: &Metrics,
) {
    // Only the open round's: what was sent of earlier ones is of no use any more.
    sent.retain(|(round, ..)| plans.iter().any(|one| one.key.0 == *round));
    let new = plans.into_iter().filter(|one| !sent.contains(&one.key)).collect::<Vec<_>>();
    let done: Vec<SentKey> = futures_util::stream::iter(new)
        .map(|Outgoing { key, message }| async move {
            let kind = message.kind();
            let payload = encode(&message).map_err(|error| error.to_string());
            let result = match payload {
                Ok(payload) => {
                    let home = key.2.clone();
                    let topic = if key.1.is_some() { Topic::RoundRequest(home) } else { Topic::RoundPlan(home) };
                    publisher.publish(&topic, payload).await.map_err(|error| error.to_string())
                }
                Err(cause) => Err(cause),
            };
            if let Err(cause) = &result {
                MessageUnsent { kind, cause }.emit(metrics);
            }
            result.is_ok().then_some(key)
        })
        .buffer_unordered(IN_FLIGHT_MAX)
        .filter_map(std::future::ready)
        .collect()
        .await;
    sent.extend(done);
}
