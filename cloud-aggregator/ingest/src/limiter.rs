//! How much each home may send: one bucket for each kind of message and one for bytes. Pure: the time is an argument.
//!
//! A bucket is a single number, the moment until which what was sent is paid for (the generic cell rate algorithm): it lets a
//! burst through at once and then a steady rate. Nothing is decoded before a message has passed here.

use std::collections::HashMap;

use hearthwatch_protocol::limits::PAYLOAD_BYTES_MAX;
use hearthwatch_protocol::{HomeId, Topic};
use strum::{EnumCount, IntoStaticStr, VariantArray};

use super::admission::QUOTA_RECORDS;

/// Nanoseconds of an hour. 64 bits of nanoseconds last 584 years.
const HOUR: u64 = 3_600_000_000_000;

/// A record is sent again while no receipt covers it: after 30 s, 1, 2, 4, 8 and then every 15 minutes. Four sendings of each
/// are more than a fleet whose receipts come needs.
const SENDINGS: u64 = 4;

/// Fewest records that are let through at once, whatever the daily quota: an outbox of 2,000, sent twice, and what else waits.
const RECORDS_BURST_MIN: u64 = 4_096;

/// The largest honest record with what is around it: 7,680 bytes of window and under 1.5 KiB of fields, topic and packet.
const RECORD_BYTES: u64 = 9 * 1024;

/// Bytes of everything but records in an hour, and at once: the rates below times their largest honest message,
/// 600 × 0.4 KiB + 300 × 1.2 KiB + 120 × 0.5 KiB + 60 × 9 KiB + 120 × 2 KiB + 60 × 13 KiB = 2.2 MB.
const OTHER_BYTES: u64 = 3 * 1024 * 1024;

/// Statuses: one on each connection, its will, and one for each change. A line that is lost every twelve seconds makes 600 an hour.
const STATUS: Rate = Rate { burst: 120, per_hour: 600 };

/// Manifests: one on each connection and each update.
const MANIFEST: Rate = Rate { burst: 60, per_hour: 300 };

/// Outcomes: an agent keeps 52, and says those that the broker has not acknowledged again on each connection.
const OUTCOME: Rate = Rate { burst: 64, per_hour: 120 };

/// Withdrawals: a ledger of 10,000 records makes ten of 1,000 each, said again on each connection until the receipt comes.
const WITHDRAWAL: Rate = Rate { burst: 20, per_hour: 60 };

/// Offers: one on each connection and each change of the residents' mind.
const OFFER: Rate = Rate { burst: 30, per_hour: 120 };

/// Parts of answers in rounds: 60 KiB are five of them, sent again while no receipt covers them. A home has one plan at a time, so this
/// is an answer sent whole every five minutes, and eight times at once.
const ROUND: Rate = Rate { burst: 40, per_hour: 60 };

/// What comes on no topic that homes may publish on: the broker lets none through.
const OTHER: Rate = Rate { burst: 10, per_hour: 60 };

/// Homes with an account at a time, 200 bytes each: 13 MB. An account whose buckets are full again is closed, so these are
/// homes that sent something lately; beyond it, newcomers share one account.
pub const ACCOUNTS_MAX: usize = 65_536;

/// A home that sends too much is named in the log once in so many nanoseconds, with how much it was: ten minutes.
const TELL_EVERY: u64 = HOUR / 6;

/// What a topic carries, told without looking into the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumCount, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Traffic {
    /// Answers and announcements.
    Records,
    /// Self-descriptions.
    Status,
    /// Signed statements of what runs.
    Manifest,
    /// Ends of updates.
    Outcome,
    /// Answers taken back.
    Withdrawal,
    /// Offers of homes to take part in rounds.
    Offer,
    /// Parts of answers in rounds.
    Round,
    /// Anything else.
    Other,
}

impl Traffic {
    /// What `topic` carries, and whose topic it is.
    #[must_use]
    pub fn of(topic: &str) -> (Option<HomeId>, Self) {
        match Topic::parse(topic) {
            Ok(Topic::Feedback(home)) => (Some(home), Self::Records),
            Ok(Topic::Status(home)) => (Some(home), Self::Status),
            Ok(Topic::Manifest(home)) => (Some(home), Self::Manifest),
            Ok(Topic::Outcome(home)) => (Some(home), Self::Outcome),
            Ok(Topic::Withdrawal(home)) => (Some(home), Self::Withdrawal),
            Ok(Topic::RoundOffer(home)) => (Some(home), Self::Offer),
            Ok(Topic::RoundPart(home)) => (Some(home), Self::Round),
            Ok(_) | Err(_) => (None, Self::Other),
        }
    }

    /// The word in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A burst, then so many an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Units that may come at once.
    pub burst: u64,
    /// Units an hour after that; at least 1.
    pub per_hour: u64,
}

/// What each home may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    records: Rate,
    bytes: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        Self::for_quota(QUOTA_RECORDS)
    }
}

