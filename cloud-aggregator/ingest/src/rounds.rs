//! What homes send in rounds of federated training is handed on: this crate knows no model, and cannot judge a delta.

use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::messages::{RoundPart, RoundReceipt};
use hearthwatch_protocol::round::SignedRoundOffer;
use hearthwatch_store::{Store, StoreResult};

/// Takes what homes that are let in send in rounds. Blocks on the store; the same again changes nothing. The
/// time is its own: homes hold rounds against their clocks, also where recorded years are taken in.
pub trait RoundIntake: Send + Sync + 'static {
    /// Whether a home takes part; not verified yet.
    fn offer(&self, store: &dyn Store, home: &HomeId, offer: &SignedRoundOffer) -> StoreResult<()>;
    /// A part of a home's answer; not verified yet. Returns the receipt's state for the home.
    fn part(&self, store: &dyn Store, home: &HomeId, part: &RoundPart) -> StoreResult<RoundReceipt>;
}

/// Something that a home sends in a round.
#[derive(Debug, Clone, PartialEq)]
pub enum RoundMessage {
    /// Whether it takes part.
    Offer(SignedRoundOffer),
    /// A part of an answer.
    Part(Box<RoundPart>),
}
