//! `[home.mqtt]`: the broker that Home Assistant listens to.

use std::path::PathBuf;

use hearthwatch_configuration::{Faults, Secret, Section};

/// Port that a broker listens on without TLS, as registered for MQTT.
const PLAIN_PORT: u16 = 1883;
/// Port that a broker listens on with TLS, as registered for MQTT.
const TLS_PORT: u16 = 8883;

/// `[home_mqtt]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeMqttConfig {
    /// Name or address of the broker.
    pub host: String,
    /// Default 1883, or 8883 with `ca_file`.
    pub port: u16,
    /// User name and password, both or neither.
    pub credentials: Option<(String, Secret)>,
    /// Certificate authority of the broker; without it the connection is not encrypted.
    pub ca_file: Option<PathBuf>,
}

impl HomeMqttConfig {
    /// What a person does where the broker refuses the user name or password.
    #[must_use]
    pub fn remedy(&self) -> String {
        match &self.credentials {
            Some((_, password)) => match password.file() {
                Some(file) => format!("put the right one in {}", file.display()),
                None => "put the right one in Home Assistant's MQTT broker, and start this app again".to_owned(),
            },
            None => "put username and password_file in edge.toml under [home.mqtt]".to_owned(),
        }
    }

    /// The table's content; none where something in it is a fault.
    pub fn read(mut section: Section<'_>, faults: &mut Faults) -> Option<Self> {
        let remedy = "write the broker's name or address, e.g. \"127.0.0.1\"";
        let host = section.required("host", faults, remedy, Section::text);
        let port = section.port("port", faults);
        let username = section.text("username", faults);
        let before = faults.list().len();
        let password = section.secret("password_file", faults, "save the broker's password for this user in this file");
        let ca_file = section.file("ca_file", faults, "save the broker's CA certificate (PEM) there");
        let credentials = match (username, password) {
            (Some(username), Some(password)) => Some((username, password)),
            (Some(_), None) if faults.list().len() == before => {
                faults.add(section.key("password_file"), "is missing", "a username needs one; or remove both");
                None
            }
            (None, Some(_)) => {
                faults.add(section.key("username"), "is missing", "a password needs one; or remove both");
                None
            }
            (_, None) => None,
        };
        section.finish(faults);
        let port = port.unwrap_or(if ca_file.is_some() { TLS_PORT } else { PLAIN_PORT });
        Some(Self { host: host?, port, credentials, ca_file })
    }
}