impl Limits {
    /// The limits that go with a daily quota of answers, and as many announcements. For 5,000: 5,000 records at once and 1,666 an hour
    /// after that, 49 MB at once and 18 MB an hour.
    #[must_use]
    pub fn for_quota(records_per_day: u64) -> Self {
        let per_hour = records_per_day.saturating_mul(2 * SENDINGS) / 24;
        let records = Rate { burst: records_per_day.max(RECORDS_BURST_MIN), per_hour: per_hour.max(1) };
        let bytes = |count: u64| count.saturating_mul(RECORD_BYTES).saturating_add(OTHER_BYTES);
        Self { records, bytes: Rate { burst: bytes(records.burst), per_hour: bytes(records.per_hour) } }
    }

    fn rate(&self, traffic: Traffic) -> Rate {
        match traffic {
            Traffic::Records => self.records,
            Traffic::Status => STATUS,
            Traffic::Manifest => MANIFEST,
            Traffic::Outcome => OUTCOME,
            Traffic::Withdrawal => WITHDRAWAL,
            Traffic::Offer => OFFER,
            Traffic::Round => ROUND,
            Traffic::Other => OTHER,
        }
    }
}

/// Until when what was taken out of it is paid for, in nanoseconds since the limiter's beginning.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket(u64);

impl Bucket {
    /// What it holds after `units` are taken out of it at `now`; none if that is more than there is.
    fn after(self, rate: Rate, units: u64, now: u64) -> Option<Self> {
        let spacing = HOUR / rate.per_hour.clamp(1, HOUR);
        let paid = self.0.max(now).saturating_add(spacing.saturating_mul(units));
        (paid - now <= spacing.saturating_mul(rate.burst)).then_some(Self(paid))
    }

    fn full(self, now: u64) -> bool {
        self.0 <= now
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Account {
    kinds: [Bucket; Traffic::COUNT],
    bytes: Bucket,
    /// Messages dropped since the home was last named.
    refused: u64,
    /// Not named in the log again before.
    next_line_at: u64,
}

impl Account {
    /// Counts a dropped message; how many there were since the home was last named, if it is time to name it.
    fn drop_one(&mut self, now: u64) -> Option<u64> {
        self.refused = self.refused.saturating_add(1);
        if self.next_line_at > now {
            return None;
        }
        self.next_line_at = now.saturating_add(TELL_EVERY);
        Some(std::mem::take(&mut self.refused))
    }

    fn idle(&self, now: u64) -> bool {
        self.next_line_at <= now && self.bytes.full(now) && self.kinds.iter().all(|bucket| bucket.full(now))
    }
}

/// Whether a message may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may come in.
    Pass,
    /// Its home sent too much of it.
    Over {
        /// Messages of the home dropped since it was last named in the log, this one included; none while it is too early to name
        /// it again.
        tell: Option<u64>,
    },
}

/// Counts what homes send.
#[derive(Debug)]
pub struct Limiter {
    limits: Limits,
    homes: HashMap<HomeId, Account>,
    /// For what belongs to no home, and for homes beyond [`ACCOUNTS_MAX`].
    shared: Account,
    accounts_max: usize,
}

impl Limiter {
    /// Every bucket is full.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, homes: HashMap::new(), shared: Account::default(), accounts_max: ACCOUNTS_MAX }
    }

    /// Whether a message of `bytes` (topic and payload) may come in at `now`, nanoseconds since any fixed moment that never run
    /// backwards. What is refused costs the home nothing.
    #[must_use = "a message that is over must not come in"]
    pub fn weigh(&mut self, home: Option<&HomeId>, traffic: Traffic, bytes: usize, now: u64) -> Verdict {
        let (kind, whole) = (self.limits.rate(traffic), self.limits.bytes);
        let account = self.account(home, now);
        let bucket = &mut account.kinds[traffic as usize];
        // A payload beyond the limit is refused for its size, and weighs as what may be sent at most.
        let bytes = u64::try_from(bytes.min(2 * PAYLOAD_BYTES_MAX)).unwrap_or(u64::MAX);
        if let Some((left, bytes_left)) = bucket.after(kind, 1, now).zip(account.bytes.after(whole, bytes, now)) {
            (*bucket, account.bytes) = (left, bytes_left);
            return Verdict::Pass;
        }
        Verdict::Over { tell: account.drop_one(now) }
    }

    /// Counts a message of `home` that passed and was dropped later, as one that did not pass; see [`Verdict::Over`].
    pub fn dropped(&mut self, home: Option<&HomeId>, now: u64) -> Option<u64> {
        self.account(home, now).drop_one(now)
    }

