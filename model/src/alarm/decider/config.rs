//! What a home sets of its decisions.

/// What a home sets.
#[derive(Debug, Clone)]
pub struct DeciderConfig {
    /// Alarms a week, for the whole home.
    pub budget_per_week: f64,
    /// The home's secret in the alarms' ids.
    pub salt: Vec<u8>,
    /// What of the home's own course bears on the next alarm.
    pub adapts: Adapts,
}

/// What of a home's alarms so far bears on the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adapts {
    /// Nothing: where thresholds themselves are measured.
    Never,
    /// The allowance is kept; the offset stays as it is, for it is in the scores already.
    ByAllowance,
    /// The allowance is kept, and the offset follows the rate of alarms: a home that is lived in.
    Fully,
}
