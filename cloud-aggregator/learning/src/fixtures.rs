//! A learner whose results are set beforehand, for tests of this crate and of those above it. No program uses it.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use hearthwatch_training::Checkpoints;

use crate::dataset::Example;
use crate::training::{Challenger, LearnError, Learner, Step};

/// Promotes or holds; the artifact is made of what it was given.
pub struct Puppet {
    /// What the gate says.
    pub promote: bool,
    /// Training does not end well.
    pub fails: bool,
    /// There is nothing to judge by.
    pub unready: bool,
    /// How often it learnt.
    pub runs: AtomicUsize,
}

impl Puppet {
    /// One that promotes or holds.
    #[must_use]
    pub fn new(promote: bool) -> Self {
        Self { promote, fails: false, unready: false, runs: AtomicUsize::new(0) }
    }
}

impl Learner for Puppet {
    fn corpus(&self) -> Result<String, String> {
        if self.unready { Err("no recorded sets".to_owned()) } else { Ok("corpus".to_owned()) }
    }

    fn config(&self) -> String {
        "{\"seed\":7}".to_owned()
    }

    fn learn(
        &self,
        examples: Vec<Example>,
        champion: Option<&[u8]>,
        _checkpoints: &mut dyn Checkpoints,
        progress: &mut dyn FnMut(Step) -> ControlFlow<()>,
    ) -> Result<Challenger, LearnError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        if progress(Step::Training { done: 1, total: 2, loss: 0.5 }).is_break() {
            return Err(LearnError::Stopped);
        }
        if self.fails {
            return Err(LearnError::Failed("the loss is not finite".to_owned()));
        }
        let artifact = format!("{} examples after {:?}", examples.len(), champion).into_bytes();
        let report = format!("{{\"promote\":{}}}", self.promote);
        let weights_id = "w".to_owned();
        Ok(Challenger { artifact, weights_id, promote: self.promote, report, ..Challenger::default() })
    }
}