    fn account(&mut self, home: Option<&HomeId>, now: u64) -> &mut Account {
        let Some(home) = home else { return &mut self.shared };
        if !self.homes.contains_key(home) && self.homes.len() >= self.accounts_max {
            self.homes.retain(|_, account| !account.idle(now));
            if self.homes.len() >= self.accounts_max {
                return &mut self.shared;
            }
        }
        self.homes.entry(home.clone()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_store::fixtures::home;

    use super::*;

    fn passes(limiter: &mut Limiter, name: &str, traffic: Traffic, bytes: usize, now: u64) -> bool {
        limiter.weigh(Some(&home(name)), traffic, bytes, now) == Verdict::Pass
    }

    /// How many of `count` messages at `now` pass.
    fn passing(limiter: &mut Limiter, name: &str, traffic: Traffic, count: u64, now: u64) -> u64 {
        (0..count).filter(|_| passes(limiter, name, traffic, 100, now)).count() as u64
    }

    #[test]
    fn each_kind_of_message_has_a_burst_and_then_a_rate() {
        let kinds = [
            (Traffic::Records, 5_000, 1_666),
            (Traffic::Status, 120, 600),
            (Traffic::Manifest, 60, 300),
            (Traffic::Outcome, 64, 120),
            (Traffic::Withdrawal, 20, 60),
            (Traffic::Offer, 30, 120),
            (Traffic::Round, 40, 60),
            (Traffic::Other, 10, 60),
        ];
        for (traffic, burst, per_hour) in kinds {
            let mut limiter = Limiter::new(Limits::default());
            assert_eq!(passing(&mut limiter, "a", traffic, 20_000, 0), burst, "{traffic:?} at once");
            let later = passing(&mut limiter, "a", traffic, 20_000, HOUR);
            assert_eq!(later, per_hour.min(burst), "{traffic:?} an hour later");
        }
    }

    #[test]
    fn what_one_home_sends_takes_nothing_from_another_nor_one_kind_from_another() {
        let mut limiter = Limiter::new(Limits::default());
        assert_eq!(passing(&mut limiter, "a", Traffic::Outcome, 20_000, 0), OUTCOME.burst);
        assert!(passes(&mut limiter, "b", Traffic::Outcome, 100, 0));
        assert!(passes(&mut limiter, "a", Traffic::Status, 100, 0));
    }

    #[test]
    fn bytes_are_counted_over_all_kinds() {
        let mut limiter = Limiter::new(Limits::for_quota(1));
        let most = Limits::for_quota(1).bytes.burst / PAYLOAD_BYTES_MAX as u64;
        let sent = (0..20_000).filter(|_| passes(&mut limiter, "a", Traffic::Records, PAYLOAD_BYTES_MAX, 0)).count();
        assert_eq!(sent as u64, most);
        assert!(!passes(&mut limiter, "a", Traffic::Status, PAYLOAD_BYTES_MAX, 0));
    }

    #[test]
    fn an_outbox_of_a_long_absence_passes_at_once_whatever_the_quota() {
        let mut limiter = Limiter::new(Limits::for_quota(1));
        let sent = (0..4_000).filter(|_| passes(&mut limiter, "a", Traffic::Records, RECORD_BYTES as usize, 0)).count();
        assert_eq!(sent, 4_000);
    }

    #[test]
    fn a_home_over_its_quota_is_named_once_a_period_with_how_much_it_was() {
        let mut limiter = Limiter::new(Limits::default());
        let mut over = |now| match limiter.weigh(Some(&home("a")), Traffic::Withdrawal, 100, now) {
            Verdict::Over { tell } => tell,
            Verdict::Pass => None,
        };
        let told: Vec<u64> = (0..900).filter_map(|_| over(0)).collect();
        assert_eq!(told, [1], "the first of them");
        let told: Vec<u64> = (0..900).filter_map(|_| over(TELL_EVERY)).collect();
        assert_eq!(told, [900 - 20 - 1 + 1], "those of the first period and the one that is told");
    }

    #[test]
    fn idle_accounts_are_closed_and_newcomers_beyond_the_bound_share_one() {
        let mut limiter = Limiter { accounts_max: 2, ..Limiter::new(Limits::default()) };
        for name in ["a", "b"] {
            assert!(passes(&mut limiter, name, Traffic::Withdrawal, 100, 0));
        }
        let shared = passing(&mut limiter, "c", Traffic::Withdrawal, 15, 0)
            + passing(&mut limiter, "d", Traffic::Withdrawal, 15, 0);
        assert_eq!((shared, limiter.homes.len()), (WITHDRAWAL.burst, 2));
        assert!(passes(&mut limiter, "e", Traffic::Withdrawal, 100, HOUR));
        assert_eq!(limiter.homes.len(), 1, "a and b were idle");
    }

    #[test]
    fn no_rate_and_no_time_overflows() {
        let greedy = Limits::for_quota(u64::MAX);
        let mut limiter = Limiter::new(greedy);
        for now in [0, HOUR, u64::MAX - 1, u64::MAX] {
            let _ = limiter.weigh(Some(&home("a")), Traffic::Records, usize::MAX, now);
        }
    }
}
