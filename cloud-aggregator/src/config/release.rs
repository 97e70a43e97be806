//! `[release]`: the signed repository and those who sign.

use hearthwatch_fleet::release::ReleaseConfig;
use url::Url;

use super::section::Section;

const FILES: &str = "`hearthwatch-provision init` makes this";

pub(super) fn read(mut section: Section<'_>) -> Option<ReleaseConfig> {
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
    let url = section.required_text("url", "where agents find the repository, e.g. \"https://updates.example/tuf/\"");
    let url = url.and_then(|text| match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "https" | "http") => Some(url),
        Ok(_) | Err(_) => {
            section.fault("url", format!("{text:?} is not a web address"), "https://NAME/PATH/");
            None
        }
    });
    section.finish();
    Some(ReleaseConfig {
        repository: repository?,
        root_file: root_file?,
        keys: keys?,
        gate_key: gate_key?,
        signer_socket: signer_socket?,
        url: url?,
    })
}
