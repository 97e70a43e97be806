//! What the page reads of a stored gate report. Only what it shows, so that reports of older versions stay readable.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Whether the gate let the candidate through.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Promote,
    Hold { reasons: Vec<String> },
}

/// So many events of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Share {
    pub found: u32,
    pub all: u32,
}

impl Share {
    /// `found / all`; 0 when there were none.
    pub(super) fn ratio(self) -> f64 {
        if self.all == 0 { 0.0 } else { f64::from(self.found) / f64::from(self.all) }
    }
}

/// One detector on the held-out homes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Figures {
    pub homes: usize,
    pub recall: Share,
    pub false_alarms_per_week: f64,
    /// By device class.
    #[serde(default)]
    pub by_class: BTreeMap<String, Share>,
    /// By family of injected faults.
    #[serde(default)]
    pub by_family: BTreeMap<String, Share>,
}

/// A figure with its interval.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Interval {
    pub low: f64,
    pub point: f64,
    pub high: f64,
}

/// The candidate held against one other.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Comparison {
    pub against: String,
    pub recall: Interval,
}

/// The part of a gate's report (JSON, as stored with the run) that the page shows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Report {
    pub verdict: Verdict,
    pub candidate: Figures,
    #[serde(rename = "routine")]
    pub baseline: Figures,
    #[serde(default)]
    pub champion: Option<Figures>,
    #[serde(default)]
    pub comparisons: Vec<Comparison>,
}

impl Report {
    /// Reads a stored report; `None` if it is of another form.
    pub(super) fn read(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }
}
