//! Which connections are held: how many in all, how many of one address, and which is closed when a new one comes.
//!
//! A newcomer is let in as long as there is a connection to close for it that has not shown a valid token: so idle or slow
//! connections, however many, keep nobody out. Of these the one is closed whose address holds most, idle before busy, old
//! before new; a flood therefore closes its own connections first. The time does not come into it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::origin::counted;

/// Most connections at a time. With the database, the broker's link and files in use they stay below the 1,024 descriptors
/// that a process gets by default; at 64 KiB of buffers each they are 32 MiB.
pub const CONNECTIONS_MAX: usize = 512;

/// Most connections of one address, an IPv6 /64 counting as one: ten browsers of six connections each behind one router.
pub const OF_ADDRESS_MAX: usize = 64;

/// The connections that are open.
#[derive(Debug)]
pub struct Connections {
    most: usize,
    most_of_address: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// The number of the next one.
    next: u64,
    of: HashMap<IpAddr, Vec<Arc<Member>>>,
}

/// One connection, as the request handlers know it.
#[derive(Debug)]
pub struct Member {
    number: u64,
    authenticated: AtomicBool,
    in_hand: AtomicUsize,
    closed: CancellationToken,
}

impl Member {
    /// A request on it had a valid token: from now on it is not closed for another.
    pub fn authenticate(&self) {
        self.authenticated.store(true, Ordering::Relaxed);
    }

    /// A request is being answered until the value is dropped.
    #[must_use]
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.in_hand.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Done when the connection has to go.
    #[must_use]
    pub fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    fn may_go(&self) -> bool {
        !self.authenticated.load(Ordering::Relaxed)
    }

    fn is_busy(&self) -> bool {
        self.in_hand.load(Ordering::Relaxed) > 0
    }
}

/// A request in hand.
#[derive(Debug)]
pub struct Busy(Arc<Member>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_hand.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection's place, free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    connections: Arc<Connections>,
    address: IpAddr,
    member: Arc<Member>,
}

impl Place {
    /// The connection that has it.
    #[must_use]
    pub fn member(&self) -> &Arc<Member> {
        &self.member
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.held().remove(self.address, self.member.number);
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self::new(CONNECTIONS_MAX, OF_ADDRESS_MAX)
    }
}

impl Connections {
    /// At most `most` connections, and `most_of_address` of one address.
    #[must_use]
    pub fn new(most: usize, most_of_address: usize) -> Self {
        Self { most, most_of_address, held: Mutex::default() }
    }

    /// A place for a connection from `address`. A `proxy` speaks for many callers: the limit of one address does not hold
    /// for it, and its connections are not closed for others. None when every connection that could be closed has shown a
    /// token.
    pub fn admit(self: &Arc<Self>, address: IpAddr, proxy: bool) -> Option<Place> {
        let address = counted(address);
        let mut held = self.held();
        if !proxy && held.of(address) >= self.most_of_address {
            held.close_one(Some(address))?;
        }
        if held.total() >= self.most {
            held.close_one(None)?;
        }
        held.next += 1;
        let member = Arc::new(Member {
            number: held.next,
            authenticated: AtomicBool::new(proxy),
            in_hand: AtomicUsize::new(0),
            closed: CancellationToken::new(),
        });
        held.of.entry(address).or_default().push(Arc::clone(&member));
        Some(Place { connections: Arc::clone(self), address, member })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn of(&self, address: IpAddr) -> usize {
        self.of.get(&address).map_or(0, Vec::len)
    }

    fn total(&self) -> usize {
        self.of.values().map(Vec::len).sum()
    }

    /// Closes the connection that is first to go, of `address` if one is given.
    fn close_one(&mut self, address: Option<IpAddr>) -> Option<()> {
        let asked = self.of.iter().filter(|(own, _)| address.is_none_or(|address| **own == address));
        let candidates = asked.flat_map(|(own, members)| {
            let may_go = members.iter().filter(|member| member.may_go());
            may_go.map(|member| (usize::MAX - members.len(), member.is_busy(), member.number, *own))
        });
        let (_, _, number, address) = candidates.min()?;
        let member = self.remove(address, number)?;
        member.closed.cancel();
        Some(())
    }

    fn remove(&mut self, address: IpAddr, number: u64) -> Option<Arc<Member>> {
        let members = self.of.get_mut(&address)?;
        let at = members.iter().position(|member| member.number == number)?;
        let member = members.swap_remove(at);
        if members.is_empty() {
            self.of.remove(&address);
        }
        Some(member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn gone(place: &Place) -> bool {
        place.member.closed.is_cancelled()
    }

    #[test]
    fn the_oldest_idle_connection_of_an_address_makes_room_for_its_next() {
        let connections = Arc::new(Connections::new(10, 2));
        let first = connections.admit(ip("192.0.2.1"), false).unwrap();
        let busy = first.member.busy();
        let second = connections.admit(ip("192.0.2.1"), false).unwrap();
        let third = connections.admit(ip("192.0.2.1"), false).unwrap();
        assert!(!gone(&first) && gone(&second), "the first is being served");
        drop(busy);
        let _fourth = connections.admit(ip("192.0.2.1"), false).unwrap();
        assert!(gone(&first) && !gone(&third));
    }

    #[test]
    fn a_connection_that_showed_a_token_stays_and_a_newcomer_is_refused_instead() {
        let connections = Arc::new(Connections::new(10, 1));
        let first = connections.admit(ip("192.0.2.1"), false).unwrap();
        first.member.authenticate();
        assert!(connections.admit(ip("192.0.2.1"), false).is_none());
        assert!(!gone(&first));
        drop(first);
        assert!(connections.admit(ip("192.0.2.1"), false).is_some());
    }

    #[test]
    fn when_all_places_are_taken_the_address_with_most_connections_gives_one_up() {
        let connections = Arc::new(Connections::new(4, 3));
        let alone = connections.admit(ip("192.0.2.9"), false).unwrap();
        let flood: Vec<_> = (0..3).map(|_| connections.admit(ip("2001:db8::1"), false).unwrap()).collect();
        let _newcomer = connections.admit(ip("192.0.2.8"), false).unwrap();
        assert!(!gone(&alone));
        assert_eq!(flood.iter().map(gone).collect::<Vec<_>>(), [true, false, false]);
    }

    #[test]
    fn a_64_is_one_address_and_a_proxy_is_many() {
        let connections = Arc::new(Connections::new(10, 1));
        let first = connections.admit(ip("2001:db8::1"), false).unwrap();
        let _second = connections.admit(ip("2001:db8::2"), false).unwrap();
        assert!(gone(&first));
        let proxied: Vec<_> = (0..5).map(|_| connections.admit(ip("10.0.0.1"), true).unwrap()).collect();
        assert!(!proxied.iter().any(gone));
    }

    #[test]
    fn a_place_is_free_again_once_however_the_connection_ended() {
        let connections = Arc::new(Connections::new(10, 2));
        for _ in 0..100 {
            let first = connections.admit(ip("192.0.2.1"), false).unwrap();
            let second = connections.admit(ip("192.0.2.1"), false).unwrap();
            let third = connections.admit(ip("192.0.2.1"), false).unwrap();
            drop((second, first, third));
        }
        assert_eq!(connections.held().total(), 0);
        assert!(connections.held().of.is_empty());
    }
}
