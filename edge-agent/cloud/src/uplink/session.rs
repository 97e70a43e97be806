//! What to send next: the in-flight window, resending with back-off, live before stale. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use hearthwatch_link::Backoff;
use hearthwatch_protocol::Sequence;
use hearthwatch_protocol::limits::RECEIPT_DIGESTS_MAX;
use rand::Rng;

/// Records sent and not yet covered by a receipt. 32 × 8 KiB = 256 KiB per home that a broker may have to hold.
pub const WINDOW_RECORDS_MAX: usize = 32;

// A receipt can name the bytes of everything that is in flight.
const _: () = assert!(WINDOW_RECORDS_MAX <= RECEIPT_DIGESTS_MAX);

/// Patience for a receipt. Doubling from half a minute (an aggregator stores a batch in well under a second) to a quarter of an hour:
/// at most about 150 resends a day for each record in the window while the aggregator is away.
pub const RESEND: Backoff = Backoff { first: Duration::from_secs(30), longest: Duration::from_secs(900) };

/// Longest time without a receipt while records are in flight and the broker takes them: then the connection is made anew, for its
/// subscriptions may be lost without an error. Eight times the longest pause between two sendings.
const STALLED: Duration = Duration::from_secs(7_200);

/// What the uplink does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Give the next number to a record that has none, and report it with [`Session::numbered`].
    Number,
    /// Send this record (again), and report it with [`Session::sent`].
    Send(Sequence),
    /// Make a new connection: the broker takes records and nobody answers.
    Renew,
    /// Nothing before this moment, counted from the start of the uplink.
    Wait(Duration),
    /// Nothing until a record, a receipt or a connection comes.
    Idle,
}

/// Whether the broker took a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The broker has it: now a receipt is awaited.
    Acknowledged,
    /// The broker refuses the record; it is not sent again at once.
    Refused,
    /// The connection was gone; it may have arrived or not.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flight {
    attempts: u32,
    due: Duration,
}

/// The state of the conversation. `now` is the time since any fixed moment, and never runs backwards.
#[derive(Debug)]
pub struct Session {
    connected: bool,
    unsent: bool,
    flights: BTreeMap<Sequence, Flight>,
    resend: Backoff,
    /// When something last came of what is in flight.
    progress: Duration,
}

impl Session {
    /// A session that is not connected, with the records that had a number when the agent started; `resend` is its patience for
    /// receipts.
    pub fn new(in_flight: impl IntoIterator<Item = Sequence>, resend: Backoff) -> Self {
        let flights = in_flight.into_iter().map(|sequence| (sequence, Flight { attempts: 0, due: Duration::ZERO }));
        Self { connected: false, unsent: true, flights: flights.collect(), resend, progress: Duration::ZERO }
    }

    /// The link stands: everything in flight is due, for receipts may have been missed.
    pub fn connected(&mut self, now: Duration) {
        self.connected = true;
        self.unsent = true;
        self.progress = now;
        for flight in self.flights.values_mut() {
            *flight = Flight { attempts: 0, due: now };
        }
    }

    /// The connection is lost: all that is in flight is sent again on the next one.
    pub fn disconnected(&mut self) {
        self.connected = false;
    }

    /// Whether the link stands, as far as is known here.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// A record was pushed into the outbox.
    pub fn queued(&mut self) {
        self.unsent = true;
    }

    /// The answer to [`Next::Number`]; `None` when the outbox has nothing unsent.
    pub fn numbered(&mut self, sequence: Option<Sequence>, now: Duration) {
        if self.flights.is_empty() {
            self.progress = now;
        }
        match sequence {
            Some(sequence) => drop(self.flights.insert(sequence, Flight { attempts: 0, due: now })),
            None => self.unsent = false,
        }
    }

    /// Takes the result of [`Next::Send`].
    pub fn sent(&mut self, sequence: Sequence, outcome: Sent, now: Duration, rng: &mut impl Rng) {
        let Some(flight) = self.flights.get_mut(&sequence) else { return };
        match outcome {
            Sent::Acknowledged | Sent::Refused => {
                flight.attempts += 1;
                flight.due = now + self.resend.pause(flight.attempts, rng.next_u64());
            }
            Sent::Lost => {
                flight.due = now;
                self.connected = false;
            }
        }
    }

    /// A receipt was settled; these are still in flight. Some may have lost their number and wait to be sent anew.
    pub fn settled(&mut self, in_flight: impl IntoIterator<Item = Sequence>, now: Duration) {
        self.restock(in_flight);
        self.progress = now;
    }

    /// These are in flight, as the outbox sees it.
    pub fn restock(&mut self, in_flight: impl IntoIterator<Item = Sequence>) {
        let mut left = BTreeMap::new();
        for sequence in in_flight {
            let flight = self.flights.remove(&sequence).unwrap_or(Flight { attempts: 0, due: Duration::ZERO });
            left.insert(sequence, flight);
        }
        self.flights = left;
        self.unsent = true;
    }

    /// Decides. A record that was never sent goes first as long as the window has room: a resident's answer of now must not wait
    /// behind what nobody has confirmed since last week. Then whatever is due, lowest number first.
    #[must_use]
    pub fn next(&self, now: Duration) -> Next {
        if !self.connected {
            return Next::Idle;
        }
        if !self.flights.is_empty() && now >= self.progress + STALLED {
            return Next::Renew;
        }
        if self.unsent && self.flights.len() < WINDOW_RECORDS_MAX {
            // A record that just got its number goes out before the next one gets one.
            let fresh = self.flights.iter().next_back().filter(|(_, flight)| flight.attempts == 0 && flight.due <= now);
            return fresh.map_or(Next::Number, |(&sequence, _)| Next::Send(sequence));
        }
        let due = self.flights.iter().find(|(_, flight)| flight.due <= now);
        if let Some((&sequence, _)) = due {
            return Next::Send(sequence);
        }
        self.flights.values().map(|flight| flight.due).min().map_or(Next::Idle, Next::Wait)
    }
}
