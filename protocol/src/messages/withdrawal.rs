//! A home takes back what it shared, and the aggregator's word on what became of it.

use serde::{Deserialize, Serialize};

use crate::codec::DecodeError;
use crate::id::{HomeId, ModelVersion, Sequence};
use crate::limits::{WITHDRAWN_MODELS_MAX, WITHDRAWN_RECORDS_MAX};

/// Sent again on every connection until a receipt with its number comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// Whose records; must equal the topic's home.
    pub home: HomeId,
    /// The home's own number of this withdrawal, counted from 1: the same number again is the same withdrawal.
    pub id: u64,
    /// The records that are taken back.
    pub scope: WithdrawalScope,
    /// When the resident asked for it, Unix seconds.
    pub at: i64,
}

/// What is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithdrawalScope {
    /// Everything ever sent, up to and including this record. What is on its way counts too.
    Through(Sequence),
    /// These records, at most [`WITHDRAWN_RECORDS_MAX`].
    Records(Vec<Sequence>),
}

impl WithdrawalScope {
    /// Whether the record with this number is taken back.
    #[must_use]
    pub fn covers(&self, sequence: Sequence) -> bool {
        match self {
            Self::Through(last) => sequence <= *last,
            Self::Records(records) => records.contains(&sequence),
        }
    }
}

impl Withdrawal {
    /// Checks what the types alone do not.
    pub(crate) fn validate(&self) -> Result<(), DecodeError> {
        match &self.scope {
            WithdrawalScope::Records(records) if records.len() > WITHDRAWN_RECORDS_MAX => {
                Err(DecodeError::ListTooLong { field: "records", max: WITHDRAWN_RECORDS_MAX })
            }
            WithdrawalScope::Records(_) | WithdrawalScope::Through(_) => Ok(()),
        }
    }
}

/// Sent after the records are durably gone, and again whenever the withdrawal comes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawalReceipt {
    /// The number of the withdrawal.
    pub id: u64,
    /// Records that were stored and are deleted now: no snapshot taken from here on holds them.
    pub removed: u64,
    /// Released models that had learnt from some of them: they stay as they are until their successor replaces them.
    pub models: Vec<ModelVersion>,
    /// When, by the aggregator's clock, Unix seconds.
    pub at: i64,
}

impl WithdrawalReceipt {
    /// Checks what the types alone do not.
    pub(crate) fn validate(&self) -> Result<(), DecodeError> {
        if self.models.len() > WITHDRAWN_MODELS_MAX {
            return Err(DecodeError::ListTooLong { field: "models", max: WITHDRAWN_MODELS_MAX });
        }
        Ok(())
    }
}
