//! What waits to be stored: one line for each home, served in turns, so that who sends much delays itself only. Pure.
//!
//! Turns are by deficit round robin (Shreedhar and Varghese, 1996): at its turn a home may take as much as it saved up. When the
//! queue is full, the home that holds most gives way, down to a share that every honest home stays below; when none holds
//! more than that share, nothing more is taken off the wire.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use hearthwatch_protocol::HomeId;

use super::limiter::Traffic;

/// Most messages in one batch: 256 records of 8 KiB are 2 MiB of write-ahead log, and one disk flush.
pub const BATCH_MESSAGES_MAX: usize = 256;

/// Most that the messages of one batch may cost (see [`Waiting::cost`]): 256 records of 9 KiB are 2.3 MB. It bounds a batch of
/// the largest payloads to 64, and one of withdrawals, which delete up to 1,000 records each, to 64 too.
const BATCH_COST_MAX: usize = 4 * 1024 * 1024;

/// What a home may take at its turn if it has saved nothing: a record and what goes with it.
const QUANTUM: usize = 16 * 1024;

/// The least that a message costs: judging it takes a few look-ups, whatever its size. 2 KiB make eight a turn.
const COST_MIN: usize = 2 * 1024;

/// What a withdrawal costs: as much as the largest payload.
const WITHDRAWAL_COST: usize = 64 * 1024;

/// Messages that may wait: 16 batches, a few seconds' work.
pub const WAITING_MESSAGES_MAX: usize = 4_096;

/// Bytes that may wait: 4,096 records of 8 KiB.
pub const WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Messages that no home must give up for others: an agent has 32 records in flight, and beside them a status, a manifest, a few
/// outcomes and withdrawals.
pub const SHARE_MESSAGES: usize = 64;

/// Bytes that no home must give up for others: 64 records of 9 KiB.
pub const SHARE_BYTES: usize = 576 * 1024;

/// One message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What its topic carries.
    pub traffic: Traffic,
    /// The topic that it came on, as the broker gave it.
    pub topic: String,
    /// As it travelled; not yet read.
    pub payload: Bytes,
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.topic.len() + self.payload.len()
    }

    /// Work that it makes, in bytes.
    fn cost(&self) -> usize {
        match self.traffic {
            Traffic::Withdrawal => WITHDRAWAL_COST.max(self.bytes()),
            _ => COST_MIN.max(self.bytes()),
        }
    }
}

/// What became of a message that was put in line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Queued {
    /// It waits, and nothing was given up for it.
    Waits,
    /// It waits in the place of an older one that says nothing beside it: an older status or manifest, or the same word.
    Replaced,
    /// It waits, or not, but a message of the home that held most was given up for lack of room.
    Dropped {
        /// The home that gave it up; none for topics that belong to nobody.
        home: Option<HomeId>,
        /// What the topic of the message carries.
        traffic: Traffic,
    },
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    deficit: usize,
}

impl Line {
    fn beyond_share(&self) -> bool {
        self.waiting.len() > SHARE_MESSAGES || self.bytes > SHARE_BYTES
    }
}

/// The lines. Messages of no home stand in one line together.
#[derive(Debug, Default)]
pub struct FairQueue {
    lines: HashMap<Option<HomeId>, Line>,
    /// Whose turn is next; every home with a line is in it once.
    turns: VecDeque<Option<HomeId>>,
    messages: usize,
    bytes: usize,
}

impl FairQueue {
    /// Messages that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Whether more may be taken off the wire: there is room, or a home that can make some.
    #[must_use]
    pub fn takes_more(&self) -> bool {
        !self.full() || self.lines.values().any(Line::beyond_share)
    }

    fn full(&self) -> bool {
        self.messages >= WAITING_MESSAGES_MAX || self.bytes >= WAITING_BYTES_MAX
    }

