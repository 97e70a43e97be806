//! What was answered, read strictly.

use hearthwatch_configuration::Secret;
use hearthwatch_edge_core::preferences::{BUDGET_MAX, BUDGET_MIN};
use hearthwatch_edge_store::outbox::SharingLevel;

/// Port of a broker without TLS, as registered for MQTT.
const MQTT_PORT: u16 = 1883;

/// The answers to all four questions.
pub(super) struct Answers {
    pub(super) home_assistant: HomeAssistant,
    /// None: alarms are only logged, and shown on the page.
    pub(super) broker: Option<Broker>,
    pub(super) sharing: SharingLevel,
    pub(super) alarms: f64,
}

/// Address and token of Home Assistant.
pub(super) struct HomeAssistant {
    pub(super) url: String,
    pub(super) token: Secret,
}

/// The home's broker.
pub(super) struct Broker {
    pub(super) door: Door,
    pub(super) credentials: Option<(String, Secret)>,
}

/// Host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Door {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Door {
    /// Reads `host`, `host:port` or `mqtt://host:port`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bare = text.trim().trim_start_matches("mqtt://").trim_end_matches('/');
        let wrong = || format!("{text:?} is not a host or host:port; e.g. 127.0.0.1 or core-mosquitto:1883");
        let (host, port) = match bare.rsplit_once(':') {
            None => (bare, MQTT_PORT),
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?),
        };
        let plain = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        if plain { Ok(Self { host: host.to_owned(), port }) } else { Err(wrong()) }
    }
}

/// Parses a budget; the error is a sentence.
pub(super) fn alarms(text: &str) -> Result<f64, String> {
    let number = text.trim().replace(',', ".").parse::<f64>().ok();
    number
        .filter(|number| (BUDGET_MIN..=BUDGET_MAX).contains(number))
        .ok_or_else(|| format!("write a number from {BUDGET_MIN} to {BUDGET_MAX}, not {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_a_host_with_or_without_a_port() {
        let door = |text| Door::parse(text).map(|door| (door.host, door.port));
        assert_eq!(door("core-mosquitto"), Ok(("core-mosquitto".to_owned(), 1883)));
        assert_eq!(door("mqtt://10.0.0.2:1884/"), Ok(("10.0.0.2".to_owned(), 1884)));
        for wrong in ["", ":1883", "host:mqtt", "host:0", "two words", "user@host"] {
            assert!(door(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn alarms_a_week_are_a_number_that_the_budget_allows() {
        assert_eq!((alarms("1"), alarms(" 0,5 ")), (Ok(1.0), Ok(0.5)));
        for wrong in ["", "many", "0", "15", "NaN", "-1"] {
            assert_eq!(alarms(wrong), Err(format!("write a number from 0.1 to 14, not {wrong:?}")));
        }
    }
}
