//! What earlier runs of the agent left on the broker: a device under another name, entities that are no more.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::device::Device;

/// Topics of a device that hold retained messages beside its discovery document.
const RETAINED: [&str; 23] = [
    "unusual",
    "alarm",
    "alarm/attributes",
    "picture",
    "picture_dark",
    "quiet_hours",
    "brief",
    "score",
    "score/attributes",
    "last_alarm",
    "questions",
    "false_alarms",
    "false_alarms/attributes",
    "house_mode",
    "pause",
    "budget",
    "readiness",
    "readiness/attributes",
    "model",
    "model/attributes",
    "mode",
    "update",
    "availability",
];

/// What was published, kept on disk so that the next run can clear it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Published {
    node: String,
    components: BTreeMap<String, String>,
}

impl Published {
    /// The entities that `device` has now.
    pub(super) fn of(device: &Device) -> Self {
        let components = Device::COMPONENTS.iter().map(|(key, platform)| ((*key).to_owned(), (*platform).to_owned()));
        Self { node: device.node().to_owned(), components: components.collect() }
    }

    /// What the run before published; none at the first, or when the note is lost.
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    pub(super) fn write(&self, path: &Path) -> std::io::Result<()> {
        std::fs::write(path, serde_json::to_vec(self)?)
    }

    /// Components of the run before that this one no longer has.
    pub(super) fn removed_since(&self, before: &Self) -> Vec<(String, String)> {
        if before.node != self.node {
            return Vec::new();
        }
        let gone = before.components.iter().filter(|(key, _)| !self.components.contains_key(*key));
        gone.map(|(key, platform)| (key.clone(), platform.clone())).collect()
    }

    /// Topics of the run before that must be emptied, its discovery document first: then the entities vanish at once.
    pub(super) fn orphaned_by(&self, now: &Self) -> Vec<String> {
        if self.node == now.node {
            return Vec::new();
        }
        Self::topics(&Device::new(self.node.clone()))
    }

    /// Every topic of `device` that holds a retained message, its discovery document first.
    pub(super) fn topics(device: &Device) -> Vec<String> {
        let mut topics = vec![device.discovery_topic()];
        topics.extend(RETAINED.map(|name| device.topic(name)));
        topics
    }
}
