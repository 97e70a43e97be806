//! `[rollout]`: who signs orders, and how a release goes out.

use std::path::PathBuf;

use hearthwatch_fleet::rollout::Policy;

use super::section::Section;

/// How releases go out.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutConfig {
    /// The director's key (PKCS#8), as made by `hearthwatch-provision init`.
    pub director_key: PathBuf,
    /// The rules.
    pub policy: Policy,
}

impl RolloutConfig {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let remedy = "`hearthwatch-provision init` makes this: director/director.key";
        let director_key = section.required_secret("director_key", remedy);
        let named = section.text("policy").unwrap_or_else(|| "immediate".to_owned());
        let policy = match Policy::named(&named) {
            Some(policy) => Some(policy),
            None => {
                let path = section.beside(&named);
                let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
                match read.and_then(|text| Policy::parse(&text).map_err(|error| error.to_string())) {
                    Ok(policy) => Some(policy),
                    Err(problem) => {
                        let remedy = "immediate, staged, urgent, or a file like those in cloud-aggregator/fleet/src/rollout/policies";
                        section.fault("policy", format!("{}: {problem}", path.display()), remedy);
                        None
                    }
                }
            }
        };
        section.finish();
        Some(Self { director_key: director_key?, policy: policy? })
    }
}
