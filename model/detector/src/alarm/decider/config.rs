//! The settings of a home's decider.

/// Budget, salt and adaptation of one home.
#[derive(Debug, Clone)]
pub struct DeciderConfig {
    /// Alarms a week, for the whole home.
    pub budget_per_week: f64,
    /// The home's secret in the alarms' ids.
    pub salt: Vec<u8>,
    /// Whether earlier alarms limit later ones.
    pub adapts: Adapts,
}

/// How a home's earlier alarms limit later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adapts {
    /// Nothing: where thresholds themselves are measured.
    Never,
    /// The allowance is kept; the offset stays as it is, for it is in the scores already.
    ByAllowance,
    /// The allowance is kept, and the offset follows the rate of alarms, as in a home.
    Fully,
}
