//! What is known of an entity, and what can be watched with that.

use crate::finding::AnomalyKind;

/// What is known of one entity.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Knowledge {
    /// Seconds since its first value that is remembered; none before there was one.
    pub known_seconds: Option<i64>,
    /// In which manners it is watched already.
    pub watching: Vec<AnomalyKind>,
}
