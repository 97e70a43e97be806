//! Whether a request is answered: from its address and headers. Pure.
//!
//! The page shows a household's life, so it is served to this machine alone, or to Home Assistant's ingress, which has
//! asked for a password already. A browser on this machine is still a browser: pages of other sites must not speak
//! through it, so changes want the page's own origin and a secret that only the page knows, and the name in the address
//! bar must be ours, or a foreign name could be pointed at this address.

use std::net::{IpAddr, Ipv4Addr};

/// The only address that ingress comes from: the Supervisor's, fixed by Home Assistant.
pub const SUPERVISOR: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 30, 32, 2));

/// Longest ingress path; a true one is `/api/hassio_ingress/` and 43 characters.
const INGRESS_PATH_MAX: usize = 128;

/// Which requests are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// This machine, under its own names and these.
    Loopback {
        /// Further host names, of a reverse proxy on this machine.
        hosts: Vec<String>,
    },
    /// Only those from the Supervisor, with its headers.
    Ingress,
}

/// Address and headers of a request.
#[derive(Debug, Clone, Copy)]
pub struct Visitor<'a> {
    /// Address of the TCP connection.
    pub peer: IpAddr,
    /// Header `Host`.
    pub host: Option<&'a str>,
    /// Header `X-Ingress-Path`.
    pub ingress_path: Option<&'a str>,
    /// Header `X-Forwarded-Host`.
    pub forwarded_host: Option<&'a str>,
    /// Header `Origin`.
    pub origin: Option<&'a str>,
    /// Header `Sec-Fetch-Site`.
    pub fetch_site: Option<&'a str>,
}

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The address is not one of this machine.
    #[error("this page is served to this machine only")]
    Stranger,
    /// It does not come from the Supervisor.
    #[error("this page is served through Home Assistant only")]
    NotIngress,
    /// `Host` is not a name of this page: DNS rebinding.
    #[error("this page is not served under that name")]
    Host,
    /// `X-Ingress-Path` is not a path of the Supervisor's form.
    #[error("the ingress path is not a path")]
    Path,
    /// A page of another site sent it.
    #[error("another site may not change anything here")]
    CrossSite,
    /// A form without the page's secret.
    #[error("this form is out of date: load the page again")]
    Token,
}

/// Lets a visitor in, or not. Returns what stands before every path of ours in the visitor's address bar.
///
/// # Errors
/// [`Refusal`].
pub fn admit(door: &Door, visitor: &Visitor<'_>) -> Result<String, Refusal> {
    match door {
        Door::Loopback { .. } if !visitor.peer.to_canonical().is_loopback() => Err(Refusal::Stranger),
        Door::Loopback { hosts } => match visitor.host.map(name_of) {
            Some(name) if is_own(name) || hosts.iter().any(|host| host.eq_ignore_ascii_case(name)) => Ok(String::new()),
            _ => Err(Refusal::Host),
        },
        Door::Ingress if visitor.peer.to_canonical() != SUPERVISOR => Err(Refusal::NotIngress),
        Door::Ingress => {
            let path = visitor.ingress_path.unwrap_or_default().trim_end_matches('/');
            let honest = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '/' | '_' | '-' | '.' | '~');
            let rooted = path.is_empty() || (path.starts_with('/') && !path.starts_with("//"));
            if rooted && path.len() <= INGRESS_PATH_MAX && path.chars().all(honest) {
                Ok(path.to_owned())
            } else {
                Err(Refusal::Path)
            }
        }
    }
}

/// Whether an admitted visitor may change something: the browser says that our own page asks, as far as it says
/// anything. The secret in the form is checked besides.
///
/// # Errors
/// [`Refusal::CrossSite`].
pub fn may_change(door: &Door, visitor: &Visitor<'_>) -> Result<(), Refusal> {
    if visitor.fetch_site.is_some_and(|site| site != "same-origin") {
        return Err(Refusal::CrossSite);
    }
    let served_as = match door {
        Door::Loopback { .. } => visitor.host,
        Door::Ingress => visitor.forwarded_host,
    };
    match (visitor.origin, served_as) {
        (Some(origin), Some(host)) if origin.split_once("://").map(|(_, from)| from) != Some(host) => {
            Err(Refusal::CrossSite)
        }
        _ => Ok(()),
    }
}

