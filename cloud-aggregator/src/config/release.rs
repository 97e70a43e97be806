//! `[release]`: the signed repository and those who sign.

use std::path::PathBuf;

use url::Url;

use super::section::Section;

/// Where releases are made and found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseConfig {
    /// Directory of the TUF repository (metadata/ and targets/).
    pub repository: PathBuf,
    /// The trusted root, as made by the root ceremony.
    pub root_file: PathBuf,
    /// Directory with snapshot.key and timestamp.key.
    pub keys: PathBuf,
    /// The gate's key: signs promotion verdicts for the signer.
    pub gate_key: PathBuf,
    /// Unix socket of the signer process, which alone holds the targets key.
    pub signer_socket: PathBuf,
    /// Where agents find the repository, e.g. `https://updates.example/tuf/`.
    pub url: Url,
}

const FILES: &str = "`hearthwatch-provision init` makes this";

impl ReleaseConfig {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let repository = section.required_path("repository", "a directory for the signed repository");
        let root_file = section.required_file("root_file", FILES);
        let keys = section.required_path("keys", FILES);
        if let Some(keys) = &keys {
            for name in ["snapshot.key", "timestamp.key"] {
                let file = keys.join(name);
                if file.is_file() {
                    section.closed("keys", &file);
                } else {
                    section.fault("keys", format!("{} holds no {name}", keys.display()), FILES);
                }
            }
        }
        let gate_key = section.required_secret("gate_key", FILES);
        let socket_remedy = "the socket of `hearthwatch-provision signer --socket PATH`";
        let signer_socket = section.required_path("signer_socket", socket_remedy);
        let url =
            section.required_text("url", "where agents find the repository, e.g. \"https://updates.example/tuf/\"");
        let url = url.and_then(|text| match Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "https" | "http") => Some(url),
            Ok(_) | Err(_) => {
                section.fault("url", format!("{text:?} is not a web address"), "https://NAME/PATH/");
                None
            }
        });
        section.finish();
        Some(Self {
            repository: repository?,
            root_file: root_file?,
            keys: keys?,
            gate_key: gate_key?,
            signer_socket: signer_socket?,
            url: url?,
        })
    }
}
