//! `[http]`: the admin API, the page, metrics, and the releases as files.

use std::net::{Ipv4Addr, SocketAddr};

use hearthwatch_api::http::config::{HttpConfig, HttpTls};
use hearthwatch_api::http::limits::CALLS_PER_MINUTE;
use hearthwatch_api::http::origin::Network;
use hearthwatch_api::http::second_person::Guarded;
use hearthwatch_api::http::sessions::{IDLE_SECONDS, Lifetime, SESSION_SECONDS};
use hearthwatch_configuration::{Faults, Section};
use strum::VariantNames as _;

use super::login;

/// Where the admin API listens unless told otherwise: this machine only.
pub const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);

/// Highest limit that can be asked for: a thousand a second, more than one machine answers.
const CALLS_MAX: u64 = 60_000;

const FILES: &str = "`hearthwatch-provision init` makes cloud/http.crt and cloud/http.key; give both or neither";

/// The remedy for an entry of `trusted_proxies` that is neither.
const PROXIES: &str = "addresses or networks of your own proxies, e.g. [\"127.0.0.1\", \"10.0.0.0/8\"]";

pub(super) fn read(mut section: Section<'_>, faults: &mut Faults) -> HttpConfig {
    let remedy = "an address and a port, e.g. \"0.0.0.0:8443\"";
    let listen = section.address("listen", faults, remedy).unwrap_or(LISTEN_DEFAULT);
    let cert_file = section.file("cert_file", faults, FILES);
    let key_file = section.private_file("key_file", faults, FILES);
    let tls = match (cert_file, key_file) {
        (Some(cert_file), Some(key_file)) => Some(HttpTls { cert_file, key_file }),
        (None, None) => None,
        (Some(_), None) => {
            faults.add(section.key("key_file"), "is missing beside cert_file", FILES);
            None
        }
        (None, Some(_)) => {
            faults.add(section.key("cert_file"), "is missing beside key_file", FILES);
            None
        }
    };
    if tls.is_none() && !listen.ip().is_loopback() {
        faults.add(section.key("listen"), format!("{listen} is open to the network without TLS"), FILES);
    }
    let mut trusted_proxies = Vec::new();
    for text in section.texts("trusted_proxies", faults).unwrap_or_default() {
        match text.parse::<Network>() {
            Ok(network) => trusted_proxies.push(network),
            Err(error) => faults.add(section.key("trusted_proxies"), error.to_string(), PROXIES),
        }
    }
    let calls = section.whole("calls_per_minute", 1..=CALLS_MAX, faults);
    let calls_per_minute = calls.and_then(|calls| u32::try_from(calls).ok()).unwrap_or(CALLS_PER_MINUTE);
    let hours = section.whole("session_hours", 1..=24 * 31, faults).and_then(|hours| i64::try_from(hours).ok());
    let idle =
        section.whole("session_idle_minutes", 1..=24 * 60, faults).and_then(|minutes| i64::try_from(minutes).ok());
    let lifetime = Lifetime {
        all: hours.map_or(SESSION_SECONDS, |hours| hours * 3600),
        idle: idle.map_or(IDLE_SECONDS, |minutes| minutes * 60),
    };
    let mut second_person = Vec::new();
    for text in section.texts("second_person", faults).unwrap_or_default() {
        match text.parse::<Guarded>() {
            Ok(kind) => second_person.push(kind),
            Err(_) => faults.add(
                section.key("second_person"),
                format!("{text:?} is nothing that can need two people"),
                format!("some of {}", Guarded::VARIANTS.join(", ")),
            ),
        }
    }
    let login = section.section("login", faults).and_then(|section| login::read(section, faults));
    section.finish(faults);
    HttpConfig { listen, tls, trusted_proxies, calls_per_minute, lifetime, second_person, login }
}