/// The name in a `Host` header, without its port.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

fn is_own(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn visitor(peer: IpAddr, host: &str) -> Visitor<'_> {
        Visitor { peer, host: Some(host), ingress_path: None, forwarded_host: None, origin: None, fetch_site: None }
    }

    fn loopback() -> Door {
        Door::Loopback { hosts: vec!["hearth.example".to_owned()] }
    }

    #[test]
    fn this_machine_comes_in_under_its_own_names_and_those_it_was_given() {
        for host in ["127.0.0.1:8099", "localhost:8099", "[::1]:8099", "LOCALHOST", "hearth.example"] {
            assert_eq!(admit(&loopback(), &visitor(HERE, host)), Ok(String::new()), "{host}");
        }
    }

    #[test]
    fn a_foreign_name_that_points_here_stays_out() {
        for host in ["evil.example:8099", "127.0.0.1.evil.example", ""] {
            assert_eq!(admit(&loopback(), &visitor(HERE, host)), Err(Refusal::Host), "{host}");
        }
        assert_eq!(admit(&loopback(), &Visitor { host: None, ..visitor(HERE, "") }), Err(Refusal::Host));
    }

    #[test]
    fn another_machine_stays_out_and_cannot_call_itself_ingress() {
        let other = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 20));
        assert_eq!(admit(&loopback(), &visitor(other, "localhost")), Err(Refusal::Stranger));
        let pretender = Visitor { ingress_path: Some("/api/hassio_ingress/x"), ..visitor(other, "localhost") };
        assert_eq!(admit(&Door::Ingress, &pretender), Err(Refusal::NotIngress));
        assert_eq!(admit(&Door::Ingress, &visitor(HERE, "localhost")), Err(Refusal::NotIngress));
    }

    #[test]
    fn the_ingress_path_stands_before_every_path_and_must_be_one() {
        let through = |path| admit(&Door::Ingress, &Visitor { ingress_path: Some(path), ..visitor(SUPERVISOR, "h") });
        assert_eq!(through("/api/hassio_ingress/a-B_3/"), Ok("/api/hassio_ingress/a-B_3".to_owned()));
        for path in ["//evil.example", "api", "/a\"onload=", "/a?b", &"/a".repeat(99)] {
            assert_eq!(through(path), Err(Refusal::Path), "{path}");
        }
    }

    #[test]
    fn another_site_changes_nothing() {
        let own = visitor(HERE, "localhost:8099");
        let from = |origin, fetch_site| may_change(&loopback(), &Visitor { origin, fetch_site, ..own });
        assert_eq!(from(Some("http://localhost:8099"), Some("same-origin")), Ok(()));
        assert_eq!(from(None, None), Ok(()), "an old browser; the secret decides");
        for (origin, site) in [
            (Some("http://evil.example"), None),
            (Some("http://localhost:9000"), None),
            (Some("null"), None),
            (None, Some("cross-site")),
            (None, Some("same-site")),
            (None, Some("none")),
        ] {
            assert_eq!(from(origin, site), Err(Refusal::CrossSite), "{origin:?} {site:?}");
        }
    }

    #[test]
    fn through_ingress_the_origin_is_home_assistants() {
        let own = Visitor { forwarded_host: Some("ha.example:8123"), ..visitor(SUPERVISOR, "172.30.33.4:8099") };
        let from = |origin| may_change(&Door::Ingress, &Visitor { origin: Some(origin), ..own });
        assert_eq!(from("https://ha.example:8123"), Ok(()));
        assert_eq!(from("https://evil.example"), Err(Refusal::CrossSite));
    }
}
