//! What a check of the lineage finds: answer → snapshot → run → model → release → order, and the log of who did what.

use std::fmt;

use super::Digest;

/// One thing that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Which kind of row: `answer`, `run`, …, or `lineage` and `audit` for the chains themselves.
    pub kind: String,
    /// The row's key as text, e.g. `home/sequence` of an answer or the id of a run.
    pub subject: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// The ways in which a row can differ from its story.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A line of a chain does not follow from the one before.
    BrokenChain,
    /// The row is not what was written.
    Edited,
    /// The row was written and is gone, and nothing of ours took it away.
    Gone,
    /// The row is there, and nothing of ours wrote it.
    Foreign,
    /// The row's payload does not have the row's hash, or says something else than the row.
    Payload,
    /// What it follows from is not there, or is something else.
    Link(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BrokenChain => f.write_str("the chain is broken here"),
            Self::Edited => f.write_str("is not what was written"),
            Self::Gone => f.write_str("was written and is gone"),
            Self::Foreign => f.write_str("was not written by this program"),
            Self::Payload => f.write_str("its payload does not belong to it"),
            Self::Link(to) => write!(f, "does not follow from {to}"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind, self.subject, self.fault)
    }
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineageReport {
    /// Rows looked at, by kind.
    pub rows: Vec<(&'static str, u64)>,
    /// Lines of the chain.
    pub lines: u64,
    /// Hash of the chain's last line; zeros for an empty one. Written down elsewhere, it shows a chain that was made anew.
    pub head: Digest,
    /// Everything that is wrong.
    pub findings: Vec<Finding>,
}
