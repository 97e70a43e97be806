//! A home with a valid certificate that says far more than a home may, and numbers that no home has.

use hearthwatch_link::{LinkConfig, LinkEvent, LinkHandle, Publication};
use hearthwatch_protocol::messages::{AgentStatus, UpdateOutcome, UpdateResult, Withdrawal, WithdrawalScope};
use hearthwatch_protocol::{HomeId, Message, ModelVersion, Sequence, Topic, encode};
use tokio::task::JoinSet;

use super::{announcement, record};

/// Messages on their way to the broker at the same time; its own limit for a client is commonly 20 to 100.
const AT_ONCE: usize = 32;
/// The largest number that SQLite holds: one more overflows.
const HIGHEST: Sequence = Sequence(i64::MAX.unsigned_abs());

/// Says `count` of each kind and then nothing more, for as long as the process lives.
///
/// # Errors
/// When the link's files cannot be used.
pub async fn flood(home: &HomeId, link: LinkConfig, count: u64, now: impl Fn() -> i64) -> anyhow::Result<()> {
    let (link, mut events) = hearthwatch_link::open(link)?;
    while !matches!(events.next().await, Some(LinkEvent::Connected { .. })) {}
    let reading = tokio::spawn(async move { while events.next().await.is_some() {} });
    let mut under_way = JoinSet::new();
    for number in 1..=count {
        for message in messages(home, number, now()) {
            while under_way.len() >= AT_ONCE {
                under_way.join_next().await;
            }
            under_way.spawn(say(link.clone(), home.clone(), message));
        }
    }
    while under_way.join_next().await.is_some() {}
    // The link ends with its reader.
    reading.await?;
    Ok(())
}

/// One of each kind, as an honest home numbers them: each announcement before its answer. The first answer and the first withdrawal have
/// the highest number there is.
fn messages(home: &HomeId, number: u64, now: i64) -> Vec<Message> {
    let sequence = if number == 1 { HIGHEST } else { Sequence(number.saturating_mul(2)) };
    let mut answer = record(home, number, now);
    answer.sequence = sequence;
    let mut announced = announcement(&answer);
    announced.sequence = Sequence(number.saturating_mul(2) - 1);
    let status = AgentStatus {
        online: true,
        agent_version: format!("flood-{number}"),
        model_version: ModelVersion(number),
        entities: 1,
        outbox: u32::try_from(number).unwrap_or(u32::MAX),
    };
    let outcome = UpdateOutcome {
        model_version: ModelVersion(number),
        stage: None,
        result: UpdateResult::RolledBack { reason: "deaf".to_owned(), to: ModelVersion(0) },
        at: now,
    };
    let scope = if number == 1 { WithdrawalScope::Through(HIGHEST) } else { WithdrawalScope::Records(vec![sequence]) };
    let withdrawal = Withdrawal { home: home.clone(), id: number, scope, at: now };
    vec![
        Message::Announcement(announced),
        Message::Feedback(answer),
        Message::Status(status),
        Message::Outcome(outcome),
        Message::Withdrawal(withdrawal),
    ]
}

async fn say(link: LinkHandle, home: HomeId, message: Message) {
    let topic = match &message {
        Message::Status(_) => Topic::Status(home),
        Message::Outcome(_) => Topic::Outcome(home),
        Message::Withdrawal(_) => Topic::Withdrawal(home),
        _ => Topic::Feedback(home),
    };
    let Ok(payload) = encode(&message) else { return };
    // What a broker does not take is not said again: there is more where it came from.
    let _ = link.publish(Publication { topic: topic.to_string(), payload, retain: topic.retained() }).await;
}
