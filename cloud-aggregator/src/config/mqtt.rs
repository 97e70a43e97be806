//! `[mqtt]`: the fleet's broker.

use std::path::PathBuf;

use hearthwatch_provision::Group;

use super::section::Section;

/// Port of MQTT over TLS, as registered with IANA.
pub const PORT_DEFAULT: i64 = 8883;

/// How to reach the fleet's broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttConfig {
    /// The broker's name; must be in its certificate.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Files of the mutual TLS; without them the connection is in the clear and unnamed (tests on loopback only).
    pub tls: Option<MqttTls>,
    /// Client id; also the common name of the certificate.
    pub client_id: String,
    /// In which group the aggregators share what homes say.
    pub group: Group,
}

/// Who we are to the broker, and whom we believe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttTls {
    /// The certificate authority of the fleet.
    pub ca_file: PathBuf,
    /// Our certificate.
    pub cert_file: PathBuf,
    /// Our key.
    pub key_file: PathBuf,
}

const FILES: &str =
    "`hearthwatch-provision init` makes these files: ca/ca.crt, cloud/aggregator.crt, cloud/aggregator.key";

const GROUP: &str = "the name of the group in which aggregators share what homes say, a secret: group_file = \"cloud/ingest.group\"; \
                     `hearthwatch-provision group --out DIR` makes it in an installation that has none";

impl MqttConfig {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let host =
            section.required_text("host", "the name in the broker's certificate, e.g. host = \"broker.example\"");
        let port = section.number("port", 1..=i64::from(u16::MAX), PORT_DEFAULT);
        let client_id = section.text("client_id").unwrap_or_else(|| "aggregator".to_owned());
        let ca_file = section.required_file("ca_file", FILES);
        let cert_file = section.required_file("cert_file", FILES);
        let key_file = section.required_secret("key_file", FILES);
        let group = section.required_path("group_file", GROUP);
        let group = group.and_then(|path| match Group::load(&path) {
            Ok(group) => Some(group),
            Err(error) => {
                section.fault("group_file", error.to_string(), GROUP);
                None
            }
        });
        section.finish();
        let tls = Some(MqttTls { ca_file: ca_file?, cert_file: cert_file?, key_file: key_file? });
        Some(Self { host: host?, port: u16::try_from(port).ok()?, tls, client_id, group: group? })
    }
}
