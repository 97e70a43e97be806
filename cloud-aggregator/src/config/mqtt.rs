//! `[mqtt]`: the fleet's broker.

use std::path::PathBuf;

use hearthwatch_configuration::{Faults, Section};
use hearthwatch_provision::Group;

/// Port of MQTT over TLS, as registered with IANA.
pub const PORT_DEFAULT: u16 = 8883;

/// How to reach the fleet's broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttConfig {
    /// The broker's name; must be in its certificate.
    pub host: String,
    /// The broker's TCP port; 8883 unless configured.
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
    /// The aggregator's certificate chain, PEM; its common name is the client id.
    pub cert_file: PathBuf,
    /// The certificate's private key, PEM; a file for its owner alone.
    pub key_file: PathBuf,
}

const FILES: &str =
    "`hearthwatch-provision init` makes these files: ca/ca.crt, cloud/aggregator.crt, cloud/aggregator.key";

const GROUP: &str = "the name of the group in which aggregators share what homes say, a secret: group_file = \"cloud/ingest.group\"; \
                     `hearthwatch-provision group --out DIR` makes it in an installation that has none";

impl MqttConfig {
    pub(super) fn read(mut section: Section<'_>, faults: &mut Faults) -> Option<Self> {
        let remedy = "the name in the broker's certificate, e.g. host = \"broker.example\"";
        let host = section.required("host", faults, remedy, Section::text);
        let port = section.port("port", faults).unwrap_or(PORT_DEFAULT);
        let client_id = section.text("client_id", faults).unwrap_or_else(|| "aggregator".to_owned());
        let ca_file =
            section.required("ca_file", faults, FILES, |section, key, faults| section.file(key, faults, FILES));
        let cert_file =
            section.required("cert_file", faults, FILES, |section, key, faults| section.file(key, faults, FILES));
        let key_file = section
            .required("key_file", faults, FILES, |section, key, faults| section.private_file(key, faults, FILES));
        let group = section.required("group_file", faults, GROUP, Section::path);
        let group = group.and_then(|path| {
            Group::load(&path).map_err(|error| faults.add(section.key("group_file"), error.to_string(), GROUP)).ok()
        });
        section.finish(faults);
        let tls = Some(MqttTls { ca_file: ca_file?, cert_file: cert_file?, key_file: key_file? });
        Some(Self { host: host?, port, tls, client_id, group: group? })
    }
}
