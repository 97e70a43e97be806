//! The story of a data set, as it is stored with it: where its examples come from, what was left out, what a look at them found.

use std::collections::BTreeMap;

use hearthwatch_protocol::{HomeId, ModelVersion, Sequence};
use serde::{Deserialize, Serialize};

use crate::release::origin;
use crate::{Store, StoreError, StoreResult};

/// Where the examples come from and what was left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Lineage {
    /// Hash of the recorded sets that go with the examples.
    pub corpus: String,
    /// Stored answers that were looked at.
    pub watermark: u64,
    /// The newest line of the audit log by which one of them was let out of quarantine; 0 where none was.
    #[serde(default, skip_serializing_if = "none")]
    pub lifts: u64,
    /// What each home contributed, and what of it was left out.
    pub homes: BTreeMap<HomeId, HomeLineage>,
    /// What random questions say of the champion's recall.
    #[serde(default)]
    pub recall: RecallEstimate,
    /// What a look at the examples found; empty in snapshots from before there was one.
    #[serde(default)]
    pub quality: QualityReport,
}

/// One home's part in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HomeLineage {
    /// First sequence that was looked at.
    pub first: Sequence,
    /// Last sequence that was looked at.
    pub last: Sequence,
    /// Answers that were looked at.
    pub answers: u64,
    /// Of these: in the champion's weights already.
    #[serde(default)]
    pub consumed: u64,
    /// Of these: became examples.
    pub examples: u64,
    /// Of these: replaced by a later answer for the same alarm.
    pub superseded: u64,
    /// Of these: answered *expected*, which teaches nothing.
    pub expected: u64,
    /// Of these: without a window, from a home that shares its verdicts alone.
    #[serde(default)]
    pub windowless: u64,
    /// Of these: of another feature schema or an unknown class.
    pub unreadable: u64,
    /// Of these: beyond the size of a snapshot.
    pub surplus: u64,
    /// Of these: admitted unannounced.
    #[serde(default, skip_serializing_if = "none")]
    pub unannounced: u64,
    /// Of these: left out because the home is excluded.
    #[serde(default, skip_serializing_if = "none")]
    pub excluded: u64,
}

/// Left out of the lineage where it is 0, as in lineages from before there were exclusions.
fn none(count: &u64) -> bool {
    *count == 0
}

/// What is known of the current model's recall.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RecallEstimate {
    /// Its alarms that residents confirmed.
    pub alarms_confirmed: u64,
    /// Its random questions that residents answered.
    #[serde(rename = "probes")]
    pub audit_samples: u64,
    /// Of these, confirmed: something was off, and it had said nothing.
    #[serde(rename = "probes_confirmed")]
    pub audit_samples_confirmed: u64,
    /// Estimated share of the entity-days with something off in which it spoke; none below 20 answered samples.
    pub recall: Option<f64>,
    /// The 90 % interval's lower end.
    pub low: Option<f64>,
    /// The 90 % interval's upper end.
    pub high: Option<f64>,
    /// Whether even the upper end is below one half: its recall is low.
    #[serde(rename = "deaf")]
    pub low_recall: bool,
}

/// What was looked at and what was found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct QualityReport {
    /// Windows that were looked at.
    pub windows: usize,
    /// Windows of each device class.
    pub classes: BTreeMap<String, usize>,
    /// Of these: answered as real.
    pub confirmed: usize,
    /// Windows of another size.
    pub misshapen: usize,
    /// Windows with a value that is no number or lies beyond what an extractor gives.
    pub out_of_range: usize,
    /// Windows with six silent hours in them.
    pub gaps: usize,
    /// Windows whose values are those of another one.
    pub repeats: usize,
    /// Population stability index by feature, of the ordinary rows against the reigning model's training data; empty
    /// without a reference or with too few windows.
    pub stability: Vec<f64>,
    /// How often the mean size of ordinary residuals moved (Page and Hinkley), in the order of the examples.
    pub moves: u32,
    /// Whole sentences, one for each thing worth a look.
    pub findings: Vec<String>,
}

/// The data set that a model learnt from: its id and its story; `None` for a model given from outside.
///
/// # Errors
/// The store's, and [`StoreError::Corrupt`] for a story that cannot be read.
pub fn lineage_of(store: &dyn Store, version: ModelVersion) -> StoreResult<Option<(String, Lineage)>> {
    let Some(model) = store.model(version)? else { return Ok(None) };
    let Some(run) = store.run(origin(&model.run))? else { return Ok(None) };
    let Some(snapshot) = store.snapshot(&run.snapshot)? else { return Ok(None) };
    let lineage = serde_json::from_str(&snapshot.lineage)
        .map_err(|error| StoreError::Corrupt { table: "snapshots", cause: error.to_string() })?;
    Ok(Some((snapshot.id, lineage)))
}
