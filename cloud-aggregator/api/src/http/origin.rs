//! Where a request comes from: the peer's own address, or what a trusted proxy says of it. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName, header};

/// Bits of an IPv6 address that count for limits: a household or a rented server has a whole /64 to choose from.
const V6_PREFIX: u8 = 64;

/// What nginx, HAProxy and most others add to.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Addresses with a common prefix, written `192.0.2.0/24`, `2001:db8::/32`, or as one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address nor a network like \"10.0.0.0/8\"")]
pub struct NetworkError(String);

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let fault = || NetworkError(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| fault())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| fault())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(most);
        if prefix > most { Err(fault()) } else { Ok(Self { address, prefix }) }
    }
}

impl Network {
    /// Whether `address` lies in it; an IPv4 address inside IPv6 (`::ffff:…`) counts as what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => leading(32, self.prefix, own.to_bits() ^ other.to_bits()),
            (IpAddr::V6(own), IpAddr::V6(other)) => leading(128, self.prefix, own.to_bits() ^ other.to_bits()),
            _ => false,
        }
    }
}

/// Whether the first `prefix` of `width` bits of `difference` are zero.
fn leading(width: u32, prefix: u8, difference: impl Into<u128>) -> bool {
    let rest = width - u32::from(prefix);
    difference.into().checked_shr(rest).unwrap_or(0) == 0
}

/// The address that limits count: an IPv6 address stands for its /64.
#[must_use]
pub fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let mask = u128::MAX << (128 - u32::from(V6_PREFIX));
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

/// Whether `address` is one of the proxies whose word on a caller's address is taken.
#[must_use]
pub fn is_trusted(trusted: &[Network], address: IpAddr) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// The caller's address. A peer that is no trusted proxy is the caller, whatever its headers say. Of a trusted one's
/// `X-Forwarded-For` or `Forwarded` (RFC 7239) the right end is read, which that proxy wrote itself, and on to the left
/// while the address is again a trusted proxy's. What cannot be read ends the search, and so do two headers that do not
/// agree: the one that the proxy does not write is the caller's own. Then the last address that is certain counts.
#[must_use]
pub fn caller(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_trusted(trusted, peer) {
        return peer;
    }
    let plain = headers.contains_key(X_FORWARDED_FOR).then(|| walk(peer, plain(headers), trusted));
    let standard = headers.contains_key(header::FORWARDED).then(|| walk(peer, standard(headers), trusted));
    match (plain, standard) {
        (Some(one), Some(other)) if one != other => peer,
        (Some(found), _) | (None, Some(found)) => found,
        (None, None) => peer,
    }
}

/// Follows `hops`, nearest first, as long as each is a trusted proxy.
fn walk(peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>, trusted: &[Network]) -> IpAddr {
    let mut certain = peer;
    for hop in hops {
        let Some(address) = hop else { break };
        certain = address.to_canonical();
        if !is_trusted(trusted, certain) {
            break;
        }
    }
    certain
}

/// The elements of a list that may be spread over several header lines, the last first; none for a line that is no text.
fn elements(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Option<&str>> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    lines.into_iter().rev().flat_map(|line| match line.to_str() {
        Ok(text) => text.rsplit(',').map(|element| Some(element.trim())).collect::<Vec<_>>(),
        Err(_) => vec![None],
    })
}

fn plain(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    elements(headers, X_FORWARDED_FOR).map(|element| element.and_then(address))
}

/// `for=192.0.2.60;proto=http`, `for="[2001:db8::1]:4711"`.
fn standard(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    elements(headers, header::FORWARDED).map(|element| {
        let pairs = element?.split(';').filter_map(|pair| pair.trim().split_once('='));
        let node = pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("for"))?.1;
        address(node.trim_matches('"'))
    })
}

/// An address, with or without a port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']')?.0.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    text.split_once(':')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn trusted() -> Vec<Network> {
        ["10.0.0.0/8", "::1"].iter().map(|text| text.parse().unwrap()).collect()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let net: Network = "10.0.0.0/8".parse().unwrap();
        assert!(net.contains(ip("10.255.0.1")) && net.contains(ip("::ffff:10.0.0.1")) && !net.contains(ip("11.0.0.1")));
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains(ip("203.0.113.9")) && !all.contains(ip("2001:db8::1")));
        let everything: Network = "::/0".parse().unwrap();
        assert!(everything.contains(ip("2001:db8::1")));
        for wrong in ["10.0.0.0/33", "ten", "10.0.0.0/x", "", "::1/129"] {
            assert_eq!(wrong.parse::<Network>(), Err(NetworkError(wrong.to_owned())), "{wrong}");
        }
    }

    #[test]
    fn an_ipv6_address_counts_as_its_64() {
        assert_eq!(counted(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
        assert_eq!(counted(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
        assert_eq!(counted(ip("192.0.2.1")), ip("192.0.2.1"));
    }

    #[test]
    fn what_a_stranger_says_of_its_address_is_not_believed() {
        let said = headers(&[("x-forwarded-for", "198.51.100.7")]);
        assert_eq!(caller(ip("203.0.113.9"), &said, &trusted()), ip("203.0.113.9"));
        assert_eq!(caller(ip("10.0.0.1"), &said, &[]), ip("10.0.0.1"), "nobody is trusted unless named");
    }

    #[test]
    fn the_right_end_of_the_list_is_the_proxys_own_word() {
        let from = |value: &str| caller(ip("10.0.0.1"), &headers(&[("x-forwarded-for", value)]), &trusted());
        assert_eq!(from("198.51.100.7"), ip("198.51.100.7"));
        // What the caller wrote itself stands to the left.
        assert_eq!(from("1.1.1.1, 198.51.100.7"), ip("198.51.100.7"));
        assert_eq!(from("1.1.1.1, 198.51.100.7, 10.0.0.2"), ip("198.51.100.7"), "through two proxies");
        assert_eq!(from("10.9.9.9"), ip("10.9.9.9"), "only proxies all the way");
        assert_eq!(from("198.51.100.7, nonsense"), ip("10.0.0.1"));
        assert_eq!(from("198.51.100.7:4711"), ip("198.51.100.7"));
        let lines = headers(&[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "198.51.100.7")]);
        assert_eq!(caller(ip("10.0.0.1"), &lines, &trusted()), ip("198.51.100.7"));
    }

    #[test]
    fn the_standard_header_is_read_too() {
        let from = |value: &str| caller(ip("::1"), &headers(&[("forwarded", value)]), &trusted());
        assert_eq!(from("for=192.0.2.60;proto=http;by=203.0.113.43"), ip("192.0.2.60"));
        assert_eq!(from("for=1.1.1.1, For=\"[2001:db8:cafe::17]:4711\""), ip("2001:db8:cafe::17"));
        assert_eq!(from("for=unknown"), ip("::1"));
        assert_eq!(from("proto=http"), ip("::1"));
    }

    #[test]
    fn of_two_headers_that_disagree_neither_is_believed() {
        let said = headers(&[("x-forwarded-for", "198.51.100.7"), ("forwarded", "for=1.1.1.1")]);
        assert_eq!(caller(ip("10.0.0.1"), &said, &trusted()), ip("10.0.0.1"));
        let same = headers(&[("x-forwarded-for", "198.51.100.7"), ("forwarded", "for=198.51.100.7")]);
        assert_eq!(caller(ip("10.0.0.1"), &same, &trusted()), ip("198.51.100.7"));
    }
}
