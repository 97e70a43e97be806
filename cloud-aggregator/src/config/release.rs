//! `[release]`: the signed repository and those who sign.

use hearthwatch_configuration::{Faults, Section};
use hearthwatch_fleet::release::ReleaseConfig;
use url::Url;

const FILES: &str = "`hearthwatch-provision init` makes this";

pub(super) fn read(mut section: Section<'_>, faults: &mut Faults) -> Option<ReleaseConfig> {
    let repository = section.required("repository", faults, "a directory for the signed repository", Section::path);
    let root_file =
        section.required("root_file", faults, FILES, |section, key, faults| section.file(key, faults, FILES));
    let keys = section.required("keys", faults, FILES, Section::path);
    if let Some(keys) = &keys {
        for name in ["snapshot.key", "timestamp.key"] {
            let file = keys.join(name);
            if file.is_file() {
                section.closed("keys", &file, faults);
            } else {
                faults.add(section.key("keys"), format!("{} holds no {name}", keys.display()), FILES);
            }
        }
    }
    let gate_key =
        section.required("gate_key", faults, FILES, |section, key, faults| section.private_file(key, faults, FILES));
    let socket_remedy = "the socket of `hearthwatch-provision signer --socket PATH`";
    let signer_socket = section.required("signer_socket", faults, socket_remedy, Section::path);
    let url_remedy = "where agents find the repository, e.g. \"https://updates.example/tuf/\"";
    let url = section.required("url", faults, url_remedy, Section::text);
    let url = url.and_then(|text| match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "https" | "http") => Some(url),
        Ok(_) | Err(_) => {
            faults.add(section.key("url"), format!("{text:?} is not a web address"), "https://NAME/PATH/");
            None
        }
    });
    section.finish(faults);
    Some(ReleaseConfig {
        repository: repository?,
        root_file: root_file?,
        keys: keys?,
        gate_key: gate_key?,
        signer_socket: signer_socket?,
        url: url?,
    })
}
