//! `[page]`: where the local page is served, and to whom.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hearthwatch_configuration::{Faults, Section};

use crate::guard::Door;

/// Port of the page unless said otherwise; the one that Home Assistant's ingress asks for by default.
const PAGE_PORT: u16 = 8099;
/// Value of `page` that turns the page off.
const OFF: &str = "off";

/// Where the page is served; none where it is turned off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageConfig {
    /// Where the page is served, by HTTP.
    pub listen: SocketAddr,
    /// Which requests are answered.
    pub door: Door,
    /// Whether `/metrics` is answered.
    pub metrics: bool,
}

impl Default for PageConfig {
    /// Only for browsers on this machine.
    fn default() -> Self {
        let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PAGE_PORT);
        Self { listen, door: Door::Loopback { hosts: Vec::new() }, metrics: true }
    }
}

impl PageConfig {
    /// Only through Home Assistant's ingress.
    #[must_use]
    pub fn behind_ingress() -> Self {
        let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PAGE_PORT);
        Self { listen, door: Door::Ingress, metrics: false }
    }

    /// The table's content; none where the page is turned off or something is a fault.
    pub fn read(mut section: Section<'_>, faults: &mut Faults) -> Option<Self> {
        let hosts = section.texts("hosts", faults).unwrap_or_default();
        let ingress = match section.text("door", faults).as_deref() {
            None | Some("loopback") => false,
            Some("ingress") => true,
            Some(other) => {
                let remedy = "write \"loopback\" (this machine) or \"ingress\" (through Home Assistant)";
                faults.add(section.key("door"), format!("{other:?} is not a door"), remedy);
                false
            }
        };
        if ingress && !hosts.is_empty() {
            faults.add(section.key("hosts"), "has no meaning behind ingress", "remove it");
        }
        // Behind ingress whoever is in the Supervisor's network could read them, without a password.
        let metrics = section.flag("metrics", faults).unwrap_or(!ingress);
        let listen = section.text("listen", faults);
        let key = section.key("listen");
        section.finish(faults);
        // Ingress comes from the Supervisor's network; the door lets in nobody else.
        let usual = if ingress { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::LOCALHOST) };
        let listen = match listen {
            None => SocketAddr::new(usual, PAGE_PORT),
            Some(text) if text == OFF => return None,
            Some(text) => match text.parse::<SocketAddr>() {
                Ok(address) if ingress || address.ip().is_loopback() => address,
                Ok(address) => {
                    let remedy = "the page shows a household's life without asking for a password: listen on \
                                  127.0.0.1 and reach it through Home Assistant, an SSH tunnel, or a reverse proxy on \
                                  this machine that asks (name its host in `hosts`)";
                    faults.add(key, format!("{address} can be reached from other machines"), remedy);
                    return None;
                }
                Err(_) => {
                    faults.add(key, format!("{text:?} is not an address with a port"), "write \"127.0.0.1:8099\"");
                    return None;
                }
            },
        };
        Some(Self { listen, door: if ingress { Door::Ingress } else { Door::Loopback { hosts } }, metrics })
    }
}