    /// Puts a message in its home's line.
    pub fn push(&mut self, home: Option<HomeId>, message: Waiting) -> Queued {
        let line = self.lines.entry(home.clone()).or_default();
        if line.waiting.is_empty() {
            self.turns.push_back(home);
        }
        let replaces = |old: &&mut Waiting| match message.traffic {
            // The newest counts, whatever an older one said.
            Traffic::Status | Traffic::Manifest | Traffic::Offer => old.traffic == message.traffic,
            Traffic::Outcome | Traffic::Withdrawal | Traffic::Round => {
                old.traffic == message.traffic && old.payload == message.payload
            }
            Traffic::Records | Traffic::Other => false,
        };
        if let Some(old) = line.waiting.iter_mut().find(replaces) {
            let (before, after) = (old.bytes(), message.bytes());
            *old = message;
            line.bytes = line.bytes - before + after;
            self.bytes = self.bytes - before + after;
            return Queued::Replaced;
        }
        line.bytes += message.bytes();
        self.bytes += message.bytes();
        self.messages += 1;
        line.waiting.push_back(message);
        if self.messages <= WAITING_MESSAGES_MAX && self.bytes <= WAITING_BYTES_MAX {
            Queued::Waits
        } else {
            self.give_up()
        }
    }

    /// Gives up the newest message of the home that holds most beyond its share: what came first stays, so that its records
    /// go on without a gap.
    fn give_up(&mut self) -> Queued {
        let beyond = self.lines.iter_mut().filter(|(_, line)| line.beyond_share());
        let Some((home, line)) =
            beyond.max_by_key(|(_, line)| (line.waiting.len().max(line.bytes / QUANTUM), line.bytes))
        else {
            return Queued::Waits;
        };
        let Some(message) = line.waiting.pop_back() else { return Queued::Waits };
        line.bytes -= message.bytes();
        self.bytes -= message.bytes();
        self.messages -= 1;
        // A line beyond its share holds more than one message, or one that is larger than any payload may be.
        let home = home.clone();
        if line.waiting.is_empty() {
            self.lines.remove(&home);
            self.turns.retain(|other| *other != home);
        }
        Queued::Dropped { home, traffic: message.traffic }
    }

