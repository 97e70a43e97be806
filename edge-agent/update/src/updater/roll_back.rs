//! A resident's request to go back to the model before. One step, and only to a model that passed its trial here.
//!
//! The slots know it by the hash under which it was verified when it came; nothing is fetched and nothing unsigned is let in. The
//! model that is left is not tried again; a newer release gets in as ever.

use std::sync::Arc;

use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::messages::UpdateOutcome;

use super::{Step, Updater};
use crate::prove::{Prove, contained};
use crate::slots::SlotError;

/// The reason in the outcome for the fleet.
pub const MANUAL: &str = "by hand: a resident wants the model before";

/// Why nothing was rolled back.
#[derive(Debug, thiserror::Error)]
pub enum RollBackError {
    /// What came with the program is in charge.
    #[error("there is no model before this one")]
    Nothing,
    /// The slot of the model before holds a newer one.
    #[error("a newer model is being watched in the place of the one before; it takes charge or goes within hours")]
    Watched,
    /// The model before does not read, or does not load.
    #[error("the model before is damaged: {0}")]
    Damaged(String),
    /// The slots cannot be written.
    #[error(transparent)]
    Slots(#[from] SlotError),
}

impl<P: Prove> Updater<P> {
    /// From which version to which a roll-back would lead.
    ///
    /// # Errors
    /// [`RollBackError`] when it would lead nowhere.
    pub fn roll_back_leads(&self) -> Result<(ModelVersion, ModelVersion), RollBackError> {
        if self.slots.installed_sha256().is_none() {
            return Err(RollBackError::Nothing);
        }
        if self.slots.staged().is_some() {
            return Err(RollBackError::Watched);
        }
        Ok((self.slots.installed(), self.slots.fallback()))
    }

    /// Goes back to the model before, or to the program's own where there was none.
    ///
    /// # Errors
    /// [`RollBackError`]; then what was in charge still is.
    pub fn roll_back(&mut self, now: i64) -> Result<Step<P::Model>, RollBackError> {
        let (from, to) = self.roll_back_leads()?;
        let model = if self.slots.has_previous() {
            let bytes = self.slots.fallback_bytes().ok_or_else(|| RollBackError::Damaged("its file".to_owned()))?;
            contained(|| self.prove.load(&bytes, to)).map_err(RollBackError::Damaged)?
        } else {
            Arc::clone(&self.own)
        };
        let outcome = UpdateOutcome::rolled_back(from, MANUAL.to_owned(), to, now);
        self.slots.owing(outcome.clone()).roll_back_manually()?;
        self.before = None;
        self.machine.left(from);
        let mut step = Step::default();
        self.take_charge(&mut step, to, model);
        self.report(&mut step, outcome);
        Ok(step)
    }
}
