//! Where a model's weights come from, when they were released more than once.
//!
//! A model's `run` is the run that trained it, except when its bytes are let out again under a new version: then it
//! says which model's bytes they are and after which release that was, so that asking twice gives the same version.

use std::fmt;

use hearthwatch_protocol::ModelVersion;

use crate::store::{ModelRow, RunRow, Store, StoreError};

/// Most roll backs of roll backs that are followed; each names an older version, so the chain ends by itself.
const DEPTH_MAX: usize = 64;

/// What a model's `run` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineageOf {
    /// The candidate of a run.
    Run(String),
    /// The candidate of a run that had got a version which a later release overtook.
    Again {
        /// The run.
        run: String,
        /// The release that overtook it.
        after: ModelVersion,
    },
    /// An older model's bytes, by an operator's order.
    RollBack {
        /// The older model.
        to: ModelVersion,
        /// The release that was in force.
        after: ModelVersion,
    },
}

impl LineageOf {
    /// Reads a model's `run`.
    #[must_use]
    pub fn parse(run: &str) -> Self {
        let version = |text: &str| text.parse().ok().map(ModelVersion);
        if let Some((rest, after)) = run.rsplit_once("-after-")
            && let Some(after) = version(after)
        {
            return match rest.strip_prefix("rollback-of-").and_then(version) {
                Some(to) => Self::RollBack { to, after },
                None => Self::Again { run: rest.to_owned(), after },
            };
        }
        Self::Run(run.to_owned())
    }
}

impl fmt::Display for LineageOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => f.write_str(run),
            Self::Again { run, after } => write!(f, "{run}-after-{after}"),
            Self::RollBack { to, after } => write!(f, "rollback-of-{to}-after-{after}"),
        }
    }
}

/// The run that trained a model's weights; none for a model given from outside.
///
/// # Errors
/// [`StoreError`].
pub fn run_of(store: &dyn Store, model: &ModelRow) -> Result<Option<RunRow>, StoreError> {
    let mut origin = LineageOf::parse(&model.run);
    for _ in 0..DEPTH_MAX {
        match origin {
            LineageOf::Run(run) | LineageOf::Again { run, .. } => return store.run(&run),
            LineageOf::RollBack { to, .. } => match store.model(to)? {
                Some(older) => origin = LineageOf::parse(&older.run),
                None => return Ok(None),
            },
        }
    }
    Ok(None)
}

/// The gate's report on a model's weights, JSON.
///
/// # Errors
/// [`StoreError`].
pub fn report_of(store: &dyn Store, model: &ModelRow) -> Result<Option<String>, StoreError> {
    Ok(run_of(store, model)?.and_then(|run| run.report))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_reads_back_as_itself() {
        let origins = [
            LineageOf::Run("ab12".to_owned()),
            LineageOf::Again { run: "ab12".to_owned(), after: ModelVersion(7) },
            LineageOf::RollBack { to: ModelVersion(3), after: ModelVersion(5) },
            LineageOf::Run(String::new()),
        ];
        for origin in origins {
            assert_eq!(LineageOf::parse(&origin.to_string()), origin);
        }
    }
}
