//! `[cloud]`, `[cloud.mqtt]`, `[cloud.updates]`: the fleet, all of it optional.

use std::path::PathBuf;

use hearthwatch_protocol::HomeId;
use url::Url;

use super::Faults;
use super::section::Section;

/// Port that the fleet's broker listens on unless said otherwise: MQTT over TLS.
const FLEET_PORT: u16 = 8883;

/// What `hearthwatch-provision home add` leaves in a home's folder.
const PROVISIONED: &str = "copy it from the folder that `hearthwatch-provision home add` made for this home";

/// Who this home is to the fleet, and how the fleet is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudConfig {
    /// The home's pseudonym.
    pub home: HomeId,
    /// Where answers go; without it they stay here.
    pub mqtt: Option<CloudMqttConfig>,
    /// Where models come from; without it the shipped one stays.
    pub updates: Option<UpdatesConfig>,
}

/// The fleet's broker. Certificates on both sides, always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudMqttConfig {
    /// Name or address; must be in the broker's certificate.
    pub host: String,
    /// Default 8883.
    pub port: u16,
    /// The fleet's certificate authority.
    pub ca_file: PathBuf,
    /// This home's certificate.
    pub cert_file: PathBuf,
    /// This home's private key.
    pub key_file: PathBuf,
}

/// The signed model repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdatesConfig {
    /// Base address: `metadata/` and `targets/` are below it.
    pub url: Url,
    /// Certificate authority of its HTTPS server; default: the system's.
    pub ca_file: Option<PathBuf>,
    /// The first trusted TUF root.
    pub root_file: PathBuf,
}

impl CloudConfig {
    pub(super) fn read(mut section: Section<'_>, faults: &mut Faults) -> Option<Self> {
        let before = faults.list().len();
        let remedy = "write the home's pseudonym, the name of its certificate, e.g. \"home-7\"";
        let home = section.required("home", faults, remedy, Section::text);
        let home = home.and_then(|text| match HomeId::new(text) {
            Ok(home) => Some(home),
            Err(error) => {
                faults.add(section.key("home"), error.to_string(), "write the name of the home's certificate");
                None
            }
        });
        let mqtt = section.section("mqtt", faults).map(|section| CloudMqttConfig::read(section, faults));
        let updates = section.section("updates", faults).map(|section| UpdatesConfig::read(section, faults));
        if mqtt.is_none() && updates.is_none() && faults.list().len() == before {
            faults.add(
                section.key("mqtt"),
                "is missing, and [cloud.updates] too",
                "add one of them, or remove [cloud] to stay local",
            );
        }
        section.finish(faults);
        Some(Self { home: home?, mqtt: mqtt.flatten(), updates: updates.flatten() })
    }
}

impl CloudMqttConfig {
    fn read(mut section: Section<'_>, faults: &mut Faults) -> Option<Self> {
        let host = section.required("host", faults, "write the fleet broker's name", Section::text);
        let port = section.port("port", faults).unwrap_or(FLEET_PORT);
        let ca_file = section.required("ca_file", faults, PROVISIONED, provisioned);
        let cert_file = section.required("cert_file", faults, PROVISIONED, provisioned);
        let key_file = section.required("key_file", faults, PROVISIONED, provisioned);
        section.finish(faults);
        Some(Self { host: host?, port, ca_file: ca_file?, cert_file: cert_file?, key_file: key_file? })
    }
}

impl UpdatesConfig {
    fn read(mut section: Section<'_>, faults: &mut Faults) -> Option<Self> {
        let remedy = "write the repository's address, e.g. \"https://cloud.example:8443/updates/\"";
        let url = section.required("url", faults, remedy, Section::text);
        let url = url.and_then(|text| match Url::parse(&text) {
            Ok(mut url) if url.scheme() == "https" => {
                // Joining a name below it needs the closing slash.
                if !url.path().ends_with('/') {
                    let path = format!("{}/", url.path());
                    url.set_path(&path);
                }
                Some(url)
            }
            Ok(url) => {
                faults.add(section.key("url"), format!("{:?} is not https", url.scheme()), remedy);
                None
            }
            Err(error) => {
                faults.add(section.key("url"), format!("{text:?} is not an address ({error})"), remedy);
                None
            }
        });
        let ca_file = provisioned(&mut section, "ca_file", faults);
        let root_file = section.required("root_file", faults, PROVISIONED, provisioned);
        section.finish(faults);
        Some(Self { url: url?, ca_file, root_file: root_file? })
    }
}

/// A file that provisioning makes.
fn provisioned(section: &mut Section<'_>, key: &'static str, faults: &mut Faults) -> Option<PathBuf> {
    section.file(key, faults, PROVISIONED)
}
