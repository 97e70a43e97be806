//! The pointer file: which slot is in use, which one waits, which versions are accepted.

use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::messages::UpdateOutcome;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One of the two files for models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// The file `a.safetensors`.
    A,
    /// The file `b.safetensors`.
    B,
}

/// A model in a slot, or one that is about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Where its file is.
    pub slot: Slot,
    /// Version of the model.
    pub version: ModelVersion,
    /// Of its file, hexadecimal.
    pub sha256: String,
    /// Of its file, bytes.
    pub length: u64,
}

/// A model in charge that has yet to earn it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// End of the trial, Unix seconds.
    pub until: i64,
    /// Starts of the agent that are left.
    pub tries: u8,
    /// By a signed order of the director.
    #[serde(default)]
    pub ordered: bool,
}

/// A whole model in the spare slot, watched beside the one in charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Which, and where.
    pub held: Held,
    /// When it has been watched for long enough, Unix seconds.
    pub until: i64,
    /// Starts of the agent that are left.
    pub tries: u8,
    /// Staged by a signed order.
    pub ordered: bool,
}

/// The assignment that this home follows: its signed bytes, and the generation by which a replay is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// Of the assignment: each new one has a larger number.
    pub generation: u64,
    /// The COSE_Sign1 structure as it came, hexadecimal.
    pub signed: String,
}

/// The content of `pointer.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pointer {
    /// In charge; without it the program's own model is.
    pub active: Option<Held>,
    /// In charge before, if its slot is still filled.
    pub previous: Option<Held>,
    /// Set while `active` is on trial.
    pub trial: Option<Trial>,
    /// What the spare slot is being filled with; that slot holds nothing that can be relied on.
    pub intent: Option<Held>,
    /// A whole model in the spare slot.
    #[serde(default)]
    pub staged: Option<Staged>,
    /// How an update ended, until it is known to be in the outbox.
    #[serde(default, rename = "untold")]
    pub unreported: Option<UpdateOutcome>,
    /// When `active` came into use, Unix seconds.
    #[serde(default)]
    pub since: i64,
    /// The newest assignment of the fleet's director that was accepted, as it came; nothing older is.
    #[serde(default)]
    pub assignment: Option<Followed>,
    /// Older versions are refused.
    pub floor: ModelVersion,
    /// Versions that failed here and are not tried again.
    pub failed: Vec<ModelVersion>,
}

impl Pointer {
    /// Reads the file field by field: with the names of those that are there and cannot be read, which are as if absent.
    ///
    /// # Errors
    /// The parser's, when it is no JSON object at all.
    pub(super) fn read(bytes: &[u8]) -> Result<(Self, Vec<&'static str>), serde_json::Error> {
        let mut fields: Map<String, Value> = serde_json::from_slice(bytes)?;
        let mut unread = Vec::new();
        let mut pointer = Self {
            active: field(&mut fields, "active", &mut unread),
            previous: field(&mut fields, "previous", &mut unread),
            trial: field(&mut fields, "trial", &mut unread),
            intent: field(&mut fields, "intent", &mut unread),
            staged: field(&mut fields, "staged", &mut unread),
            unreported: field(&mut fields, "untold", &mut unread),
            since: field(&mut fields, "since", &mut unread),
            assignment: field(&mut fields, "assignment", &mut unread),
            floor: field(&mut fields, "floor", &mut unread),
            failed: field(&mut fields, "failed", &mut unread),
        };
        if pointer.active.is_none() {
            // A trial and a date are those of the model in charge.
            (pointer.trial, pointer.since) = (None, 0);
        } else if unread.contains(&"trial") {
            // Whether it had earned its place is not known any more: it is judged by its next windows, as if its time were over.
            pointer.trial = Some(Trial { until: 0, tries: 1, ordered: false });
        }
        if unread.contains(&"floor") {
            // What was in charge is above it.
            pointer.floor = pointer.active.as_ref().map_or(ModelVersion::default(), |active| active.version);
        }
        Ok((pointer, unread))
    }
}

fn field<T: DeserializeOwned + Default>(
    fields: &mut Map<String, Value>,
    name: &'static str,
    unread: &mut Vec<&'static str>,
) -> T {
    match fields.remove(name) {
        None => T::default(),
        Some(value) => serde_json::from_value(value).unwrap_or_else(|_| {
            unread.push(name);
            T::default()
        }),
    }
}