    /// The next batch, in turns. Within a home in the order in which its messages came.
    #[must_use]
    pub fn batch(&mut self) -> Vec<(String, Bytes)> {
        let (mut batch, mut spent) = (Vec::new(), 0);
        'full: while let Some(home) = self.turns.pop_front() {
            let Some(line) = self.lines.get_mut(&home) else { continue };
            line.deficit += QUANTUM;
            while let Some(cost) = line.waiting.front().map(Waiting::cost).filter(|cost| *cost <= line.deficit) {
                if batch.len() >= BATCH_MESSAGES_MAX || (spent + cost > BATCH_COST_MAX && !batch.is_empty()) {
                    // Its turn goes on with the next batch.
                    line.deficit = line.deficit.saturating_sub(QUANTUM);
                    self.turns.push_front(home);
                    break 'full;
                }
                let Some(message) = line.waiting.pop_front() else { break };
                line.deficit -= cost;
                line.bytes -= message.bytes();
                self.bytes -= message.bytes();
                self.messages -= 1;
                spent += cost;
                batch.push((message.topic, message.payload));
            }
            if line.waiting.is_empty() {
                self.lines.remove(&home);
            } else {
                self.turns.push_back(home);
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_store::fixtures::home;
    use proptest::prelude::*;

    use super::*;

    fn waiting(traffic: Traffic, bytes: usize, number: usize) -> Waiting {
        Waiting { traffic, topic: number.to_string(), payload: vec![0; bytes].into() }
    }

    fn record(number: usize) -> Waiting {
        waiting(Traffic::Records, 8_192, number)
    }

    fn numbers(batch: &[(String, Bytes)]) -> Vec<usize> {
        batch.iter().map(|(topic, _)| topic.parse().unwrap()).collect()
    }

    #[test]
    fn a_home_that_sends_20_000_messages_delays_another_by_no_batch() {
        let mut queue = FairQueue::default();
        let mut dropped = 0;
        for number in 0..20_000 {
            let pushed = queue.push(Some(home("flood")), waiting(Traffic::Records, 1_000, number));
            dropped += usize::from(pushed != Queued::Waits);
        }
        assert_eq!((queue.len(), dropped), (4_096, 20_000 - 4_096), "what is beyond the room is given up");
        let gives_way = Queued::Dropped { home: Some(home("flood")), traffic: Traffic::Records };
        assert_eq!(queue.push(Some(home("quiet")), record(77_777)), gives_way);
        assert!(numbers(&queue.batch()).contains(&77_777), "in the very next batch");
    }

    #[test]
    fn homes_take_turns_and_each_keeps_its_order() {
        let mut queue = FairQueue::default();
        for number in 0..1_000 {
            queue.push(Some(home("a")), record(number));
        }
        for number in 0..3 {
            queue.push(Some(home("b")), record(10_000 + number));
            queue.push(None, record(20_000 + number));
        }
        let batch = numbers(&queue.batch());
        assert_eq!(batch[..9], [0, 10_000, 20_000, 1, 2, 10_001, 10_002, 20_001, 20_002]);
        assert_eq!(batch.len(), BATCH_MESSAGES_MAX);
        assert_eq!(numbers(&queue.batch())[0], 250, "and goes on where it stopped");
    }

    #[test]
    fn large_payloads_and_withdrawals_fill_a_batch_sooner() {
        for traffic in [Traffic::Records, Traffic::Withdrawal] {
            let mut queue = FairQueue::default();
            for number in 0..200 {
                queue.push(Some(home("a")), waiting(traffic, 65_000 + number, number));
            }
            assert!(queue.batch().len() <= 64, "{traffic:?}");
        }
    }

    #[test]
    fn a_newer_status_takes_the_place_of_an_older_one_and_the_same_withdrawal_is_one() {
        let mut queue = FairQueue::default();
        let mut push = |traffic, bytes, number| queue.push(Some(home("a")), waiting(traffic, bytes, number));
        push(Traffic::Status, 10, 1);
        push(Traffic::Withdrawal, 10, 2);
        assert_eq!(push(Traffic::Status, 20, 3), Queued::Replaced);
        assert_eq!(push(Traffic::Withdrawal, 10, 4), Queued::Replaced);
        assert_eq!(push(Traffic::Withdrawal, 11, 5), Queued::Waits, "another one");
        assert_eq!(numbers(&queue.batch()), [3, 4, 5]);
        assert_eq!((queue.len(), queue.bytes), (0, 0));
    }

    #[test]
    fn a_full_queue_of_honest_homes_waits_and_loses_nothing() {
        let mut queue = FairQueue::default();
        for number in 0..WAITING_MESSAGES_MAX {
            let from = home(&format!("home-{}", number / SHARE_MESSAGES));
            assert_eq!(queue.push(Some(from), waiting(Traffic::Records, 100, number)), Queued::Waits);
        }
        assert!(!queue.takes_more());
        let taken = queue.batch().len();
        assert!(queue.takes_more());
        assert_eq!(queue.len() + taken, WAITING_MESSAGES_MAX);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_but_what_is_said_to_be_and_the_bounds_hold(
            pushes in prop::collection::vec((0_u8..6, 0_usize..6, 0_usize..70_000), 1..600),
        ) {
            const KINDS: [Traffic; 6] = [Traffic::Records, Traffic::Status, Traffic::Manifest, Traffic::Outcome,
                Traffic::Withdrawal, Traffic::Other];
            let mut queue = FairQueue::default();
            let mut lost = 0;
            for (number, (who, kind, bytes)) in pushes.iter().enumerate() {
                let from = (*who > 0).then(|| home(&format!("home-{who}")));
                lost += usize::from(queue.push(from, waiting(KINDS[*kind], *bytes, number)) != Queued::Waits);
            }
            prop_assert!(queue.len() <= WAITING_MESSAGES_MAX);
            let mut taken = 0;
            while !queue.is_empty() {
                let batch = queue.batch();
                prop_assert!(!batch.is_empty() && batch.len() <= BATCH_MESSAGES_MAX);
                taken += batch.len();
            }
            prop_assert_eq!(taken + lost, pushes.len());
            prop_assert!(queue.lines.is_empty() && queue.turns.is_empty() && queue.bytes == 0);
        }
    }
}
