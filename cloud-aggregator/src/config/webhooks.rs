//! `[webhooks.NAME]`: who is told of what happens, by HTTP.

use std::path::PathBuf;

use hearthwatch_configuration::{Faults, Section};
use url::Url;

/// Most webhooks: each is a task of its own.
const WEBHOOKS_MAX: usize = 16;

/// One receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Its name in the configuration; how far it was told is remembered by it.
    pub name: String,
    /// Where it is told.
    pub url: Url,
    /// Of which actions of the audit log: `rollout.halted`, `run.*`, `*`.
    pub events: Vec<String>,
    /// A file with the secret that both sides sign with.
    pub secret_file: PathBuf,
    /// Whether it may be within the operator's own network or on this machine.
    pub allow_private: bool,
}

pub(super) fn read(section: Section<'_>, faults: &mut Faults) -> Vec<WebhookConfig> {
    let mut webhooks = Vec::new();
    for (name, mut section) in section.sections(faults) {
        let url = section.required("url", faults, "url = \"https://NAME/path\"", Section::text);
        let url = url.and_then(|text| match Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "https" | "http") && url.host().is_some() => Some(url),
            _ => {
                faults.add(section.key("url"), format!("{text:?} is not a web address"), "https://NAME/path");
                None
            }
        });
        let remedy = "the actions of the audit log to be told of, e.g. events = [\"rollout.*\", \"run.end\"]";
        let events = section.texts("events", faults).unwrap_or_else(|| vec!["*".to_owned()]);
        if events.is_empty() {
            faults.add(section.key("events"), "is empty", remedy);
        }
        let secret = "a file of mode 0600 with at least 24 characters, the same as at the receiver";
        let secret_file = section
            .required("secret_file", faults, secret, |section, key, faults| section.private_file(key, faults, secret));
        let allow_private = section.flag("allow_private", faults).unwrap_or(false);
        if url.as_ref().is_some_and(|url| url.scheme() == "http") && !allow_private {
            let remedy = "https://…; or allow_private = true for a receiver of your own";
            faults.add(section.key("url"), "is not https", remedy);
        }
        section.finish(faults);
        if let (Some(url), Some(secret_file)) = (url, secret_file) {
            webhooks.push(WebhookConfig { name, url, events, secret_file, allow_private });
        }
    }
    if webhooks.len() > WEBHOOKS_MAX {
        faults.add("webhooks", format!("are {}", webhooks.len()), format!("at most {WEBHOOKS_MAX}"));
    }
    webhooks
}
