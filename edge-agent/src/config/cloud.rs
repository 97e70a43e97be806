//! `[cloud]`, `[cloud.mqtt]`, `[cloud.updates]`: the fleet, all of it optional.

use std::path::{Path, PathBuf};

use hearthwatch_configuration::Faults;
use hearthwatch_configuration::Section;
use hearthwatch_edge_store::outbox::SharingLevel;
use hearthwatch_edge_update::{Install, Policy, WATCHING, Watching};
use hearthwatch_protocol::{HomeId, ModelVersion};
use url::Url;

use super::enrolment::{self, Enrolment};

/// Longest watch that can be configured, in hours: a model that needs more than a fortnight is not a release.
const WATCH_HOURS_MAX: f64 = 336.0;

/// Port that the fleet's broker listens on unless said otherwise: MQTT over TLS.
const FLEET_PORT: u16 = 8883;

/// File of the keys of the fleet's director, beside a home's certificate: what enrolment and provisioning leave there.
pub(crate) const DIRECTOR_FILE: &str = "director.pub";

/// What `hearthwatch-provision home add` leaves in a home's folder.
const PROVISIONED: &str = "copy it from the folder that `hearthwatch-provision home add` made for this home";

/// The remedy where the director's keys are not named.
const DIRECTED: &str =
    "copy director.pub from the same folder, or write director = \"none\" for a fleet that has no director yet";

/// `[cloud]` of the configuration: the home's name in the fleet, and how the fleet is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudConfig {
    /// A pseudonym; the common name of the certificate.
    pub home: HomeId,
    /// What of an answer leaves the home, until the resident chooses otherwise on the page.
    pub sharing: SharingLevel,
    /// Where the home's certificate is renewed; without it nobody is asked.
    pub renew_url: Option<Url>,
    /// Where answers go; without it they stay here.
    pub mqtt: Option<CloudMqttConfig>,
    /// Where models come from; without it the shipped one stays.
    pub updates: Option<UpdatesConfig>,
    /// How a home without a disk comes to its files at each start.
    pub enrolment: Option<Enrolment>,
}

/// The fleet's broker. Certificates on both sides, always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudMqttConfig {
    /// Name or address; must be in the broker's certificate.
    pub host: String,
    /// Default 8883.
    pub port: u16,
    /// Certificate of the fleet's authority, PEM.
    pub ca_file: PathBuf,
    /// This home's certificate, PEM.
    pub cert_file: PathBuf,
    /// This home's private key, PEM.
    pub key_file: PathBuf,
}

/// `[cloud.updates]`: the TUF repository of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdatesConfig {
    /// Base address: `metadata/` and `targets/` are below it.
    pub url: Url,
    /// Certificate authority of its HTTPS server; default: the system's.
    pub ca_file: Option<PathBuf>,
    /// The TUF root with which trust begins.
    pub root_file: PathBuf,
    /// The file of the director's keys; without one the newest release is taken, which must be asked for (`director = "none"`).
    pub director_file: Option<PathBuf>,
    /// Whether residents are asked, and a pinned version.
    pub policy: Policy,
    /// Length of the shadow and the probation.
    pub watching: Watching,
}

impl CloudConfig {
    /// `usual` is what is shared where the table does not say; a home without a disk is `diskless`.
    pub(super) fn read(
        mut section: Section<'_>,
        usual: SharingLevel,
        diskless: bool,
        faults: &mut Faults,
    ) -> Option<Self> {
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
        let sharing = read_sharing(&mut section, faults);
        let remedy = "write the address that the home enrolled at, e.g. \"https://cloud.example:8443/\"";
        let renew_url = section.https("renew_url", faults, remedy);
        // A home whose name is a fault gets no configuration, wherever its folder would have been.
        let folder = diskless.then(|| home.as_ref().map(enrolment::folder_of).unwrap_or_default());
        let enrolment = read_enrolment(&mut section, folder.clone(), faults);
        let keys = folder.as_deref().map(enrolment::keys_in);
        let mqtt =
            section.section("mqtt", faults).map(|section| CloudMqttConfig::read(section, keys.as_deref(), faults));
        let updates =
            section.section("updates", faults).map(|section| UpdatesConfig::read(section, keys.as_deref(), faults));
        if mqtt.is_none() && updates.is_none() && faults.list().len() == before {
            faults.add(
                section.key("mqtt"),
                "is missing, and [cloud.updates] too",
                "add one of them, or remove [cloud] to stay local",
            );
        }
        let directed = updates
            .as_ref()
            .is_some_and(|updates| updates.as_ref().is_some_and(|updates| updates.director_file.is_some()));
        if directed && mqtt.is_none() {
            faults.add(
                section.key("mqtt"),
                "is missing: the director speaks by the fleet's broker",
                "add it, or write director = \"none\" in [cloud.updates]",
            );
        }
        section.finish(faults);
        let sharing = sharing.unwrap_or(usual);
        // A container may outlive its certificate; it is renewed where it was made.
        let renew_url = renew_url.or_else(|| enrolment.as_ref().map(|enrolment| enrolment.url.clone()));
        Some(Self { home: home?, sharing, renew_url, mqtt: mqtt.flatten(), updates: updates.flatten(), enrolment })
    }
}

