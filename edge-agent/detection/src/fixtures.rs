//! What a detector service of tests is made of. No program uses it.

use std::sync::Arc;

use hearthwatch_detector::detector::Model;
use hearthwatch_edge_store::history::History;
use hearthwatch_protocol::ModelVersion;

use crate::service::DetectorParts;

/// The baseline detector in a home in UTC without a fleet, with an alarm a week.
pub fn parts(history: History) -> DetectorParts {
    DetectorParts {
        model: Arc::new(Model::baseline()),
        model_version: ModelVersion::ROUTINE,
        history,
        salt: vec![1; 32],
        budget: 1.0,
        timezone: Some(jiff::tz::TimeZone::UTC),
        feedback: None,
    }
}
