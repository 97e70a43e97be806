//! `[cloud.enrol]`: how a home without a disk (`state = "none"`) becomes known to the fleet at each start.

use std::path::{Path, PathBuf};

use hearthwatch_configuration::Faults;
use hearthwatch_configuration::{Secret, Section};
use hearthwatch_protocol::HomeId;
use url::Url;

/// Where the claim token is when no file is named. There is no argument for it: other users see those.
pub const TOKEN_VARIABLE: &str = "HEARTHWATCH_CLAIM_TOKEN";
/// Memory that looks like a file system, on Linux.
const SHARED_MEMORY: &str = "/dev/shm";

/// What is done when the key `cloud.enrol` is missing.
pub(super) const NEEDED: &str =
    "add the table with url, ca_file and token_file, or name a directory in state if the home has a disk";

/// How this home enrols, and the folder in memory where it keeps what it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// Address of the fleet, `https`.
    pub url: Url,
    /// Certificate of the fleet's authority, PEM.
    pub ca_file: PathBuf,
    /// The reusable claim token; none: in the environment, under [`TOKEN_VARIABLE`].
    pub token: Option<Secret>,
    /// The agent's folder, gone with the machine's memory.
    pub folder: PathBuf,
}

impl Enrolment {
    pub(super) fn read(mut section: Section<'_>, folder: PathBuf, faults: &mut Faults) -> Option<Self> {
        let remedy = "write the fleet's address, e.g. \"https://cloud.example:8443/\"";
        let url = section.required("url", faults, remedy, |section, key, faults| section.https(key, faults, remedy));
        let remedy = "name a copy of the fleet's ca.crt";
        let ca_file =
            section.required("ca_file", faults, remedy, |section, key, faults| section.file(key, faults, remedy));
        let remedy = "save in it what `hearthwatch-provision home add HOME --reusable` prints";
        let token = section.secret("token_file", faults, remedy);
        section.finish(faults);
        Some(Self { url: url?, ca_file: ca_file?, token, folder })
    }

    /// Where the agent's own things are, as in a state directory.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Folder for the key, the certificates and the TUF root.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        keys_in(&self.folder)
    }
}

/// The folder of a home's keys in its folder.
pub(super) fn keys_in(folder: &Path) -> PathBuf {
    folder.join("keys")
}

/// The folder of a home in memory: one name for each home, so that one that was killed finds what is left.
pub(super) fn folder_of(home: &HomeId) -> PathBuf {
    let shared = Path::new(SHARED_MEMORY);
    let memory = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    memory.join(format!("hearthwatch-{home}"))
}
