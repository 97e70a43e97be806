//! `hearthwatch-cloud doctor`: looks at everything that the aggregator needs, and says what to do about what is wrong.
//!
//! `facts` looks and decides nothing; `checks` decides and touches nothing.

mod checks;
mod facts;

use serde::Serialize;

pub use checks::check;
pub use facts::{Facts, gather};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// As it should be.
    Ok,
    /// It works, and will not for long, or not fully.
    Warning,
    /// It does not work.
    Fault,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it ended.
    pub grade: Grade,
    /// What was looked at, and what was found.
    pub what: String,
    /// What to do; empty where nothing is.
    pub remedy: String,
}

impl Finding {
    fn ok(what: impl Into<String>) -> Self {
        Self { grade: Grade::Ok, what: what.into(), remedy: String::new() }
    }

    fn warning(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { grade: Grade::Warning, what: what.into(), remedy: remedy.into() }
    }

    fn fault(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { grade: Grade::Fault, what: what.into(), remedy: remedy.into() }
    }
}
