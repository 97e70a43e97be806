//! How often callers may try what costs something or could be guessed.
//!
//! Whoever shows that it is somebody (a claim that holds, a home's own signature, a token) is counted as that, whatever
//! address it comes from: ten homes behind one router, or a fleet behind one proxy, do not use up each other's tries. Only
//! strangers are counted by address, and strangers alone can be told to wait for what others at their address did.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hearthwatch_protocol::HomeId;

use super::limiter::Limiter;
use super::origin::counted;
use super::problem::Problem;

/// Enrolments and renewals of one home, or failed ones of one address: ten at once, then one a minute. An honest home needs
/// one a month; one without a disk, one for each start.
const ENROLMENTS: (u32, u32) = (10, 60);

/// How often one address may have a claim or a signature looked at: two hundred at once, then one a second. Each look reads
/// the file of claims (at most 2.5 MB), so that one address costs some ten milliseconds of each second.
const LOOKS: (u32, u32) = (200, 1);

/// Tokens that were no good, from one address: ten at once, then one every six seconds.
const LOGINS: (u32, u32) = (10, 6);

/// Calls of one token a minute, unless configured otherwise: a page of 500 homes each 20 ms. A fleet of 10,000 homes is read in 20 calls.
pub const CALLS_PER_MINUTE: u32 = 3_000;

/// A home that has shown that it is that home, or an address (an IPv6 /64 counts as one).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Home(HomeId),
    Address(IpAddr),
}

/// The limits of one API.
#[derive(Debug)]
pub(crate) struct Limits {
    looks: Mutex<Limiter<IpAddr>>,
    enrolments: Mutex<Limiter<Who>>,
    logins: Mutex<Limiter<IpAddr>>,
    calls: Mutex<Limiter<String>>,
    calls_per_minute: u32,
}

/// What is left of a caller's calls: set when it is known who calls, read when the answer gets its headers.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallsLeft(Arc<OnceLock<u32>>);

impl CallsLeft {
    /// How many are left; none where nobody was counted.
    pub(crate) fn get(&self) -> Option<u32> {
        self.0.get().copied()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::of(CALLS_PER_MINUTE)
    }
}

fn new<K: Clone + Eq + Hash>((burst, refill_s): (u32, u32)) -> Mutex<Limiter<K>> {
    Mutex::new(Limiter::new(burst, refill_s))
}

fn take<K: Clone + Eq + Hash>(limiter: &Mutex<Limiter<K>>, key: &K, now: i64) -> Result<u32, Problem> {
    let mut limiter = limiter.lock().unwrap_or_else(PoisonError::into_inner);
    limiter.take(key, now).map_err(Problem::TooManyRequests)
}

impl Limits {
    /// The limits, with so many calls of one token a minute.
    pub(crate) fn of(calls_per_minute: u32) -> Self {
        let calls = Mutex::new(Limiter::per_minute(calls_per_minute));
        Self { looks: new(LOOKS), enrolments: new(ENROLMENTS), logins: new(LOGINS), calls, calls_per_minute }
    }

    /// Calls that one token may make a minute.
    pub(crate) fn calls_per_minute(&self) -> u32 {
        self.calls_per_minute
    }

    /// One call of the token called `name`; a request counts once, however often it is asked who sent it.
    ///
    /// # Errors
    /// [`Problem::TooManyRequests`].
    pub(crate) fn call(&self, name: &str, left: Option<&CallsLeft>, now: i64) -> Result<(), Problem> {
        if left.is_some_and(|left| left.get().is_some()) {
            return Ok(());
        }
        let count = take(&self.calls, &name.to_owned(), now)?;
        if let Some(left) = left {
            // Set by nobody else: one request is answered by one task.
            let _ = left.0.set(count);
        }
        Ok(())
    }

    /// Before a claim or a signature of somebody at `address` is looked at.
    ///
    /// # Errors
    /// [`Problem::TooManyRequests`].
    pub(crate) fn look(&self, address: IpAddr, now: i64) -> Result<(), Problem> {
        take(&self.looks, &counted(address), now).map(drop)
    }

    /// One enrolment or renewal: of `home` if it has shown that it is that home, else of whoever is at `address`.
    ///
    /// # Errors
    /// [`Problem::TooManyRequests`].
    pub(crate) fn enrolment(&self, home: Option<&HomeId>, address: IpAddr, now: i64) -> Result<(), Problem> {
        let who = home.map_or_else(|| Who::Address(counted(address)), |home| Who::Home(home.clone()));
        take(&self.enrolments, &who, now).map(drop)
    }

    /// A token from `address` that is no good.
    ///
    /// # Errors
    /// [`Problem::TooManyRequests`].
    pub(crate) fn bad_token(&self, address: IpAddr, now: i64) -> Result<(), Problem> {
        take(&self.logins, &counted(address), now).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(name: &str) -> HomeId {
        HomeId::new(name).unwrap()
    }

    #[test]
    fn homes_behind_one_address_do_not_use_up_each_others_tries() {
        let (limits, nat) = (Limits::default(), "192.0.2.1".parse().unwrap());
        for _ in 0..10 {
            limits.enrolment(Some(&home("a")), nat, 0).unwrap();
            limits.enrolment(None, nat, 0).unwrap();
        }
        assert!(matches!(limits.enrolment(Some(&home("a")), nat, 0), Err(Problem::TooManyRequests(60))));
        assert!(matches!(limits.enrolment(None, nat, 0), Err(Problem::TooManyRequests(60))));
        limits.enrolment(Some(&home("b")), nat, 0).unwrap();
    }

    #[test]
    fn a_stranger_does_not_get_more_tries_by_walking_through_its_own_64() {
        let limits = Limits::default();
        for host in 1..=10 {
            limits.bad_token(format!("2001:db8::{host}").parse().unwrap(), 0).unwrap();
        }
        let next = "2001:db8::ffff".parse().unwrap();
        assert!(matches!(limits.bad_token(next, 0), Err(Problem::TooManyRequests(6))));
    }
}
