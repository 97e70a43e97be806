//! What a person may name on the command line, by kind: hosts and users of the system.

use std::net::IpAddr;

/// Longest DNS name, in characters without the closing dot (RFC 1035).
const NAME_MAX: usize = 253;
/// Longest label of one.
const LABEL_MAX: usize = 63;
/// Longest name of a user (useradd).
const USER_MAX: usize = 32;

/// Why a text names no host or user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a host.
    #[error(
        "{0:?} is no host: a DNS name (letters, digits and '-' between dots, e.g. broker.example) or an IP address \
         (e.g. 192.0.2.7 or 2001:db8::7), without a port"
    )]
    Host(String),
    /// Not a user.
    #[error("{0:?} is no user: 1 to {USER_MAX} of a-z, 0-9, '_' and '-', the first a letter or '_'")]
    User(String),
}

/// Whether `text` can stand in a server's certificate and in an address: a DNS name (RFC 1123) or an IP address.
///
/// # Errors
/// [`NameError::Host`].
pub fn check_host(text: &str) -> Result<(), NameError> {
    let alnum = |c: u8| c.is_ascii_alphanumeric();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        (1..=LABEL_MAX).contains(&bytes.len())
            && bytes.iter().all(|c| alnum(*c) || *c == b'-')
            && bytes.first().is_some_and(|c| alnum(*c))
            && bytes.last().is_some_and(|c| alnum(*c))
    };
    // A last label of digits alone would be an address, and this is none: 999.1.2.3.
    let numeric = |name: &str| name.rsplit('.').next().is_some_and(|last| last.bytes().all(|c| c.is_ascii_digit()));
    let name = text.len() <= NAME_MAX && text.split('.').all(label) && !numeric(text);
    if name || text.parse::<IpAddr>().is_ok() { Ok(()) } else { Err(NameError::Host(text.to_owned())) }
}

/// A host on the command line.
///
/// # Errors
/// [`NameError::Host`].
pub fn host(text: &str) -> Result<String, NameError> {
    check_host(text).map(|()| text.to_owned())
}

/// A user of the system on the command line.
///
/// # Errors
/// [`NameError::User`].
pub fn user(text: &str) -> Result<String, NameError> {
    let usable = (1..=USER_MAX).contains(&text.len())
        && text.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
        && !text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    if usable { Ok(text.to_owned()) } else { Err(NameError::User(text.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_hosts_and_nothing_else_is() {
        for good in ["localhost", "broker.example", "a-b.c1", "1.example", "192.0.2.7", "2001:db8::7", "::1"] {
            assert_eq!(host(good).as_deref(), Ok(good));
        }
        let long = format!("{}.example", "a".repeat(64));
        for bad in [
            "",
            "bad host/name",
            "a b",
            "a/b",
            "-a.example",
            "a-.example",
            "a..b",
            "a.",
            ".a",
            "a:8443",
            "*.example",
            "https://a.example",
            "999.1.2.3",
            "[::1]",
            "a_b.example",
            "a\nuser root",
            "ä.example",
            &long,
        ] {
            assert_eq!(host(bad), Err(NameError::Host(bad.to_owned())), "{bad:?}");
        }
    }

    #[test]
    fn a_user_of_the_system_is_one_word() {
        for good in ["mosquitto", "root", "_mosquitto", "u-1"] {
            assert_eq!(user(good).as_deref(), Ok(good));
        }
        for bad in ["", "a b", "a\nlistener 1883", "1a", "-a", "A", &"a".repeat(33)] {
            assert_eq!(user(bad), Err(NameError::User(bad.to_owned())), "{bad:?}");
        }
    }
}
