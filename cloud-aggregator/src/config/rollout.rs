//! `[rollout]`: who signs orders, and how a release goes out.

use std::path::PathBuf;

use hearthwatch_configuration::{Faults, Section};
use hearthwatch_fleet::rollout::Policy;

/// `[rollout]`: who signs orders to homes, and how a release goes out.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutConfig {
    /// The director's key (PKCS#8), as made by `hearthwatch-provision init`.
    pub director_key: PathBuf,
    /// Waves and tests: one of the named ones, or a file.
    pub policy: Policy,
}

impl RolloutConfig {
    pub(super) fn read(mut section: Section<'_>, faults: &mut Faults) -> Option<Self> {
        let remedy = "`hearthwatch-provision init` makes this: director/director.key";
        let director_key = section
            .required("director_key", faults, remedy, |section, key, faults| section.private_file(key, faults, remedy));
        let named = section.text("policy", faults).unwrap_or_else(|| "immediate".to_owned());
        let policy = Policy::named(&named).or_else(|| {
            let path = section.resolve(&named);
            let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
            let policy = read.and_then(|text| Policy::parse(&text).map_err(|error| error.to_string()));
            let remedy =
                "immediate, staged, urgent, or a file like those in cloud-aggregator/fleet/src/rollout/policies";
            let refuse = |problem| faults.add(section.key("policy"), format!("{}: {problem}", path.display()), remedy);
            policy.map_err(refuse).ok()
        });
        section.finish(faults);
        Some(Self { director_key: director_key?, policy: policy? })
    }
}