impl CloudMqttConfig {
    /// With `keys`, the files are the enrolment's, in that folder, and none may be named.
    fn read(mut section: Section<'_>, keys: Option<&Path>, faults: &mut Faults) -> Option<Self> {
        let host = section.required("host", faults, "write the fleet broker's name", Section::text);
        let port = section.port("port", faults).unwrap_or(FLEET_PORT);
        let mut file = |key, name| match keys {
            Some(keys) => Some(keys.join(name)),
            None => section.required(key, faults, PROVISIONED, provisioned),
        };
        let (ca_file, cert_file) = (file("ca_file", "ca.crt"), file("cert_file", "agent.crt"));
        let key_file = file("key_file", "agent.key");
        section.finish(faults);
        Some(Self { host: host?, port, ca_file: ca_file?, cert_file: cert_file?, key_file: key_file? })
    }
}

impl UpdatesConfig {
    /// With `keys`, what trust begins with is the enrolment's, in that folder.
    fn read(mut section: Section<'_>, keys: Option<&Path>, faults: &mut Faults) -> Option<Self> {
        let remedy = "write the repository's address, e.g. \"https://cloud.example:8443/tuf/\"";
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
        let root_file = match keys {
            Some(keys) => Some(keys.join("root.json")),
            None => section.required("root_file", faults, PROVISIONED, provisioned),
        };
        let director = section.text("director", faults);
        let director_file = match (director.as_deref(), keys) {
            (None, Some(keys)) => Some(keys.join(DIRECTOR_FILE)),
            (None, None) => section.required("director_file", faults, DIRECTED, provisioned),
            (Some("none"), _) => None,
            (Some(word), _) => {
                let remedy = "remove it, or write \"none\" for a fleet that has no director yet";
                faults.add(section.key("director"), format!("{word:?} is not \"none\""), remedy);
                None
            }
        };
        let policy = read_policy(&mut section, faults);
        let watching = Watching {
            shadow_seconds: hours(&mut section, "shadow_hours", faults).unwrap_or(WATCHING.shadow_seconds),
            probation_seconds: hours(&mut section, "probation_hours", faults).unwrap_or(WATCHING.probation_seconds),
        };
        section.finish(faults);
        Some(Self { url: url?, ca_file, root_file: root_file?, director_file, policy, watching })
    }
}

/// The table `enrol`: needed with a folder in memory, and refused without one.
fn read_enrolment(section: &mut Section<'_>, folder: Option<PathBuf>, faults: &mut Faults) -> Option<Enrolment> {
    match folder {
        Some(folder) => section
            .required("enrol", faults, enrolment::NEEDED, Section::section)
            .and_then(|section| Enrolment::read(section, folder, faults)),
        None => {
            section.section("enrol", faults)?;
            let remedy = "write state = \"none\", or remove it and run `hearthwatch-edge enrol` once";
            faults.add(section.key("enrol"), "is for a home without a disk, and this one has a state", remedy);
            None
        }
    }
}

/// The key `sharing`, at the top or in `[cloud]`.
pub(super) fn read_sharing(section: &mut Section<'_>, faults: &mut Faults) -> Option<SharingLevel> {
    let word = section.text("sharing", faults)?;
    let level = SharingLevel::parse(&word);
    if level.is_none() {
        let remedy = format!("write one of {}", SharingLevel::names());
        faults.add(section.key("sharing"), format!("{word:?} is not a level of sharing"), remedy);
    }
    level
}

fn read_policy(section: &mut Section<'_>, faults: &mut Faults) -> Policy {
    let install = section.text("install", faults).map_or(Install::Auto, |word| match word.as_str() {
        "auto" => Install::Auto,
        "ask" => Install::Ask,
        "paused" => Install::Paused,
        _ => {
            let remedy = "write \"auto\", \"ask\" (for a resident's word) or \"paused\"";
            faults.add(section.key("install"), format!("{word:?} is not a way to install"), remedy);
            Install::Auto
        }
    });
    let pin = section.number("pin", 0.0..=9_007_199_254_740_992.0, faults).map(|version| ModelVersion(version as u64));
    Policy { install, pin }
}

fn hours(section: &mut Section<'_>, key: &'static str, faults: &mut Faults) -> Option<i64> {
    section.number(key, 0.0..=WATCH_HOURS_MAX, faults).map(|hours| (hours * 3_600.0) as i64)
}

/// The path of a file that `hearthwatch-provision` makes; a fault where it is missing.
fn provisioned(section: &mut Section<'_>, key: &'static str, faults: &mut Faults) -> Option<PathBuf> {
    section.file(key, faults, PROVISIONED)
}
