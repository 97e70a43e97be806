//! The windows of this home on which a new model is tried.

use hearthwatch_detector::detector::TrialWindow;

/// What a model is tried on: copies of this home's newest windows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrialWindows {
    /// As the detector saw them.
    pub recent: Vec<TrialWindow>,
    /// With a known fault at their end ([`hearthwatch_detector::detector::HomeDetector::synthetic_faults`]).
    pub fault_checks: Vec<TrialWindow>,
    /// An entity's part of the home's budget, alarms a week: what thresholds follow from.
    pub share: f32,
}
